"""The table of docs/security.md: each route, each role, on this machine and from elsewhere.

`python -m tests.support.role_table` writes it there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import trio

from tests.support.web_world import web_world
from trimon.web.context import WebOptions
from trimon.web.http.endpoint import Access, Endpoint, Role

EVERYTHING: Final = WebOptions(enable_lifecycle=True, enable_admin_api=True, enable_remote_write=True)
ROLES: Final = (Role.READ, Role.WRITE, Role.ADMIN, Role.DEBUG)
COLUMNS: Final = ("nobody is asked", "anonymous", *(role.value for role in ROLES))
YES: Final = "yes"
MANUAL: Final = Path(__file__).parents[2] / "docs" / "security.md"


def cell(endpoint: Endpoint, who: str, *, remote: bool) -> str:
    """What somebody gets: an answer of the route, or the status of a refusal."""
    if endpoint.access is Access.LOOPBACK and remote:
        return "403"
    if who == COLUMNS[0]:
        return YES
    if who == COLUMNS[1]:
        return "401"
    return YES if endpoint.role in (Role.NONE, Role(who)) else "403"


def row(endpoint: Endpoint) -> str:
    """A row of the table; a cell that differs from elsewhere has that behind a slash."""
    cells = []
    for who in COLUMNS:
        here, there = (cell(endpoint, who, remote=remote) for remote in (False, True))
        cells.append(here if here == there else f"{here} / {there}")
    return (
        f"| `{endpoint.path}` | {' '.join(endpoint.methods)} | {endpoint.role.value} | {' | '.join(cells)} |"
    )


def table(endpoints: Iterable[Endpoint]) -> list[str]:
    """The lines of the table."""
    head = ["route", "methods", "role", *COLUMNS]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *map(row, endpoints)]


async def _write() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with web_world(Path(directory)) as here:
            lines = table(here.endpoints)
    text = MANUAL.read_text(encoding="utf-8")
    start = text.index(lines[0])
    end = text.index("\n\n", start)
    MANUAL.write_text(text[:start] + "\n".join(lines) + text[end:], encoding="utf-8")


if __name__ == "__main__":
    trio.run(_write)
