"""Names, texts and addresses from outside that look like HTML are shown as text, and nothing in them is executed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.process import Server
from tests.web.ui.conftest import Watched, watched

TEXT = (
    "\"'><img src=x onerror=\"window.executed=1\"><script>window.executed=1</script><svg onload='executed=1'>"
)
ADDRESS = "javascript:window.executed=1//<img src=x onerror=alert(1)>"
LABELS = {"__name__": TEXT, TEXT: TEXT, "plain": TEXT}
STATUS = {"status": "success", "warnings": [TEXT], "infos": [TEXT]}


@contextmanager
def hostile(browser: Any, server: Server) -> Any:
    """A page on which a dialog, a variable of the window or an element made of the text is a failure."""
    with watched(browser, server.url) as here:

        def refuse(dialog: Any) -> None:
            here.wrong.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        here.page.on("dialog", refuse)
        here.page.add_init_script("window.executed = 0")
        yield here
        shown_as_text(here)


def shown_as_text(here: Watched) -> None:
    """The text can be read, and is nothing but text."""
    page = here.page
    assert TEXT in page.evaluate("document.body.innerText")
    assert page.evaluate("window.executed") == 0
    assert page.locator("img, main script, article script, svg[onload]").count() == 0
    links = page.evaluate("[...document.querySelectorAll('a')].map((link) => link.protocol)")
    assert set(links) <= {"http:", "https:", ":"}


def open_rows(page: Any) -> None:
    """Opens every row that is drawn."""
    while (closed := page.locator("button.turn[aria-expanded=false]")).count():
        closed.first.click()
    page.wait_for_timeout(400)


def changed(page: Any, path: str, change: Callable[[Any], None]) -> None:
    """What the server answers under a path reaches the page changed."""

    def answer(route: Any) -> None:
        body = route.fetch().json()
        change(body["data"])
        route.fulfill(json=body)

    page.route(path, answer)


def replaced(page: Any, path: str, data: Any) -> None:
    """The page gets this instead of what the server has."""
    page.route(path, lambda route: route.fulfill(json={**STATUS, "data": data}))


@pytest.mark.parametrize("tab", ["table", "graph"])
def test_results_of_queries(tab: str, browser: Any, server: Server) -> None:
    """Labels, their names, names of metrics, warnings, in tables, legends and the tip under the pointer."""
    with hostile(browser, server) as here:
        page = here.page
        points = [[1_700_000_000 + 15 * at, "1"] for at in range(240)]
        vector = {"resultType": "vector", "result": [{"metric": LABELS, "value": [1, "1"]}]}
        matrix = {"resultType": "matrix", "result": [{"metric": LABELS, "values": points}]}
        replaced(page, "**/api/v1/query*", vector)
        replaced(page, "**/api/v1/query_range*", matrix)
        here.open(f"/query?g0.expr=up&g0.tab={tab}&g0.end_input=2023-11-14+23:13:05&g0.range_input=1h")
        assert page.locator(".notice", has_text="<img").count() == 2
        if tab == "graph":
            page.locator(".u-over").hover(position={"x": 300, "y": 200})
            page.wait_for_selector(".tip-name")


def test_completions(browser: Any, server: Server) -> None:
    """Names and help texts that the editor proposes."""
    with hostile(browser, server) as here:
        page = here.page
        replaced(page, "**/api/v1/metadata*", {"aaaa": [{"type": "gauge", "help": TEXT, "unit": ""}]})
        replaced(page, "**/api/v1/label/__name__/values*", ["aaaa", f"aaaab{TEXT}"])
        here.open("/query")
        page.locator(".cm-content").focus()
        page.keyboard.type("aaa", delay=20)
        page.keyboard.press("Control+Space")
        page.wait_for_selector(".cm-tooltip-autocomplete >> text=aaaab")
        # A list that has just opened takes no keys yet.
        page.wait_for_timeout(200)
        page.keyboard.press("ArrowDown")
        page.wait_for_selector(".cm-completionInfo >> text=onerror")
        page.wait_for_selector(".cm-tooltip-autocomplete >> text=aaaab")


def test_metrics(browser: Any, server: Server) -> None:
    """Names, help texts and units of metrics, and values of labels."""
    with hostile(browser, server) as here:
        page = here.page
        known = [{"type": "gauge", "help": TEXT, "unit": TEXT}]
        replaced(page, "**/api/v1/metadata*", {TEXT: known})
        replaced(page, "**/api/v1/label/__name__/values*", [TEXT])
        replaced(page, "**/api/v1/series*", [LABELS])
        replaced(
            page,
            "**/api/v1/query*",
            {"resultType": "vector", "result": [{"metric": LABELS, "value": [1, "3"]}]},
        )
        here.open("/explore")
        open_rows(page)
        page.locator(".metric-detail button.link").first.click()
        page.wait_for_selector("text=/Values of/")
        page.wait_for_timeout(300)


def test_targets(browser: Any, server: Server) -> None:
    """Addresses, labels, discovered labels, errors and the lines around them; an address that is no http is no link."""

    def change(data: Any) -> None:
        data["targets"] = data["targets"][:3]
        for target, address in zip(data["targets"], (ADDRESS, f"http://a/{TEXT}", TEXT), strict=True):
            target["scrapeUrl"] = address
            target["scrapePool"] = TEXT
            target["labels"] = target["discoveredLabels"] = LABELS
            fault = {"line": 1, "column": 2, "text": TEXT, "mark": " ^"}
            target["lastScrape"] |= {"error": TEXT, "health": "down", "fault": fault, "contentType": TEXT}

    with hostile(browser, server) as here:
        changed(here.page, "**/api/v1/targets/scrapes*", change)
        here.open("/targets")
        open_rows(here.page)
        assert here.page.locator("a[href^='javascript']").count() == 0
        assert ADDRESS in here.page.evaluate("document.body.innerText")


@pytest.mark.parametrize("path", ["/alerts", "/rules"])
def test_rules_and_alerts(path: str, browser: Any, server: Server) -> None:
    """Names, labels, annotations, expressions and errors of rules, and the history of alerts."""

    def change(data: Any) -> None:
        data["groups"] = data["groups"][:1]
        for group in data["groups"]:
            group["name"] = group["file"] = TEXT
            group["rules"] = [rule for rule in group["rules"] if rule["type"] == "alerting"][:2]
            for rule in group["rules"]:
                texts = {"summary": TEXT, TEXT: TEXT, "runbook": ADDRESS}
                rule |= {
                    "name": TEXT,
                    "query": TEXT,
                    "lastError": TEXT,
                    "labels": LABELS,
                    "annotations": texts,
                }
                rule["alerts"] = [
                    {
                        "labels": LABELS,
                        "annotations": texts,
                        "state": "firing",
                        "activeAt": "2026-01-01T00:00:00Z",
                        "value": TEXT,
                    }
                ]

    past = {
        "at": "2026-01-01T00:00:00Z",
        "state": TEXT,
        "file": TEXT,
        "group": TEXT,
        "alert": TEXT,
        "labels": LABELS,
        "annotations": LABELS,
        "value": "1",
    }
    with hostile(browser, server) as here:
        changed(here.page, "**/api/v1/rules*", change)
        replaced(here.page, "**/api/v1/alerts/history*", {"changes": [past], "more": False})
        here.open(path)
        open_rows(here.page)
        here.wrong = [each for each in here.wrong if "status of 4" not in each]
        assert here.page.locator("a[href^='javascript']").count() == 0


def test_configuration(browser: Any, server: Server) -> None:
    """Comments and values of the configuration file."""
    with hostile(browser, server) as here:
        replaced(here.page, "**/api/v1/status/config*", {"yaml": f"global:\n  a: {TEXT}\n# {TEXT}\n"})
        here.open("/config")
