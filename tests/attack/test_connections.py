"""Crowds of clients that ask nothing, for a few seconds, against the real server."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.attack.connections import (
    AUTHORITY,
    HANDSHAKE,
    HEAD,
    OPENINGS,
    attack,
    more_files,
    ours,
    ours_over_tls,
)


@pytest.mark.parametrize("kind", OPENINGS)
def test_probes_are_answered_in_a_crowd(kind: str, tmp_path: Path) -> None:
    """With more clients than places, whatever they send, every probe is answered soon."""
    more_files()
    with ours(tmp_path) as port:
        crowd = trio.run(attack, port, OPENINGS[kind], 700, 1, 1)
    assert crowd.failures == 0
    assert crowd.turned_away > 100
    assert max(crowd.waits_s) < 3  # a second, on a machine that does nothing else


@pytest.mark.parametrize("opening", [HEAD, HANDSHAKE], ids=["heads", "handshakes"])
def test_probes_over_tls_are_answered_in_a_crowd(opening: bytes, tmp_path: Path) -> None:
    """Clients that drip their handshake, or what comes after it, keep nobody out."""
    more_files()
    with ours_over_tls(tmp_path) as port:
        crowd = trio.run(attack, port, opening, 300, 1, 1, tmp_path / AUTHORITY)
    assert crowd.failures == 0
    assert bool(crowd.shaken) == (opening == HEAD)
