"""Axe looks at every page: names for screen readers, contrast and roles are right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.process import ROOT, Server
from tests.web.ui.conftest import missing, watched
from tests.web.ui.test_pages import EVERY

AXE = ROOT / "trimon/web/ui/node_modules/axe-core/axe.min.js"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(theme: str, browser: Any, server: Server) -> None:
    """On no page, with its first row open, there is a fault of its two worst kinds."""
    if not AXE.exists():
        missing(f"{AXE.relative_to(ROOT)} is not there: npm ci in trimon/web/ui installs it")
    script = AXE.read_text()
    found = []
    with watched(browser, server.url, theme=theme, bypass_csp=True) as here:
        for path in EVERY:
            page = here.open(path)
            if (turn := page.locator("button.turn")).count():
                turn.first.click()
                page.wait_for_timeout(300)
            page.evaluate(script)
            for fault in page.evaluate("axe.run()")["violations"]:
                if fault["impact"] in ("serious", "critical"):
                    nodes = [node["html"][:160] for node in fault["nodes"][:2]]
                    found.append((path, fault["id"], len(fault["nodes"]), nodes))
    assert found == []
