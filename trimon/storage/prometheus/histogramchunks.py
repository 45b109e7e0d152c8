"""Prometheus' chunks of native histograms, of integers and of floats, many at once.

A chunk has one layout, told at its beginning, and then the numbers of each sample:

```text
samples  reset  zero threshold  schema  spans  spans  bounds │ t count zero sum buckets… │ t count zero sum buckets… │ …
                                                               in full                     integers: change of the change
                                                                                           floats: what the bits differ in
```

Buckets of integers are differences from one to the next. Layouts are read one by one, samples of all chunks with as many
numbers in the same step. A staleness marker, a sum with its bits, has no buckets and is the last sample of its chunk.
Start timestamps, in the newer encodings, are stepped over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.sample import STALE_NAN
from trimon.model.spans import SCHEMA_KNOWN_MAX, Spans
from trimon.records import dataclass
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.prometheus.bits import WIDTH, Crossed, Streams
from trimon.storage.prometheus.varint import FormatError
from trimon.storage.prometheus.xor import Bytes

INTEGERS: Final = 2
FLOATS: Final = 3
# With start timestamps.
INTEGERS_START: Final = 5
FLOATS_START: Final = 6
ENCODINGS: Final = frozenset({INTEGERS, FLOATS, INTEGERS_START, FLOATS_START})
GAUGE_BITS: Final = 0b11
UNKNOWN_BITS: Final = 0b00
NOT_RESET_BITS: Final = 0b01
RESET_BITS: Final = 0b10
STALE_BITS: Final = np.float64(STALE_NAN).view(np.uint64)
_U: Final = np.uint64
_SCHEMA_KNOWN_MIN: Final = -9
# Numbers of a sample before its buckets: count, zero count, sum.
HEAD_NUMBERS: Final = 3


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """What all samples of a chunk share."""

    schema: int
    zero_threshold: float
    positive_spans: Spans
    negative_spans: Spans
    custom_values: tuple[float, ...] = ()
    floats: bool = False
    gauge: bool = False

    @property
    def positive(self) -> int:
        """Number of positive buckets."""
        return sum(length for _, length in self.positive_spans)

    @property
    def negative(self) -> int:
        """Number of negative buckets."""
        return sum(length for _, length in self.negative_spans)


@dataclass(slots=True)
class HistogramChunk:
    """The samples of one chunk: float64[3 + buckets, samples], rows count, zero count, sum, positive, negative buckets.

    A staleness marker has its bits as sum; its other numbers mean nothing.
    """

    layout: ChunkLayout
    times: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    numbers: Floats = field(default_factory=lambda: np.zeros((HEAD_NUMBERS, 0)))

    @property
    def stale(self) -> npt.NDArray[np.bool_]:
        """Which samples are staleness markers."""
        return np.equal(np.ascontiguousarray(self.numbers[2]).view(np.uint64), STALE_BITS)


class _LayoutReader:
    """Reads bits of one chunk, number by number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def bits(self, count: int) -> int:
        begin, end = self.position >> 3, (self.position + count + 7) >> 3
        if end > len(self._data):
            raise FormatError("a histogram chunk ends within its layout")
        whole = int.from_bytes(self._data[begin:end], "big")
        self.position += count
        return whole >> (end * 8 - self.position) & ((1 << count) - 1)

    def unsigned(self) -> int:
        return self._integer()[0]

    def signed(self) -> int:
        number, width = self._integer()
        if width == 64:
            return number - (1 << 64) if number >> 63 else number
        return number - (1 << width) if width and number > 1 << (width - 1) else number

    def _integer(self) -> tuple[int, int]:
        ones = 0
        while ones < 8 and self.bits(1):
            ones += 1
        width = int(WIDTH[ones])
        return self.bits(width) if width else 0, width

    def double(self) -> float:
        return float(np.uint64(self.bits(64)).view(np.float64))

    def zero_threshold(self) -> float:
        byte = self.bits(8)
        if byte == 0:
            return 0.0
        return self.double() if byte == 255 else math.ldexp(0.5, byte - 243)

    def spans(self, most: int) -> Spans:
        found: list[tuple[int, int]] = []
        total = 0
        for _ in range(self.unsigned()):
            length, offset = self.unsigned(), self.signed()
            total += length
            if total > most:
                raise FormatError("a histogram chunk lists more buckets than it has bits")
            found.append((offset, length))
        return tuple(found)

    def bound(self) -> float:
        number = self.unsigned()
        return self.double() if number == 0 else (number - 1) / 1000

    def layout(self, encoding: int, reset: int) -> ChunkLayout:
        most = 8 * len(self._data)
        threshold, schema = self.zero_threshold(), self.signed()
        if schema != CUSTOM_SCHEMA and not _SCHEMA_KNOWN_MIN <= schema <= SCHEMA_KNOWN_MAX:
            raise FormatError(f"a histogram chunk of unknown schema {schema}")
        positive, negative = self.spans(most), self.spans(most)
        bounds: tuple[float, ...] = ()
        if schema == CUSTOM_SCHEMA:
            bounds = tuple(self.bound() for _ in range(self.unsigned()))
        floats = encoding in (FLOATS, FLOATS_START)
        return ChunkLayout(schema, threshold, positive, negative, bounds, floats, reset == GAUGE_BITS)


