"""Secrets of a configuration are in nothing that leaves the server."""

from __future__ import annotations

from pathlib import Path

from tests.attack.leaks import Canaries, attack


def test_no_secret_comes_out(tmp_path: Path) -> None:
    """In every place that holds a secret there is one, targets send requests back, and no text has any of them."""
    leaks, made, searched = attack(tmp_path, 1, 1)
    assert leaks == {}
    assert made > 25
    assert searched > 60


def test_the_search_finds_what_is_there() -> None:
    """A secret is found plain, encoded and cut short."""
    canaries = Canaries()
    secret = canaries.new("place")
    assert canaries.found(f"x{secret}y") == canaries.found(secret[:14]) == ["place"]
    assert canaries.found("nothing of it") == []
