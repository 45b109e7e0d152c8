"""The loop over the cells of a row of the log, against its twin."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimon.compiled import library
from trimon.storage.wal.cells import pack_cells, pack_cells_plain, unpack_cells, unpack_cells_plain

pytestmark = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")

CELLS = st.one_of(
    st.integers(-5, 5).map(float),
    st.integers(-(2**54), 2**54).map(float),
    st.integers(-(10**7), 10**7).map(lambda number: number / 1000),
    st.floats(allow_subnormal=True),
    st.sampled_from([0.0, -0.0, float("inf"), float("nan"), 2.0**52, 2.0**52 - 1, 0.001, -0.001]),
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=40), st.sampled_from(["any", "first", "second"]))
@example([(0.0, -0.0)], "any")
@example([(float("nan"), 1.0), (1.0, 1.5)], "any")
def test_rows_are_packed_as_the_twin_does(cells: list[tuple[float, float]], kind: str) -> None:
    """Header and bytes are the same, and say the row to the bit."""
    wanted = [(a, a) if kind == "first" and place % 2 else (a, b) for place, (a, b) in enumerate(cells)]
    if kind == "second":
        wanted = [
            (round(a), round(b)) if abs(a) < 2**60 and abs(b) < 2**60 else (1.0, 2.0) for a, b in wanted
        ]
    previous = np.array([a for a, _ in wanted], np.float64)
    values = np.array([b for _, b in wanted], np.float64)
    header, data = pack_cells(previous, values)
    assert (header, data) == pack_cells_plain(previous, values)
    found, used = unpack_cells(previous, header, memoryview(data))
    assert used == len(data)
    assert found.tobytes() == values.tobytes()
    plainly, used = unpack_cells_plain(previous, header, memoryview(data))
    assert (found.tobytes(), used) == (plainly.tobytes(), len(data))


NUMBERS = st.one_of(st.integers(-2, 9), st.integers(0, 2**64 - 1))


@settings(max_examples=1500, deadline=None)
@given(st.lists(CELLS, max_size=20), st.lists(NUMBERS, min_size=6, max_size=6), st.binary(max_size=80))
@example([1.0, 2.0, 3.0], [2, 1, 0, 1, 0, 1], b"\xc0\x01\x00\x02\x03")
@example([1.0, 2.0], [2, 1, 0, 1, 0, 1], b"\x01\x01\x02\x03")
def test_what_is_no_row_is_what_the_twin_says(previous: list[float], header: list[int], data: bytes) -> None:
    """Numbers and bytes of chance are the twin's row to the bit, or its error."""
    before = np.array(previous, np.float64)
    wanted: tuple[bytes, int] | None = None
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        values, used = unpack_cells_plain(before, header, memoryview(data))
        wanted = values.tobytes(), used
    try:
        with np.errstate(all="ignore"):
            values, used = unpack_cells(before, header, memoryview(data))
    except Exception:  # noqa: BLE001 # of the twin
        assert wanted is None
    else:
        assert (values.tobytes(), used) == wanted
