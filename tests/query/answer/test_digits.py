"""Window functions keep their digits whatever stands elsewhere in a series."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.query.windows.test_windows import filled, points
from tests.support import naive_promql as naive

SHAPES = ("regular", "own times")


def timed(values: list[float], shape: str) -> naive.Window:
    """The values a quarter of a minute apart, or nearly so."""
    shift = 0 if shape == "regular" else 7
    return [(at * 15_000 + shift * (at % 3), value) for at, value in enumerate(values)]


def exact_slope(window: naive.Window) -> float:
    """The least-squares slope in fractions."""
    xs, ys = [Fraction(t, 1000) for t, _ in window], [Fraction(v) for _, v in window]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return float(sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread)


def sawtooth(seed: int) -> list[float]:
    """A counter of small fractions with a reset every few samples."""
    steps = np.random.default_rng(seed).random(80)
    return [float(value) for value in np.cumsum(steps) % 3]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("function", ["rate", "increase"])
@pytest.mark.parametrize("before", [[1.7e18, 0.0], [1e300, 1.0], [1e308, 0.0, 1e308, 0.0, 1e308, 0.0]])
def test_a_large_reset_takes_no_digits_from_later_windows(
    before: list[float], function: str, shape: str
) -> None:
    """What a reset took long ago, were it an overflow of all sums, is not in the sum of what later ones took."""
    series = {str(seed): timed([*before, *sawtooth(seed)], shape) for seed in range(4)}
    found = points(filled(series), f"{function}(m_total[2m])", 15_000, 15_000, 70)
    assert len(found) >= 276
    for (name, at), got in found.items():
        expected = naive.evaluate(function, series[name], at, 120_000)
        assert expected is not None
        assert math.isclose(got, expected, rel_tol=1e-9), (name, at, expected, got)


@pytest.mark.parametrize("shape", SHAPES)
def test_resets_of_many_sizes_inside_a_window(shape: str) -> None:
    """Where the increase is nearly cancelled the digits are those of Prometheus' order of adding."""
    values = [3.5, 1e10, 2.25, 0.125, 0.5, 0.0625, 1e10, 0.25, 0.125, 0.75] * 6
    series = {"a": timed(values, shape)}
    for at, got in points(filled(series), "increase(m_total[45s])", 60_000, 15_000, 50).items():
        expected = naive.evaluate("increase", series["a"], at[1], 45_000)
        assert expected is not None
        assert math.isclose(got, expected, rel_tol=1e-12), (at, expected, got)


def test_a_counter_just_below_zero_is_extrapolated_in_full() -> None:
    """A first value below zero is so even when its share of the increase is too small for a number."""
    samples = timed([-1e-300, 0.0, 1e300, 1e300], "regular")
    (got,) = points(filled({"a": samples}), "increase(m_total[1m])", 50_000, 1000, 1).values()
    expected = naive.evaluate("increase", samples, 50_000, 60_000)
    assert expected is not None
    assert math.isclose(got, expected, rel_tol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1e6, 1e12, 1e15])
def test_slopes_of_large_alternating_values(size: float, shape: str) -> None:
    """A slope that is small against the values is right to its last digits."""
    rest = np.random.default_rng(1).random(60).round(3).tolist()
    values = [(size if at % 2 else -size) + value for at, value in enumerate(rest)]
    series = {"a": timed(values, shape)}
    for range_s in (45, 75, 285):
        for (_, at), got in points(
            filled(series), f"deriv(m_total[{range_s}s])", 300_000, 15_000, 35
        ).items():
            window = naive.window(series["a"], at, range_s * 1000)
            assert math.isclose(got, exact_slope(window), rel_tol=1e-9), (range_s, at, got)


@pytest.mark.parametrize("steps", [1, 30, 90])
@pytest.mark.parametrize("function", ["rate", "increase"])
def test_few_counters_near_zero_among_many(function: str, steps: int) -> None:
    """Of counters whose windows begin with their first sample those that were zero just before are told apart to the bit."""
    rng = np.random.default_rng(5)
    first = [0.0, 1.0, 40.0, *(10.0**power for power in range(2, 14)), *([1e9] * 9)]
    series = {
        str(number): timed([began, *(began + np.cumsum(rng.integers(0, 9, 80)))], "regular")
        for number, began in enumerate(first)
    }
    found = points(filled(series), f"{function}(m_total[1h])", 30_000, 15_000, steps)
    assert len(found) == len(series) * steps
    for (name, at), got in found.items():
        assert got == naive.evaluate(function, series[name], at, 3_600_000), (name, at)
