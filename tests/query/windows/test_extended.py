"""anchored and smoothed ranges against obvious loops, on samples at the borders of windows; the seed is printed."""

from __future__ import annotations

import math
import random
from itertools import pairwise

from tests.query.test_borders import a_series
from tests.query.windows.test_windows import filled
from tests.support import naive_promql as naive
from tests.support.seeds import new_seed
from trimon.model.sample import NORMAL_NAN
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import EXTENDED_SELECTORS, QueryOptions

OPTIONS = QueryOptions(features=frozenset({EXTENDED_SELECTORS}))
CASES = 300
STEPS = 9
LOOKBACK_MS = 300_000


def between(before: tuple[int, float], after: tuple[int, float], at: int, *, counter: bool) -> float:
    """The value on the line from one sample to the next; a counter that fell began at 0."""
    low, high = before[1], after[1]
    if counter and high < low:
        low = 0.0
    return low + (high - low) * (at - before[0]) / (after[0] - before[0])


def value(function: str, samples: naive.Window, ref: int, range_ms: int, *, smoothed: bool) -> float | None:
    """A function of the samples in the window, made longer by the lookback, with values for its borders."""
    begin = ref - range_ms
    reach = ref + (LOOKBACK_MS if smoothed else 0)
    near = naive.window(samples, reach, reach - begin + LOOKBACK_MS)
    inside = [sample for sample in near if begin < sample[0] <= ref]
    before = [sample for sample in near if sample[0] <= begin]
    after = [sample for sample in near if sample[0] > ref]
    # Without a sample inside only a line across the whole window says something.
    if not inside and not (smoothed and before and after):
        return None
    counter = function in ("rate", "increase")
    middle = [v for _, v in inside]
    first = before[-1][1] if before else inside[0][1]
    last = middle[-1] if inside else first
    if smoothed and before and before[-1][0] < begin:
        first = between(before[-1], (inside or after)[0], begin, counter=counter)
    if smoothed and after and (not inside or inside[-1][0] < ref):
        last = between((inside or before)[-1], after[0], ref, counter=counter)
    if not before:
        middle = middle[1:]
    path = [first, *middle, last] if smoothed or not inside else [first, *middle]
    if function == "resets":
        return float(sum(b < a for a, b in pairwise(path)))
    if function == "changes":
        return float(sum(a != b and not (math.isnan(a) and math.isnan(b)) for a, b in pairwise(path)))
    gained = path[-1] - first
    if counter:
        gained += sum(a for a, b in pairwise(path) if b < a)
    return gained / (range_ms / 1000) if function == "rate" else gained


def test_extended_ranges_at_borders() -> None:
    """Anchored and smoothed functions give what a loop over each window gives."""
    seed = new_seed()
    rng = random.Random(seed)
    for _ in range(CASES):
        step = rng.choice((1, 999, 1000, 7001, 15_000, 61_000))
        start = rng.choice((0, 1_700_000_000_000, -50_000)) + rng.randint(-2, 2)
        range_ms = rng.choice((1, 1000, 15_000, 15_001, 60_000, 300_000))
        offset = rng.choice((0, 0, 1, -1, 15_000, -300_001))
        word = rng.choice(("anchored", "smoothed"))
        function = rng.choice(
            ("rate", "increase", "delta", *(["changes", "resets"] if word == "anchored" else []))
        )
        times = range(start, start + STEPS * step, step)
        series = {
            str(index): [
                (t, v if abs(v) <= 1e6 else NORMAL_NAN)
                for t, v in a_series(rng, [at - offset for at in times], [range_ms, range_ms])
            ]
            for index in range(rng.randint(1, 4))
        }
        text = f"{function}(m_total[{range_ms}ms] {word}{f' offset {offset}ms' if offset else ''})"
        result = range_(filled(series), text, start, times[-1], step, OPTIONS, Budget(OPTIONS))
        rows = {dict(result.labels.labels(row))["i"]: row for row in range(result.series)}
        for name, samples in series.items():
            for column, at in enumerate(times):
                expected = value(function, samples, at - offset, range_ms, smoothed=word == "smoothed")
                row = rows.get(name)
                shown = (seed, text, start, step, at, samples)
                if row is None or not result.present[row, column]:
                    assert expected is None, (shown, expected)
                    continue
                got = float(result.values[row, column])
                assert expected is not None, (shown, got)
                scale = 1e6 / (range_ms / 1000 if function == "rate" else 1)
                both_nan = math.isnan(expected) and math.isnan(got)
                assert both_nan or math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-12 * scale), (
                    shown,
                    expected,
                    got,
                )
