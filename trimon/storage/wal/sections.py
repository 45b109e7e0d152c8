"""The sections of a batch record: a list of numbers and strings each, and the arrays that belong to it.

A payload is the length of a msgpack list (u32), the list of sections, then all arrays in order. The last
number of a section is the size of its arrays in bytes, so that a section that cannot be used can be skipped.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgpack
import numpy as np

from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.index import SeriesIndex
from trimon.storage.wal.cells import pack_cells, pack_planes
from trimon.storage.wal.loosecells import pack_loose, steps

PAIRS: Final = 1
SERIES: Final = 2
GROUPS: Final = 3
GRANT: Final = 4
ROW: Final = 5
LOOSE: Final = 6
METADATA: Final = 7
EXEMPLARS: Final = 8
DELETE: Final = 9

COLUMNS_SAME: Final = 0
COLUMNS_PREFIX: Final = 1
COLUMNS_LISTED: Final = 2

# Every 64th row of a group builds on nothing before it but the series: what a damaged record takes along is
# bounded.
KEY_ROW_EVERY: Final = 64

LENGTH: Final = struct.Struct("<I")

Section = tuple[list[Any], bytes]


def is_key_row(number: int) -> bool:
    """Whether the row of this number starts afresh."""
    return number % KEY_ROW_EVERY == 0


def next_key_row(number: int) -> int:
    """The number of the next row that starts afresh, this one included."""
    return -(-number // KEY_ROW_EVERY) * KEY_ROW_EVERY


def payload_of(sections: list[Section]) -> bytes:
    """One record's payload."""
    header = msgpack.packb([[*numbers, len(data)] for numbers, data in sections])
    return b"".join((LENGTH.pack(len(header)), header, *(data for _, data in sections)))


def pairs_section(index: SeriesIndex, first: int) -> Section:
    """All label pairs from number `first` on."""
    symbols = index.symbols
    names = symbols.pair_name.view()[first:].tolist()
    codes = symbols.pair_code.view()[first:].tolist()
    used = sorted(set(names))
    place = {name: position for position, name in enumerate(used)}
    values = [symbols.values[name][code] for name, code in zip(names, codes, strict=True)]
    return [
        PAIRS,
        first,
        [symbols.names[name] for name in used],
        [place[name] for name in names],
        values,
    ], b""


def series_section(index: SeriesIndex, first: int) -> Section:
    """All series from number `first` on."""
    view = index.view()
    lengths = np.diff(view.offsets[first : view.series + 1])
    flat = view.flat[view.offsets[first] : view.offsets[view.series]]
    # Neighbouring series differ in few pairs, and their pair numbers lie close: differences compress well.
    width, planes = pack_planes(steps(flat))
    return [SERIES, first, len(lengths), len(flat), width], lengths.astype("<u2").tobytes() + planes


def grant_section(group: int, name: str, columns: Int64s, series: Int32s, placed: Bools) -> Section:
    """Columns granted to series; with a name it is the whole of the group's grants."""
    column_width, column_planes = pack_planes(steps(columns))
    series_width, series_planes = pack_planes(steps(series))
    data = b"".join((column_planes, series_planes, np.packbits(placed).tobytes()))
    return [GRANT, group, name, len(columns), column_width, series_width], data


def row_section(
    place: tuple[int, int, int, int], columns: Int64s | None, prefix: bool, previous: Floats, values: Floats
) -> Section:
    """A row; `place` is its group, number, time and the grants before it.

    `columns` None: those of the group's row before.
    """
    cells, data = pack_cells(previous, values)
    if columns is None:
        return [ROW, *place, COLUMNS_SAME, *cells], data
    if prefix:
        return [ROW, *place, COLUMNS_PREFIX, len(columns), *cells], data
    width, planes = pack_planes(steps(columns))
    return [ROW, *place, COLUMNS_LISTED, len(columns), width, *cells], planes + data


def loose_section(series: Int32s, times: Int64s, values: Floats) -> Section:
    """Loose samples in order of arrival."""
    header, data = pack_loose(series, times, values)
    return [LOOSE, len(series), *header], data
