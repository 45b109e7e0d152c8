"""Window functions against obvious loops, on random samples of every ugly kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive_promql as naive
from trimon.model.frame import SampleFrame
from trimon.model.labels import labels_of
from trimon.model.matcher import Matcher
from trimon.model.sample import NORMAL_NAN, STALE_NAN
from trimon.model.snapshot import Admit
from trimon.query.conformance.memory import MemorySelection, MemoryStore
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import EXPERIMENTAL_FUNCTIONS, QueryOptions

OPTIONS = QueryOptions(features=frozenset({EXPERIMENTAL_FUNCTIONS}))
FUNCTIONS = (
    "rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time",
    "min_over_time", "max_over_time", "count_over_time", "last_over_time", "first_over_time",
    "present_over_time", "stdvar_over_time", "stddev_over_time", "changes", "resets", "deriv",
    "ts_of_last_over_time", "ts_of_first_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
    "mad_over_time",
)  # fmt: skip

ordinary = st.one_of(
    st.integers(-1000, 1000).map(float),
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3)),
    st.floats(1e-6, 1e12),
)
ugly = st.sampled_from([NORMAL_NAN, STALE_NAN, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 5e-324])
values = st.one_of(ordinary, ordinary, ordinary, ugly)


@st.composite
def stores(draw: st.DrawFn, sample: st.SearchStrategy[float] = values) -> dict[str, naive.Window]:
    """A few series: some share their times, some have gaps and times of their own, some are counters."""
    length = draw(st.integers(1, 30))
    shared = [15_000 * step for step in range(length)]
    out = {}
    for index in range(draw(st.integers(1, 7))):
        if draw(st.booleans()):
            times = shared
        else:
            gaps = draw(st.lists(st.integers(1, 40_000), min_size=1, max_size=30))
            times = [sum(gaps[: at + 1]) for at in range(len(gaps))]
        row = draw(st.lists(sample, min_size=len(times), max_size=len(times)))
        if draw(st.booleans()):
            row = [abs(value) if math.isfinite(value) else value for value in row]
        out[str(index)] = list(zip(times, row, strict=True))
    return out


class KeptSelection(MemorySelection):
    """A selection whose frames are told to be kept for others."""

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        return replace(self.frame(-(1 << 60), 1 << 60), facts={})


class KeptStore(MemoryStore):
    """A store whose frames are longer than what is asked for, and kept."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> MemorySelection:
        plain = super().select(matchers, start_ms, end_ms)
        return KeptSelection(plain.labels, plain.series)


def filled(series: dict[str, naive.Window]) -> MemoryStore:
    """The series as a store."""
    store = MemoryStore()
    for name, samples in series.items():
        store.extend(labels_of({"__name__": "m_total", "i": name}), samples)
    return store


def same(expected: float, actual: float, scale: float) -> bool:
    """Equal to nine digits of the result or twelve of the largest input."""
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    return expected == actual or abs(expected - actual) <= max(1e-9 * abs(expected), scale)


def points(store: MemoryStore, query: str, start: int, step: int, count: int) -> dict[tuple[str, int], float]:
    """Every sample of a range query by series and time."""
    result = range_(store, query, start, start + step * (count - 1), step, OPTIONS, Budget(OPTIONS))
    out = {}
    for row in range(result.series):
        name = dict(result.labels.labels(row)).get("i", "")
        for column, time_ms in enumerate(result.times_ms.tolist()):
            if result.present[row, column]:
                out[name, time_ms] = float(result.values[row, column])
    return out


def tolerance(function: str, samples: naive.Window) -> float:
    """How far rounding may take a function of these samples."""
    largest = max((abs(v) for _, v in samples if math.isfinite(v)), default=0.0)
    if function == "stdvar_over_time":
        return 1e-13 * largest * largest
    return (1e-6 if function == "stddev_over_time" else 1e-12) * largest


