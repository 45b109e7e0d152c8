"""kill -9 of the real server at random moments."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.attack.kills import Tally, attack


def _judge(tally: Tally) -> None:
    assert (tally.lost, tally.doubled, tally.phantoms, tally.crashes) == (0, 0, 0, 0), tally.examples
    assert tally.acknowledged > 100
    assert tally.checked > tally.acknowledged


def test_a_few_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """After SIGKILLs every acknowledged sample is stored exactly once, and nothing else is."""
    _judge(attack(tmp_path, 2, 6))


@pytest.mark.slow
def test_fifty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """The same at fifty moments that are others in each run."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    tally = attack(tmp_path, seed, 50)
    _judge(tally)
    assert len(tally.kills) > 4
