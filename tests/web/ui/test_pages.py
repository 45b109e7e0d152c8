"""Every page in a real browser: nothing goes wrong, nothing leaves the server, nothing is wider than a small screen."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.process import Server
from tests.web.ui.conftest import watched
from trimon.web.pages import PAGES

GRAPH = "/query?g0.expr=" + quote("sum by (route) (rate(shop_requests_total[1m]))") + "&g0.tab=graph"
HEATMAP = (
    "/query?g0.expr="
    + quote("sum(rate(shop_request_duration_seconds[1m]))")
    + "&g0.tab=graph&g0.display_mode=heatmap&g0.range_input=6h"
)
EVERY = (*PAGES, GRAPH, HEATMAP, "/query?g0.expr=up&g0.tab=explain")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_and_tab_loads_cleanly(theme: str, browser: Any, server: Server) -> None:
    """No message of the console, no violation of the policy, no request to elsewhere; each tab of each page is opened."""
    with watched(browser, server.url, theme=theme) as here:
        for path in EVERY:
            page = here.open(path)
            assert page.locator("main, article, section").count()
            for at in range(page.get_by_role("tab").count()):
                page.get_by_role("tab").nth(at).click()
                page.wait_for_timeout(120)
            assert here.wrong == [], path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_is_wider_than_a_small_screen(theme: str, browser: Any, server: Server) -> None:
    """At 360 px the page itself does not scroll sideways; what is wider scrolls by itself."""
    too_wide = []
    with watched(browser, server.url, theme=theme, width=360) as here:
        for path in EVERY:
            page = here.open(path)
            if (width := page.evaluate("document.documentElement.scrollWidth")) > 360:
                too_wide.append((path, width))
    assert too_wide == []


def test_links_of_a_prometheus_open_here(browser: Any, server: Server) -> None:
    """Old and new parameters, and the old path of graphs."""
    expression = quote('up{job="api"}')
    with watched(browser, server.url) as here:
        for path in (
            f"/graph?g0.expr={expression}&g0.tab=0&g0.stacked=1&g0.range_input=2h",
            f"/query?g0.expr={expression}&g0.tab=graph&g0.display_mode=stacked&g0.range_input=2h",
        ):
            page = here.open(path)
            assert page.locator(".cm-content").inner_text() == 'up{job="api"}'
            assert page.get_by_label("Range", exact=True).input_value() == "2h"
            page.wait_for_selector("canvas")
        page = here.open(f"/graph?g0.expr={expression}&g0.tab=1&g1.expr=vector(7)&g1.tab=table")
        page.wait_for_selector("text=api-1")
        assert page.locator(".query-panel").count() == 2


def test_pages_are_reached_by_keyboard(browser: Any, server: Server) -> None:
    """Tab goes through the navigation, and Enter opens a page without loading the document again."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        page.evaluate("window.stays = true")
        page.get_by_role("link", name="Targets").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/targets")
        page.wait_for_selector("text=payments-2")
        assert page.evaluate("window.stays") is True
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent").strip() == "Service discovery"


def test_ten_thousand_rows_are_few_elements(browser: Any, server: Server) -> None:
    """Only what is visible of a long table is drawn."""
    result = [
        {"metric": {"__name__": "many", "instance": f"host-{number}"}, "value": [1, str(number)]}
        for number in range(10_000)
    ]
    answer = json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})
    with watched(browser, server.url) as here:
        here.page.route(
            "**/api/v1/query", lambda route: route.fulfill(body=answer, content_type="application/json")
        )
        here.page.route(
            "**/api/v1/query?*", lambda route: route.fulfill(body=answer, content_type="application/json")
        )
        page = here.open("/query?g0.expr=many&g0.tab=table")
        page.wait_for_selector("text=host-1")
        assert page.locator("[aria-rowcount]").first.get_attribute("aria-rowcount") == "10001"
        assert page.locator(".table-place").count() < 120


def test_a_question_is_decoded_once(browser: Any, server: Server) -> None:
    """Percent signs of an expression or a search stay what they are, in a link, typed, and after a reload."""
    question = 'count({__name__=~".*%2F.*"}) or vector(130 %60)'
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.tab=table&g0.expr=" + quote(question))
        assert page.locator(".cm-content").first.inner_text() == question
        page.reload()
        page.wait_for_selector("section.panel")
        assert page.locator(".cm-content").first.inner_text() == question
        page = here.open("/targets?search=100%2525")
        assert page.get_by_role("searchbox").first.input_value() == "100%25"
