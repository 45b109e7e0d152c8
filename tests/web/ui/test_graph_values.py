"""What a graph draws and says of values that an axis has a hard time with."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.support.process import Server
from tests.web.ui.conftest import settled_box, watched

START_S = 1_795_744_800
TEXTS = """
  window.drawn = [];
  const fill = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    window.drawn.push(text);
    return fill.call(this, text, ...rest);
  };
"""


def graph(here: Any, series: list[dict[str, Any]], more: str = "") -> Any:
    """A page whose graph is of these series; what its axes say is in `window.drawn`."""
    body = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    here.page.route("**/api/v1/query_range", lambda route: route.fulfill(json=body))
    here.page.add_init_script(TEXTS)
    end = "2026-11-27+03:00:00"
    page = here.open(
        f"/query?g0.expr=a&g0.tab=graph&g0.range_input=1h&g0.res_type=fixed&g0.res_step=60&g0.end_input={end}{more}"
    )
    expect(page.locator("canvas").first).to_be_visible()
    return page


def line(values: list[float | str], **labels: str) -> dict[str, Any]:
    """A series with a value for each of the first times."""
    return {
        "metric": labels,
        "values": [[at, str(value)] for at, value in zip(times(), values, strict=False)],
    }


def times() -> list[int]:
    """One hour, in minutes."""
    return [START_S + 60 * at for at in range(61)]


def axis(page: Any) -> list[str]:
    """What stands at the vertical axis."""
    texts = page.evaluate("[...new Set(window.drawn)]")
    return [text for text in texts if text and ":" not in text and "-11-" not in text]


def histogram(buckets: list[tuple[str, str, str]], total: str = "19.5") -> dict[str, Any]:
    """A native histogram."""
    return {"count": "8", "sum": total, "buckets": [[0, *bucket] for bucket in buckets]}


def test_labels_have_as_many_digits_as_it_takes(browser: Any, server: Server) -> None:
    """Ticks of a large number that hardly changes differ, and so do the smallest and the largest value in the legend."""
    with watched(browser, server.url) as here:
        page = graph(here, [line([1.796e9 + at for at in range(61)])])
        drawn = page.evaluate("window.drawn.filter((text) => text.includes('G'))")
        assert len(drawn) == len(set(drawn)) >= 3
        values = page.locator("button.legend-row .legend-value").all_inner_texts()
        assert len(set(values[:3])) == 3


def test_an_axis_does_not_overflow(browser: Any, server: Server) -> None:
    """The largest and the smallest number there are stand on one axis, and their average is a number."""
    with watched(browser, server.url) as here:
        page = graph(here, [line([-1.79e308, 1.79e308]), line(["1.797e308"] * 61, x="1")])
        assert len([text for text in axis(page) if "e308" in text or "e307" in text]) >= 2
        assert "Inf" not in page.locator(".legend").inner_text()


def test_an_axis_begins_where_the_link_says(browser: Any, server: Server) -> None:
    """`y_axis_min` may be any number, and the control says which."""
    with watched(browser, server.url) as here:
        page = graph(here, [line([10.0 + at for at in range(61)])], "&g0.y_axis_min=40")
        assert min(float(text) for text in axis(page)) >= 40
        expect(page.get_by_label("From 40")).to_be_checked()


def test_lines_show_the_sum_of_native_histograms(browser: Any, server: Server) -> None:
    """One line for each histogram with a note; the heatmap says what it leaves out, and what colours are."""
    native = {"metric": {"h": "1"}, "histograms": [[at, histogram([("1", "2", "8")])] for at in times()]}
    with watched(browser, server.url) as here:
        page = graph(here, [native, line([1.0] * 61, job="a")])
        expect(page.locator(".query-panel")).to_contain_text("A native histogram is drawn as the sum")
        expect(page.locator("button.legend-row").first).to_contain_text("19.5")
        page.get_by_text("Heatmap", exact=True).first.click()
        expect(page.locator(".query-panel")).to_contain_text("1 series is without buckets")
        expect(page.get_by_label("Colours from 0 to 8")).to_be_visible()


def test_a_logarithmic_axis_says_what_it_has_no_place_for(browser: Any, server: Server) -> None:
    """Zeros are not left out without a word."""
    with watched(browser, server.url) as here:
        page = graph(here, [line([0.0] * 61)], "&g0.y_log=1")
        expect(page.locator(".query-panel")).to_contain_text("61 samples are zero or below")


def test_ticks_of_a_heatmap_stand_at_round_times(browser: Any, server: Server) -> None:
    """Times of the heatmap are round, with seconds where the range is short; missing buckets have room."""
    buckets = [("1", "2", "5"), ("16", "32", "3")]
    native = {"metric": {}, "histograms": [[at, histogram(buckets)] for at in times()]}
    with watched(browser, server.url) as here:
        page = graph(here, [native], "&g0.display_mode=heatmap")
        labels = page.evaluate("window.drawn.filter((text) => /:/.test(text))")
        assert labels
        assert all(label[-1] in "05" for label in labels)
        box = settled_box(page, "canvas.heatmap")
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.45)
        expect(page.locator(".chart-tip")).to_contain_text("2 to 16")


def test_bars_of_a_histogram_have_room_for_missing_buckets(browser: Any, server: Server) -> None:
    """Between two bars is as much room as the buckets would have that are missing, and the bounds stand below them."""
    found = {"metric": {"h": "1"}, "histogram": [START_S, histogram([("1", "2", "5"), ("16", "32", "3")])]}
    body = {"status": "success", "data": {"resultType": "vector", "result": [found]}}
    with watched(browser, server.url) as here:
        here.page.route("**/api/v1/query", lambda route: route.fulfill(json=body))
        page = here.open("/query?g0.expr=a&g0.tab=table")
        page.locator("button.turn").click()
        first, second = (page.locator(".histogram-bar").nth(at).bounding_box() for at in range(2))
        assert second["x"] - first["x"] - first["width"] > 2 * first["width"]
        expect(page.locator(".histogram-ticks")).to_contain_text("16")
        page.get_by_text("Linear", exact=True).click()
        expect(page.locator(".histogram-ticks")).to_contain_text("32")
