"""A small budget, and more asked of it than it holds."""

from __future__ import annotations

from pathlib import Path

from tests.attack.memory import Size, against_trimon

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
