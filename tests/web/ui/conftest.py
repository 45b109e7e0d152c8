"""A demo for all tests of the pages, and a real browser; without one the tests are skipped, and in CI they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.demo import demo
from tests.support.process import Server
from trimon.web.pages import pages_are_built

CHROMIUM = Path("/usr/bin/chromium")
# On a machine with other work a page may take many seconds to draw what it has asked for.
PATIENCE_MS = 30_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def missing(what: str) -> None:
    """Skips, or fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must run this test")
    pytest.skip(what)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo."""
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} is not installed")
    if not pages_are_built():
        missing("the pages are not built")
    with demo(tmp_path_factory.mktemp("ui")) as running:
        running.until('ALERTS{alertstate="firing"}')
        yield running


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Any]:
    """Chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield found
        found.close()


class Watched:
    """A page, and everything that went wrong on it: messages of the console, errors, policy violations, foreign requests."""

    def __init__(self, page: Any, base: str) -> None:
        self.page = page
        self.base = base
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " event => console.error('policy', event.violatedDirective, event.blockedURI))"
        )

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.wrong.append(f"request: {request.url}")

    def open(self, path: str) -> Any:
        """Open a path and wait until its page has drawn."""
        self.page.goto(self.base + path)
        self.page.wait_for_selector("article.page, section.panel")
        self.page.wait_for_load_state("load")
        self.page.wait_for_timeout(250)
        return self.page


_SETTLED = """
selector => new Promise((resolve) => {
    const before = document.querySelector(selector);
    setTimeout(() => {
        const after = document.querySelector(selector);
        const box = after?.getBoundingClientRect();
        const stays = after !== null && before === after && box.width > 0 && box.height > 0;
        resolve(stays && { x: box.x, y: box.y, width: box.width, height: box.height });
    }, 200);
})
"""


def settled_box(page: Any, selector: str) -> dict[str, float]:
    """Where the first element is once it stays the same one for a moment: an answer that comes draws a graph anew."""
    for _ in range(100):
        box: dict[str, float] | bool = page.evaluate(_SETTLED, selector)
        if isinstance(box, dict):
            return box
    raise AssertionError(f"{selector} does not come to rest")


@contextmanager
def watched(
    browser: Any, base: str, *, theme: str = "light", width: int = 1400, **more: Any
) -> Iterator[Watched]:
    """A page of its own, on which nothing may have gone wrong at the end."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **more)
    page = Watched(context.new_page(), base)
    try:
        yield page
        assert page.wrong == []
    finally:
        context.close()
