"""The live tree as plain data: what is read when something hangs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Final, TypeAlias

from trimon.actors.kernel.child import Child
from trimon.actors.kernel.faults import FAULTS, describe
from trimon.actors.kernel.lifecycle import State
from trimon.actors.kernel.spec import Actor
from trimon.actors.kernel.supervisor import Supervisor

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"

DEPTH_MAX: Final = 6
ITEMS_MAX: Final = 200
TEXT_MAX: Final = 2_000


def plain(value: object, depth: int = 0) -> Plain:
    """A value as JSON can write it, bounded in depth, items and text; other types show their name."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else value[: TEXT_MAX - 1] + "…"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if depth >= DEPTH_MAX:
        return "…"
    if isinstance(value, Mapping):
        items = list(value.items())[:ITEMS_MAX]
        return {str(name): plain(inner, depth + 1) for name, inner in items}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return [plain(inner, depth + 1) for inner in list(value)[:ITEMS_MAX]]
    return f"<{type(value).__name__}>"


def _fields(actor: Actor | None) -> Plain:
    if actor is None:
        return {}
    try:
        return plain(actor.inspect())
    except FAULTS as error:  # whatever an actor's own code raises, the tree is shown
        return {"inspect_failed": describe(error)}


def _kind(actor: Actor | None) -> str:
    return type(actor).__name__ if actor is not None else ""


def node(of: Supervisor | Child) -> dict[str, Plain]:
    """The root or a child as plain data, without what is below it.

    Synchronous, on the event loop's thread; it reads counters and calls `inspect()`, it waits for nobody.
    """
    if isinstance(of, Supervisor):
        return _root(of)
    child, crash, mailbox = of, of.last_crash, of.spec.mailbox
    stats = mailbox.stats() if mailbox is not None else None
    return {
        "path": child.path,
        "kind": _kind(child.actor),
        "state": child.state.value,
        "since_s": child.since_s,
        "attempt": child.attempt,
        "restarts": child.restarts,
        "restart": child.spec.restart.value,
        "forced": child.forced,
        "last_crash": None
        if crash is None
        else {"at_s": crash.at_s, "error": crash.error, "attempt": crash.attempt, "in_hand": crash.in_hand},
        "mailbox": None if stats is None else plain(asdict(stats)),
        "handled": stats.handled if stats is not None else None,
        "in_hand": stats.in_hand if stats is not None else "",
        "fields": _fields(child.actor),
    }


def _root(root: Supervisor) -> dict[str, Plain]:
    return {
        "path": root.path,
        "kind": _kind(root),
        "state": root.state.value,
        "since_s": root.since_s,
        "attempt": 0 if root.state is State.PLANNED else 1,
        "restarts": 0,
        "restart": "never",
        "forced": False,
        "last_crash": None,
        "mailbox": None,
        "handled": None,
        "in_hand": "",
        "fields": _fields(root),
    }


def walk(start: Supervisor | Child) -> Iterator[tuple[int, Supervisor | Child]]:
    """All from `start` on, parents first, each with its depth below it; the tree may change meanwhile."""
    waiting: list[tuple[int, Supervisor | Child]] = [(0, start)]
    while waiting:
        depth, here = waiting.pop()
        yield depth, here
        supervisor = here if isinstance(here, Supervisor) else here.actor
        if isinstance(supervisor, Supervisor):
            waiting += [(depth + 1, child) for child in reversed(list(supervisor.children()))]


def tree(start: Supervisor | Child) -> dict[str, Plain]:
    """Every node from `start` on, nested under `children`."""
    above: list[dict[str, Plain]] = []
    for depth, here in walk(start):
        made = node(here)
        made["children"] = []
        del above[depth:]
        if above:
            siblings = above[-1]["children"]
            assert isinstance(siblings, list)
            siblings.append(made)
        above.append(made)
    return above[0]


def locate(root: Supervisor, path: str) -> Supervisor | Child | None:
    """The root or child of one path, None when there is none."""
    if path == root.path:
        return root
    for child in root.children():
        if child.path == path:
            return child
        if isinstance(child.actor, Supervisor) and path.startswith(child.path + "/"):
            found = locate(child.actor, path)
            if found is not None:
                return found
    return None


def find(root: Supervisor, path: str) -> dict[str, Plain] | None:
    """The node of one path with its children, None when there is none."""
    found = locate(root, path)
    return None if found is None else tree(found)
