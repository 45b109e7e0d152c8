"""Many targets and many series: few elements, and a tip that follows the pointer."""

from __future__ import annotations

from typing import Any

from tests.support.process import Server
from tests.web.ui.conftest import settled_box, watched

START_S = 1_700_000_000


def test_five_thousand_targets_are_few_elements(browser: Any, server: Server) -> None:
    """Only what is visible is drawn, wherever one scrolls to, and a search finds the one target."""

    def many(route: Any) -> None:
        body = route.fetch().json()
        first = body["data"]["targets"][0]
        body["data"]["targets"] = [
            {**first, "id": f"{at:016x}", "scrapeUrl": f"http://host-{at}/metrics"} for at in range(5000)
        ]
        route.fulfill(json=body)

    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/targets/scrapes*", many)
        page = here.open("/targets")
        page.wait_for_selector("text=http://host-1/metrics")
        assert page.locator("[aria-rowcount]").first.get_attribute("aria-rowcount") == "5001"
        assert page.locator(".table-place").count() < 120
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_selector("text=http://host-4999/metrics")
        assert page.locator(".table-place").count() < 120
        page.get_by_label("Search targets").fill("host-4321/")
        page.wait_for_selector("[aria-rowcount='2'] >> text=http://host-4321/metrics")


def test_five_hundred_series_in_a_graph(browser: Any, server: Server) -> None:
    """They are drawn on one canvas, the legend draws what is visible, and the tip names the line under the pointer."""
    times = range(START_S, START_S + 3600, 15)
    result = [
        {"metric": {"__name__": "many", "series": f"s{at}"}, "values": [[time, str(at)] for time in times]}
        for at in range(500)
    ]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/query_range*", lambda route: route.fulfill(json=answer))
        page = here.open(
            "/query?g0.expr=many&g0.tab=graph&g0.range_input=1h&g0.end_input=2023-11-14+23:13:05"
        )
        page.wait_for_selector("text=500 series")
        box = settled_box(page, ".u-over")
        seen = []
        for part in (0.2, 0.5, 0.8):
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * part)
            page.wait_for_selector(".tip-name")
            page.wait_for_timeout(50)
            seen.append(int(page.locator(".chart-tip strong").inner_text()))
        assert seen[0] > seen[1] > seen[2]
        assert page.locator(".legend-place").count() < 60
        assert page.locator("canvas").count() == 1
