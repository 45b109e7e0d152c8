"""Graphite's lines."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import series
from trimon.errors import UserError
from trimon.remote.pushed.graphite import GraphiteReader
from trimon.remote.pushed.names import Naming, mapping

NOW_MS = 1_700_000_000_123
PLAIN = Naming((), ())
MAPPED = Naming(
    [
        mapping("servers.*.cpu.*", "cpu_${2}", [("host", "$1")]),
        mapping("noise.*", "", drops=True),
        mapping("*.count", "counts_total", [("what", "$1")]),
    ],
    [("source", "graphite")],
)


@pytest.mark.parametrize(
    ("line", "labels", "time_ms", "value"),
    [
        ("a.b-c 1.5 1700000000", series("a_b_c"), 1_700_000_000_000, 1.5),
        ("a\t-2e3   1700000000.25", series("a"), 1_700_000_000_250, -2000.0),
        ("a 1", series("a"), NOW_MS, 1.0),
        ("a 1 -1", series("a"), NOW_MS, 1.0),
        ("a 1 N", series("a"), NOW_MS, 1.0),
        ("9.a;host=x;dc=e=u 3 0", series("_9_a", host="x", dc="e=u"), 0, 3.0),
        ("ä.b;über=1;__x=2 inf 1", series("__b", _ber="1", key__x="2"), 1000, float("inf")),
    ],
)
def test_lines(line: str, labels: object, time_ms: int, value: float) -> None:
    """Name, tags, value and time are read; what no name may have is an underscore; a missing time is now."""
    assert GraphiteReader(PLAIN).sample(line.encode(), NOW_MS) == (labels, time_ms, value)


def test_mappings() -> None:
    """The first mapping that fits the whole name gives name and labels, or drops it; added labels count less than tags."""
    reader = GraphiteReader(MAPPED)

    def labels(text: str) -> object:
        found = reader.sample(f"{text} 1 1".encode(), NOW_MS)
        return found and found[0]

    assert labels("servers.web1.cpu.idle") == series("cpu_idle", host="web1", source="graphite")
    assert labels("servers.web1.cpu.idle.x") == series("servers_web1_cpu_idle_x", source="graphite")
    assert labels("noise.a") is None
    assert labels("hits.count;source=me") == series("counts_total", what="hits", source="me")
    assert labels("hits.count;source=me") == series("counts_total", what="hits", source="me")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a", "1 parts"),
        ("a b 1", "is no number"),
        ("a 1_0 1", "is no number"),
        ("a 1 soon", "is no number"),
        ("a 1 nan", "is no time"),
        ("a 1 -5", "is no time"),
        ("a 1 1e300", "is no time"),
        ("a 1 1 1", "4 parts"),
        (";x=1 1 1", "no name"),
        ("a;x 1 1", "is not name=value"),
    ],
)
def test_bad_lines(line: str, words: str) -> None:
    """A line that says nothing is an error with what is wrong."""
    with pytest.raises(UserError, match=words):
        GraphiteReader(PLAIN).sample(line.encode(), NOW_MS)


@given(st.binary(max_size=60))
def test_any_bytes(line: bytes) -> None:
    """Whatever comes is a sample or an error of its sender."""
    with contextlib.suppress(UserError):
        GraphiteReader(MAPPED).sample(line, NOW_MS)


def test_labels_beyond_a_limit_are_told() -> None:
    """A line of very many tags is refused by their number."""
    line = "a;" + ";".join(f"t{number}=1" for number in range(600)) + " 1 1"
    with pytest.raises(UserError, match="601 labels in a series, and at most 512 may be"):
        GraphiteReader(PLAIN).sample(line.encode(), NOW_MS)
