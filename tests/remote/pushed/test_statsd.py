"""StatsD's lines, and what they add up to."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import series
from trimon.errors import UserError
from trimon.model.components import COMPONENT_LABEL as COMPONENT
from trimon.model.components import is_component, is_marker, parse_component
from trimon.model.labels import Labels
from trimon.model.sample import is_stale
from trimon.remote.pushed.aggregate import SCHEMA, StatsdAggregate, bucket_index
from trimon.remote.pushed.names import Naming
from trimon.remote.pushed.statsd import StatsdReader

NOW_MS = 1_700_000_000_000


class Told:
    """A reader and what it adds up to."""

    def __init__(self, **options: Any) -> None:
        self.state = StatsdAggregate(
            options.get("series_max", 100), options.get("ttl_ms", 60_000), options.get("bounds", ())
        )
        self.reader = StatsdReader(Naming((), ()))

    def say(self, *lines: str, now_ms: int = NOW_MS) -> None:
        for line in lines:
            for seen in self.reader.observations(line.encode()):
                self.state.take(seen, now_ms)

    def flushed(self, now_ms: int = NOW_MS) -> dict[Labels, float]:
        """The samples of a flush, components of histograms by their series and text."""
        found: dict[Labels, float] = {}
        for batch in self.state.flush(now_ms):
            if batch is not None:
                assert set(batch.timestamps_ms.tolist()) == {now_ms}
                found |= dict(zip(batch.series, batch.values.tolist(), strict=True))
        return found


def test_counters_gauges_and_sets() -> None:
    """Counters grow by the rate they are sampled at, gauges are set or changed, sets count what differs since a flush."""
    told = Told()
    told.say("a:1|c", "a:2|c|@0.5", "g:5|g", "g:-2|g", "g:+0.5|g", "s:x|s", "s:y|s", "s:x|s", "m:3|m")
    assert told.flushed() == {series("a"): 5.0, series("g"): 3.5, series("s"): 2.0, series("m"): 3.0}
    told.say("a:1|c", "s:x|s", "g:-7|g|#")
    assert told.flushed() == {series("a"): 6.0, series("g"): -3.5, series("s"): 1.0, series("m"): 3.0}


@pytest.mark.parametrize(
    "line", ["a.b:1|c|#x:1,y:b:c", "a.b:1|c|@1|#x:1,y:b:c|c:id|T17", "a.b,x=1,y=b:1|c", "a.b#x=1,y=b:1|c"]
)
def test_tags_of_all_kinds(line: str) -> None:
    """Tags are labels, however a client writes them."""
    told = Told()
    told.say(line)
    (labels,) = told.flushed()
    assert dict(labels) | {"y": ""} == {"__name__": "a_b", "x": "1", "y": ""}


def test_timers_are_native_histograms() -> None:
    """Timers count in seconds, others as they are; buckets are those of schema 3, the zero bucket and negative ones too."""
    told = Told()
    told.say("t:250|ms", "t:250:1000|ms|@0.1", "h:0|h", "h:-2|d", "h:3|h")
    flushed = told.flushed()
    parts: dict[str, dict[tuple[str, int], float]] = {}
    for labels, value in flushed.items():
        if is_component(labels):
            found = dict(labels)
            part = parse_component(found[COMPONENT])
            parts.setdefault(found["__name__"], {})[part.part.name, part.index] = value
        else:
            assert is_marker(np.array([value])).all()
    assert parts["t"].pop(("POSITIVE", bucket_index(0.25))) == pytest.approx(11)
    assert parts["t"].pop(("POSITIVE", bucket_index(1.0))) == pytest.approx(10)
    assert parts["t"] == {("COUNT", 0): pytest.approx(21), ("SUM", 0): pytest.approx(12.75), ("ZERO", 0): 0.0}
    assert parts["h"] == {
        ("COUNT", 0): 3.0,
        ("SUM", 0): 1.0,
        ("ZERO", 0): 1.0,
        ("POSITIVE", bucket_index(3.0)): 1.0,
        ("NEGATIVE", bucket_index(2.0)): 1.0,
    }


def test_timers_with_bounds_are_classic_histograms() -> None:
    """With bounds there are buckets, sum and count; a value at a bound belongs below it."""
    told = Told(bounds=(0.1, 1.0))
    told.say("t:100|ms", "t:500|ms", "t:2000|ms")
    assert told.flushed() == {
        series("t_bucket", le="0.1"): 1.0,
        series("t_bucket", le="1"): 2.0,
        series("t_bucket", le="+Inf"): 3.0,
        series("t_sum"): 2.6,
        series("t_count"): 3.0,
    }
    ended = told.flushed(NOW_MS + 100_000)
    assert len(ended) == 5
    assert is_stale(np.array(list(ended.values()))).all()


def test_a_series_that_is_silent_ends() -> None:
    """After ttl without a word a series gets a staleness marker once; one that comes back begins anew."""
    told = Told()
    told.say("a:5|c", "t:1|ms")
    assert told.flushed(NOW_MS + 60_000)
    ended = told.flushed(NOW_MS + 60_001)
    assert set(ended) == {series("a"), series("t")}
    assert is_stale(np.array(list(ended.values()))).all()
    assert told.flushed(NOW_MS + 70_000) == {}
    told.say("a:1|c", now_ms=NOW_MS + 80_000)
    assert told.flushed(NOW_MS + 80_000) == {series("a"): 1.0}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a", "is wanted"),
        ("a:1", "is wanted"),
        ("a|c", "is wanted"),
        (":1|c", "no name"),
        ("a:1|x", "unknown type"),
        ("a:b|c", "is no number"),
        ("a:nan|g", "no finite number"),
        ("a:-1|c", "cannot change by -1"),
        ("a:1|c|@0", "is not in"),
        ("a:1|c|@2", "is not in"),
        ("a:1|c|#:x", "has no name"),
        ("_e{5,4}:title|text", "events are not metrics"),
        ("_sc|name|0", "service checks are not metrics"),
    ],
)
def test_bad_lines(line: str, words: str) -> None:
    """A line that says nothing is an error, and no series comes of it."""
    told = Told()
    with pytest.raises(UserError, match=words):
        told.say(line)
    assert told.flushed() == {}


def test_what_contradicts_or_is_too_much_is_refused() -> None:
    """A series keeps its type, and there are no more than the limit."""
    told = Told(series_max=2)
    told.say("a:1|c", "b:1|g")
    with pytest.raises(UserError, match="type g of a series that is of type c"):
        told.say("a:1|g")
    with pytest.raises(UserError, match="2 series already"):
        told.say("c:1|c")
    assert told.flushed() == {series("a"): 1.0, series("b"): 1.0}


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_buckets_hold_their_values(value: float) -> None:
    """The bucket of a number has bounds around it; powers of two are upper bounds."""
    index = bucket_index(value)
    assert 2.0 ** ((index - 1) / 2**SCHEMA) < value <= 2.0 ** (index / 2**SCHEMA)
    exponent = math.frexp(value)[1]
    assert bucket_index(2.0**exponent) == exponent * 2**SCHEMA


_LINES = st.from_regex(
    rb"[a-z.]{1,3}:[-+0-9.e]{1,4}\|(c|g|ms|h|s)(\|@[0-9.]{1,3})?(\|#[a-z:,]{0,6})?", fullmatch=True
)


@given(st.binary(max_size=60) | _LINES)
def test_any_bytes(line: bytes) -> None:
    """Whatever comes is counted or an error of its sender, and what it adds up to can be stored."""
    told = Told()
    with contextlib.suppress(UserError):
        for seen in told.reader.observations(line):
            told.state.take(seen, NOW_MS)
    told.flushed()


@pytest.mark.parametrize("bounds", [(), (0.1, 1.0)])
def test_a_flush_lets_others_have_their_turn(bounds: tuple[float, ...]) -> None:
    """A flush of many series comes in small parts that have every series once; a new bucket is in the next flush."""
    told = Told(series_max=3000, bounds=bounds)
    told.say(*(f"t{number}:{number + 1}|ms" for number in range(3000)))
    parts = list(told.state.flush(NOW_MS))
    batches = [part for part in parts if part is not None]
    assert len(parts) >= 3000 / 60
    assert len(batches) > 1
    stored = [labels for batch in batches for labels in batch.series]
    assert len(stored) == len(set(stored)) == 3000 * 5
    first = told.flushed()
    assert set(first) == set(stored)
    told.say("t7:9000|ms", "t7:-9000|ms")
    second = told.flushed()
    changed = {labels for labels in second if repr(first.get(labels)) != repr(second[labels])}
    assert {
        dict(labels)["__name__"].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for labels in changed
    } == {"t7"}
    assert len(second) == len(first) + (0 if bounds else 2)


def test_sets_and_distributions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of all sets and buckets of a distribution have a limit; what is beyond it is refused and counts nowhere."""
    monkeypatch.setattr("trimon.remote.pushed.aggregate.MEMBERS_MAX", 3)
    monkeypatch.setattr("trimon.limits.HISTOGRAM_BUCKETS_MAX", 2)
    told = Told()
    told.say("a:x|s", "a:y|s", "a:y|s", "b:x|s", "t:1|h", "t:1|h", "t:100|h")
    with pytest.raises(UserError, match="more than 3 values"):
        told.say("b:z|s")
    with pytest.raises(UserError, match="more than 2 buckets"):
        told.say("t:10000|h")
    flushed = told.flushed()
    assert (flushed[series("a")], flushed[series("b")]) == (2.0, 1.0)
    count = next(
        value for labels, value in flushed.items() if dict(labels).get(COMPONENT, "").endswith("count")
    )
    assert count == 3.0
    told.say("b:z|s")
    assert told.flushed()[series("b")] == 1.0
