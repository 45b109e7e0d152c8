"""Streams and answers that are not as they should be: many tabs, a server that stalls, answers that are malformed."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import watched

TABS = 8
PAGES = (
    "/query",
    "/explore",
    "/alerts",
    "/rules",
    "/targets",
    "/service-discovery",
    "/queries",
    "/tsdb-status",
    "/status",
)
# A stream that tells of one actor, and nothing after that.
STALLED = """
  window.EventSource = class {
    constructor() {
      const row = ["t", "X", "running"];
      const event = { now_s: 1, columns: ["path", "kind", "state"], rows: [row], gone: [] };
      setTimeout(() => this.onmessage({ data: JSON.stringify(event) }), 50);
    }
    close() {}
  };
"""


def test_many_tabs_share_one_stream(browser: Any, server: Server) -> None:
    """More tabs of actors than a browser has connections are all live, over one stream; another tab takes over."""
    with watched(browser, server.url) as here:
        pages = [here.page, *(here.page.context.new_page() for _ in range(TABS - 1))]
        streams: list[int] = []

        def told(at: int) -> Any:
            return lambda request: streams.append(at) if request.url.endswith("/actors/live") else None

        for at, page in enumerate(pages):
            page.on("request", told(at))
        for page in pages:
            page.goto(server.url + "/actors")
            expect(page.locator(".live.on")).to_be_visible()
        assert len(streams) == 1
        holder = streams[0]
        pages[holder].goto(server.url + "/flags")
        rest = [page for at, page in enumerate(pages) if at != holder]
        for _ in range(100):
            if len(streams) == 2:
                break
            rest[0].wait_for_timeout(100)
        assert len(streams) == 2
        for page in rest:
            expect(page.locator(".live.on")).to_be_visible()


def test_a_stalled_server_is_noticed(browser: Any, server: Server) -> None:
    """A stream that is open and silent is not called live."""
    with watched(browser, server.url) as here:
        here.page.add_init_script(STALLED)
        page = here.open("/actors")
        expect(page.locator(".live.on")).to_be_visible()
        expect(page.locator(".summary")).to_contain_text("no news for", timeout=15_000)
        expect(page.locator(".live.on")).to_have_count(0)


@pytest.mark.parametrize(
    "body", ["null", "{}", '{"status":"success","data":null}', '{"status":"success","data":[null]}']
)
def test_malformed_answers_are_said(browser: Any, server: Server, body: str) -> None:
    """Whatever the API answers, no page fails: each says that the answer is not understood."""
    with watched(browser, server.url) as here:
        here.page.route(
            "**/api/v1/**", lambda route: route.fulfill(body=body, content_type="application/json")
        )
        for path in PAGES:
            page = here.open(path)
            if path != "/query":
                expect(page.locator("main")).to_contain_text("not what this page understands")
            expect(page.locator("main")).not_to_contain_text("This page failed")


def test_names_that_every_object_has_are_no_filters(browser: Any, server: Server) -> None:
    """A link with a filter or tab that is called as what every object has by birth opens the page."""
    names = ("__proto__", "constructor")
    fields = "&".join(
        f"{field}={{0}}" for field in ("show", "health", "tab", "pool", "state", "g0.tab", "group", "sort")
    )
    with watched(browser, server.url) as here:
        for path in PAGES:
            for name in names:
                page = here.open(f"{path}?g0.expr=up&{fields.format(name)}")
                expect(page.locator("main")).not_to_contain_text("This page failed")


def test_a_page_opens_by_itself_after_an_outage(browser: Any, server: Server) -> None:
    """A page whose code could not be fetched while the server was away is there when it is back, without a click."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        page.route("**/*", lambda route: route.abort())
        page.get_by_role("link", name="Flags").click()
        expect(page.locator("main")).to_contain_text("could not be loaded")
        expect(page.locator("main")).to_contain_text("does not answer", timeout=20_000)
        page.unroute("**/*")
        expect(page.get_by_role("heading", name="Flags")).to_be_visible(timeout=20_000)
        # The browser tells of every request that was refused.
        here.wrong.clear()
