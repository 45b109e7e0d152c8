"""Rows of a group that are complete and not sealed yet, packed by column: two to three bytes a sample, not eight.

Of a column the first value is kept, and of every later one the bits in which it differs from the first: those bytes in which
any of the column does. A column that does not change takes nothing more. It is exact to the bit, and quick both ways, so that
rows can wait in it until there are enough of them for the codec of sealed pages.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trimon.compiled.library import ADDRESS, INT64, address_of, function
from trimon.errors import OperatingError
from trimon.storage.head.arena import Floats, Int32s, Int64s, UInt64s, ragged_positions

Bytes = npt.NDArray[np.uint8]

# A word is read at once, so that after the last one there are as many bytes more.
_PADDING: Final = 8
# Of so many columns one has its place noted.
_NOTED_EVERY: Final = 16
_pack: Final = function("trimon_pack_rows", INT64, (ADDRESS, INT64, INT64, ADDRESS, ADDRESS, ADDRESS))
_unpack: Final = function(
    "trimon_unpack_rows",
    INT64,
    (ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, INT64, ADDRESS, INT64, INT64, INT64, INT64, ADDRESS),
)


class Columns(NamedTuple):
    """A packed matrix: by column the bits of its first value, and a code: how many bytes of a value are kept, plus 16 times
    how many there are below them; then these bytes, column after column, without the first row, and 8 zeros."""

    firsts: UInt64s
    codes: Bytes
    data: Bytes

    def starts(self, rows: int) -> Int64s:
        """Where the bytes of each column begin."""
        sizes = (self.codes & 15).astype(np.int64) * (rows - 1)
        return np.cumsum(sizes) - sizes


def pack_plain(values: Floats) -> Columns:
    """`values[row, column]`, at least one row."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    differ = bits[1:] ^ bits[0]
    any_of = np.bitwise_or.reduce(differ, axis=0)
    of_bytes = any_of.astype("<u8").view(np.uint8).reshape(-1, 8) != 0
    changes = of_bytes.any(axis=1)
    shifts = np.where(changes, of_bytes.argmax(axis=1), 0)
    widths = np.where(changes, 8 - of_bytes[:, ::-1].argmax(axis=1) - shifts, 0)
    words = np.ascontiguousarray((differ >> (8 * shifts).astype(np.uint64)).T, "<u8")
    kept = np.arange(8) < widths[:, None, None]
    data = words.view(np.uint8).reshape(*words.shape, 8)[np.broadcast_to(kept, (*words.shape, 8))]
    codes = (widths | shifts << 4).astype(np.uint8)
    return Columns(bits[0].copy(), codes, np.concatenate((data, np.zeros(_PADDING, np.uint8))))


def pack(values: Floats) -> Columns:
    """As `pack_plain`, by the compiled loop if there is one."""
    if _pack is None:
        return pack_plain(values)
    values = np.ascontiguousarray(values)
    rows, columns = values.shape
    firsts, codes = np.empty(columns, np.uint64), np.empty(columns, np.uint8)
    room = np.empty(values.size * 8, np.uint8)
    size = _pack(address_of(values), rows, columns, address_of(firsts), address_of(codes), address_of(room))
    return Columns(firsts, codes, np.concatenate((room[:size], np.zeros(_PADDING, np.uint8))))


def unpack_plain(packed: Columns, rows: int, begin: int, end: int, columns: Int64s) -> Floats:
    """Rows `begin` to `end` of some columns, of `rows` in all: `values[row, place]`."""
    widths = (packed.codes[columns] & 15).astype(np.int64)
    shifts = (packed.codes[columns] >> 4).astype(np.uint64)
    out = np.repeat(packed.firsts[columns][None], end - begin, axis=0)
    later = np.arange(max(begin, 1), end)
    words = np.zeros((len(columns), len(later), 8), np.uint8)
    starts = packed.starts(rows)[columns, None] + (later - 1) * widths[:, None]
    lengths = np.repeat(widths, len(later))
    at = ragged_positions(np.arange(len(lengths)) * 8, lengths)
    words.reshape(-1)[at] = packed.data[ragged_positions(starts.reshape(-1), lengths)]
    out[len(out) - len(later) :] ^= (words.view("<u8")[:, :, 0] << (shifts * np.uint64(8))[:, None]).T
    return out.view(np.float64)


def noted_starts(packed: Columns, rows: int) -> Int64s:
    """Where the bytes of every 16th column begin."""
    return packed.starts(rows)[::_NOTED_EVERY].copy()


def unpack(packed: Columns, noted: Int64s, rows: int, begin: int, end: int, columns: Int64s) -> Floats:
    """As `unpack_plain`, by the compiled loop if there is one; `noted` are the packed columns' `noted_starts`."""
    if _unpack is None:
        return unpack_plain(packed, rows, begin, end, columns)
    columns = np.ascontiguousarray(columns, np.int64)
    out = np.empty((end - begin, len(columns)))
    if _unpack(
        address_of(packed.firsts), address_of(packed.codes), address_of(noted), len(packed.codes),
        address_of(packed.data), len(packed.data) - _PADDING, address_of(columns), len(columns),
        rows, begin, end, address_of(out),
    ):  # fmt: skip
        raise OperatingError("packed rows of the head are damaged in memory")
    return out


class PackedRows:
    """Rows that are published, at `times`; column `c` belongs to `series[c]`. Nothing of it changes."""

    __slots__ = ("_noted", "_packed", "rows", "series", "times")

    def __init__(self, times: Int64s, values: Floats, series: Int32s) -> None:
        self.times = times.copy()
        self.rows = len(times)
        self.series = series
        self._packed = pack(values)
        self._noted = noted_starts(self._packed, self.rows)

    def cells(self, begin: int, end: int, columns: Int64s) -> Floats:
        """Some rows of some columns: `values[row, place]`. All columns are there."""
        return unpack(self._packed, self._noted, self.rows, begin, end, columns)

    def row(self, row: int, columns: Int64s) -> Floats:
        """A row of some columns; of a column that is not there any value."""
        found: Floats = self.cells(row, row + 1, np.minimum(columns, len(self.series) - 1))[0]
        return found

    def matrix(self) -> Floats:
        """All of it: `values[row, column]`."""
        return self.cells(0, self.rows, np.arange(len(self.series)))

    @property
    def mapped_bytes(self) -> int:
        """Of the memory held what is in a mapping of its own."""
        return 0

    @property
    def filled_bytes(self) -> int:
        """Memory held, without `series`, which other chunks share."""
        return 500 + self.times.nbytes + self._noted.nbytes + sum(part.nbytes for part in self._packed)
