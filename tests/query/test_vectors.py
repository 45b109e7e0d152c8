"""Aggregations and vector matching against obvious loops, on random sparse vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import naive_vectors as naive
from trimon.model.labels import format_labels, labels_of
from trimon.model.sample import NORMAL_NAN
from trimon.query.answer.result import QueryResult
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import EXPERIMENTAL_FUNCTIONS, QueryOptions

OPTIONS = QueryOptions()
STEPS = 5
STEP_MS = 600_000

numbers = st.one_of(
    st.integers(-5, 5).map(float),
    st.floats(-1e9, 1e9).map(lambda v: round(v, 4)),
    st.sampled_from([math.inf, -math.inf, NORMAL_NAN, 0.0]),
)
label_sets = st.fixed_dictionaries(
    {"a": st.sampled_from(["", "x", "y"]), "b": st.sampled_from(["", "1", "2"])}
)
names = st.sets(st.sampled_from(["a", "b", "c"]))
Series = dict[naive.Labels, list[float | None]]


@st.composite
def vectors(draw: st.DrawFn, metrics: tuple[str, ...] = ("m",)) -> Series:
    """Series with samples at some of the steps."""
    out: Series = {}
    for _ in range(draw(st.integers(0, 6))):
        labels = labels_of({"__name__": draw(st.sampled_from(metrics)), **draw(label_sets)})
        out[labels] = draw(st.lists(st.one_of(st.none(), numbers, numbers), min_size=STEPS, max_size=STEPS))
    return out


def filled(*parts: Series) -> MemoryStore:
    """A store with samples far enough apart that no lookback joins them."""
    store = MemoryStore()
    for part in parts:
        for labels, row in part.items():
            store.extend(labels, [(k * STEP_MS, v) for k, v in enumerate(row) if v is not None])
    return store


def at(series: Series, step: int) -> naive.Instant:
    """The vector at one step."""
    return {labels: value for labels, row in series.items() if (value := row[step]) is not None}


def run(store: MemoryStore, query: str) -> QueryResult:
    """The range query over all steps."""
    return range_(store, query, 0, STEP_MS * (STEPS - 1), STEP_MS, OPTIONS, Budget(OPTIONS))


def check(store: MemoryStore, query: str, wanted: Callable[[int], naive.Instant]) -> None:
    """The engine gives at every step what `wanted` gives, and fails when any step is ambiguous."""
    try:
        steps = [wanted(step) for step in range(STEPS)]
    except naive.Ambiguous:
        with pytest.raises(QueryError):
            run(store, query)
        return
    result = run(store, query)
    shown = [result.labels.labels(row) for row in range(result.series)]
    assert len(set(shown)) == len(shown)
    for step, expected in enumerate(steps):
        got = {
            labels: float(result.values[row, step])
            for row, labels in enumerate(shown)
            if result.present[row, step]
        }
        assert got.keys() == expected.keys(), (query, step, got, expected)
        for labels, value in expected.items():
            close = math.isclose(got[labels], value, rel_tol=1e-9, abs_tol=1e-6 * abs(value) + 1e-9)
            both_nan = math.isnan(value) and math.isnan(got[labels])
            assert close or both_nan, (query, step, format_labels(labels), got[labels], value)


@pytest.mark.parametrize("op", ["sum", "avg", "min", "max", "count", "stdvar", "quantile"])
@settings(max_examples=60, deadline=None)
@given(series=vectors(), by=names, drop=st.booleans(), q=st.floats(-0.2, 1.2))
def test_aggregation_equals_its_loop(op: str, series: Series, by: set[str], drop: bool, q: float) -> None:
    """An aggregation over all steps gives what a loop over each step's groups gives."""
    param = f"{q!r}, " if op == "quantile" else ""
    query = f"{op} {'without' if drop else 'by'} ({', '.join(sorted(by))}) ({param}m)"
    check(filled(series), query, lambda step: naive.aggregate(op, at(series, step), by, drop=drop, param=q))


