"""Fewer files than targets, for a few seconds, against the real server."""

from __future__ import annotations

from tests.attack.connections import ours
from tests.attack.descriptors import run


def test_quick_targets_are_all_scraped_with_few_files() -> None:
    """With fewer files than targets all of them are up, and the web answers."""
    result = run(ours, 100, 150, 0.0, 1)
    assert (result.up, result.down) == (150, 0)
    assert result.crowd.failures == 0


def test_slow_targets_are_down_with_a_reason_and_the_web_answers() -> None:
    """Where more connections are wanted at once than there are files, some targets are down and say why."""
    result = run(ours, 100, 150, 3.0, 1)
    assert any("outgoing connections are in use" in error for error in result.errors)
    # One client may come in the very moment in which all files are in use.
    assert result.crowd.failures <= 1
    assert max(result.crowd.waits_s) < 3  # a second, on a machine that does nothing else
    assert 0 <= result.debug_s < 5
    assert result.crashes == 0