@dataclass(slots=True)
class _Opened:
    """A chunk whose layout has been read: where its samples begin, how many there are, and which have a start timestamp."""

    layout: ChunkLayout
    samples: int
    position: int
    end: int
    first_start: bool
    starts_from: int


def _open(data: Bytes, start: int, length: int, encoding: int) -> _Opened:
    if length < 3:
        raise FormatError("a histogram chunk of less than three bytes")
    raw = data[start : start + length].tobytes()
    samples, flags = int.from_bytes(raw[:2], "big"), raw[2]
    first_start, starts_from, reset = False, 0, flags >> 6
    if encoding in (INTEGERS_START, FLOATS_START):
        reset, samples = samples >> 14, samples & 0x3FFF
        first_start, starts_from = bool(flags & 0x80), flags & 0x7F
    if not samples:
        return _Opened(ChunkLayout(0, 0.0, (), ()), 0, start * 8, (start + length) * 8, False, 0)
    reader = _LayoutReader(raw)
    reader.position = 24
    layout = reader.layout(encoding, reset)
    position = start * 8 + reader.position
    return _Opened(layout, samples, position, (start + length) * 8, first_start, starts_from)


def layouts(data: Bytes, starts: Int64s, lengths: Int64s, encodings: Sequence[int]) -> list[ChunkLayout]:
    """The layouts of chunks. Raises FormatError."""
    listed = zip(starts.tolist(), lengths.tolist(), encodings, strict=True)
    return [_open(data, *each).layout for each in listed]


def decode_histograms(
    data: Bytes, starts: Int64s, lengths: Int64s, encodings: Sequence[int]
) -> list[HistogramChunk]:
    """The samples of chunks, whose bytes are `data[start:start + length]`. Raises FormatError."""
    listed = zip(starts.tolist(), lengths.tolist(), encodings, strict=True)
    opened = [_open(data, *each) for each in listed]
    found = [HistogramChunk(each.layout) for each in opened]
    alike: dict[tuple[bool, int, int], list[int]] = {}
    for number, each in enumerate(opened):
        layout = each.layout
        if each.samples:
            alike.setdefault((layout.floats, layout.positive, layout.negative), []).append(number)
    for numbers in alike.values():
        # The longest first, so that those that are still read are a beginning of all.
        numbers.sort(key=lambda number: -opened[number].samples)
        _decode_alike(data, [opened[number] for number in numbers], [found[number] for number in numbers])
    return found


