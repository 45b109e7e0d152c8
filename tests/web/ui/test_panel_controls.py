"""The times and looks of a panel: typed, drawn with the pointer, gone back from, kept while another page is open."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import settled_box, watched


def parameters(page: Any) -> dict[str, str]:
    """What stands in the URL, the last value of each name."""
    query = parse_qs(urlparse(page.url).query, keep_blank_values=True)
    return {name: values[-1] for name, values in query.items()}


def test_an_end_that_is_emptied_is_now_and_what_is_none_is_said(browser: Any, server: Server) -> None:
    """Deleting the end asks for now; a word that is no time, and a range that is none, are told in words and change nothing."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=up&g0.tab=graph&g0.end_input=2026-03-31+12:30:00")
        field = page.get_by_label("End time, UTC")
        expect(field).to_have_value("2026-03-31 12:30:00")
        field.fill("yesterday")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("“yesterday” is not understood")
        assert parameters(page)["g0.end_input"] == "2026-03-31 12:30:00"
        field.fill("")
        field.press("Enter")
        page.wait_for_function("() => !location.search.includes('end_input')")
        expect(field).to_have_value("")
        expect(page.get_by_role("alert")).to_have_count(0)
        page.get_by_label("Range", exact=True).fill("abc")
        page.get_by_label("Range", exact=True).press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("“abc” is not understood")


@pytest.mark.parametrize("width", [360, 1400])
def test_times_are_shown_whole(browser: Any, server: Server, width: int) -> None:
    """The end with its seconds, and with milliseconds where there are some, fits its field."""
    with watched(browser, server.url, width=width) as here:
        for end in ("2026-03-31 12:30:59", "2026-03-31 12:30:59.123"):
            page = here.open(f"/query?g0.expr=up&g0.tab=table&g0.moment_input={end}")
            field = page.get_by_label("Time, UTC")
            expect(field).to_have_value(end)
            assert field.evaluate("field => field.scrollWidth <= field.clientWidth")
            panel = page.locator(".query-panel").bounding_box()
            last = page.get_by_role("button", name="Later").bounding_box()
            assert last["x"] + last["width"] <= panel["x"] + panel["width"]


def drag(page: Any, start: float, end: float) -> None:
    """Drags over a part of the graph."""
    box = settled_box(page, ".u-over")
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], y, steps=4)
    page.mouse.up()


def test_a_zoom_is_round_and_can_be_taken_back(browser: Any, server: Server) -> None:
    """Zoomed times have no odd seconds; Back and "Reset zoom" lead to the whole graph."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=up&g0.tab=graph&g0.range_input=1h")
        reset = page.get_by_role("button", name="Reset zoom")
        for back in (page.go_back, reset.click):
            page.wait_for_selector(".u-over")
            expect(reset).to_have_count(0)
            drag(page, 0.31, 0.63)
            expect(reset).to_be_visible()
            zoomed = parameters(page)
            assert zoomed["g0.end_input"][-2:] in ("00", "15", "30", "45", "10", "20", "40", "50")
            assert zoomed["g0.range_input"] != "1h"
            back()
            page.wait_for_function("() => !location.search.includes('end_input')")
            assert parameters(page)["g0.range_input"] == "1h"


def test_pages_are_left_and_come_back_to_as_they_were(browser: Any, server: Server) -> None:
    """What was asked, what is only typed, refreshing, and what narrows targets down, outlive a look at another page."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=sum(up)&g0.tab=table")
        navigation = page.get_by_role("navigation", name="Pages")
        page.get_by_label("Refresh").select_option("30")
        page.locator(".cm-content").click()
        page.keyboard.press("End")
        page.keyboard.type(" + 1", delay=35)
        navigation.get_by_role("link", name="Targets").click()
        page.get_by_role("searchbox").first.fill("api")
        page.wait_for_function("() => location.search.includes('search=api')")
        navigation.get_by_role("link", name="Query", exact=True).click()
        expect(page.locator(".cm-content")).to_have_text("sum(up) + 1")
        assert parameters(page)["g0.expr"] == "sum(up)"
        assert parameters(page)["g0.refresh"] == "30s"
        expect(page.get_by_label("Refresh")).to_have_value("30")
        navigation.get_by_role("link", name="Targets").click()
        expect(page.get_by_role("searchbox").first).to_have_value("api")


def test_a_new_panel_has_the_cursor_and_no_place_in_the_url(browser: Any, server: Server) -> None:
    """Whoever adds a panel types into it; what is empty stands in the URL only when it asks something."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=up&g0.tab=table")
        page.get_by_role("button", name="Add a panel").click()
        expect(page.locator(".query-panel")).to_have_count(2)
        assert "g1.expr" not in page.url
        page.keyboard.type("sum(up)", delay=35)
        page.keyboard.press("Enter")
        page.wait_for_function("() => new URLSearchParams(location.search).get('g1.expr') === 'sum(up)'")
        assert parameters(page)["g0.expr"] == "up"


def test_what_a_link_asked_is_in_the_history(browser: Any, server: Server) -> None:
    """A query that came with a link can be asked again."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=count(up)&g0.tab=table")
        page.get_by_role("button", name="History").click()
        expect(page.locator(".popover-box")).to_contain_text("count(up)")


def test_what_is_searched_in_the_legend_is_drawn(browser: Any, server: Server) -> None:
    """A text shows the series that it finds at once, whichever were shown before."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=shop_requests_total&g0.tab=graph")
        legend = page.get_by_role("region", name="Series")
        rows = legend.locator("button.legend-row")
        rows.first.click()
        expect(legend.locator("button.legend-row[aria-pressed=true]")).to_have_count(1)
        first = rows.first.inner_text()
        legend.get_by_label("Filter series").fill("/cart" if "/cart" not in first else "/checkout")
        expect(legend).to_contain_text("match")
        expect(legend.locator("button.legend-row[aria-pressed=false]")).to_have_count(0)


def test_values_are_short_and_whole_for_whoever_wants_them(browser: Any, server: Server) -> None:
    """The table has few digits; all of them stand in the title and in what is copied."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=vector(1)/3&g0.tab=table")
        value = page.get_by_role("table", name="Result").locator(".value")
        expect(value).to_have_text("0.3333333")
        assert value.get_attribute("title") == "0.3333333333333333"


def test_a_narrow_window_has_the_graph_near_its_controls(browser: Any, server: Server) -> None:
    """How a graph is drawn is folded away on a phone; help lies beside or below the list of completions."""
    with watched(browser, server.url, width=360) as here:
        page = here.open("/query?g0.expr=up&g0.tab=graph")
        expect(page.get_by_label("Logarithmic")).not_to_be_visible()
        page.get_by_text("How it is drawn").click()
        expect(page.get_by_label("Logarithmic")).to_be_visible()
        page.locator(".cm-content").click()
        page.keyboard.press("Control+a")
        page.keyboard.type("shop_req", delay=35)
        page.wait_for_selector(".cm-tooltip-autocomplete li")
        page.wait_for_timeout(200)
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(".cm-completionInfo")
        page.wait_for_timeout(200)
        shown = page.locator(".cm-tooltip-autocomplete > ul").bounding_box()
        help_box = page.locator(".cm-completionInfo").bounding_box()
        below = help_box["y"] >= shown["y"] + shown["height"] - 1
        above = help_box["y"] + help_box["height"] <= shown["y"] + 1
        assert below or above