@pytest.mark.parametrize("op", ["sum", "quantile", "topk", "bottomk", "limitk", "limit_ratio"])
@settings(max_examples=60, deadline=None)
@given(series=vectors(), by=names, backwards=st.booleans())
def test_groups_come_as_their_first_series_do(op: str, series: Series, by: set[str], backwards: bool) -> None:
    """In an instant query the groups are in the order of the selected series, whatever their labels are."""
    store = filled(dict(reversed(series.items())) if backwards else series)
    param = "" if op == "sum" else "1, " if op in ("limit_ratio", "quantile") else "10, "

    def groups(query: str) -> list[tuple[str, ...]]:
        options = QueryOptions(features=frozenset({EXPERIMENTAL_FUNCTIONS}))
        result = instant(store, query, 0, options, Budget(options))
        found = [dict(result.labels.labels(row)) for row in range(result.series)]
        return list(dict.fromkeys(tuple(labels.get(name, "") for name in sorted(by)) for labels in found))

    assert groups(f"{op} by ({', '.join(sorted(by))}) ({param}m)") == groups("m")


@pytest.mark.parametrize("op", ["topk", "bottomk"])
@settings(max_examples=80, deadline=None)
@given(series=vectors(), by=names, k=st.integers(-1, 4))
def test_topk_keeps_the_best_values(op: str, series: Series, by: set[str], k: int) -> None:
    """topk and bottomk keep as many samples as a loop does, with the same values (ties may differ in name)."""
    result = run(filled(series), f"{op} by ({', '.join(sorted(by))}) ({k}, m)")
    for step in range(STEPS):
        expected = naive.aggregate(op, at(series, step), by, drop=False, param=k)
        got = [repr(v + 0.0) for v in result.values[result.present[:, step], step].tolist()]
        assert sorted(got) == sorted(repr(v + 0.0) for v in expected.values())


@pytest.mark.parametrize("op", ["topk", "bottomk"])
@pytest.mark.parametrize(
    ("k", "values", "kept"),
    [
        (2, (1.0, 1.0, 1.0, 1.0), "ab"),
        (3, (0.0, -0.0, 0.0, 0.0), "abc"),
        (1, (math.nan, math.nan, math.nan, math.nan), "a"),
        (3, (math.nan, 2.0, math.nan, 2.0), "abd"),
    ],
)
def test_of_equal_samples_the_first_by_labels_is_kept(
    op: str, k: int, values: Sequence[float], kept: str
) -> None:
    """In whatever order series come, and in a range as in an instant query; alone and in groups."""
    store = MemoryStore()
    for name, value in zip("abcd", values, strict=True):
        store.extend(labels_of({"__name__": "m", "name": name}), [(0, value)])
    for order in ("dcba", "bdac", "abcd"):
        vector = " or ".join(f'm{{name="{name}"}}' for name in order)
        for clause in ("", "by (job)"):
            query = f"{op} {clause} ({k}, {vector})"
            for result in (run(store, query), instant(store, query, 0, OPTIONS, Budget(OPTIONS))):
                names = [dict(result.labels.labels(row))["name"] for row in range(result.series)]
                assert sorted(names) == list(kept)
                if math.isfinite(values[0]):
                    assert names == list(kept)


@pytest.mark.parametrize("op", ["+", "-", "*", "/", "==", "!=", "<", ">="])
@settings(max_examples=60, deadline=None)
@given(
    left=vectors(("l",)),
    right=vectors(("r",)),
    by=names,
    on=st.booleans(),
    group=st.sampled_from(["", "left", "right"]),
)
def test_binary_operator_equals_its_loop(
    op: str, left: Series, right: Series, by: set[str], on: bool, group: str
) -> None:
    """Vector matching over all steps gives what dictionaries give step by step, errors included."""
    clause = f"{'on' if on else 'ignoring'} ({', '.join(sorted(by))})"
    query = f"l {op} {clause} {f'group_{group} ()' if group else ''} r"
    check(
        filled(left, right),
        query,
        lambda step: naive.binary(op, at(left, step), at(right, step), by, on=on, group=group),
    )


@pytest.mark.parametrize("op", ["and", "or", "unless"])
@settings(max_examples=80, deadline=None)
@given(left=vectors(("l", "r")), right=vectors(("l", "r")), by=names, on=st.booleans())
def test_set_operator_equals_its_loop(op: str, left: Series, right: Series, by: set[str], on: bool) -> None:
    """Set operators keep exactly the samples that dictionaries keep."""
    left = {labels: row for labels, row in left.items() if ("__name__", "l") in labels}
    right = {labels: row for labels, row in right.items() if ("__name__", "r") in labels}
    query = f"l {op} {'on' if on else 'ignoring'} ({', '.join(sorted(by))}) r"
    check(
        filled(left, right),
        query,
        lambda step: naive.set_operator(op, at(left, step), at(right, step), by, on=on),
    )
