"""Windows at regular distances against obvious loops: the shortcuts they take give what single windows give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.query.windows.test_windows import assert_loops, filled, points, same, tolerance
from tests.support import naive_promql as naive
from trimon.query.windows.regularwindows import runs_of

FUNCTIONS = (
    "rate", "increase", "delta", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
    "stdvar_over_time", "stddev_over_time", "deriv", "mad_over_time", "changes", "last_over_time",
)  # fmt: skip
STEPS_MS = (15_000, 30_000, 45_000, 60_000, 120_000, 480_000)
RANGES_S = (15, 30, 60, 120, 300, 450, 630)
KINDS = ("counter", "gauge", "load", "constant", "far", "resets", "mixed")
COUNT = 25


def row(kind: str, random: np.random.Generator, length: int) -> list[float]:
    """Samples as they come from real exporters."""
    steps = random.normal(0, 1, length)
    match kind:
        case "counter":
            values = np.cumsum(np.round(np.abs(steps) * 10)) - 1
        case "gauge":
            values = np.round(np.cumsum(steps) + 3, 2)
        case "load":
            values = np.round(np.abs(steps), 2)
        case "constant":
            values = np.full(length, np.round(steps[0], 1))
        case "far":
            values = 1e6 + np.round(steps, 3)
        case "resets":
            values = np.cumsum(np.abs(steps)) % 20
        case _:
            values = np.where(random.random(length) < 0.5, steps, np.round(steps[0]))
    return [float(value) for value in values]


def made(seed: int, jitter_ms: int, ugly: float | None) -> dict[str, naive.Window]:
    """One series of every kind, scraped together for half an hour and a bit."""
    random = np.random.default_rng(seed)
    length = 140
    times = (np.arange(length) * 15_000 + random.integers(0, jitter_ms + 1, length)).tolist()
    out = {}
    for kind in KINDS:
        values = row(kind, random, length)
        if ugly is not None:
            values[int(random.integers(0, length))] = ugly
        out[kind] = list(zip(times, values, strict=True))
    return out


sets = st.builds(
    made,
    st.integers(0, 10_000),
    st.sampled_from([0, 0, 3, 2000]),
    st.sampled_from([None, None, None, math.nan, math.inf, -math.inf, 1e300]),
)


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=25, deadline=None)
@given(
    series=sets,
    step=st.sampled_from(STEPS_MS),
    range_s=st.sampled_from(RANGES_S),
    start=st.sampled_from([-60_000, 0, 5_000, 300_000]),
)
def test_regular_windows_equal_their_loop(
    function: str, series: dict[str, naive.Window], step: int, range_s: int, start: int
) -> None:
    """Over a regular grid, jitter and values that are no numbers included, every window is what its loop gives."""
    if function in ("stdvar_over_time", "stddev_over_time", "deriv"):
        series = {
            name: [(t, 1e6 if v == 1e300 else v) for t, v in samples] for name, samples in series.items()
        }
    actual = points(filled(series), f"{function}(m_total[{range_s}s])", start, step, COUNT)
    assert_loops(actual, function, series, range(start, start + step * COUNT, step), range_s * 1000)


@settings(max_examples=60, deadline=None)
@given(
    series=sets,
    step=st.sampled_from(STEPS_MS),
    range_s=st.sampled_from(RANGES_S),
    q=st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0]),
)
def test_regular_quantiles_equal_sorting(
    series: dict[str, naive.Window], step: int, range_s: int, q: float
) -> None:
    """Any quantile of a regular window is that of its sorted samples."""
    actual = points(filled(series), f"quantile_over_time({q!r}, m_total[{range_s}s])", 0, step, COUNT)
    for name, samples in series.items():
        for at in range(0, step * COUNT, step):
            numbers = [value for _, value in naive.window(samples, at, range_s * 1000)]
            got = actual.pop((name, at), None)
            assert (got is None) == (not numbers)
            if got is not None:
                assert same(naive.quantile(q, numbers), got, 0.0), (name, at, got)
    assert not actual


@settings(max_examples=40, deadline=None)
@given(series=sets, step=st.sampled_from(STEPS_MS), range_s=st.sampled_from(RANGES_S))
def test_regular_predictions_equal_their_loop(
    series: dict[str, naive.Window], step: int, range_s: int
) -> None:
    """predict_linear over regular windows is the least-squares line of each."""
    series = {name: [(t, min(v, 1e6)) for t, v in samples] for name, samples in series.items()}
    actual = points(filled(series), f"predict_linear(m_total[{range_s}s], 600)", 0, step, COUNT)
    for name, samples in series.items():
        for at in range(0, step * COUNT, step):
            found = naive.line(naive.window(samples, at, range_s * 1000), at)
            got = actual.pop((name, at), None)
            assert (got is None) == (found is None)
            if got is not None and found is not None:
                slope, level = found
                scale = 1e-9 * (abs(slope) * 600 + abs(level)) + tolerance("", samples)
                assert same(level + slope * 600, got, scale), (name, at, level + slope * 600, got)
    assert not actual


def test_every_sample_of_a_steady_sum_is_exact() -> None:
    """The mean of equal values is that value, whatever their number: alerts compare with it."""
    samples = [(step * 15_000, 0.9) for step in range(300)]
    for range_s in (60, 300, 600, 3600):
        found = points(filled({"a": samples}), f"avg_over_time(m_total[{range_s}s])", 0, 60_000, 70)
        assert {round(value, 15) for value in found.values()} == {0.9}
        assert max(abs(value - 0.9) for value in found.values()) <= math.ulp(0.9)


def test_runs_are_found_in_the_middle() -> None:
    """Windows that grow, then move, then stay are a run of which only the middle is regular."""
    lo = np.array([0, 0, 0, *range(0, 40, 4), 36, 36])
    hi = np.array([0, 4, 8, *range(12, 52, 4), 48, 48])
    assert runs_of(lo, hi) == [(0, 3, 0), (3, 13, 4), (13, 15, 0)]
    assert runs_of(np.array([3]), np.array([7])) == [(0, 1, 1)]
    assert runs_of(np.array([3]), np.array([3])) == [(0, 1, 0)]


@settings(max_examples=30, deadline=None)
@given(
    silent=st.lists(st.integers(0, 130), min_size=2, max_size=5),
    first=st.sampled_from([0.0, 1.0, 1e6]),
    step=st.sampled_from([15_000, 30_000]),
    seed=st.integers(0, 1000),
)
def test_counters_that_begin_late(silent: list[int], first: float, step: int, seed: int) -> None:
    """A rate looks no further back than where its counter would be zero, however late in a query that happens."""
    random = np.random.default_rng(seed)
    series = {}
    for index, quiet in enumerate(silent):
        grown = np.cumsum(np.where(np.arange(140) < quiet, 0.0, random.integers(0, 50, 140))) + first
        series[str(index)] = [(at * 15_000, float(value)) for at, value in enumerate(grown)]
    count = 2_100_000 // step
    actual = points(filled(series), "rate(m_total[2m])", 0, step, count)
    for name, samples in series.items():
        for at in range(0, step * count, step):
            expected = naive.evaluate("rate", samples, at, 120_000)
            got = actual.pop((name, at), None)
            assert (expected is None) == (got is None)
            if expected is not None and got is not None:
                assert same(expected, got, 0.0), (name, at, expected, got)
    assert not actual
