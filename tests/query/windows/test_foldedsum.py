"""Aggregations done inside a window function, against the same aggregation over its series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.query.windows.test_windows import OPTIONS, stores
from tests.support import naive_promql as naive
from trimon.model.labels import labels_of
from trimon.query.answer.result import QueryResult
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.execution.reducers import reduce_rows
from trimon.query.language.errors import QueryError
from trimon.query.windows import foldedsum

FUNCTIONS = ("rate", "increase", "delta", "sum_over_time", "avg_over_time", "count_over_time", "resets")
amounts = st.one_of(
    st.floats(0, 1e9), st.integers(0, 50).map(float), st.sampled_from([math.nan, math.inf, 1e308])
)


def asked(store: MemoryStore, query: str, step: int = 15_000) -> QueryResult:
    """Twelve steps of a query."""
    return range_(store, query, 0, step * 11, step, OPTIONS, Budget(OPTIONS))


def filled(series: dict[str, naive.Window], names: tuple[str, ...] = ("m_total",)) -> MemoryStore:
    """The series under every name, in two groups."""
    store = MemoryStore()
    for name in names:
        for index, samples in series.items():
            group = "odd" if int(index) % 2 else "even"
            store.extend(labels_of({"__name__": name, "i": index, "g": group}), samples)
    return store


def both(monkeypatch: pytest.MonkeyPatch, store: MemoryStore, query: str) -> tuple[QueryResult, QueryResult]:
    """The answer with and without folding."""
    monkeypatch.setattr(foldedsum, "_CELLS_MIN", 0)
    folded = asked(store, query)
    monkeypatch.setattr(foldedsum, "_CELLS_MIN", 1 << 60)
    return folded, asked(store, query)


@pytest.mark.parametrize("op", ["sum", "avg"])
@pytest.mark.parametrize("clause", ["", "by (g)", "without (i)"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    series=st.one_of(stores(), stores(amounts)),
    function=st.sampled_from(FUNCTIONS),
    range_s=st.sampled_from([15, 60, 300]),
)
def test_folding_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    op: str,
    clause: str,
    series: dict[str, naive.Window],
    function: str,
    range_s: int,
) -> None:
    """Labels, samples, annotations and counts are those of the aggregation over all series, whatever the samples."""
    query = f"{op} {clause} ({function}(m_total[{range_s}s]))"
    folded, plain = both(monkeypatch, filled(series), query)
    assert [folded.labels.labels(row) for row in range(folded.series)] == [
        plain.labels.labels(row) for row in range(plain.series)
    ]
    assert (folded.present == plain.present).all()
    there = plain.present
    np.testing.assert_allclose(folded.values[there], plain.values[there], rtol=1e-12, equal_nan=True)
    assert folded.infos == plain.infos
    assert (folded.stats.samples_per_step == plain.stats.samples_per_step).all()


def test_sums_of_a_counter_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The series of a counter's rate are never laid out when only their sum is asked for."""
    series = {str(i): [(step * 15_000, float(step * i)) for step in range(40)] for i in range(6)}
    folded, plain = both(monkeypatch, filled(series), "sum by (g) (rate(m_total[1m]))")
    assert folded.stats.samples_peak < plain.stats.samples_peak
    np.testing.assert_allclose(folded.values, plain.values, rtol=1e-12)


@pytest.mark.parametrize("op", ["sum", "avg"])
def test_sums_of_huge_values_are_not_folded(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    """Values that can not be split have a sum all the same."""
    series = {"1": [(1, 0.0), (2, 1e308)], "2": [(1, 0.0)], "3": [(1, 0.0)]}
    folded, plain = both(monkeypatch, filled(series), f"{op} without (i) (rate(m_total[15s]))")
    np.testing.assert_array_equal(folded.values, plain.values)
    assert folded.values[folded.present].max() > 1e306


def test_folding_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series that differ by their names alone are an error under a window function, folded or not."""
    monkeypatch.setattr(foldedsum, "_CELLS_MIN", 0)
    series = {str(i): [(step * 15_000, float(step)) for step in range(40)] for i in range(6)}
    store = filled(series, ("a_total", "b_total"))
    with pytest.raises(QueryError, match="same labelset"):
        asked(store, 'sum(rate({__name__=~"._total"}[1m]))')


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), steps=st.sampled_from([1, 15, 16, 40]))
def test_rows_are_reduced_by_group(sizes: list[int], steps: int) -> None:
    """Groups of equal and of many sizes are reduced to what each gives alone."""
    values = np.random.default_rng(len(sizes)).integers(-50, 50, (sum(sizes), steps)).astype(np.float64)
    bounds = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = reduce_rows(np.add, values, bounds)
    shuffled = np.random.default_rng(1).permutation(len(values))
    assert (reduce_rows(np.add, values[shuffled], bounds, np.argsort(shuffled)) == found).all()
    for group, (begin, size) in enumerate(zip(bounds.tolist(), sizes, strict=True)):
        assert (found[group] == values[begin : begin + size].sum(axis=0)).all()
