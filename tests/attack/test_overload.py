"""Heavy queries at once, for a few seconds, against the real server."""

from __future__ import annotations

from pathlib import Path

from tests.attack.overload import quantile, run


def test_scrapes_and_rules_keep_their_pace(tmp_path: Path) -> None:
    """Under a crowd of heavy queries targets are scraped, rules evaluated, others answered; each 503 says when to come back."""
    result = run(tmp_path, 4, 60, 40, warm_s=3)
    assert result.statuses.keys() <= {200, 503}
    assert result.statuses[200] > 0
    assert result.without_retry == 0
    assert result.failures == 0
    assert result.small_statuses.keys() == {200}
    assert result.probes.failures == 0
    assert len(result.late_s) > 40
    # A quarter of the pace, on a machine on which the crowd itself takes a core.
    assert quantile(result.late_s, 0.5) < 0.25
    assert result.tracebacks == 0
    assert result.stopped == 0
