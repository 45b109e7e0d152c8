"""Enter runs what was typed, whatever the editor would complete; what is wrong is said in words below it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import watched

WHOLE = [
    ("sum(up)", "count(up == 1)", "sum(up) by (job)", "up"),
    ("sum by (route) (shop_requests_total)", 'up{job="api"}', "rate(shop_requests_total[5m])"),
]


@pytest.mark.parametrize("expressions", WHOLE)
@pytest.mark.parametrize("pause_ms", [0, 700])
def test_enter_runs_what_was_typed(
    browser: Any, server: Server, expressions: tuple[str, ...], pause_ms: int
) -> None:
    """One Enter runs a whole expression as it is, at once or after a pause, and no list stays or comes over the answer."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        content = page.locator(".cm-content")
        for expression in expressions:
            content.click()
            page.keyboard.press("Control+a")
            page.keyboard.press("Delete")
            page.keyboard.type(expression, delay=35)
            page.wait_for_timeout(pause_ms)
            page.keyboard.press("Enter")
            page.wait_for_function(
                "text => new URLSearchParams(location.search).get('g0.expr') === text", arg=expression
            )
            assert content.inner_text() == expression
            page.wait_for_timeout(400)
            expect(page.locator(".cm-tooltip-autocomplete")).to_have_count(0)
        # What is half typed has no plan: the browser itself tells that an answer was not a good one.
        here.wrong = [each for each in here.wrong if "status of 400" not in each]


def test_a_completion_is_taken_by_who_means_it(browser: Any, server: Server) -> None:
    """Enter takes the only one that can be meant, or the one that arrows lead to; Tab takes the first of a list."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        content = page.locator(".cm-content")
        options = page.locator(".cm-tooltip-autocomplete li")
        chosen = page.locator(".cm-tooltip-autocomplete li[aria-selected]")
        for typed, key, wanted in (
            ("shop_queue_jo", "", "shop_queue_jobs"),
            ("shop_requests_t", "ArrowDown", "shop_requests_total"),
            ("shop_queue", "Tab", "shop_queue"),
        ):
            content.click()
            page.keyboard.press("Control+a")
            page.keyboard.type(typed, delay=35)
            expect(options.first).to_be_visible()
            expect(chosen).to_have_count(0)
            # The editor takes no key for a choice just after the list has opened.
            page.wait_for_timeout(200)
            if key:
                page.keyboard.press(key)
            if key != "Tab":
                page.keyboard.press("Enter")
            expect(options).to_have_count(0)
            assert content.inner_text().startswith(wanted)
            assert content.inner_text() != typed
        assert "g0.expr" not in page.url


def test_what_is_wrong_is_said_below_the_editor_after_a_pause(browser: Any, server: Server) -> None:
    """The server's words stand below an expression that is none, go with the next key, and break no policy."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        said = page.locator(".query-tools [role=status]")
        page.locator(".cm-content").click()
        for typed, words in (("rate(up", "range vector"), ("up +", "unexpected end of input")):
            page.keyboard.press("Control+a")
            page.keyboard.type(typed, delay=35)
            expect(said).to_contain_text(words)
        expect(page.locator(".cm-lintPoint-error")).to_have_count(1)
        page.keyboard.type(" up", delay=35)
        expect(said).to_contain_text("reads at most")
        here.wrong = [each for each in here.wrong if "status of 400" not in each]
