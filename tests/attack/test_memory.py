"""A small budget, and more asked of it than it holds."""

from __future__ import annotations

import json
from pathlib import Path

from tests.attack.memory import Size, against_trimon, asked
from tests.attack.memoryqueries import CROWD, attack, server_of
from tests.support.seeds import new_seed

SIZE = Size(
    limit_mib=320,
    series=4000,
    queries=12,
    target_series=150_000,
    fill_s=8.0,
    hold_s=12.0,
    interval_s=1,
)


def test_a_server_stays_within_a_small_budget(tmp_path: Path) -> None:
    """Many queries and three targets that do not fit: it keeps to its limit, and scrapes and clients go on."""
    outcome = against_trimon(tmp_path, SIZE)
    assert not outcome.queries.is_killed, outcome.queries.text()
    assert set(outcome.statuses) <= {200, 422, 503}
    assert outcome.statuses[200] >= SIZE.queries // 2
    assert all("memory" in error for error in outcome.errors)
    assert outcome.after_s < 30.0, (outcome.base_mib, outcome.after_mib)
    assert outcome.targets is not None
    assert not outcome.targets.is_killed, outcome.targets.text()
    assert not outcome.queries.failed_probes + outcome.targets.failed_probes
    assert outcome.known_scrapes >= outcome.known_s - 3
    assert outcome.healths == ("down", "down", "down")
    assert all("--storage.memory-max" in error for error in outcome.target_errors)


def test_small_texts_that_ask_for_much_stay_within_it(tmp_path: Path) -> None:
    """Subqueries of millions of steps, long windows, copies at every step: each keeps to the limit, none is a crash."""
    with server_of(tmp_path, 300, 1000, 4.0) as server:
        found, crashes = attack(server, seed=new_seed())
        statuses = {status for peak in found for status in peak.statuses}
        assert statuses == {200, 422}
        worst = max(found, key=lambda peak: peak.peak_mib)
        assert worst.peak_mib < 300, worst
        assert not crashes
        young = {peak.query: peak for peak in found}
        for query in ("count_over_time(up[1y:1s])", "up[10h:1ms]", f"six of {CROWD}"):
            assert set(young[query].statuses) == {200}, young[query]
        refused = json.loads(asked(server.url, "/debug/memory")[1])["queries"]["memory_refused"]
        assert refused == sum(peak.statuses[422] for peak in found)
        errors = [error for peak in found for error in peak.errors]
        assert all("--storage.memory-max" in error for error in errors)
        assert "queries are refused for want of memory" in server.log.read_text()
