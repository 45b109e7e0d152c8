"""The pages in Chromium: bytes and time until the editor is usable, switching pages, drawing, hovering.

    python tests/bench/ui.py [--times 3]

A demo is started for it. Each figure is the median of so many runs, each with a browser context of its own, so with a cold
cache. Answers of queries are made here, so that what is measured is the page: 100 series of 1,000 points are drawn, and the
pointer moves over 500 series.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.support.demo import demo
from trimon.web.pages import STATIC

ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
END_S: Final = 1_700_003_600
HOVER_S: Final = 3
VISITED: Final = ("Targets", "Alerts", "Explore", "Query")
GRAPH: Final = "/query?g0.expr=many&g0.tab=graph&g0.range_input=1h&g0.end_input=2023-11-14+23:13:20"
# From the end of the answer to the second frame after the graph is there: the first has been painted then.
DRAWN: Final = """() => new Promise((done) => {
  const look = () => {
    const answers = performance.getEntriesByType('resource').filter((each) => each.name.includes('/query_range'));
    if (!answers.length || !document.querySelector('.u-wrap canvas')) return requestAnimationFrame(look);
    requestAnimationFrame(() => done(performance.now() - answers[0].responseEnd));
  };
  look();
})"""
USABLE: Final = """() => new Promise((done) => {
  const look = () => document.querySelector('.cm-content[contenteditable=true]')
    ? done(performance.now()) : requestAnimationFrame(look);
  look();
})"""
FRAMES: Final = """(seconds) => new Promise((done) => {
  let frames = 0;
  const began = performance.now();
  const over = document.querySelector('.u-over');
  const box = over.getBoundingClientRect();
  const step = (now) => {
    frames++;
    const part = ((now - began) % 1500) / 1500;
    over.dispatchEvent(new MouseEvent('mousemove', {
      bubbles: true,
      clientX: box.left + box.width * part,
      clientY: box.top + box.height * (0.5 + 0.4 * Math.sin(part * 20)),
    }));
    if (now - began < seconds * 1000) requestAnimationFrame(step);
    else done(frames / ((performance.now() - began) / 1000));
  };
  requestAnimationFrame(step);
})"""
SWITCHED: Final = """(name) => new Promise((done) => {
  const link = [...document.querySelectorAll('nav a')].find((each) => each.textContent.trim() === name);
  const began = performance.now();
  link.click();
  const look = () => {
    const isThere = document.querySelector('main h1')?.textContent === name
      && (name !== 'Query' || document.querySelector('main .cm-content'));
    if (!isThere) return requestAnimationFrame(look);
    requestAnimationFrame(() => done(performance.now() - began));
  };
  look();
})"""


def answer(series: int, points: int) -> str:
    """What a range query answers: so many series, each a line of its own."""
    step = 3600 / (points - 1)
    times = [END_S - 3600 + at * step for at in range(points)]
    result = [
        {
            "metric": {"__name__": "many", "instance": f"host-{at}", "job": "api"},
            "values": [[time, str(at + (place * 7919 % 101) / 150)] for place, time in enumerate(times)],
        }
        for at in range(series)
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


class Visit:
    """A page with a cold cache."""

    def __init__(self, browser: Any, base: str) -> None:
        self.context = browser.new_context(viewport={"width": 1400, "height": 900})
        self.page = self.context.new_page()
        self.base = base

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def answered(self, body: str) -> None:
        """Range queries get this."""
        self.page.route(
            "**/api/v1/query_range*", lambda route: route.fulfill(body=body, content_type="application/json")
        )


def compressed_bytes(paths: list[str]) -> int:
    """The bytes of files as they are sent."""
    total = 0
    for path in paths:
        file = STATIC / path.lstrip("/")
        packed = file.with_name(f"{file.name}.gz")
        total += (packed if packed.exists() else file).stat().st_size
    return total


def first_page(browser: Any, base: str) -> dict[str, float]:
    """Bytes in all, and the time until the editor takes text."""
    with Visit(browser, base) as visit:
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        visit.page.goto(f"{base}/query", wait_until="commit")
        usable = visit.page.evaluate(USABLE)
        visit.page.wait_for_load_state("load")
        visit.page.wait_for_timeout(500)
        files = [path for path in asked if (STATIC / path.lstrip("/")).is_file()]
        return {
            "first page, compressed kB": compressed_bytes(["index.html", *files]) / 1000,
            "editor usable, ms": usable,
        }


def switching(browser: Any, base: str) -> dict[str, float]:
    """From the click to the other page's frame, each page's code loaded before."""
    with Visit(browser, base) as visit:
        visit.page.goto(f"{base}/query")
        visit.page.wait_for_selector(".cm-content")
        for name in VISITED:
            visit.page.evaluate(SWITCHED, name)
            visit.page.wait_for_timeout(300)
        took = []
        for name in VISITED:
            took.append(visit.page.evaluate(SWITCHED, name))
            visit.page.wait_for_timeout(300)
        return {"switching pages, slowest of four, ms": max(took)}


def drawing(browser: Any, base: str) -> dict[str, float]:
    """From the answer to the drawn graph."""
    with Visit(browser, base) as visit:
        visit.answered(answer(100, 1000))
        visit.page.goto(base + GRAPH, wait_until="commit")
        return {"100 series x 1,000 points, answer to graph, ms": visit.page.evaluate(DRAWN)}


def hovering(browser: Any, base: str) -> dict[str, float]:
    """Frames a second while the pointer moves with each."""
    with Visit(browser, base) as visit:
        visit.answered(answer(500, 240))
        visit.page.goto(base + GRAPH)
        visit.page.wait_for_selector(".u-over")
        visit.page.wait_for_timeout(500)
        return {"hovering over 500 series, frames a second": visit.page.evaluate(FRAMES, HOVER_S)}


def main() -> None:
    """Prints a figure a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    times = parser.parse_args().times
    from playwright.sync_api import sync_playwright  # --help works without it

    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, demo(Path(name)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        for _ in range(times):
            for measure in (first_page, switching, drawing, hovering):
                for what, figure in measure(browser, server.url).items():
                    figures.setdefault(what, []).append(figure)
        browser.close()
    for what, seen in figures.items():
        print(f"{what}: {statistics.median(seen):.0f} ({', '.join(f'{each:.0f}' for each in seen)})")


if __name__ == "__main__":
    main()
