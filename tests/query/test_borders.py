"""Windows whose borders meet samples: random queries against obvious loops, the seed printed.

Samples lie on, just before and just behind the borders of windows; steps do not divide ranges; offsets go both ways;
values are tiny, huge, infinite, NaN and stale; resets happen at the borders.
"""

from __future__ import annotations

import math
import random

from tests.query.windows.test_windows import FUNCTIONS, filled, points, same, tolerance
from tests.support import naive_promql as naive
from tests.support.seeds import new_seed
from trimon.model.sample import NORMAL_NAN, STALE_NAN

CASES = 300
STEPS = 9
LOOKBACK_MS = 300_000
# Sums that overflow on the way, and squares that do, depend on the order of operations.
VALUES = (0.0, -0.0, 1.0, 2.5, -3.0, 1e-300, 5e-324, 1e12, -1e9, math.inf, -math.inf, NORMAL_NAN, STALE_NAN)


def a_series(rng: random.Random, refs: list[int], ranges: list[int]) -> naive.Window:
    """Samples around the borders of the windows that end at `refs`, others between them."""
    times = set()
    if rng.random() < 0.5:
        interval = rng.choice((1000, 7000, 15_000, 60_000))
        jitter = rng.choice((0, 0, 1, 900))
        at = refs[0] - max(ranges) - rng.randint(0, interval)
        while at < refs[-1] + interval:
            times.add(at + rng.randint(-jitter, jitter) if jitter else at)
            at += interval * (1 if rng.random() < 0.9 else rng.randint(1, 30))
            if len(times) > 200:
                break
    for _ in range(rng.randint(0, 12)):
        times.add(rng.choice(refs) - rng.choice([0, *ranges, LOOKBACK_MS]) + rng.choice((-1, 0, 0, 1, 500)))
    times.add(rng.choice(refs) - rng.randint(0, max(ranges)))
    kind = rng.choice(("counter", "gauge", "odd", "flat"))
    value, out = 0.0, []
    for at in sorted(times):
        if kind == "counter":
            value = (
                rng.choice((0.0, 3.0)) if rng.random() < 0.15 else value + rng.choice((0.0, 0.1, 5.0, 1e6))
            )
        elif kind == "gauge":
            value = rng.gauss(0, 100)
        elif kind == "odd":
            value = rng.choice(VALUES)
        out.append((at, STALE_NAN if rng.random() < 0.03 else value))
    return out


def test_window_functions_at_borders() -> None:
    """Functions of ranges with offsets and `@` give what a loop over each window gives."""
    seed = new_seed()
    rng = random.Random(seed)
    for _ in range(CASES):
        step = rng.choice((1, 999, 1000, 7001, 15_000, 61_000))
        start = rng.choice((0, 1_700_000_000_000, -50_000)) + rng.randint(-2, 2)
        range_ms = rng.choice((1, 2, 1000, 15_000, 15_001, 59_999, 60_000, 300_000))
        offset = rng.choice((0, 0, 1, -1, 15_000, -15_000, -300_001))
        fixed = rng.choice((None, None, None, start + rng.randint(0, 3) * step))
        times = range(start, start + STEPS * step, step)
        refs = [(at if fixed is None else fixed) - offset for at in times]
        function = rng.choice(FUNCTIONS)
        series = {str(index): a_series(rng, refs, [range_ms]) for index in range(rng.randint(1, 4))}
        if function in ("stdvar_over_time", "stddev_over_time", "deriv", "avg_over_time", "sum_over_time"):
            series = {
                name: [(t, v if abs(v) <= 1e6 else NORMAL_NAN) for t, v in samples]
                for name, samples in series.items()
            }
        text = f"{function}(m_total[{range_ms / 1000:.3f}]"
        text += (
            (f" @ {fixed / 1000:.3f}" if fixed is not None else "")
            + (f" offset {offset}ms" if offset else "")
            + ")"
        )
        actual = points(filled(series), text, start, step, STEPS)
        for name, samples in series.items():
            for at, ref in zip(times, refs, strict=True):
                expected, got = naive.evaluate(function, samples, ref, range_ms), actual.pop((name, at), None)
                shown = (seed, text, start, step, at, samples)
                assert (expected is None) == (got is None), (shown, expected, got)
                if expected is not None and got is not None:
                    inside = naive.window(samples, ref, range_ms)
                    assert same(expected, got, 10 * tolerance(function, inside) + 1e-300), (
                        shown,
                        expected,
                        got,
                    )
        assert not actual


