"""Subqueries over many steps: evaluated part by part, where there are samples, and the same as at once."""

from __future__ import annotations

import random
import tracemalloc
from contextlib import suppress

import numpy as np
import orjson
import pytest

from tests.query.fuzz_grammar import Generator
from tests.query.test_steps import Shown, at, near
from tests.support.promql_data import odd_store
from tests.support.seeds import new_seed
from trimon.errors import UserError
from trimon.model.labels import Labels, labels_of
from trimon.query import engine
from trimon.query.answer.json import render_data
from trimon.query.answer.result import QueryResult
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid, RefTimes
from trimon.query.language.errors import QueryError
from trimon.query.language.options import ALL_LANGUAGE_FEATURES, DELAYED_NAME_REMOVAL, QueryOptions
from trimon.query.operators import subquery

QUERIES = 400
MIB = 1 << 20
NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def outcome(query: str, options: QueryOptions) -> tuple[QueryResult | str, int]:
    """The result or the error of a range query, and the samples it looked at."""
    budget = Budget(options)
    try:
        result = range_(odd_store(), query, 60_000, 460_000, 80_000, options, budget)
    except (UserError, QueryError) as error:
        return str(error), 0
    return result, result.stats.samples_total


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random subqueries give the same series, samples, notes and counts however few steps are evaluated at a time."""
    seed = new_seed()
    compared = 0
    for index in range(QUERIES):
        generator = Generator(seed * 1_000_003 + index)
        inner, step = generator.query(), generator.random.choice(("7s", "15s", "1m"))
        function = generator.random.choice(("count", "last", "sum", "absent", "max", "quantile"))
        offset = generator.random.choice(("", "", " offset 1m", " @ 300", " offset -77s"))
        first = "0.3, " if function == "quantile" else ""
        query = f"{function}_over_time({first}({inner})[10m:{step}]{offset})"
        features = ALL_LANGUAGE_FEATURES - (frozenset() if index % 2 else {DELAYED_NAME_REMOVAL})
        options = QueryOptions(features=features, samples_max=2_000_000, timeout_s=20)
        whole, looked_at = outcome(query, options)
        with monkeypatch.context() as patch:
            patch.setattr(subquery, "WHOLE_BYTES", 1)
            patch.setattr(subquery, "_PART_STEPS_MIN", generator.random.choice((1, 3, 16)))
            patch.setattr(subquery, "_STEPS_FEW", 0)
            parts, parts_looked_at = outcome(query, options)
        shown = f"seed {seed}, query {index}: {query}"
        if isinstance(whole, str) or isinstance(parts, str):
            # A step with an error may lie where there are no samples; a step at a time may take longer than there is.
            assert isinstance(whole, str) or "timed out" in str(parts), (shown, parts)
            continue
        assert looked_at == parts_looked_at, shown
        # Steps where nothing is are left out, and their parameters with them.
        assert {_text(each) for each in parts.warnings} <= {_text(each) for each in whole.warnings}, shown
        for column in range(6):
            one, other = at(whole, column), at(parts, column)
            if one.keys() != other.keys() and "count_values" in inner:
                assert set(map(_rounded, one)) == set(map(_rounded, other)), shown
                continue
            assert one.keys() == other.keys(), shown
            assert all(near(one[labels], other[labels]) for labels in one), shown
        compared += whole.series > 0
    assert compared > QUERIES // 8


def _rounded(labels: Labels) -> Labels:
    """Labels without last digits: values are labels of count_values, and may differ there as values may (`near`)."""
    return tuple((name, _number(value)) for name, value in labels)


def _number(text: str) -> str:
    try:
        return f"{round(float(text), 6) + 0.0:.6g}"
    except (ValueError, OverflowError):
        return text


def _text(warning: str) -> str:
    """A warning without the value that it is about."""
    return warning.partition(", got ")[0]


def young_store(series: int = 1) -> MemoryStore:
    """`m` for the last ten minutes, every 15 s."""
    store = MemoryStore()
    for number in range(series):
        labels = labels_of({"__name__": "m", "i": str(number)})
        store.extend(labels, [(NOW_MS - k * 15_000, float(k % 7)) for k in range(40, -1, -1)])
    return store


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # 600 s of samples, and the one at the beginning is seen from its own second on.
        ("count_over_time(m[1y:1s])", 601),
        ("count_over_time((-m)[1y:1s] offset 5m)", 301),
        ("count_over_time((m > bool 3)[1y:1s])", 601),
        ("count_over_time((5 * m)[1y:1s])", 601),
        ("count_over_time((m * on () group_left () m)[1y:1s])", 601),
        ("count_over_time((m and m)[1y:1s])", 601),
        ("count_over_time(sum(rate(m[1m]))[1y:1s])", 586),
        ("count_over_time(topk(1, m)[1y:1s])", 601),
        ("sum_over_time(count_over_time(m[1h:1s])[1y:10m])", None),
        ("count_over_time(absent(m)[10d:1s])", 864_000 - 601),
        ("count_over_time((m or m)[10d:1s])", 601),
        ("count_over_time(m[10h:1ms])", 600_001),
        ("count_over_time(no[1y:1s])", None),
    ],
)
def test_a_year_of_seconds_takes_little(query: str, expected: int | None) -> None:
    """Steps without samples take no memory, and those that have some take what is found."""
    options = QueryOptions()
    budget = Budget(options)
    tracemalloc.start()
    try:
        result = instant(young_store(), query, NOW_MS, options, budget)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 48 * MIB
    if expected is not None:
        assert result.values[0, 0] == expected


def test_what_is_kept_is_refused_before_it_is_there() -> None:
    """Where every step has a sample, the query is refused when its share is used up, and held no more than that."""
    options = QueryOptions(bytes_max=60 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(QueryError, match="more than the limit"):
            instant(young_store(), "count_over_time(absent(m)[500d:1s])", NOW_MS, options, Budget(options))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 60 * MIB


def test_steps_within() -> None:
    """The steps found by division are those that a look at all times finds."""
    random_ = random.Random(7)
    for _ in range(2000):
        grid = Grid(random_.randint(-50, 50), random_.randint(1, 9), random_.randint(1, 12))
        fixed = random_.choice((None, None, random_.randint(-20, 20)))
        refs = RefTimes(grid).shifted(fixed, random_.randint(-9, 9)).shifted(None, random_.randint(-9, 9))
        first = random_.randint(-80, 150)
        last = first + random_.randint(-3, 60)
        times = refs.times_ms()
        assert (refs.first_ms, refs.last_ms, len(refs)) == (times[0], times[-1], len(times))
        expected = np.flatnonzero((times >= first) & (times <= last)).tolist()
        found = refs.steps_within(first, last)
        assert list(range(found.start, found.stop)) == expected, (grid, refs, first, last)


def test_a_long_series_is_written_in_pieces() -> None:
    """The text of a series of many samples is that of its samples, and takes little more on the way than it is long."""
    options = QueryOptions()
    result = instant(young_store(), "m[10h:1ms]", NOW_MS, options, Budget(options))
    tracemalloc.start()
    try:
        text = render_data(result)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (series,) = orjson.loads(text)["result"]
    assert series["metric"] == {"__name__": "m", "i": "0"}
    times = [round(sample[0] * 1000) for sample in series["values"]]
    assert times == list(range(NOW_MS - 600_000, NOW_MS + 1))
    assert [float(sample[1]) for sample in series["values"][::15_000]] == [
        float(k % 7) for k in range(40, -1, -1)
    ]
    assert peak_bytes < 2 * len(text) + 16 * MIB


def test_wide_windows_are_sorted_in_slices() -> None:
    """Quantiles of long windows at many steps take slices at a time, and are those of each window alone."""
    options = QueryOptions()
    query = "quantile_over_time(0.5, (time() % 977)[1h:1s])"
    query = query.replace("time()", "vector(time())")
    end_ms = NOW_MS + 10_999_000
    tracemalloc.start()
    try:
        result = range_(young_store(), query, NOW_MS, end_ms, 1000, options, Budget(options))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 * MIB
    for step in (0, 1, 5432, 10_999):
        alone = instant(young_store(), query, NOW_MS + step * 1000, options, Budget(options))
        assert result.values[0, step] == alone.values[0, 0]


def test_what_is_the_same_at_every_step_is_not_copied() -> None:
    """A vector at a fixed time is there once however many steps show it, and one who computes with it asks first."""
    options = QueryOptions(bytes_max=20 * MIB)
    store, end_ms = young_store(500), NOW_MS + 10_999_000
    tracemalloc.start()
    try:
        result = range_(store, "-m @ end()", NOW_MS, end_ms, 1000, options, Budget(options))
        assert (result.series, result.points) == (0, 0)
        fixed = f"m @ {NOW_MS / 1000}"
        result = range_(store, fixed, NOW_MS, end_ms, 1000, options, Budget(options))
        assert result.size_bytes < MIB
        with pytest.raises(QueryError, match="more than the limit"):
            range_(store, f"({fixed}) * time()", NOW_MS, end_ms, 1000, options, Budget(options))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (result.series, result.points) == (500, 500 * 11_000)
    assert peak_bytes < 20 * MIB


def test_steps_without_samples_are_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long range over many young series takes what their samples take, and random ranges show what they show whole."""
    options = QueryOptions(bytes_max=32 * MIB)
    store, end_ms = young_store(1000), NOW_MS + 60_000
    for query, series, points in (
        ("topk(5, m)", 5, 5 * 661),
        ("sum(rate(m[1m]))", 1, 630),
        ("m @ 0", 0, 0),
        ("max(m offset 5m)", 1, 361),
    ):
        result = range_(store, query, end_ms - 10_999_000, end_ms, 1000, options, Budget(options))
        assert (result.series, result.points) == (series, points), query
    seed = new_seed()
    narrowed = 0
    for index in range(QUERIES):
        generator = Generator(seed * 1_000_003 + index)
        options = QueryOptions(features=ALL_LANGUAGE_FEATURES, samples_max=2_000_000, timeout_s=20)
        query = generator.query()
        found: list[QueryResult] = []
        for whole_bytes in (2**40, 0):
            with monkeypatch.context() as patch, suppress(UserError, QueryError):
                patch.setattr(engine, "WHOLE_BYTES", whole_bytes)
                found.append(
                    range_(odd_store(), query, -400_000, 1_800_000, 77_777, options, Budget(options))
                )
        if len(found) < 2:
            # An error may lie where there are no samples.
            continue
        whole, part = found
        shown = f"seed {seed}, query {index}: {query}"
        assert whole.stats.samples_total >= part.stats.samples_total, shown
        first = whole.times_ms.tolist().index(part.times_ms[0])
        narrowed += len(part.times_ms) < len(whole.times_ms)
        nothing: Shown = {}
        for column in range(len(whole.times_ms)):
            place = column - first
            one, other = at(whole, column), at(part, place) if 0 <= place < len(part.times_ms) else nothing
            assert one.keys() == other.keys(), (shown, column)
            assert all(near(one[labels], other[labels]) for labels in one), (shown, column)
    assert narrowed > QUERIES // 8


def test_the_worst_parameter_is_that_of_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter that differs from step to step is warned of once, by its worst values, however few steps a part has."""
    options = QueryOptions(features=ALL_LANGUAGE_FEATURES)
    query = "count_over_time(quantile(time() - 200, requests_total @ 100)[10m:7s] @ 300)"
    whole, _ = outcome(query, options)
    monkeypatch.setattr(subquery, "WHOLE_BYTES", 1)
    monkeypatch.setattr(subquery, "_PART_STEPS_MIN", 3)
    monkeypatch.setattr(subquery, "_STEPS_FEW", 0)
    parts, _ = outcome(query, options)
    assert isinstance(whole, QueryResult)
    assert isinstance(parts, QueryResult)
    assert len(whole.warnings) == 2
    assert sorted(parts.warnings) == sorted(whole.warnings)
