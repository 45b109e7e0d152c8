"""Samples of a remote write request: found series by series, decoded by numpy all at once.

Both versions of the protocol have the same samples: `12 len 09 value*8 10 timestamp*6`, and without the value where it is 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import unmarked
from trimon.model.histogrambatch import Taken
from trimon.model.labels import Labels
from trimon.model.rows import SampleBatch
from trimon.records import dataclass
from trimon.wire import FIXED64, LENGTH, VARINT, FieldCount, block, signed, skip, varint

# Sample as `12 len 09 value*8 10 timestamp*6`, and without the value.
WHOLE: Final = 18
ZERO: Final = 9
WHOLE_HEAD: Final = b"\x12\x10\x09"
ZERO_HEAD: Final = b"\x12\x07\x10"
NO_SAMPLES: Final = SampleBatch(
    (), np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64), atomic=True
)
SAMPLE_TAG: Final = 0x12


@dataclass(slots=True)
class Runs:
    """Where the samples of one encoding are, series by series, until numpy reads them."""

    at: list[int] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    series: list[int] = field(default_factory=list)

    def add(self, at: int, count: int, series: int) -> None:
        """`count` samples of a series, at a position."""
        self.at.append(at)
        self.count.append(count)
        self.series.append(series)


@dataclass(slots=True)
class Samples:
    """The samples of a request; `count` is how many the last series had."""

    whole: Runs = field(default_factory=Runs)
    zero: Runs = field(default_factory=Runs)
    odd: list[tuple[int, int, float]] = field(default_factory=list)
    histograms: list[tuple[int, int, Taken]] = field(default_factory=list)
    """(series, time, histogram taken apart) each."""
    count: int = 1


def read_sample(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[int, float, int]:
    """Time in ms, value, and the start in ms, which 2.0 alone has."""
    value, _, times = _numbers(data, position, end, fields, value_field=1)
    return times[0], value, times[1]


def read_exemplar(
    data: bytes, position: int, end: int, fields: FieldCount
) -> tuple[list[tuple[int, int]], float, int]:
    """Where the label fields are, whatever they hold; value, and time in ms."""
    value, blocks, times = _numbers(data, position, end, fields, value_field=2)
    return blocks, value, times[0]


def _numbers(
    data: bytes, position: int, end: int, fields: FieldCount, *, value_field: int
) -> tuple[float, list[tuple[int, int]], list[int]]:
    """A double, where the blocks of field 1 are, and the two whole numbers behind the double."""
    value, blocks, times = 0.0, [], [0, 0]
    while position < end:
        tag, position = fields.tag(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == FIXED64 and number == value_field and position + 8 <= end:
            (value,) = struct.unpack_from("<d", data, position)
            position += 8
        elif wire == VARINT and 0 < number - value_field <= 2:
            raw, position = varint(data, position)
            times[number - value_field - 1] = signed(raw)
        elif wire == LENGTH and number == 1:
            start, position = block(data, position, end)
            blocks.append((start, position))
        else:
            position = skip(data, position, end, wire)
    return value, blocks, times


def _cells(data: bytes, runs: Runs, size: int) -> npt.NDArray[np.uint8]:
    """uint8[samples, size]: the bytes of all samples of one encoding."""
    counts = np.array(runs.count, np.int64)
    first = np.cumsum(counts) - counts
    within = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(first, counts)
    begins = np.repeat(np.array(runs.at, np.int64), counts) + within * size
    raw = np.frombuffer(data, np.uint8)
    return np.asarray(raw[begins[:, None] + np.arange(size)], np.uint8)


def _timestamps(cells: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Six-byte varints. Raises WireError when they are not."""
    if (cells[:, :5] < 0x80).any() or (cells[:, 5] >= 0x80).any():
        raise _OddError
    shifts = np.arange(6, dtype=np.int64) * 7
    return np.asarray(((cells & 0x7F).astype(np.int64) << shifts).sum(axis=1), np.int64)


class _OddError(Exception):
    """Samples that only look like the usual encoding."""


def batch_of(
    data: bytes, series: Sequence[Labels], samples: Samples, read_odd: Callable[[int, int, int], None]
) -> SampleBatch:
    """All samples in order of arrival.

    Runs that only look like samples of the usual form are given to `read_odd(begin, end, series)`, which reads whatever
    fields are there.
    """
    numbers, times, values = [], [], []
    for runs, size, head in ((samples.whole, WHOLE, WHOLE_HEAD), (samples.zero, ZERO, ZERO_HEAD)):
        if not runs.at:
            continue
        cells = _cells(data, runs, size)
        usual = (cells[:, :3] == np.frombuffer(head, np.uint8)).all()
        if size == WHOLE:
            usual = usual and bool((cells[:, 11] == 0x10).all())
        try:
            if not usual:
                raise _OddError
            decoded = _timestamps(cells[:, -6:])
        except _OddError:
            for begin, count, number in zip(runs.at, runs.count, runs.series, strict=True):
                read_odd(begin, begin + count * size, number)
            continue
        times.append(decoded)
        if size == WHOLE:
            values.append(unmarked(np.ascontiguousarray(cells[:, 3:11]).view("<f8").ravel()))
        else:
            values.append(np.zeros(len(cells)))
        numbers.append(np.repeat(np.array(runs.series, np.int32), np.array(runs.count)))
    if samples.odd:
        numbers.append(np.array([number for number, _, _ in samples.odd], np.int32))
        times.append(np.array([time for _, time, _ in samples.odd], np.int64))
        values.append(unmarked(np.array([value for _, _, value in samples.odd], np.float64)))
    if not numbers:
        return SampleBatch(
            tuple(series), NO_SAMPLES.series_index, NO_SAMPLES.timestamps_ms, NO_SAMPLES.values, atomic=True
        )
    if len(numbers) == 1:
        return SampleBatch(tuple(series), numbers[0], times[0], values[0], atomic=True)
    # a sender may name one series several times, and then the order of its samples is that of the names
    whose = np.concatenate(numbers)
    order = np.argsort(whose, kind="stable")
    return SampleBatch(
        tuple(series), whose[order], np.concatenate(times)[order], np.concatenate(values)[order], atomic=True
    )


def read_samples(
    data: bytes, position: int, end: int, number: int, samples: Samples, fields: FieldCount
) -> None:
    """Takes sample messages of any form, one after the other, for a series."""
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 != LENGTH:
            position = skip(data, position, end, tag & 7)
            continue
        start, position = block(data, position, end)
        if tag == SAMPLE_TAG:
            samples.odd.append((number, *read_sample(data, start, position, fields)[:2]))
