"""The editor of expressions by keyboard alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.process import Server
from tests.web.ui.conftest import watched


def test_queries_by_keyboard_alone(browser: Any, server: Server) -> None:
    """Typing, completion by Ctrl-Space, undo by Ctrl-Z, and Enter that runs."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        page.locator(".cm-content").focus()
        page.keyboard.type("shop_queue_jo", delay=20)
        page.keyboard.press("Control+Space")
        page.wait_for_selector(".cm-tooltip-autocomplete >> text=shop_queue_jobs")
        # The editor takes no key for a choice just after the list has opened.
        page.wait_for_timeout(200)
        page.keyboard.press("Enter")
        assert page.locator(".cm-content").inner_text() == "shop_queue_jobs"
        page.keyboard.press("Control+z")
        assert page.locator(".cm-content").inner_text() == "shop_queue_jo"
        page.keyboard.press("Control+a")
        page.keyboard.type("count(vector(4)) + 38", delay=5)
        page.wait_for_timeout(300)
        # Escape closes a list of completions, and leaves the editor where there is none.
        if page.locator(".cm-tooltip-autocomplete").count():
            page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        page.wait_for_selector(".value >> text=39")


def test_errors_of_the_server_stay_at_their_place(browser: Any, server: Server) -> None:
    """What the server found is marked, and what the editor finds itself does not wipe it out."""
    with watched(browser, server.url) as here:
        page = here.open("/query?g0.expr=sum(nosuch_function_of(up))&g0.tab=table")
        page.wait_for_selector("[role=alert]")
        # Longer than the editor waits before it looks at a text itself.
        page.wait_for_timeout(1200)
        page.locator(".cm-content").focus()
        page.keyboard.press("Control+Shift+M")
        said = page.locator("[role=alert] .mono").inner_text()
        assert said in page.locator(".cm-panel-lint").inner_text()
        # The browser itself says that an answer was not a good one.
        here.wrong = [each for each in here.wrong if "status of 400" not in each]


def test_quick_typing_is_kept(browser: Any, server: Server) -> None:
    """However quickly keys follow each other, none is lost and none is taken back; brackets are closed."""
    with watched(browser, server.url) as here:
        for path in ("/query", "/query?g0.expr=up&g0.tab=graph"):
            page = here.open(path)
            page.locator(".cm-content").click()
            page.keyboard.press("Control+a")
            page.keyboard.type("rate(up[5m")
            page.wait_for_timeout(200)
            assert page.locator(".cm-content").inner_text() == "rate(up[5m])"


def test_a_panel_that_opens_has_the_cursor(browser: Any, server: Server) -> None:
    """Whoever opens the page can type at once."""
    with watched(browser, server.url) as here:
        page = here.open("/query")
        page.wait_for_selector(".cm-focused")


@pytest.mark.parametrize("question", ["-" * 1000 + "up", "(" * 900 + "up" + ")" * 900, "(" * 900])
def test_a_deep_expression_does_not_hold_the_page(browser: Any, server: Server, question: str) -> None:
    """A link with an expression that is nested as deep as the server takes opens like others."""
    with watched(browser, server.url) as here:
        here.page.add_init_script(
            "window.longest = 0; new PerformanceObserver((list) => { for (const each of list.getEntries())"
            " window.longest = Math.max(window.longest, each.duration) }).observe({entryTypes: ['longtask']})"
        )
        here.page.set_default_timeout(60_000)
        page = here.open("/query?g0.tab=table&g0.expr=" + quote(question))
        page.wait_for_timeout(1500)
        assert page.evaluate("window.longest") < 3000
        here.wrong[:] = [each for each in here.wrong if "status of 400" not in each]
