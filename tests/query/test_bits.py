"""Sums and means to the last bit: compared with loops that add one value after the other as Prometheus 3.14 does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.query.windows import foldedsum
from trimon.query.windows.windowmeans import SHORT

PLAIN = QueryOptions()
STEP_MS = 15_000
SAMPLES = 200
Values = list[float]


def one_more(total: float, carry: float, value: float) -> tuple[float, float]:
    """Add a value, and to the carry what rounding took."""
    new = total + value
    if math.isinf(new):
        return new, 0.0
    taken = (total - new) + value if abs(total) >= abs(value) else (value - new) + total
    return new, carry + taken


def naive_sum(values: Sequence[float]) -> float:
    """The sum of values one after the other."""
    total = carry = 0.0
    for value in values:
        total, carry = one_more(total, carry, value)
    return total if math.isinf(total) else total + carry


def naive_mean(values: Sequence[float]) -> float:
    """The mean; a sum that overflows goes on as a mean that moves."""
    total, carry, mean, moves = values[0], 0.0, 0.0, False
    for count, value in enumerate(values[1:], 2):
        if not moves:
            new, new_carry = one_more(total, carry, value)
            if not math.isinf(new):
                total, carry = new, new_carry
                continue
            moves, mean, carry = True, total / (count - 1), carry / (count - 1)
        share = (count - 1) / count
        mean, carry = one_more(share * mean, share * carry, value / count)
    return mean + carry if moves else total / len(values) + carry / len(values)


def kinds(random: np.random.Generator) -> dict[str, Values]:
    """Values of every sort: the names say which."""
    count = SAMPLES
    return {
        "constant": [99.9] * count,
        "small constant": [7e-9] * count,
        "large constant": [1e15 + 0.3] * count,
        "decimals": np.round(random.random(count) * 100, 1).tolist(),
        "large means": (1e9 + random.random(count)).tolist(),
        "mixed magnitudes": (random.normal(size=count) * 10.0 ** random.integers(-12, 12, count)).tolist(),
        "around zero": random.normal(size=count).tolist(),
        "counter": np.cumsum(np.round(random.random(count) * 10, 3)).tolist(),
        "integers": np.floor(random.random(count) * 1000).tolist(),
        "cancelling": [value for index in range(count // 2) for value in (1e16 + index, -1e16)],
        "far apart": [
            value for index in range(count // 4) for value in (1e100, 1.0, -1e100, 1.0 + index / 8)
        ],
        "mostly zero": [0.0 if index % 50 else 1e9 + index / 10 for index in range(count)],
        "overflowing": random.choice([1.7e308, 1e308, -1e308, 1.0, 3e307], count).tolist(),
        "not finite": random.choice([1.5, math.nan, math.inf, 2.25], count, p=[0.5, 0.1, 0.1, 0.3]).tolist(),
    }


def same(got: float, wanted: float) -> bool:
    """Equal to the last bit; one NaN is like another."""
    return got == wanted or (math.isnan(got) and math.isnan(wanted))


def world(
    random: np.random.Generator, *, gaps: bool
) -> tuple[MemoryStore, dict[str, list[tuple[int, float]]]]:
    """A series of each kind, with all samples at the scrape's times or with some missing and some late."""
    store, kept = MemoryStore(), {}
    for kind, values in kinds(random).items():
        samples = [
            (index * STEP_MS + (int(random.integers(0, 3000)) if gaps else 0), value)
            for index, value in enumerate(values)
            if not gaps or random.random() < 0.9
        ]
        kept[kind] = samples
        store.extend(labels_of({"__name__": "m", "kind": kind}), samples)
    return store, kept


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("span_s", [15, 60, 300, 1800])
@pytest.mark.parametrize(("function", "naive"), [("sum", naive_sum), ("avg", naive_mean)])
def test_windows(function: str, naive: Callable[[Sequence[float]], float], span_s: int, gaps: bool) -> None:
    """Over windows sums have the bits of 3.14, and means of short windows; of long ones they are a last digit away at most."""
    store, kept = world(np.random.default_rng(span_s), gaps=gaps)
    query = f"{function}_over_time(m[{span_s}s])"
    result = range_(store, query, 0, SAMPLES * STEP_MS, STEP_MS, PLAIN, Budget(PLAIN))
    compared = 0
    for row in range(result.series):
        kind = dict(result.labels.labels(row))["kind"]
        for step, time_ms in enumerate(result.times_ms.tolist()):
            window = [value for at, value in kept[kind] if time_ms - span_s * 1000 < at <= time_ms]
            assert bool(window) == bool(result.present[row, step])
            if not window:
                continue
            got, wanted = float(result.values[row, step]), naive(window)
            shown = f"{kind} at {time_ms}: {got!r} is not {wanted!r}"
            if function == "sum" or len(window) <= SHORT or "constant" in kind or kind == "integers":
                assert same(got, wanted), shown
            else:
                assert same(got, wanted) or math.isclose(got, wanted, rel_tol=2**-51), shown
            compared += 1
    assert compared > 1000


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("span_s", [60, 300, 1800])
@pytest.mark.parametrize("function", ["sum_over_time", "avg_over_time"])
def test_ranges_show_the_bits_of_instants(function: str, span_s: int, gaps: bool) -> None:
    """What a window comes to does not depend on what else is asked: a range has the bits of its instants."""
    store, _ = world(np.random.default_rng(span_s), gaps=gaps)
    query = f"{function}(m[{span_s}s])"
    ranged = range_(store, query, 0, SAMPLES * STEP_MS, STEP_MS, PLAIN, Budget(PLAIN))
    for step in range(0, SAMPLES, 17):
        single = instant(store, query, int(ranged.times_ms[step]), PLAIN, Budget(PLAIN))
        got = {single.labels.labels(row): single.values[row, 0] for row in range(single.series)}
        for row in range(ranged.series):
            if ranged.present[row, step]:
                assert same(got[ranged.labels.labels(row)], ranged.values[row, step])


