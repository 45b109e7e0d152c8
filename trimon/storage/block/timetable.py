"""Timestamp arrays of one slice of a block, each stored once and referred to by number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from trimon.storage.codec.matrix import decode, encode
from trimon.storage.head.arena import Int64s
from trimon.storage.head.runs import taken_runs

# Entries to a page: what is decoded to learn the times of one series.
ENTRIES_PER_PAGE: Final = 32


class TimetableBuilder:
    """Collects arrays; one that begins or ends another is stored as a part of it."""

    def __init__(self) -> None:
        self._entries: list[Int64s] = []
        self._whole: dict[bytes, int] = {}
        self._by_first: dict[int, int] = {}
        self._by_last: dict[int, int] = {}

    def place(self, times: Int64s, starts: Int64s, ends: Int64s) -> tuple[Int64s, Int64s]:
        """(entry, start in it) of every array `times[start:end]`."""
        entries = np.zeros(len(starts), np.int64)
        offsets = np.zeros(len(starts), np.int64)
        for number in np.argsort(starts - ends, kind="stable").tolist():
            array = times[starts[number] : ends[number]]
            if len(array):
                entries[number], offsets[number] = self._place_one(array)
        return entries, offsets

    def _place_one(self, array: Int64s) -> tuple[int, int]:
        key = array.tobytes()
        known = self._whole.get(key)
        if known is not None:
            return known, 0
        first, last = int(array[0]), int(array[-1])
        count = len(array)
        longer = self._by_first.get(first)
        if longer is not None and np.array_equal(self._entries[longer][:count], array):
            return longer, 0
        longer = self._by_last.get(last)
        if longer is not None and np.array_equal(self._entries[longer][-count:], array):
            return longer, len(self._entries[longer]) - count
        number = len(self._entries)
        self._entries.append(array.copy())
        self._whole[key] = number
        for table, time in ((self._by_first, first), (self._by_last, last)):
            other = table.get(time)
            if other is None or len(self._entries[other]) < count:
                table[time] = number
        return number, 0

    def pages(self, level: int) -> Iterator[tuple[int, bytes]]:
        """(first entry, bytes) of every page."""
        for first in range(0, len(self._entries), ENTRIES_PER_PAGE):
            yield first, pack_times(self._entries[first : first + ENTRIES_PER_PAGE], level)


def pack_times(arrays: list[Int64s], level: int) -> bytes:
    """The bytes of a page: count, lengths, and a matrix in which short arrays are padded with their last."""
    lengths = np.array([len(array) for array in arrays], "<u4")
    longest = int(lengths.max())
    matrix = np.empty((len(arrays), longest))
    for row, array in enumerate(arrays):
        matrix[row, : len(array)] = array
        matrix[row, len(array) :] = array[-1]
    return b"".join((len(arrays).to_bytes(4, "little"), lengths.tobytes(), encode(matrix, level)))


def unpack_times(data: memoryview) -> tuple[Int64s, Int64s]:
    """(flat times, offsets) of the entries of a page. Raises CodecError."""
    count = int.from_bytes(data[:4], "little")
    lengths = np.frombuffer(data, "<u4", count, 4).astype(np.int64)
    matrix = decode(data[4 + 4 * count :]).astype(np.int64)
    flat = taken_runs(matrix.reshape(-1), np.arange(count) * matrix.shape[1], lengths)
    return flat, np.concatenate(([0], np.cumsum(lengths)))
