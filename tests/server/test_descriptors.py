"""File descriptors: every kind of use has a share, whatever the limit is."""

from __future__ import annotations

import resource
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.process import Server
from trimon import limits
from trimon.log import LogBuffer
from trimon.server.descriptors import plan, say


@given(st.integers(64, 2**20), st.integers(1, 100_000))
def test_shares_are_within_the_limit(limit: int, wanted: int) -> None:
    """Shares add up to no more than the limit, nobody is without, and where there are enough everybody has what he wants."""
    made = plan(limit, wanted)
    assert made.clients + made.outgoing + made.kept <= limit
    assert min(made.connections_max, made.connections_kept, made.outgoing) >= 1
    assert made.connections_max <= wanted + limits.CONNECTIONS_KEPT
    if limit >= 3 * (wanted + limits.CONNECTIONS_KEPT) + 512:
        assert made.connections_max == wanted
        assert not made.is_tight


def test_few_are_said_once() -> None:
    """A tight limit is one line with its figures; enough is none."""
    log = LogBuffer()
    say(plan(20_000, 512), log)
    say(plan(128, 512), log)
    assert [event.split(":")[0] for _, event, _ in log.entries] == ["few files may be open"]


def test_the_soft_limit_is_raised_to_the_hard_one(tmp_path: Path) -> None:
    """A server whose soft limit is low may open as many files as its hard limit says."""
    server = Server(tmp_path / "data", "global: {}\n")
    server.command[:0] = ["prlimit", "--nofile=64:3000", "--"]
    server.start()
    try:
        assert server.process is not None
        assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (3000, 3000)
        assert "few files" not in server.tail()
    finally:
        server.kill()
