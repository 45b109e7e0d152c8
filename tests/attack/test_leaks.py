"""Secrets of a configuration are in nothing that leaves the server."""

from __future__ import annotations

from pathlib import Path

from tests.attack.leaks import Canaries, attack, paths


def test_no_secret_comes_out(tmp_path: Path) -> None:
    """In every place that holds a secret there is one, targets send requests back, and no text has any of them.

    Every route is asked by anybody where there are no users, and by nobody, a reader, an admin, the owner of a token and with
    wrong credentials where there are some.
    """
    search = attack(tmp_path, 1, 1)
    assert search.leaks == {}
    assert search.bodies > 5
    assert len(search.canaries.made) > 40
    assert search.searched > 5 * len(paths())
    # who may do more was answered more
    asked = search.asked
    assert asked["nobody"] < asked["reader"] < asked["admin"] <= asked["anybody"]


def test_the_search_finds_what_is_there() -> None:
    """A secret is found plain, encoded and cut short."""
    canaries = Canaries()
    secret = canaries.new("place")
    assert canaries.found(f"x{secret}y") == canaries.found(secret[:14]) == ["place"]
    assert canaries.found("nothing of it") == []