def inner_samples(samples: naive.Window, function: str, inner_ms: int, grid: range) -> naive.Window:
    """What the inside of a subquery gives at its own steps."""
    out = []
    for at in grid:
        if function:
            value = naive.evaluate(function, samples, at, inner_ms)
        else:
            value = naive.newest(samples, at, LOOKBACK_MS)
        if value is not None:
            out.append((at, value))
    return out


def test_subqueries_at_borders() -> None:
    """A subquery is evaluated at multiples of its step behind the left border, whatever the query's own steps."""
    seed = new_seed()
    rng = random.Random(seed)
    for _ in range(CASES // 3):
        step = rng.choice((999, 7000, 15_000, 61_000))
        start = rng.choice((0, 1_700_000_000_000, -50_000)) + rng.randint(-2, 2)
        range_ms = rng.choice((1000, 15_000, 59_999, 60_000, 300_000))
        sub_ms = (
            rng.choice((7, 10_000, 15_000, 7001, 60_000))
            if range_ms < 2000
            else rng.choice((10_000, 15_000, 7001))
        )
        offset = rng.choice((0, 1, -1, 15_000, -15_000))
        inner_ms = rng.choice((1000, 30_000))
        times = range(start, start + STEPS * step, step)
        refs = [at - offset for at in times]
        inner = rng.choice(("", "", "last_over_time", "increase", "count_over_time"))
        outer = rng.choice(
            (
                "sum_over_time",
                "count_over_time",
                "max_over_time",
                "increase",
                "changes",
                "ts_of_last_over_time",
            )
        )
        series = {str(index): a_series(rng, refs, [range_ms, inner_ms]) for index in range(rng.randint(1, 3))}
        # The last digit of an inside that should stand still is a reset or a change to the outside: there are no digits.
        digits = 0 if inner == "increase" and outer in ("increase", "changes") else 30
        series = {
            name: [(t, round(v, digits) if abs(v) <= 1e6 else STALE_NAN) for t, v in samples]
            for name, samples in series.items()
        }
        inside = f"{inner}(m_total[{inner_ms}ms])" if inner else "m_total"
        text = f"{outer}({inside}[{range_ms}ms:{sub_ms}ms]{f' offset {offset}ms' if offset else ''})"
        actual = points(filled(series), text, start, step, STEPS)
        for name, samples in series.items():
            for at, ref in zip(times, refs, strict=True):
                first = (ref - range_ms) // sub_ms * sub_ms + sub_ms
                found = inner_samples(samples, inner, inner_ms, range(first, ref + 1, sub_ms))
                expected = naive.evaluate(outer, found, ref, range_ms)
                got = actual.pop((name, at), None)
                shown = (seed, text, start, step, at, samples)
                assert (expected is None) == (got is None), (shown, expected, got)
                if expected is not None and got is not None:
                    assert same(expected, got, 1e-9 * (1 + tolerance(outer, found) * 1e12)), (
                        shown,
                        expected,
                        got,
                    )
        assert not actual


def test_increases_of_whole_numbers_to_the_last_bit() -> None:
    """rate, increase and delta of whole numbers are rounded as Prometheus rounds, in the order of its operations."""
    seed = new_seed()
    rng = random.Random(seed)
    for _ in range(CASES // 3):
        interval = rng.choice((1000, 7000, 15_000, 49_000))
        range_ms = interval * rng.randint(1, 9) + rng.choice((0, 1, -1, 300))
        rises = rng.random() < 0.5
        value, samples = float(rng.choice((0, 5, 10**6))), []
        for index in range(60):
            samples.append((index * interval + rng.choice((0, 0, 3)), value))
            value = (
                float(rng.randint(0, 3)) if not rises and rng.random() < 0.1 else value + rng.randint(0, 9)
            )
        function = rng.choice(("rate", "increase", "delta"))
        step = rng.choice((interval, interval // 2, 7001))
        actual = points(filled({"0": samples}), f"{function}(m_total[{range_ms}ms])", interval, step, 40)
        for at in range(interval, interval + 40 * step, step):
            expected = naive.evaluate(function, samples, at, range_ms)
            assert actual.get(("0", at)) == expected, (seed, function, range_ms, at, samples)
