"""A short soak of the real server."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.attack.soak import attack, world


@pytest.mark.slow
def test_nothing_stays_behind(tmp_path: Path) -> None:
    """After churn, reloads, cuts and merges there are as many tasks, actors and threads as before, and few more files."""
    with world(tmp_path, seed=5) as load:
        soak = trio.run(attack, load, 10.0, 15.0)
    assert soak.crashes == 0
    assert (soak.last.tasks, soak.last.actors) == (soak.first.tasks, soak.first.actors), soak
    assert soak.last.threads <= soak.first.threads + 1
    # a connection to a target may be between two scrapes
    assert soak.last.descriptors <= soak.first.descriptors + 2
    # blocks that queries touched are kept open
    assert soak.last.data_files <= soak.first.data_files + 10
    assert soak.last.rss_bytes < soak.first.rss_bytes + 80e6
    assert soak.done["requests cut"] > 5
    assert soak.done["answers cut"] > 5
    assert soak.done["reloads"] > 2
