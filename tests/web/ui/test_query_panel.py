"""What stands around an expression: its parts, its meaning, switches, the calendar."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import watched

RATIO = "sum by (job) (up) / on (job) group_left () count by (job) (up)"


def test_parts_say_what_each_gives_and_one_is_looked_at_alone(browser: Any, server: Server) -> None:
    """The number of series and of values of each label stands beside each part; the table shows the one that is chosen."""
    expression = quote('count(up{job="api"}) + vector(2)')
    with watched(browser, server.url) as here:
        page = here.open(f"/query?g0.expr={expression}&g0.show_tree=1&g0.tab=table")
        tree = page.get_by_role("region", name="Parts of the expression")
        selector = tree.locator("li", has=page.get_by_role("button", name='up{job="api"}')).last
        expect(selector).to_contain_text("instance: 3")
        expect(page.get_by_role("table", name="Result")).to_contain_text("5")
        page.get_by_role("button", name='up{job="api"}').click()
        result = page.get_by_role("table", name="Result")
        expect(result).to_contain_text("api-1")
        assert page.locator(".cm-content").inner_text() == 'count(up{job="api"}) + vector(2)'
        page.get_by_role("button", name="Parts").click()
        expect(tree).to_have_count(0)
        expect(result).not_to_contain_text("api-1")


def test_very_many_parts_are_not_asked(browser: Any, server: Server) -> None:
    """A made question of a thousand parts is answered, and neither tree nor words hold the page up."""
    expression = quote("+".join(["1"] * 1000))
    with watched(browser, server.url) as here:
        page = here.open(f"/query?g0.expr={expression}&g0.show_tree=1&g0.tab=explain")
        expect(page.locator(".query-panel")).to_contain_text("More than 100 parts: too many to ask each.")
        expect(page.get_by_role("tabpanel")).to_contain_text("more than 200 parts")


def test_a_question_is_explained_in_words(browser: Any, server: Server) -> None:
    """Each part has its sentences, and series of both sides are shown with what becomes of them."""
    with watched(browser, server.url) as here:
        page = here.open(f"/query?g0.expr={quote(RATIO)}&g0.tab=explain")
        panel = page.get_by_role("tabpanel")
        expect(panel).to_contain_text("Divides the left by the right.")
        expect(panel).to_contain_text("Adds up the values of all series that are alike in job.")
        row = panel.get_by_role("row").filter(has_text="payments")
        expect(row).to_contain_text("matched")
        page = here.open(f"/query?g0.expr={quote('up / on (job) up')}&g0.tab=explain")
        expect(page.get_by_role("tabpanel")).to_contain_text("only group_left allows several")


def test_settings_hold_and_are_remembered(browser: Any, server: Server) -> None:
    """Without completion no list opens while one types, and after a reload it is still so; Ctrl-Space opens it."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        options = page.locator(".cm-tooltip-autocomplete")
        page.locator(".cm-content").click()
        page.keyboard.type("shop_r")
        expect(options).to_be_visible()
        page.get_by_role("button", name="Settings").click()
        page.get_by_label("Complete while I type").uncheck()
        page.get_by_label("Remember what I ask").uncheck()
        page.keyboard.press("Escape")
        page = here.open("/query")
        page.locator(".cm-content").click()
        page.keyboard.type("shop_r")
        page.wait_for_timeout(600)
        expect(options).to_have_count(0)
        page.keyboard.press("Control+Space")
        expect(options).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Run").click()
        page.get_by_role("button", name="History").click()
        expect(page.locator(".popover-box")).to_contain_text("not remembered")


def test_the_time_is_chosen_in_a_calendar_by_keyboard(browser: Any, server: Server) -> None:
    """Arrows move through days and months, Enter chooses, Escape closes; a typed time of the day counts."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=up&g0.tab=table&g0.moment_input=2026-03-31+12:30:00")
        page.get_by_role("button", name="Choose the time in a calendar").click()
        page.get_by_role("button", name="2026-03-31").focus()
        for key in ("PageUp", "ArrowDown", "ArrowLeft", "Enter"):
            page.keyboard.press(key)
        field = page.get_by_label("Time, UTC")
        expect(field).to_have_value("2026-03-06 12:30:00")
        page.get_by_label("Time of the day").fill("08:05:00")
        expect(field).to_have_value("2026-03-06 08:05:00")
        page.keyboard.press("Escape")
        expect(page.locator(".calendar")).to_have_count(0)
        assert "g0.moment_input=2026-03-06+08%3A05%3A00" in page.url


def test_a_graph_is_drawn_once(browser: Any, server: Server) -> None:
    """Nothing that comes after the answer has the chart made or drawn again."""
    count = """
      const stroke = CanvasRenderingContext2D.prototype.clearRect;
      window.cleared = 0;
      CanvasRenderingContext2D.prototype.clearRect = function (...rest) { window.cleared++; return stroke.apply(this, rest); };
    """
    with watched(browser, server.url) as here:
        here.page.add_init_script(count)
        page = here.open("/query?g0.expr=up&g0.tab=graph")
        page.wait_for_selector(".u-wrap canvas")
        page.wait_for_timeout(800)
        assert page.evaluate("window.cleared") == 1
