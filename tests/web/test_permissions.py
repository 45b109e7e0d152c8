"""What the document tells the pages that somebody may do is what the routes behind them allow."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trio

from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from trimon.web.auth.security import read_security
from trimon.web.context import WebOptions
from trimon.web.pages import pages_are_built

HASH = bcrypt.hashpw(b"password", bcrypt.gensalt(4)).decode()
ADMIN_API = WebOptions(enable_admin_api=True, enable_lifecycle=True)
needs_pages = pytest.mark.skipif(not pages_are_built(), reason="the pages are not built")


async def may(here: WebWorld, client: str, user: str = "") -> set[str]:
    """What the document says."""
    credentials = base64.b64encode(f"{user}:password".encode()).decode()
    call = Call("GET", "/query", {"authorization": f"Basic {credentials}"} if user else {})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await here.client.app({**scope, "client": (client, 1)}, receive, send)

    status, _, body = await call.to(app)
    assert status == 200
    found = re.search(rb'name="trimon-may" content="([a-z ]*)"', body)
    assert found
    return set(found[1].decode().split())


@needs_pages
@pytest.mark.parametrize(
    ("options", "client", "wanted"),
    [
        (WebOptions(), "127.0.0.1", {"debug", "queries", "scrape"}),
        (WebOptions(enable_lifecycle=True), "127.0.0.1", {"debug", "queries", "plan", "scrape"}),
        (WebOptions(enable_lifecycle=True), "203.0.113.9", {"plan", "scrape"}),
        (ADMIN_API, "203.0.113.9", {"plan", "queries", "scrape", "delete"}),
        (WebOptions(allow_remote_debug=True), "203.0.113.9", {"debug", "scrape"}),
    ],
)
async def test_places_where_nobody_is_asked_who_he_is(
    options: WebOptions, client: str, wanted: set[str], tmp_path: Path
) -> None:
    """This machine sees all; others what flags open; deleting and planning need their flags everywhere."""
    async with web_world(tmp_path, options) as here:
        assert await may(here, client) == wanted


@needs_pages
async def test_roles(tmp_path: Path) -> None:
    """A reader may none of it; an admin may not debug, and the other way round."""
    path = tmp_path / "web.yml"
    users = "".join(f"  {name}: '{HASH}'\n" for name in ("reader", "boss", "fixer", "all"))
    path.write_text(
        f"basic_auth_users:\n{users}trimon:\n  roles:\n    reader: [read]\n    boss: [read, admin]\n    fixer: [read, debug]\n"
    )
    async with web_world(tmp_path / "data", ADMIN_API, {"security": read_security(path)}) as here:
        with trio.fail_after(10):
            assert await may(here, "127.0.0.1", "reader") == set()
            assert await may(here, "203.0.113.9", "boss") == {"queries", "plan", "scrape", "delete"}
            assert await may(here, "127.0.0.1", "fixer") == {"debug"}
            assert await may(here, "127.0.0.1", "all") == {"debug", "queries", "plan", "scrape", "delete"}


@needs_pages
async def test_the_document_says_that_the_server_starts(tmp_path: Path) -> None:
    """So the pages show the progress of the log from their first moment on, and ask nothing in vain."""
    for is_ready, wanted in (
        (True, b'name="trimon-starting" content=""'),
        (False, b'name="trimon-starting" content="1"'),
    ):
        async with web_world(
            tmp_path / str(is_ready), changes={"ready": lambda value=is_ready: value}
        ) as here:
            _, _, body = await Call("GET", "/query", {}).to(here.client.app)
            assert wanted in body
