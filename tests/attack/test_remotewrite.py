"""Mutated remote-write bodies over real HTTP, some hundreds of them."""

from __future__ import annotations

from pathlib import Path

from tests.attack.remotewrite import BOUND_S, attack


def test_bad_bodies_are_refused_and_keep_nobody_waiting(tmp_path: Path) -> None:
    """Whatever is sent is stored or refused within its bound, and a sender in order goes on."""
    outcome, log = attack(tmp_path, 300, 1)
    assert set(outcome.statuses) <= {204, 400, 413, 503}
    assert outcome.slowest_s < BOUND_S
    assert outcome.good_failures == 0
    assert max(outcome.good_s) < 3
    assert "actor crashed" not in log
    assert "Traceback" not in log
