"""The samples a query looked at, as `stats=all` shows them."""

from __future__ import annotations

import time

import pytest

from trimon.model.labels import labels_of
from trimon.query.answer.statsdata import stats_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions

OPTIONS = QueryOptions()
STEPS = 4


def store() -> MemoryStore:
    """Three series with a sample every quarter of a minute."""
    out = MemoryStore()
    for index in "abc":
        out.extend(labels_of({"__name__": "m", "i": index}), [(at * 15_000, float(at)) for at in range(80)])
    return out


@pytest.mark.parametrize(
    ("query", "each"),
    [
        ("m", 3),
        ("m[1m]", 12),
        ("(m[1m])", 12),
        ("m[1m:30s]", 6),
        ("sum(rate(m[1m]))", 12),
        ("m @ 600", 3),
        ("sum(rate(m[1m] @ 600))", 12),
        ("m + m @ 600", 6),
        ("max_over_time(m[1m:30s])", 6),
        ("max_over_time(rate(m[1m])[2m:30s])", 12),
        ("max_over_time(rate(m[1m])[2m:30s] @ 600)", 12),
        ("max_over_time(max_over_time(rate(m[1m])[2m:30s])[1m:30s]) + m", 9),
        ("max_over_time((m + m @ 600)[1m:30s])", 6),
        ("1", 0),
    ],
)
def test_samples_looked_at(query: str, each: int) -> None:
    """A subquery counts what its windows hold, not what they are made of; what is fixed counts at every step."""
    found = instant(store(), query, 600_000, OPTIONS, Budget(OPTIONS)).stats
    assert found.samples_per_step.tolist() == [each]
    assert found.samples_peak >= (each if "[1m" in query[:5] else 0)
    if not query.strip("(").startswith("m["):
        end_ms = 600_000 + 60_000 * (STEPS - 1)
        ranged = range_(store(), query, 600_000, end_ms, 60_000, OPTIONS, Budget(OPTIONS)).stats
        assert ranged.samples_per_step.tolist() == [each] * STEPS


@pytest.mark.parametrize(
    ("query", "once", "each"),
    [
        ("m", 3, [3, 3, 3, 3]),
        ("m[1m]", 12, None),
        ("m[1m:30s]", 6, None),
        ("rate(m[1m])", 12, [12, 3, 3, 3]),
        ("sum(rate(m[1m]))", 12, [12, 3, 3, 3]),
        ("max_over_time(m[10s])", 3, [3, 3, 3, 3]),
        ("rate(m[1m]) + m", 15, [15, 6, 6, 6]),
        ("rate(m[1m] @ 600)", 12, [12, 0, 0, 0]),
        ("max_over_time(m[1m:30s])", 6, [9, 0, 0, 0]),
        ("max_over_time(rate(m[1m])[2m:30s])", 30, [36, 0, 0, 0]),
    ],
)
def test_samples_read(query: str, once: int, each: list[int] | None) -> None:
    """A sample in the windows of several steps is read once, what is fixed and what a subquery needs at the first step."""
    assert instant(store(), query, 600_000, OPTIONS, Budget(OPTIONS)).stats.samples_read == once
    if each is not None:
        stats = range_(store(), query, 600_000, 645_000, 15_000, OPTIONS, Budget(OPTIONS)).stats
        assert (stats.read_per_step.tolist(), stats.samples_read) == (each, sum(each))


@pytest.mark.parametrize(
    ("query", "instant_peak", "range_peak"),
    [
        ("m", 3, 12),
        ("sum(m)", 3, 12),
        ("abs(m)", 9, 27),
        ("-m", 3, 12),
        ("m + m", 15, 42),
        ("m or m", 15, 42),
        ("rate(m[1m])", 7, 16),
        ("sum(rate(m[1m]))", 7, 16),
        ("max_over_time(m[1m:30s])", 11, 38),
        ('count_values("v", m)', 7, 19),
        ('label_replace(m, "x", "y", "", "")', 3, 12),
        ("m @ 600", 3, 12),
        ("m[1m:30s]", 6, None),
        ("m[1m]", 12, None),
    ],
)
def test_most_samples_at_once(query: str, instant_peak: int, range_peak: int | None) -> None:
    """Inputs, results, and the inputs of a step or a window are counted as Prometheus counts them."""
    found = instant(store(), query, 600_000, OPTIONS, Budget(OPTIONS)).stats
    assert found.samples_peak == instant_peak
    if range_peak is not None:
        end_ms = 600_000 + 60_000 * (STEPS - 1)
        ranged = range_(store(), query, 600_000, end_ms, 60_000, OPTIONS, Budget(OPTIONS)).stats
        assert ranged.samples_peak == range_peak


def test_windows_that_are_the_answer_are_limited() -> None:
    """A range vector alone may not show more samples than a query may hold."""
    few = QueryOptions(samples_max=100)
    with pytest.raises(QueryError, match="would load too many samples"):
        instant(store(), "m[15m]", 900_000, few, Budget(few))
    assert instant(store(), "m[5m]", 900_000, few, Budget(few)).series == 3


@pytest.mark.parametrize("function", ["rate", "quantile_over_time", "last_over_time"])
@pytest.mark.parametrize("range_s", [5, 20, 90])
def test_samples_read_of_series_with_times_of_their_own(function: str, range_s: int) -> None:
    """What is read is what lies in any window, and at each step what the step before had not."""
    out, taken = MemoryStore(), {}
    for number in range(7):
        times = [at * 7_000 + (at * at * 377 * number) % 6_500 for at in range(60) if (at * number) % 5 != 3]
        taken[number] = times
        out.extend(labels_of({"__name__": "m", "i": str(number)}), [(at, 1.0) for at in times])
    text = f"{function}({'0.5, ' if function.startswith('quantile') else ''}m[{range_s}s])"
    refs = range(100_000, 200_001, 10_000)
    expected, seen = [], set[tuple[int, int]]()
    for ref in refs:
        inside = {(n, t) for n, times in taken.items() for t in times if ref - range_s * 1000 < t <= ref}
        expected.append(len(inside - seen))
        seen |= inside
    stats = range_(out, text, refs[0], refs[-1], 10_000, OPTIONS, Budget(OPTIONS)).stats
    assert stats.read_per_step.tolist() == expected


def test_the_time_before_the_query_began_is_that_of_the_queue() -> None:
    """A budget is made when a query comes: what passed before its evaluation is the queue's."""
    budget = Budget(OPTIONS)
    time.sleep(0.02)
    stats = instant(store(), "m", 600_000, OPTIONS, budget).stats
    assert stats.queue_s >= 0.02
    assert stats_data(stats)["timings"]["execQueueTime"] == stats.queue_s  # type: ignore[index] # a dict as in JSON
