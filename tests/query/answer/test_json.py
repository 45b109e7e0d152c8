"""The JSON of results, written by columns, against a loop that writes one series and one number at a time."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import orjson
from hypothesis import given

from trimon.model.table import LabelTable
from trimon.query.answer.json import render_data
from trimon.query.answer.jsonlabels import format_label_sets
from trimon.query.answer.jsonnumbers import format_value, format_values
from trimon.query.answer.result import QueryResult, RangeSamples
from trimon.query.execution.stats import QueryStats

NAMES = ("__name__", 'a"b', "c")
VALUES = st.sampled_from(["", "a", "b", "x,", 'x",', '"', ",", '","', "\\", "ü", "\udcff", "\n", "{}"])
LABELS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=0, max_size=8)
WHOLE = st.integers(-(2**53), 2**53).map(float)
NUMBERS = st.one_of(
    st.lists(WHOLE), st.lists(st.floats(width=64)), st.lists(st.one_of(WHOLE, st.floats(-1e3, 1e3))),
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e-6, 1e-7, 1e16, 1e21, math.nan, math.inf, -math.inf])),
)  # fmt: skip


def table(rows: list[tuple[str, ...]]) -> LabelTable:
    """The rows, out of a table that has other names and values too."""
    more = [*rows, ("unused", "", "x"), ("", "unused", "")]
    sets = [tuple((name, value) for name, value in zip(NAMES, row, strict=True) if value) for row in more]
    return LabelTable.of(sets).take(np.arange(len(rows), dtype=np.intp))


def plain(text: str) -> str:
    """What cannot be encoded is replaced, byte by byte."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def naive_set(row: tuple[str, ...]) -> str:
    return orjson.dumps({name: plain(v) for name, v in zip(NAMES, row, strict=True) if v}).decode()


@given(NUMBERS)
def test_numbers(numbers: list[float]) -> None:
    """A column of numbers is written as each number alone."""
    assert format_values(np.array(numbers, np.float64)) == [format_value(number) for number in numbers]


def test_signaling_nans() -> None:
    """A NaN of any bits is NaN, without a warning."""
    bits = np.array([0x7FF0000000000001, 0xFFF4000000000000, 0x3FF0000000000000], dtype=np.uint64)
    assert format_values(bits.view(np.float64)) == ["NaN", "NaN", "1"]


@given(LABELS)
def test_label_sets(rows: list[tuple[str, ...]]) -> None:
    """Label sets are objects of the labels that are there, whatever characters they have."""
    assert format_label_sets(table(rows)) == [naive_set(row) for row in rows]


@given(LABELS, st.integers(-10_000, 10_000))
def test_vectors(rows: list[tuple[str, ...]], time_ms: int) -> None:
    """A vector is its series, each with time and value, in their order."""
    values = np.arange(len(rows), dtype=np.float64)[:, None] / 3
    times = np.array([time_ms], np.int64)
    result = QueryResult("vector", table(rows), times, values, np.ones_like(values, np.bool_), QueryStats(1))
    sign, size = ("-", -time_ms) if time_ms < 0 else ("", time_ms)
    time = f"{sign}{size // 1000}" + (f".{size % 1000:03d}" if size % 1000 else "")
    wanted = ",".join(
        f'{{"metric":{naive_set(row)},"value":[{time},"{format_value(value)}"]}}'
        for row, value in zip(rows, values[:, 0].tolist(), strict=True)
    )
    assert render_data(result) == f'{{"resultType":"vector","result":[{wanted}]}}'.encode()


@given(LABELS, st.integers(1, 6), st.data())
def test_matrices(rows: list[tuple[str, ...]], steps: int, data: st.DataObject) -> None:
    """A matrix is its series, each with the steps that it has, on a grid or with samples of its own."""
    size = len(rows) * steps
    cells = data.draw(
        st.lists(st.sampled_from([0.5, 1.0, math.nan, 1e-7, 7.25]), min_size=size, max_size=size)
    )
    there = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    values = np.array(cells, np.float64).reshape(len(rows), steps)
    present = np.array(there, np.bool_).reshape(len(rows), steps)
    times = np.arange(steps, dtype=np.int64) * 15_000
    result = QueryResult("matrix", table(rows), times, values, present, QueryStats(steps))
    series = []
    for index, row in enumerate(rows):
        points = ",".join(
            f'[{15 * step},"{format_value(float(values[index, step]))}"]'
            for step in np.flatnonzero(present[index])
        )
        series.append(f'{{"metric":{naive_set(row)},"values":[{points}]}}')
    wanted = f'{{"resultType":"matrix","result":[{",".join(series)}]}}'.encode()
    assert render_data(result) == wanted
    flat: RangeSamples = result.flat()
    loose = QueryResult("matrix", table(rows), times, values, present, QueryStats(steps), flat)
    assert render_data(loose) == wanted
    assert render_data(result, b'{"a":1}') == wanted[:-1] + b',"stats":{"a":1}}'
