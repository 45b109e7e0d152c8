"""A short run of the attack with flipped bits, and that it finds what it looks for."""

from __future__ import annotations

import pytest

from tests.attack.bitflips import KINDS, attack
from trimon.storage.block.damage import BlockDamage
from trimon.storage.block.samples import BlockSamples


def test_flipped_bits_cost_a_page_at_most_and_are_told() -> None:
    """At random places of index, data, meta.json and log a flipped bit crashes, refuses and invents nothing."""
    tally = attack(seed=8, rounds=60)
    assert dict(tally.failures) == {}, tally.examples
    assert set(tally.places) == set(KINDS)
    assert tally.lost["data"]
    assert not any(tally.lost[kind] for kind in KINDS if kind not in ("data", "wal"))


def test_the_attack_sees_what_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where losses are not noted the attack counts them as untold."""
    monkeypatch.setattr(BlockDamage, "lose", lambda _self, _loss: None)
    assert attack(seed=8, rounds=20).failures["loss untold"]


def test_the_attack_sees_what_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pages are read without their checksum the attack counts crashes or wrong values."""

    def unchecked(self: BlockSamples, directory: dict[str, list[int]], page: int) -> memoryview:
        offset, length = int(directory["offset"][page]), int(directory["length"][page])
        return memoryview(self._file.read(offset, length))

    monkeypatch.setattr(BlockSamples, "_checked", unchecked)
    assert attack(seed=8, rounds=30).failures
