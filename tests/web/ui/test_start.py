"""Pages while the server reads its log."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import watched
from trimon.web.notifications import STARTING


def test_progress_stands_in_place_of_pages_which_then_open_by_themselves(
    browser: Any, server: Server
) -> None:
    """While the log is read its progress moves; pages that need no samples work; at the end the page opens by itself."""
    state = {"starting": True, "current": 3}

    def answer(route: Any, data: object) -> None:
        route.fulfill(body=json.dumps({"status": "success", "data": data}), content_type="application/json")

    def notifications(route: Any) -> None:
        told = [{"text": STARTING, "date": "2026-11-26T20:00:00Z", "active": True}]
        answer(route, told if state["starting"] else [])

    def replay(route: Any) -> None:
        state["current"] += 1
        answer(route, {"min": 0, "max": 99, "current": state["current"]})

    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/notifications", notifications)
        here.page.route("**/api/v1/status/walreplay", replay)
        page = here.open("/targets")
        expect(page.get_by_role("heading", name="The server is starting")).to_be_visible()
        main = page.locator(".starting")
        expect(main).to_contain_text("of 100")
        expect(main).to_contain_text("left")
        page.get_by_role("link", name="Flags").click()
        expect(page.get_by_role("table", name="Flags")).to_be_visible()
        expect(page.locator(".notices")).to_contain_text("of 100")
        page.get_by_role("link", name="Targets").click()
        expect(page.get_by_role("heading", name="The server is starting")).to_be_visible()
        state["starting"] = False
        expect(page.get_by_role("table", name="Targets")).to_be_visible()
