"""Series as JSON: the compiled loop and its twin, and what a number looks like."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trimon.query.answer import jsonrows
from trimon.query.answer.jsonnumbers import format_values
from trimon.query.answer.jsonrows import Rows, Stamps, json_rows, rows_in_python

ANY = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
SHORT = st.tuples(st.integers(-(10**17), 10**17), st.integers(-30, 30)).map(lambda p: float(f"{p[0]}e{p[1]}"))
NUMBERS = st.one_of(ANY, SHORT, st.integers(-(2**60), 2**60).map(float), st.sampled_from([0.0, -0.0]))
EDGES = [
    1e-6,
    9.999999999999999e-7,
    1e21,
    9.99999999999999e20,
    1e16,
    1e15,
    1e-5,
    5e-324,
    1.7976931348623157e308,
]
needs_library = pytest.mark.skipif(jsonrows._JSON_ROWS is None, reason="there is no compiled library")


@needs_library
@given(st.lists(st.lists(NUMBERS, max_size=6), max_size=6))
@example([EDGES, [-each for each in EDGES], [float("inf"), float("-inf"), float("nan")]])
def test_the_compiled_loop_and_its_twin_write_the_same_bytes(rows: list[list[float]]) -> None:
    """All numbers there are, at any times, under any labels: the same to the byte by either way."""
    values = np.array([value for row in rows for value in row], np.float64)
    ends = np.cumsum([len(row) for row in rows]).tolist() if rows else []
    stamps = Stamps([str(1_700_000_000 + step) + (".5" if step % 2 else "") for step in range(10)])
    stamp_of = np.array([step for row in rows for step in range(len(row))], np.int32)
    sets = [f'{{"job":"{"ü" * (number % 3)}{number}"}}' for number in range(len(rows))]
    rows_of = Rows(sets, values, ends, stamps, stamp_of)
    twin = rows_in_python(rows_of)
    assert json_rows(rows_of) == twin
    assert len(json.loads(b"[" + twin + b"]")) == len(rows)


@needs_library
@given(st.lists(NUMBERS, max_size=20))
@example([*EDGES, 0.0, -0.0])
def test_an_instant_is_written_the_same_by_both(values: list[float]) -> None:
    """One sample a series, as of an instant."""
    column = np.array(values, np.float64)
    sets, stamps = ["{}"] * len(values), Stamps(["1.5"])
    rows = Rows(sets, column, range(1, len(values) + 1), stamps, np.zeros(len(values), np.int32), single=True)
    written = json_rows(rows)
    assert written == rows_in_python(rows)
    assert [row["value"][1] for row in json.loads(b"[" + written + b"]")] == format_values(column)


@needs_library
def test_the_compiled_loop_refuses_what_does_not_fit() -> None:
    """Too few numbers, times that are none, ends that go back and too little room give -1, and nothing is written beyond."""
    loop = jsonrows._JSON_ROWS
    assert loop is not None

    def run(numbers: bytes = b"[1.0,2e20]", stamp: int = 0, row_end: int = 2, room: int = 200) -> int:
        out = np.full(256, 7, np.uint8)
        values, codes = np.array([1.0, 2e20]), np.array([0, stamp], np.int32)
        ends, rows = np.array([2], np.int64), np.array([row_end], np.int64)
        found = loop(
            *(numbers, len(numbers), values.ctypes.data, 2),
            *(b"17", 2, ends.ctypes.data, 1, codes.ctypes.data),
            *(b"{}", 2, ends.ctypes.data, rows.ctypes.data, 1),
            *(0, out.ctypes.data, room),
        )
        assert (out[room:] == 7).all()
        return int(found)

    written = b'{"metric":{},"values":[[17,"1"],[17,"200000000000000000000"]]}'
    assert run() == len(written)
    assert run(room=len(written) + 32) == len(written)
    for room in range(len(written)):
        assert run(room=room) == -1
    for numbers in (
        b"",
        b"[",
        b"[]",
        b"[1.0]",
        b"[1.0,",
        b"[1.0,2",
        b"[1.0,e]",
        b"[1.0,2e]",
        b"[1.0,2e99999]",
        b"[1.0,2x3e4]",
    ):
        assert run(numbers=numbers) == -1, numbers
    assert run(stamp=1) == -1
    assert run(stamp=-1) == -1
    assert run(row_end=3) == -1
    assert run(row_end=-1) == -1
