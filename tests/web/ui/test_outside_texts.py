"""Texts from outside that turn the direction of what is around them, or have no end."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import watched

TURNED = "safe\u202eevil\u2066x"
LONG = "help " * 20_000


def test_directions_are_written_out(browser: Any, server: Server) -> None:
    """A character that turns the text around it is shown as its number, in the editor, in results and in rules."""
    series = {"metric": {"__name__": "a", TURNED: TURNED}, "value": [1, "1"]}
    body = {"status": "success", "data": {"resultType": "vector", "result": [series]}, "warnings": [TURNED]}
    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/query", lambda route: route.fulfill(json=body))
        page = here.open("/query?g0.expr=a&g0.tab=table")
        expect(page.get_by_role("table", name="Result")).to_contain_text("safe\\u202eevil\\u2066x")
        assert "\u202e" not in page.locator("main").inner_text()
        isolated = "(element) => getComputedStyle(element).unicodeBidi"
        assert page.locator(".series-label").first.evaluate(isolated) == "isolate"

        page = here.open("/query?g0.tab=table&g0.expr=" + quote('up{a="' + TURNED + '"}'))
        expect(page.locator(".cm-content")).to_contain_text("\\u202e")

        def groups(route: Any) -> None:
            answer = route.fetch().json()
            for each in answer["data"]["groups"]:
                each["name"] = TURNED
            route.fulfill(json=answer)

        here.page.route("**/api/v1/rules*", groups)
        page = here.open("/rules")
        expect(page.locator("main")).to_contain_text("safe\\u202eevil")
        assert "\u202e" not in page.locator("main").inner_text()


def test_a_text_without_end_is_cut(browser: Any, server: Server) -> None:
    """A help text of 100 kB does not fill a table; all of it is shown when somebody asks."""
    with watched(browser, server.url) as here:

        def metadata(route: Any) -> None:
            answer = route.fetch().json()
            for each in answer["data"].values():
                each[0]["help"] = LONG
            route.fulfill(json=answer)

        here.page.route("**/api/v1/metadata*", metadata)
        page = here.open("/explore")
        more = page.get_by_role("button", name="Show all 100,000 characters").first
        expect(more).to_be_visible()
        assert len(page.locator("main").inner_text()) < 90_000
        more.click()
        page.wait_for_function("document.querySelector('main').innerText.length > 90000")


def test_a_long_title_stays_in_its_place(browser: Any, server: Server) -> None:
    """A title of one long word does not run out of the navigation."""
    with watched(browser, server.url) as here:
        page = here.open("/flags")
        wide = page.evaluate(
            "(() => { const name = document.querySelector('.brand .name'); name.lastChild.textContent = 'x'.repeat(300);"
            " return name.parentElement.scrollWidth - name.parentElement.clientWidth; })()"
        )
        assert wide <= 0
