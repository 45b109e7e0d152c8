"""A short run of the attack with a full disk."""

from __future__ import annotations

import pytest

from tests.attack.fulldisk import attack, may_mount, small_disk


def test_a_full_disk_stops_nothing_but_storing() -> None:
    """The server starts on a full disk, answers, says why nothing is stored, and goes on when there is room."""
    if not may_mount():
        pytest.skip("this user may not mount a tmpfs; tests/storage/test_faults.py has a disk that pretends")
    with small_disk("4m") as disk:
        tally = attack(disk, seed=3, rounds=1)
    assert tally.failures == []
    assert tally.starts == 1
    assert 1 <= tally.log_lines <= 6
