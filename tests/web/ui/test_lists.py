"""Lists: what a search finds, what stands in the URL, what the keyboard reaches, and what is said where nothing is."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import watched


def test_characters_in_order_find_an_alert(browser: Any, server: Server) -> None:
    """Nothing has the word itself; group chips are narrowed with the list."""
    with watched(browser, server.url) as here:
        page = here.open("/alerts?search=tfwwrk")
        table = page.get_by_role("table", name="Alerting rules")
        expect(table).to_contain_text("TooFewWorkers")
        expect(table).to_have_attribute("aria-rowcount", "2")
        page.get_by_label("Search alerts").fill("TargetDown")
        expect(table).to_contain_text("TargetDown")
        expect(table).not_to_contain_text("TooFewWorkers")


def test_a_failing_rule_is_a_state_of_its_own(browser: Any, server: Server) -> None:
    """It is chosen by itself, what it reads is said to match, and what reads nothing has nothing so far."""
    with watched(browser, server.url) as here:
        page = here.open("/alerts?state=failing")
        table = page.get_by_role("table", name="Alerting rules")
        expect(table).to_contain_text("TooFewWorkers", timeout=60_000)
        expect(table).not_to_contain_text("TargetDown")
        page.get_by_role("button", name="Open TooFewWorkers").click()
        expect(page.locator(".selectors li").first).to_contain_text("matches")
        expect(page.locator(".selectors")).not_to_contain_text("not evaluated yet")
        page = here.open("/rules?health=err")
        rules = page.get_by_role("table", name="Rules")
        expect(rules).to_contain_text("TooFewWorkers", timeout=60_000)
        expect(rules).not_to_contain_text("TargetDown")
        page = here.open("/rules?search=CheckoutDown")
        expect(page.get_by_role("table", name="Rules")).to_contain_text("nothing so far", timeout=60_000)


def test_an_open_row_is_a_link_and_a_step_back(browser: Any, server: Server) -> None:
    """The URL leads to the same row open; Back closes it."""
    with watched(browser, server.url) as here:
        page = here.open("/alerts")
        page.get_by_role("button", name="Open TargetDown").click()
        expect(page.get_by_role("heading", name="History")).to_be_visible()
        link = page.url.removeprefix(server.url)
        page.go_back()
        expect(page.get_by_role("heading", name="History")).to_have_count(0)
        page = here.open(link)
        expect(page.get_by_role("heading", name="History")).to_be_visible()
        expect(page.locator(".active-alerts strong").first).to_have_text("0")


def test_sorting_stands_in_the_url(browser: Any, server: Server) -> None:
    """A reload of Explore has the same order."""
    with watched(browser, server.url) as here:
        page = here.open("/explore")
        page.get_by_role("button", name="Series").click()
        expect(page.get_by_role("columnheader", name="Series")).to_have_attribute("aria-sort", "descending")
        page = here.open(page.url.removeprefix(server.url))
        expect(page.get_by_role("columnheader", name="Series")).to_have_attribute("aria-sort", "descending")


def test_pools_without_targets_say_why(browser: Any, server: Server) -> None:
    """One that relabeling emptied, one that discovery found nothing for, and one that is not there."""
    with watched(browser, server.url) as here:

        def pools(route: Any) -> None:
            names = ["gone", "quiet", "shop", "trimon"]
            route.fulfill(json={"status": "success", "data": {"scrapePools": names}})

        def dropped(route: Any) -> None:
            counts = {"gone": 3, "quiet": 0, "shop": 2, "trimon": 0}
            data = {"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": counts}
            route.fulfill(json={"status": "success", "data": data})

        here.page.route("**/api/v1/scrape_pools", pools)
        here.page.route("**/api/v1/targets?*", dropped)
        page = here.open("/targets")
        page.get_by_text("2 pools have no targets").click()
        box = page.locator(".empty-pools")
        expect(box).to_contain_text("gone: all 3 targets are dropped by relabeling")
        expect(box).to_contain_text("quiet: discovery has found nothing")
        page = here.open("/targets?pool=quiet")
        expect(page.locator(".empty-pools")).to_contain_text("discovery has found nothing")
        page = here.open("/targets?pool=nobody")
        expect(page.locator(".empty")).to_contain_text("There is no scrape pool named nobody.")


def test_discovered_targets_add_up(browser: Any, server: Server) -> None:
    """Links of a Prometheus name the state; scraped and dropped ones are all."""
    with watched(browser, server.url) as here:
        page = here.open("/service-discovery?state=dropped")
        table = page.get_by_role("table", name="Discovered targets")
        expect(table).to_contain_text("dropped by relabeling")
        expect(table).to_have_attribute("aria-rowcount", "3")
        texts = page.get_by_role("group", name="Which targets").locator("label").all_inner_texts()
        every, scraped, dropped = (int(text.split()[-1]) for text in texts)
        assert every == scraped + dropped
        expect(page.get_by_role("button", name="shop")).to_contain_text("scraped")


def test_a_filter_is_one_stop_of_the_keyboard(browser: Any, server: Server) -> None:
    """The arrows go along it, the space bar chooses."""
    with watched(browser, server.url) as here:
        page = here.open("/targets")
        group = page.get_by_role("group", name="Health")
        group.get_by_label("All").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
        page.wait_for_url("**/targets?health=down")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('fieldset.choice')") is None


def test_equal_errors_are_folded(browser: Any, server: Server) -> None:
    """The last scrapes of a broken target show its error once; the colours of the bars have a legend."""
    with watched(browser, server.url) as here:
        page = here.open("/targets?health=down")
        page.get_by_role("button", name="Open http").first.click()
        expect(page.get_by_text("The same error.").first).to_be_visible(timeout=60_000)
        page = here.open("/targets?health=up")
        page.get_by_role("button", name="Open http").first.click()
        expect(page.get_by_role("list", name="Colours of the bars")).to_contain_text("storing it")


def test_an_unknown_address_says_so_beside_the_navigation(browser: Any, server: Server) -> None:
    """It is no page of queries that silently opens instead."""
    with watched(browser, server.url) as here:
        page = here.open("/tagrets")
        expect(page.get_by_role("heading", name="No such page")).to_be_visible()
        page.get_by_role("link", name="Targets").first.click()
        expect(page.get_by_role("table", name="Targets")).to_contain_text("payments-2")
        # The browser tells the status of the document in its console.
        here.wrong = [each for each in here.wrong if "404" not in each]


def test_a_lost_server_is_told_once(browser: Any, server: Server) -> None:
    """One message, no notices of before, and no number that nobody knows."""
    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/**", lambda route: route.abort())
        page = here.open("/rules")
        expect(page.get_by_role("alert")).to_have_count(1)
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        expect(page.get_by_role("group", name="Which rules")).not_to_contain_text("0")
        here.wrong = [each for each in here.wrong if "Failed to load resource" not in each]


def test_a_failed_reload_leads_to_its_reason(browser: Any, server: Server) -> None:
    """Who may see the log reads why, and goes to the page of problems."""

    def data(value: object) -> Any:
        return lambda route: route.fulfill(json={"status": "success", "data": value})

    told = {"text": "Configuration reload has failed.", "date": "2026-01-01T00:00:00Z", "active": True}
    problem = {
        "level": "error",
        "message": "reloading the configuration failed",
        "fields": {"err": "demo.yml:7: no such field"},
        "first": told["date"],
        "last": told["date"],
        "count": 1,
    }
    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/notifications", data([told]))
        here.page.route("**/api/v1/trimon/problems", data([problem]))
        page = here.open("/flags")
        notice = page.locator(".notice").filter(has_text="reload has failed")
        expect(notice).to_contain_text("demo.yml:7: no such field")
        notice.get_by_role("link", name="All problems").click()
        expect(page.get_by_role("table", name="Problems")).to_contain_text("reloading the configuration")


def test_a_cancelled_query_is_no_error(browser: Any, server: Server) -> None:
    """Its count stands apart."""
    run = {
        "time": "2026-01-01T00:00:00Z", "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z", "step_s": 0,
        "took_s": 1, "queue_s": 0, "preparation_s": 0, "evaluation_s": 1, "sort_s": 0, "samples": 5, "error": "stopped",
        "canceled": True,
    }  # fmt: skip
    past = {"query": "slow", "by_page": False, "count": 1, "errors": 0, "canceled": 1, "total_s": 1}
    with watched(browser, server.url) as here:
        here.page.route(
            "**/api/v1/trimon/queries/past*",
            lambda route: route.fulfill(
                json={
                    "status": "success",
                    "data": {"since": run["time"], "queries": [{**past, "slowest": run, "last": run}]},
                }
            ),
        )
        page = here.open("/queries")
        table = page.get_by_role("table", name="Queries that have ended")
        expect(table.locator("[data-title='Cancelled']")).to_have_text("1")
        expect(table.locator("[data-title='Errors']")).to_have_text("0")
        page.get_by_role("button", name="Open slow").click()
        expect(table).to_contain_text("somebody who cancelled it")
        expect(table.locator(".bad-text")).to_have_count(0)


def test_small_screens(browser: Any, server: Server) -> None:
    """Escape closes the menu; an alert takes less than a third of the screen, and its arrow stands beside its name."""
    with watched(browser, server.url, width=360) as here:
        page = here.open("/alerts?search=TargetDown")
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("link", name="Flags")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("link", name="Flags")).to_be_hidden()
        row = page.locator(".table-place").first
        assert row.bounding_box()["height"] < 250
        arrow = row.locator("button.turn").bounding_box()
        badge = row.locator(".badge").first.bounding_box()
        assert abs(arrow["y"] + arrow["height"] / 2 - badge["y"] - badge["height"] / 2) < 15
