"""Pages of a server that stands under a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.demo import demo
from tests.support.ports import free_port
from tests.support.process import Server
from tests.web.ui.conftest import watched


def test_pages_under_a_prefix(browser: Any, server: Server, tmp_path: Path) -> None:
    """With --web.external-url every page, link and request stands under its path."""
    del server  # which says that there are pages and a browser
    port = free_port()
    address = f"http://127.0.0.1:{port}/prom"
    with (
        demo(tmp_path, f"--web.external-url={address}/", port=port, prefix="/prom"),
        # Whatever is asked for elsewhere is a failure.
        watched(browser, address) as here,
    ):
        for path in ("/targets", "/query?g0.expr=up", "/actors", "/explore"):
            page = here.open(path)
            links = page.evaluate("[...document.querySelectorAll('nav a')].map((link) => link.pathname)")
            assert links
            assert all(link.startswith("/prom/") for link in links)
        page.get_by_role("link", name="Rules", exact=True).click()
        page.wait_for_url(f"{address}/rules*")
        page.wait_for_selector("text=TargetDown")
