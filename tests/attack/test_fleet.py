"""A small fleet that is dead and changes all its labels, against the real server."""

from __future__ import annotations

from pathlib import Path

from tests.attack.fleet import attack


def test_a_dead_fleet_keeps_nobody_waiting(tmp_path: Path) -> None:
    """While a thousand dead targets begin, change all their labels and vanish, every probe is answered soon."""
    found, _ = attack(tmp_path, 1000, 1, 1, 2)
    assert len(found) == 4
    for name, waits in found.items():
        assert waits.failures == 0, name
        assert len(waits.waits_s) > 5, name
        assert max(waits.waits_s) < 5, (name, waits.text())
