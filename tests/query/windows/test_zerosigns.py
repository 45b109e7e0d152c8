"""Of 0 and -0 the first is the largest and the smallest, of a window and of a group."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.labels import labels_of
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions

PLAIN = QueryOptions()
STEP_MS = 60_000
COUNT = 40
LAST_MS = (COUNT - 1) * STEP_MS
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, math.nan])
ROWS = st.lists(st.lists(VALUES, min_size=COUNT, max_size=COUNT), min_size=1, max_size=3)
Rows = Sequence[Sequence[float]]


def store_of(rows: Rows, late_ms: int) -> MemoryStore:
    """Series of one sample a step, each later than the one before it by so much."""
    store = MemoryStore()
    for index, values in enumerate(rows):
        samples = [(step * STEP_MS - index * late_ms, value) for step, value in enumerate(values)]
        store.extend(labels_of({"__name__": "m", "i": str(index)}), samples)
    return store


def extreme(values: Sequence[float], sign: int) -> float:
    """The first of the largest values, or of the smallest for -1; NaN only if there is nothing else."""
    best = values[0]
    for value in values:
        if math.isnan(best) or sign * value > sign * best:
            best = value
    return best


def bits(values: Sequence[float]) -> list[bytes]:
    """Bits of floats; all NaN are one."""
    return [np.float64(math.nan if math.isnan(value) else value).tobytes() for value in values]


@given(ROWS, st.sampled_from([1, 2, 3, 8, 30]), st.sampled_from([0, 7_000]), st.sampled_from([1, 2]))
def test_windows(rows: Rows, width: int, late_ms: int, stride: int) -> None:
    """Each window of a range, regular or not, has the bits of a loop over its samples."""
    store = store_of(rows, late_ms)
    for name, sign in (("max", 1), ("min", -1)):
        query = f"{name}_over_time(m[{width}m])"
        found = range_(store, query, 0, LAST_MS, STEP_MS * stride, PLAIN, Budget(PLAIN)).values
        for row, values in enumerate(rows):
            parts = [values[max(0, step + 1 - width) : step + 1] for step in range(0, COUNT, stride)]
            assert bits(found[row].tolist()) == bits([extreme(part, sign) for part in parts])


@given(ROWS)
def test_groups(rows: Rows) -> None:
    """Each step of a range and each instant query has the bits of a loop over the series."""
    store = store_of(rows, 0)
    for name, sign in (("max", 1), ("min", -1)):
        expected = bits([extreme(column, sign) for column in zip(*rows, strict=True)])
        found = range_(store, f"{name}(m)", 0, LAST_MS, STEP_MS, PLAIN, Budget(PLAIN)).values
        assert bits(found[0].tolist()) == expected
        last = instant(store, f"{name}(m)", LAST_MS, PLAIN, Budget(PLAIN)).values
        assert bits(last[0].tolist()) == expected[-1:]


@pytest.mark.parametrize("name", ["max", "min"])
def test_two_groups_with_gaps(name: str) -> None:
    """A series without a sample is passed over, and groups do not see each other's zeros."""
    store = MemoryStore()
    for group, index, value in (("a", "2", -0.0), ("a", "3", 0.0), ("b", "1", 0.0), ("b", "2", -0.0)):
        store.extend(labels_of({"__name__": "m", "g": group, "i": index}), [(600_000, value)])
    store.extend(labels_of({"__name__": "m", "g": "a", "i": "1"}), [(0, 0.0)])
    found = range_(store, f"1 / {name} by (g) (m)", 600_000, 660_000, 60_000, PLAIN, Budget(PLAIN)).values
    assert found.tolist() == [[-math.inf] * 2, [math.inf] * 2]