def assert_loops(
    actual: dict[tuple[str, int], float],
    function: str,
    series: dict[str, naive.Window],
    times_ms: range,
    range_ms: int,
) -> None:
    """The samples are those that a loop over each window gives, no more and no fewer."""
    for name, samples in series.items():
        for at in times_ms:
            expected = naive.evaluate(function, samples, at, range_ms)
            got = actual.pop((name, at), None)
            assert (expected is None) == (got is None), (name, at, expected, got)
            if expected is not None and got is not None:
                assert same(expected, got, tolerance(function, samples)), (name, at, expected, got)
    assert not actual


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=40, deadline=None)
@given(
    series=stores(),
    range_s=st.sampled_from([1, 15, 60, 61, 300, 3600]),
    start=st.integers(-100_000, 400_000),
    step=st.sampled_from([1000, 7000, 15_000, 60_000]),
    rising=st.booleans(),
)
def test_function_equals_its_loop(
    function: str, series: dict[str, naive.Window], range_s: int, start: int, step: int, rising: bool
) -> None:
    """A window function over all series and steps gives what a loop over each window gives."""
    if function in ("rate", "increase") and rising:
        series = {
            name: list(zip([t for t, _ in samples], sorted(v for _, v in samples), strict=True))
            for name, samples in series.items()
            if all(math.isfinite(v) for _, v in samples)
        }
    if function in ("stdvar_over_time", "stddev_over_time", "deriv"):
        series = {
            name: [(t, math.copysign(1e6, v) if 1e6 < abs(v) < math.inf else v) for t, v in samples]
            for name, samples in series.items()
        }
    store: MemoryStore = filled(series)
    actual = points(store, f"{function}(m_total[{range_s}s])", start, step, 12)
    if function in ("rate", "increase"):
        kept = points(KeptStore(store.series), f"{function}(m_total[{range_s}s])", start, step, 12)
        np.testing.assert_allclose(list(kept.values()), list(actual.values()), rtol=1e-15)
        assert kept.keys() == actual.keys()
    assert_loops(actual, function, series, range(start, start + step * 12, step), range_s * 1000)


@settings(max_examples=60, deadline=None)
@given(series=stores(), start=st.integers(-100_000, 700_000), offset=st.integers(-100, 400))
def test_instant_selector_equals_its_loop(series: dict[str, naive.Window], start: int, offset: int) -> None:
    """A selector shows the newest sample of the lookback, unless that is a stale marker."""
    actual = points(filled(series), f"m_total offset {offset}s", start, 20_000, 12)
    for name, samples in series.items():
        for at in range(start, start + 240_000, 20_000):
            expected = naive.newest(samples, at - offset * 1000, 300_000)
            got = actual.pop((name, at), None)
            assert (expected is None) == (got is None)
            if expected is not None and got is not None:
                assert same(expected, got, 0.0)
    assert not actual


@settings(max_examples=60, deadline=None)
@given(series=stores(), q=st.floats(-0.1, 1.1), sf=st.floats(0.01, 0.99), tf=st.floats(0.01, 0.99))
def test_functions_with_parameters(series: dict[str, naive.Window], q: float, sf: float, tf: float) -> None:
    """quantile_over_time and double_exponential_smoothing give what their loops give."""
    store = filled(series)
    quantiles = points(store, f"quantile_over_time({q!r}, m_total[2m])", 0, 30_000, 12)
    smooth = points(store, f"double_exponential_smoothing(m_total[2m], {sf!r}, {tf!r})", 0, 30_000, 12)
    for name, samples in series.items():
        for at in range(0, 360_000, 30_000):
            numbers = [v for _, v in naive.window(samples, at, 120_000)]
            scale = tolerance("", samples)
            got = quantiles.get((name, at))
            assert (got is None) == (not numbers)
            if got is not None:
                assert same(naive.quantile(q, numbers), got, scale)
            wanted, got = naive.smoothing(numbers, sf, tf), smooth.get((name, at))
            assert (got is None) == (wanted is None)
            if got is not None and wanted is not None:
                assert same(wanted, got, scale * 100)


@pytest.mark.parametrize("times", [(0, 17_001, 34_003), (0, 15_000, 30_000, 45_000, 60_000, 75_000, 90_000)])
def test_lines_through_huge_values_are_those_of_one_window(times: tuple[int, ...]) -> None:
    """Whether a product with the time is beyond the largest number does not depend on the other windows of a query."""
    store = filled(
        {"0": [(time_ms, 1e308 if index % 2 == 0 else 1.0) for index, time_ms in enumerate(times)]}
    )
    for query in ("deriv(m_total[1m])", "predict_linear(m_total[1m], 60)"):
        ranged = points(store, query, 20_000, 7000, 12)
        for (_, at), value in ranged.items():
            ((_, alone),) = points(store, query, at, 1, 1).items()
            assert same(alone, value, 0.0), (query, at)
        assert len(ranged) > 5
