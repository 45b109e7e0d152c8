"""Rows that wait packed: the same to the bit, wherever they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimon.compiled import library
from trimon.errors import OperatingError
from trimon.model.sample import ABSENT, is_absent
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head import packedrows
from trimon.storage.head.packedrows import PackedRows, noted_starts, pack, pack_plain, unpack, unpack_plain
from trimon.storage.head.scrapegroup import PACKED_COLUMNS_MIN, PACKED_ROWS, RawChunk, ScrapeGroup

compiled = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")

BITS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 300).map(lambda number: int(np.float64(number).view(np.uint64))),
    st.floats(allow_subnormal=True).map(lambda number: int(np.float64(number).view(np.uint64))),
    st.sampled_from([0, 1 << 63, 1, (1 << 64) - 1, int(np.float64(ABSENT).view(np.uint64))]),
)


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 5), st.sampled_from([0, 1, 3, 6, 17, 33]), st.data())
@example(1, 3, None)
def test_rows_come_back_to_the_bit(rows: int, columns: int, data: st.DataObject | None) -> None:
    """Whatever the bits are, any rows of any columns are what was packed; by the twins, too."""
    size = rows * columns
    bits = [7] * size if data is None else data.draw(st.lists(BITS, min_size=size, max_size=size))
    values = np.array(bits, np.uint64).view(np.float64).reshape(rows, columns)
    begin = 0 if data is None else data.draw(st.integers(0, rows))
    end = rows if data is None else data.draw(st.integers(begin, rows))
    chosen = st.lists(st.integers(0, columns - 1), max_size=8) if columns else st.just([])
    wanted = np.array([0] if data is None else data.draw(chosen), np.int64)
    plain = pack_plain(values)
    found = unpack_plain(plain, rows, begin, end, wanted)
    assert found.tobytes() == values[begin:end, wanted].tobytes()
    packed = pack(values)
    assert [part.tobytes() for part in packed] == [part.tobytes() for part in plain]
    assert unpack(packed, noted_starts(packed, rows), rows, begin, end, wanted).tobytes() == found.tobytes()


@compiled
@pytest.mark.parametrize("wanted", [[-1], [2], [1, 5]])
def test_nothing_is_read_out_of_bounds(wanted: list[int]) -> None:
    """Columns that are not there are refused, and so are rows of which there are no bytes."""
    packed = pack(np.arange(6.0).reshape(3, 2))
    with pytest.raises(OperatingError, match="damaged"):
        unpack(packed, noted_starts(packed, 3), 3, 0, 3, np.array(wanted))
    with pytest.raises(OperatingError, match="damaged"):
        unpack(packed, noted_starts(packed, 3), 3, 0, 9, np.array([1]))
    with pytest.raises(OperatingError, match="damaged"):
        unpack(packed, noted_starts(packed, 9), 9, 0, 9, np.array([1]))


def test_what_hardly_changes_takes_little() -> None:
    """A column that stays takes nine bytes, counts of small steps two bytes a sample."""
    rows = 16
    values = np.stack([np.full(rows, 3.25), 1_000_000.0 + np.arange(rows)], axis=1)
    packed = pack(values)
    assert packed.codes[0] == 0
    assert len(packed.data) <= 2 * (rows - 1) + 8


def group_of(columns: int) -> ScrapeGroup:
    """A group of so many series, each in the column of its number."""
    group = ScrapeGroup(0, "target", ArrayCache())
    numbers = np.arange(columns)
    group.grant(numbers, numbers.astype(np.int32), np.ones(columns, np.bool_))
    return group


def append(group: ScrapeGroup, time_ms: int, values: np.ndarray) -> None:
    """Store a row and publish it."""
    group.append_row(time_ms, np.arange(len(values)), values, prefix=True)
    group.seal_if_due()


def test_full_chunks_of_wide_groups_are_packed() -> None:
    """A reader finds the same cells in them, and what it held before stays as it was."""
    width = PACKED_COLUMNS_MIN
    group = group_of(width)
    values = np.random.default_rng(1).integers(0, 1000, size=(PACKED_ROWS + 3, width)).astype(np.float64)
    values[5, 3] = ABSENT
    for row in range(PACKED_ROWS - 1):
        append(group, row, values[row])
    before = group.view
    for row in range(PACKED_ROWS - 1, len(values)):
        append(group, row, values[row])
    first, second = group.view.raw
    assert isinstance(first, PackedRows)
    assert isinstance(second, RawChunk)
    assert group.view.rows == second.rows == 3
    columns = np.array([3, 0, width - 1])
    assert first.cells(2, 7, columns).tobytes() == values[2:7, columns].tobytes()
    assert first.row(5, np.array([3, 1]))[1] == values[5, 1]
    assert is_absent(first.row(5, np.array([3])))[0]
    assert first.matrix()[:, :width].tobytes() == values[:PACKED_ROWS].tobytes()
    assert before.raw[0].matrix()[: before.rows, :width].tobytes() == values[: before.rows].tobytes()
    assert first.filled_bytes < values[:PACKED_ROWS].nbytes


def test_a_column_with_another_owner_does_not_change_chunks_before() -> None:
    """Rows that are packed belong to the series of their time, also where chunks share who owns what."""
    width = PACKED_COLUMNS_MIN
    group = group_of(width)
    values = np.ones(width)
    for row in range(2 * PACKED_ROWS + 1):
        append(group, row, values)
    shared = group.view.raw[1].series
    assert group.view.raw[2].series is shared
    group.grant(np.array([width]), np.array([77], np.int32), np.ones(1, np.bool_))
    assert group.view.raw[2].series[width] == 77
    assert group.view.raw[1].series[width] == -1


def test_sealing_packed_rows_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has every sample of packed and unpacked chunks, by the twins too."""
    for is_compiled in (True, False):
        with monkeypatch.context() as patch:
            if not is_compiled:
                patch.setattr(packedrows, "_pack", None)
                patch.setattr(packedrows, "_unpack", None)
            width = PACKED_COLUMNS_MIN
            group = group_of(width)
            values = np.random.default_rng(2).normal(size=(PACKED_ROWS + 5, width))
            for row in range(len(values)):
                append(group, row, values[row])
            assert isinstance(group.view.raw[0], PackedRows)
            group.seal()
            (page,) = group.view.sealed
            numbers = np.arange(width)
            (frame,) = page.read(numbers, numbers.astype(np.int32), 0, 1000)
            assert frame.values.reshape(width, -1).tobytes() == np.ascontiguousarray(values.T).tobytes()
