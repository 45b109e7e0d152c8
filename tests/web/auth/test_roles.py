"""The table of routes and roles: that of the manual is that of the code, and each cell is what the application does."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import bcrypt
import trio

from tests.support.asgi import Call
from tests.support.role_table import COLUMNS, EVERYTHING, MANUAL, ROLES, YES, cell, table
from tests.support.web_world import WebWorld, web_world
from trimon.web.auth.security import read_security
from trimon.web.http.endpoint import Endpoint

HASH = bcrypt.hashpw(b"password", bcrypt.gensalt(4)).decode()


async def what_happens(here: WebWorld, endpoint: Endpoint, method: str, who: str, *, remote: bool) -> str:
    """What a request is answered: `yes` when the route itself answers, else the status of who refused it."""
    path = re.sub(r"<(?:path:)?\w+>", "x", endpoint.path)
    headers = {}
    if who in {role.value for role in ROLES}:
        headers["authorization"] = "Basic " + base64.b64encode(f"{who}:password".encode()).decode()
    call = Call(method, path, headers)
    scope = {**call.scope, "client": ("203.0.113.9" if remote else "127.0.0.1", 1)}
    answer: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if answer.setdefault("asked", False):
            await trio.sleep_forever()
        answer["asked"] = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.update(message)
        else:
            answer["text"] = message["body"]
            scope_of_request.cancel()

    with trio.fail_after(5), trio.CancelScope() as scope_of_request:
        await here.client.app(scope, receive, send)
    # a refusal of the chain says so; a route's own would be another
    assert answer["status"] not in (429, 503) or b"replay" in answer["text"]
    if answer["status"] in (401, 403):
        assert answer["status"] == 401 or b"role" in answer["text"] or b"loopback" in answer["text"]
        return str(answer["status"])
    return YES


def test_the_table_of_the_manual_is_that_of_the_routes(tmp_path: Path) -> None:
    """docs/security.md has the table that `python -m tests.support.role_table` writes there."""

    async def endpoints() -> list[Endpoint]:
        async with web_world(tmp_path) as here:
            return list(here.endpoints)

    wanted = table(trio.run(endpoints))
    shown = [line for line in MANUAL.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    start = shown.index(wanted[0])
    assert shown[start : start + len(wanted)] == wanted
    assert shown[start + len(wanted) : start + len(wanted) + 1] == []


async def test_each_cell_is_what_the_application_does(tmp_path: Path) -> None:
    """For each route, method, role and place the application answers or refuses as the table says."""
    path = tmp_path / "web.yml"
    users = "".join(f"  {role.value}: '{HASH}'\n" for role in ROLES)
    roles = "".join(f"    {role.value}: [{role.value}]\n" for role in ROLES)
    path.write_text(f"basic_auth_users:\n{users}trimon:\n  roles:\n{roles}")
    for who in COLUMNS:
        changes = {} if who == COLUMNS[0] else {"security": read_security(path)}
        async with web_world(tmp_path / who.replace(" ", "-"), EVERYTHING, changes) as here:
            for endpoint in here.endpoints:
                for method in endpoint.methods:
                    for remote in (False, True):
                        found = await what_happens(here, endpoint, method, who, remote=remote)
                        wanted = cell(endpoint, who, remote=remote)
                        assert found == wanted, f"{method} {endpoint.path} as {who}, remote: {remote}"
