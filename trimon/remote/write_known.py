"""Requests of the usual form, read by a loop in C: series by the bytes of their labels, samples as columns.

A table of known labels finds the number of a series in a book of label sets, so that nothing is made of a series that was
seen before. What the loop does not take, and every error, is `write_request.py`'s, which reads requests of any form.
"""

from __future__ import annotations

import secrets
import threading
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trimon.compiled.library import ADDRESS, BYTES, INT64, UINT64, function
from trimon.model.knownseries import KnownSeries, LabelBook
from trimon.model.labels import Labels
from trimon.model.rows import SampleBatch

_TABLE: Final = (ADDRESS, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, INT64)
_COLUMNS: Final = (ADDRESS,) * 7
_read = function("trimon_write_request_read", INT64, (BYTES, INT64, UINT64, *_TABLE, INT64, INT64, *_COLUMNS))
_FULL: Final = -2
_FREE: Final = np.int32(-1)
# A usual series has some 100 bytes, a sample 9 or 18: room for usual requests, and for any when that is short.
_USUAL_SERIES: Final = 24
_LEAST_SERIES: Final = 2
_USUAL_SAMPLE: Final = 18
_LEAST_SAMPLE: Final = 9


class ReadRequest(NamedTuple):
    """What a request holds: of each series its number in the book (-1: unknown), begin and end of its labels, their hash; and
    all samples."""

    table: KnownLabels
    numbers: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    whose: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    unknown: int

    def batch(self) -> SampleBatch:
        """The samples, when all series are known."""
        series = KnownSeries(self.table.book, self.numbers)
        return SampleBatch(series, self.whose, self.times, self.values, atomic=True)


class _Columns(NamedTuple):
    """The table as it was at a moment: what is in it never changes, what comes later is beyond `used`."""

    slots: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    text: npt.NDArray[np.uint8]
    used: int
    text_bytes: int
    addresses: tuple[int, ...]
    """The same as the loop is told them."""

    @classmethod
    def of(
        cls,
        slots: npt.NDArray[np.int32],
        hashes: npt.NDArray[np.uint64],
        offsets: npt.NDArray[np.int64],
        text: npt.NDArray[np.uint8],
        used: int,
        text_bytes: int,
    ) -> _Columns:
        """Columns with their addresses, which are asked for once."""
        begins = [each.ctypes.data for each in (slots, hashes, offsets, text)]
        told = (begins[0], len(slots) - 1, begins[1], begins[2], used, begins[3], text_bytes)
        return cls(slots, hashes, offsets, text, used, text_bytes, told)

    def grown(self, used: int, text_bytes: int) -> _Columns:
        """The same arrays with more in them."""
        slots, mask, hashes, offsets, _, text, _ = self.addresses
        told = (slots, mask, hashes, offsets, used, text, text_bytes)
        return self._replace(used=used, text_bytes=text_bytes, addresses=told)


