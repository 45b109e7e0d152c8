"""Pages of an agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.agent import agent
from tests.support.process import Server
from tests.web.ui.conftest import watched

CONFIG = "scrape_configs: [{job_name: nobody, static_configs: [{targets: ['127.0.0.1:1']}]}]"


def test_an_agent_offers_only_what_it_has(browser: Any, server: Server, tmp_path: Path) -> None:
    """The first page is that of the targets; pages that need queries or rules are not offered; nothing else is asked."""
    del server  # which says that there are pages and a browser
    with agent(tmp_path / "data", CONFIG) as alone, watched(browser, alone.url) as here:
        page = here.open("/")
        page.wait_for_url(f"{alone.url}/targets")
        page.wait_for_selector("text=nobody")
        offered = page.evaluate("[...document.querySelectorAll('nav a')].map((link) => link.textContent)")
        assert {"Targets", "Service discovery", "Remote write", "Flags"} <= set(offered)
        assert not {"Query", "Explore", "Alerts", "Rules", "Alertmanagers", "Storage"} & set(offered)
        page.get_by_role("link", name="Remote write", exact=True).click()
        page.wait_for_url(f"{alone.url}/remote-write*")
