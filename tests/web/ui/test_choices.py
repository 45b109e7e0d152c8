"""What narrows a page down: groups, states, labels, metrics; and what is taken away for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.support.demo import demo
from tests.support.process import Server
from tests.web.ui.conftest import watched


def test_alerts_are_counted_by_group_and_chosen_by_several_states(browser: Any, server: Server) -> None:
    """A group shows its own rules alone; two states at once show both; the choice stands in the URL."""
    with watched(browser, server.url) as here:
        page = here.open("/alerts")
        table = page.get_by_role("table", name="Alerting rules")
        group = page.get_by_role("button", name="mistakes")
        # The page asks again until the group was evaluated for the first time.
        expect(group).to_contain_text("1 failing", timeout=60_000)
        group.click()
        expect(table).to_contain_text("TooFewWorkers")
        expect(table).not_to_contain_text("TargetDown")
        group.click()
        states = page.get_by_role("group", name="State").locator("label")
        states.filter(has_text="Firing").click()
        expect(table).to_contain_text("TargetDown")
        expect(table).not_to_contain_text("CheckoutFails")
        states.filter(has_text="Inactive").click()
        expect(table).to_contain_text("TargetDown")
        expect(table).to_contain_text("CheckoutFails")
        assert "state=firing&state=inactive" in page.url


def test_a_selector_is_put_together_in_explore(browser: Any, server: Server) -> None:
    """Values that are chosen narrow the lists and the selector down, and can be taken back."""
    with watched(browser, server.url) as here:
        page = here.open("/explore?search=shop_requests_total")
        page.get_by_role("button", name="Open shop_requests_total").click()
        detail = page.locator(".metric-detail")
        detail.get_by_role("button", name="route", exact=True).click()
        detail.get_by_role("button", name="/cart", exact=True).click()
        detail.get_by_role("button", name="code", exact=True).click()
        detail.get_by_role("button", name="200", exact=True).click()
        selector = 'shop_requests_total{route="/cart", code="200"}'
        expect(detail).to_contain_text(selector)
        expect(detail.get_by_role("list", name="Series by code").get_by_role("listitem")).to_have_count(1)
        detail.get_by_role("button", name="Without route=/cart").click()
        expect(detail).not_to_contain_text(selector)
        expect(detail).to_contain_text('shop_requests_total{code="200"}')
        form = detail.get_by_role("form", name="Add a matcher")
        form.get_by_label("Label").select_option("route")
        form.get_by_label("Operator").select_option("!~")
        form.get_by_label("Value").fill("/(")
        expect(form.get_by_role("button", name="Add")).to_be_disabled()
        form.get_by_label("Value").fill("/c.*")
        form.get_by_role("button", name="Add").click()
        expect(detail).to_contain_text('shop_requests_total{code="200", route!~"/c.*"}')


def test_an_empty_panel_offers_something_to_begin_with(browser: Any, server: Server) -> None:
    """A click asks it, and it is among what was asked before."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        page.get_by_role("button", name="What fires now").click()
        expect(page.get_by_role("table", name="Result")).to_contain_text("TargetDown")
        page = here.open("/query")
        asked = page.locator(".beginnings section").filter(has_text="Asked before")
        expect(asked).to_contain_text('ALERTS{alertstate="firing"}')


def test_bytes_of_metrics_over_time(browser: Any, server: Server) -> None:
    """The metric of a growing number of series stands first."""
    with watched(browser, server.url) as here:
        page = here.open("/explore?tab=growth")
        page.get_by_text("Bytes", exact=True).click()
        rows = page.get_by_role("region", name="Series").locator(".legend-row")
        expect(rows.first).to_contain_text("session_clicks_total")
        expect(page.get_by_role("tabpanel")).to_contain_text("that one takes on this server's disk")


def test_a_metric_is_inserted_at_the_cursor(browser: Any, server: Server) -> None:
    """It is found by its help text, too; what was typed stays around it."""
    with watched(browser, server.url) as here:
        # What is half typed has no estimate.
        here.page.route(
            "**/api/v1/explain", lambda route: route.fulfill(json={"status": "success", "data": {"plan": {}}})
        )
        page = here.open("/query")
        page.locator(".cm-content").click()
        page.keyboard.type("sum()")
        page.keyboard.press("Escape")
        page.locator(".cm-content").click()
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        page.get_by_role("button", name="Metrics", exact=True).click()
        page.get_by_label("Search metrics").fill("answered by route")
        page.locator(".popover-box li button").filter(has_text="shop_requests_total").first.click()
        expect(page.locator(".cm-content")).to_have_text("sum(shop_requests_total)")


def test_a_double_click_copies_a_matcher(browser: Any, server: Server) -> None:
    """Each label of a series is one."""
    permissions = ["clipboard-read", "clipboard-write"]
    with watched(browser, server.url, permissions=permissions) as here:
        page = here.open("/query?g0.expr=up&g0.tab=table")
        page.locator(".series-label").filter(has_text='instance="api-1"').dblclick()
        assert page.evaluate("navigator.clipboard.readText()") == 'instance="api-1"'


def test_pages_ask_by_themselves_without_a_trace(browser: Any, server: Server) -> None:
    """What a person asks is listed, what pages ask is only with the switch."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=up%2B5&g0.tab=table")
        expect(page.get_by_role("table", name="Result")).to_contain_text("5")
        page = here.open("/explore?tab=growth")
        expect(page.get_by_role("region", name="Series")).to_contain_text("session_clicks_total")
        page = here.open("/queries")
        table = page.get_by_role("table", name="Queries that have ended")
        # Only the rows of the window are there: those that were asked last come first.
        table.get_by_role("button", name="Last").click()
        expect(table).to_contain_text("up+5")
        expect(table).not_to_contain_text("by a page")
        page.get_by_label("Also what these pages ask").check()
        expect(table).to_contain_text("by a page")


def test_series_are_deleted_after_a_preview_and_a_word(browser: Any, server: Server, tmp_path: Path) -> None:
    """Only where the admin API is on; the preview counts and names the series, and another number confirms nothing."""
    with watched(browser, server.url) as here:
        here.open("/tsdb-status")
        expect(here.page.get_by_role("heading", name="Delete series")).to_have_count(0)
    with (
        demo(tmp_path, "--web.enable-admin-api") as own,
        watched(browser, own.url) as here,
    ):
        own.until("database_size_bytes")
        page = here.open("/tsdb-status")
        page.get_by_label("Selector of the series").fill('database_size_bytes{instance=~"db-.*"}')
        page.get_by_role("button", name="Show what would go").click()
        check = page.locator(".deletion-check")
        expect(check).to_contain_text("2 series")
        expect(check).to_contain_text('instance="db-1"')
        button = page.get_by_role("button", name="Delete", exact=True)
        page.get_by_label("Confirmation").fill("delete 3")
        expect(button).to_be_disabled()
        page.get_by_label("Confirmation").fill("delete 2")
        before = own.query('count_over_time(database_size_bytes{instance="db-1"}[6h]) > 100')
        assert before
        button.click()
        expect(page.get_by_role("status").filter(has_text="are deleted")).to_be_visible()
        assert not own.query('count_over_time(database_size_bytes{instance="db-1"}[6h]) > 100')
        page.get_by_role("button", name="Clean up deletions").click()
        expect(page.get_by_role("status").filter(has_text="written anew")).to_be_visible()