def grouped(
    random: np.random.Generator, groups: int, members: int
) -> tuple[MemoryStore, dict[str, np.ndarray]]:
    """Groups of series of each kind of value."""
    store, kept = MemoryStore(), {}
    for group in range(groups):
        for kind, values in kinds(random).items():
            if kind == "overflowing":
                continue  # Where a sum overflows depends on the order of series, which is no one's to know.
            matrix = np.array([random.permutation(values)[:20] for _ in range(members + group)])
            kept[f"{kind}{group}"] = matrix
            for index, row in enumerate(matrix):
                labels = labels_of({"__name__": "m", "kind": f"{kind}{group}", "i": f"{index:03}"})
                store.extend(labels, [(step * STEP_MS, value) for step, value in enumerate(row.tolist())])
    return store, kept


@pytest.mark.parametrize("groups", [1, 9])
def test_aggregations(groups: int) -> None:
    """`sum` over series has the bits of 3.14; a mean is a last digit away at most, and that of equal values is their value."""
    store, kept = grouped(np.random.default_rng(groups), groups, 12)
    for op, naive in (("sum", naive_sum), ("avg", naive_mean)):
        result = range_(store, f"{op} by (kind) (m)", 0, 19 * STEP_MS, STEP_MS, PLAIN, Budget(PLAIN))
        assert result.series == len(kept)
        for row in range(result.series):
            kind = dict(result.labels.labels(row))["kind"]
            for step in range(20):
                got, wanted = float(result.values[row, step]), naive(kept[kind][:, step].tolist())
                shown = f"{op} of {kind}: {got!r} is not {wanted!r}"
                if op == "sum" or "constant" in kind or "integers" in kind:
                    assert same(got, wanted), shown
                else:
                    assert same(got, wanted) or math.isclose(got, wanted, rel_tol=2**-51), shown
            single = instant(store, f"{op} by (kind) (m)", 3 * STEP_MS, PLAIN, Budget(PLAIN))
            at = {single.labels.labels(place): single.values[place, 0] for place in range(single.series)}
            assert same(at[result.labels.labels(row)], result.values[row, 3])


def test_sums_on_the_way_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a window function adds up its results itself or the aggregation above does it makes no difference."""
    random = np.random.default_rng(5)
    store = MemoryStore()
    for index in range(40):
        labels = labels_of({"__name__": "m_total", "group": str(index % 3), "i": str(index)})
        values = np.cumsum(np.round(random.random(60) * 10.0 ** random.integers(-3, 6), 3)).tolist()
        store.extend(labels, [(step * STEP_MS, value) for step, value in enumerate(values)])
    for op in ("sum", "avg"):
        query = f"{op} by (group) (rate(m_total[2m]))"
        apart = range_(store, query, 0, 60 * STEP_MS, STEP_MS, PLAIN, Budget(PLAIN))
        with monkeypatch.context() as patch:
            patch.setattr(foldedsum, "_CELLS_MIN", 1)
            folded = range_(store, query, 0, 60 * STEP_MS, STEP_MS, PLAIN, Budget(PLAIN))
        np.testing.assert_array_equal(apart.values, folded.values)
        single = instant(store, query, 30 * STEP_MS, PLAIN, Budget(PLAIN))
        np.testing.assert_array_equal(np.sort(single.values[:, 0]), np.sort(apart.values[:, 30]))


def test_a_constant_equals_its_mean() -> None:
    """`x == avg_over_time(x[3m])` holds for a constant, whatever its digits, and `x == scalar(avg(x))` for equal series."""
    random = np.random.default_rng(6)
    for value in (random.random(200) * 10.0 ** random.integers(-8, 8, 200)).tolist():
        store = MemoryStore()
        for index in range(12):
            labels = labels_of({"__name__": "x", "i": str(index)})
            store.extend(labels, [(step * STEP_MS, value) for step in range(13)])
        for query in ("x == avg_over_time(x[3m])", "x == avg_over_time(x[1h:1s])", "x == scalar(avg(x))"):
            assert instant(store, query, 12 * STEP_MS, PLAIN, Budget(PLAIN)).series == 12, (value, query)


def test_mean_after_a_series_has_ended() -> None:
    """Means over many samples have their values where the windows of all later steps are empty."""
    store = MemoryStore()
    values = [step * 0.37 for step in range(140)]
    store.extend(labels_of({"__name__": "m"}), [(step * STEP_MS, value) for step, value in enumerate(values)])
    found = range_(store, "avg_over_time(m[450s])", 300_000, 9_900_000, 480_000, PLAIN, Budget(PLAIN))
    first = sum(values[:21]) / 21
    assert found.values[0, 0] == pytest.approx(first, rel=1e-14)
    assert np.count_nonzero(found.present) == 5
