"""Mutated expositions over real connections, a few thousand of them."""

from __future__ import annotations

from pathlib import Path

from tests.attack.expositions import attack


async def test_no_exposition_crashes_or_takes_long(tmp_path: Path) -> None:
    """Whatever a target answers, its scrape is stored, up or down, and none is slower than its bound."""
    outcome = await attack(tmp_path, 1500, 1)
    assert outcome.crashes == []
    assert outcome.slow == 0
    assert min(outcome.health["up"], outcome.health["down"]) > 100
    assert len(outcome.errors) > 20