class KnownLabels:
    """Labels by their bytes. Any thread may read and add: a reader takes the columns as they are at its moment."""

    def __init__(self, seed: int | None = None) -> None:
        self.book = LabelBook()
        self._seed = secrets.randbits(64) if seed is None else seed
        self._adding = threading.Lock()
        self._columns = _Columns.of(
            np.full(1024, _FREE, np.int32),
            np.zeros(512, np.uint64),
            np.zeros(513, np.int64),
            np.zeros(1 << 16, np.uint8),
            0,
            0,
        )

    def __len__(self) -> int:
        return self._columns.used

    @property
    def text_bytes(self) -> int:
        """Bytes of all labels."""
        return self._columns.text_bytes

    def read(self, data: bytes) -> ReadRequest | None:
        """The columns of a request; None where it is not of the usual form, or there is no compiled loop."""
        if _read is None:
            return None
        size = len(data)
        found = self._read(data, size // _USUAL_SERIES + 16, size // _USUAL_SAMPLE + 16)
        if found == _FULL:
            found = self._read(data, size // _LEAST_SERIES + 1, size // _LEAST_SAMPLE + 1)
        return found if isinstance(found, ReadRequest) else None

    def _read(self, data: bytes, series_max: int, samples_max: int) -> ReadRequest | int:
        assert _read is not None
        columns = self._columns
        # One allocation for all columns, the widest first, so that each begins where its numbers may.
        wide, narrow = 8 * samples_max, 4 * samples_max
        ends = list(accumulate((32, 16 * series_max, 8 * series_max, wide, wide, narrow)))
        room = np.empty(ends[-1] + 4 * series_max, np.uint8)
        begin = room.ctypes.data
        places = (ends[5], ends[0], ends[1], ends[4], ends[2], ends[3], 0)
        unknown: int = _read(
            data,
            len(data),
            self._seed,
            *columns.addresses,
            series_max,
            samples_max,
            *(begin + place for place in places),
        )
        if unknown < 0:
            return unknown
        series, samples = room[:16].view(np.int64).tolist()
        return ReadRequest(
            self,
            room[ends[5] : ends[5] + 4 * series].view(np.int32),
            room[ends[0] : ends[0] + 16 * series].view(np.int64).reshape(series, 2),
            room[ends[1] : ends[1] + 8 * series].view(np.uint64),
            room[ends[4] : ends[4] + 4 * samples].view(np.int32),
            room[ends[2] : ends[2] + 8 * samples].view(np.int64),
            room[ends[3] : ends[3] + 8 * samples].view(np.float64),
            unknown,
        )

    def add(self, key: bytes, hash_of_key: int, labels: Labels) -> int:
        """The number of labels by their bytes, which may have come by another thread meanwhile."""
        with self._adding:
            columns = self._columns
            slot, number = _slot(columns, key, hash_of_key)
            if number >= 0:
                return number
            columns = self._with_room(columns, len(key))
            slot = _slot(columns, key, hash_of_key)[0]
            number, begin, end = columns.used, columns.text_bytes, columns.text_bytes + len(key)
            columns.text[begin:end] = np.frombuffer(key, np.uint8)
            columns.hashes[number] = hash_of_key
            columns.offsets[number + 1] = end
            self.book.labels.append(labels)
            columns.slots[slot] = number
            self._columns = columns.grown(number + 1, end)
            return number

    @staticmethod
    def _with_room(columns: _Columns, size: int) -> _Columns:
        """The columns, larger where one more does not fit; readers go on with those they have."""
        slots, hashes, offsets, text, used, text_bytes, _ = columns
        if used == len(hashes):
            hashes = np.concatenate((hashes, np.zeros(used // 2, np.uint64)))
            offsets = np.concatenate((offsets, np.zeros(used // 2, np.int64)))
        if text_bytes + size > len(text):
            text = np.concatenate((text, np.zeros(max(size, len(text) // 2), np.uint8)))
        if 2 * (used + 1) > len(slots):
            slots = np.full(2 * len(slots), _FREE, np.int32)
            _place(slots, hashes[:used])
        return _Columns.of(slots, hashes, offsets, text, used, text_bytes)


def _slot(columns: _Columns, key: bytes, hash_of_key: int) -> tuple[int, int]:
    """Where labels are in the table or would be, and their number, -1 if they are not there."""
    mask = len(columns.slots) - 1
    slot = hash_of_key & mask
    while (number := int(columns.slots[slot])) >= 0:
        begin, end = columns.offsets[number : number + 2].tolist()
        if int(columns.hashes[number]) == hash_of_key and columns.text[begin:end].tobytes() == key:
            return slot, number
        slot = (slot + 1) & mask
    return slot, -1


def _place(slots: npt.NDArray[np.int32], hashes: npt.NDArray[np.uint64]) -> None:
    """Put all numbers into an empty table, many at once."""
    mask = len(slots) - 1
    left = np.arange(len(hashes), dtype=np.int32)
    at = (hashes & np.uint64(mask)).astype(np.int64)
    while len(left):
        free = slots[at] < 0
        slots[at[free]] = left[free]
        lost = slots[at] != left
        left, at = left[lost], (at[lost] + 1) & mask