def _decode_alike(data: Bytes, opened: Sequence[_Opened], out: Sequence[HistogramChunk]) -> None:
    counts = np.array([each.samples for each in opened])
    ends = np.array([each.end for each in opened], np.int64)
    layout = opened[0].layout
    size = HEAD_NUMBERS + layout.positive + layout.negative
    times = np.zeros((len(opened), int(counts[0])), np.int64)
    numbers = np.zeros((len(opened), size, int(counts[0])))
    streams = Streams(data, np.array([each.position for each in opened], np.int64))
    reader = _FloatReader(streams, size) if layout.floats else _IntegerReader(streams, layout)
    first_start = np.array([each.first_start for each in opened])
    starts_from = np.array([each.starts_from or 1 << 16 for each in opened], np.int64)
    time, step = np.zeros(len(opened), np.int64), np.zeros(len(opened), np.int64)
    active = np.searchsorted(-counts, -np.arange(1, int(counts[0]) + 1), side="right").tolist()
    for sample, count in enumerate(active):
        streams.shrink(count)
        reader.shrink(count)
        time, step = time[:count], step[:count]
        step = step + streams.signed()
        time = time + step
        times[:count, sample] = time
        numbers[:count, :, sample] = reader.read(first=sample == 0)
        if sample == 0:
            # The first time is told in full, the first step from 0.
            step = np.zeros(count, np.int64)
            streams.varint(first_start[:count])
        else:
            told = starts_from[:count] <= sample
            if told.any():
                before = streams.positions
                streams.signed()
                streams.positions = np.where(told, streams.positions, before)
        if (streams.positions > ends[:count]).any():
            raise FormatError("a histogram chunk ends before its last sample")
    for number, (each, chunk) in enumerate(zip(opened, out, strict=True)):
        chunk.times = times[number, : each.samples]
        chunk.numbers = numbers[number, :, : each.samples]


class _IntegerReader:
    """The numbers of the next sample of each chunk, of integers."""

    def __init__(self, streams: Streams, layout: ChunkLayout) -> None:
        self._streams = streams
        self._edges = (layout.positive, layout.positive + layout.negative)
        rows = len(streams.positions)
        # Count, zero count, buckets as differences; and how much each changed the last time.
        self._now = np.zeros((2 + self._edges[1], rows), np.int64)
        self._change = np.zeros_like(self._now)
        self._sum = Crossed(np.zeros(rows, _U))

    def shrink(self, count: int) -> None:
        """Go on with the first `count` chunks only."""
        self._now, self._change = self._now[:, :count], self._change[:, :count]
        self._sum.shrink(count)

    def read(self, *, first: bool) -> Floats:
        """float64[chunks, numbers]."""
        streams, now = self._streams, self._now
        for number in range(2):
            told = streams.unsigned().view(np.int64) if first else streams.signed()
            self._take(number, told, first=first)
        sums = streams.raw() if first else self._sum.read(streams)
        if first:
            self._sum.values = sums
        stale = np.equal(sums, STALE_BITS)
        for number in range(2, len(now)):
            before = streams.positions
            told = streams.signed()
            if stale.any():
                streams.positions = np.where(stale, before, streams.positions)
                told = np.where(stale, 0, told)
            self._take(number, told, first=first)
        positive, negative = now[2 : 2 + self._edges[0]], now[2 + self._edges[0] :]
        counts = now[:2].view(_U).astype(np.float64)
        parts = (
            counts,
            sums.view(np.float64)[None],
            np.cumsum(positive, axis=0),
            np.cumsum(negative, axis=0),
        )
        found: Floats = np.concatenate(parts).T.astype(np.float64, copy=False)
        return found

    def _take(self, number: int, told: Int64s, *, first: bool) -> None:
        if first:
            self._now[number] = told
        else:
            self._change[number] += told
            self._now[number] += self._change[number]


class _FloatReader:
    """The numbers of the next sample of each chunk, of floats."""

    def __init__(self, streams: Streams, size: int) -> None:
        self._streams = streams
        rows = len(streams.positions)
        self._numbers = [Crossed(np.zeros(rows, _U)) for _ in range(size)]

    def shrink(self, count: int) -> None:
        """Go on with the first `count` chunks only."""
        for number in self._numbers:
            number.shrink(count)

    def read(self, *, first: bool) -> Floats:
        """float64[chunks, numbers]."""
        streams = self._streams
        stale = np.zeros(len(streams.positions), np.bool_)
        for place, number in enumerate(self._numbers):
            before = streams.positions
            if first:
                number.values = streams.raw()
            else:
                number.read(streams, ~stale)
            if place == HEAD_NUMBERS - 1:
                stale = np.equal(number.values, STALE_BITS)
            elif place >= HEAD_NUMBERS and stale.any():
                streams.positions = np.where(stale, before, streams.positions)
        found: Floats = np.stack([number.values.view(np.float64) for number in self._numbers], axis=1)
        return found
