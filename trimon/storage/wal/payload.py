"""The payload of a batch record, taken apart."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

from trimon.errors import OperatingError
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.wal import sections as s
from trimon.storage.wal.cells import unpack_cells, unpack_planes, unzigzag
from trimon.storage.wal.loosecells import unpack_loose


class BrokenSectionError(OperatingError):
    """A section that cannot be applied, because an earlier one is missing or it is itself damaged."""


class SectionReader:
    """The arrays of one section, in order."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    @property
    def rest(self) -> memoryview:
        """What was not taken yet."""
        return self._data

    def take(self, size_bytes: int) -> memoryview:
        """The next bytes. Raises BrokenSectionError."""
        if size_bytes > len(self._data) or size_bytes < 0:
            raise BrokenSectionError("arrays end early")
        part, self._data = self._data[:size_bytes], self._data[size_bytes:]
        return part

    def signed(self, count: int, width: int) -> Int64s:
        """Integers that are stored as zigzagged differences."""
        return np.cumsum(unzigzag(unpack_planes(self.take(count * width), count, width)))

    def cells(self, previous: Floats, header: list[int]) -> Floats:
        """The cells of a row. Raises CellsError."""
        values, used = unpack_cells(previous, header, self._data)
        self.take(used)
        return values


class Payload:
    """The sections of a record, and a reader for the arrays of each."""

    def __init__(self, payload: bytes) -> None:
        length = s.LENGTH.unpack_from(payload)[0]
        self.sections: list[list[Any]] = msgpack.unpackb(payload[4 : 4 + length], strict_map_key=False)
        self._data = memoryview(payload)[4 + length :]
        self._ends: list[int] = []
        end = 0
        for numbers in self.sections:
            end += numbers.pop()
            self._ends.append(end)

    def reader(self, place: int) -> SectionReader:
        """The arrays of the section at a place."""
        return SectionReader(self._data[self._ends[place - 1] if place else 0 : self._ends[place]])


def grant_of(payload: Payload, place: int, series_of: Int32s) -> tuple[Int64s, Int32s, Bools]:
    """Columns, series (-1 where unknown) and whether the series is placed in the column."""
    _, _, _, count, column_width, series_width = payload.sections[place]
    reader = payload.reader(place)
    columns = reader.signed(count, column_width)
    series = looked_up(series_of, reader.signed(count, series_width))
    packed = np.frombuffer(reader.take((count + 7) // 8), np.uint8)
    return columns, series, np.unpackbits(packed, count=count).view(np.bool_)


def loose_of(payload: Payload, place: int) -> tuple[Int64s, Int64s, Floats]:
    """Series as the log numbers them, times and values of a section of loose samples. Raises BrokenSectionError, CellsError."""
    _, count, *header = payload.sections[place]
    reader = payload.reader(place)
    found = unpack_loose(reader.rest, count, header)
    if found is not None:
        return found
    series_width, time_width, *cells = header
    return (
        reader.signed(count, series_width),
        reader.signed(count, time_width),
        reader.cells(np.zeros(count), cells),
    )


def looked_up(table: Int32s, numbers: Int64s) -> Int32s:
    """The entries of the table at these places, -1 for a place beyond its end."""
    if len(numbers) == 0 or (int(numbers.min()) >= 0 and int(numbers.max()) < len(table)):
        return table[numbers]
    inside = (numbers >= 0) & (numbers < len(table))
    found = np.full(len(numbers), -1, np.int32)
    found[inside] = table[numbers[inside]]
    return found
