"""The records of Prometheus' write-ahead log, decoded type by type.

A record is a byte with its type and a body. Sample records are decoded many at once, since a log has millions of them; the
others one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.labels import Labels
from trimon.model.spans import SpanHistogram, Spans, absolute
from trimon.records import dataclass
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.prometheus.varint import FormatError, read_at, zigzag_decoded

SERIES: Final = 1
SAMPLES: Final = 2
TOMBSTONES: Final = 3
EXEMPLARS: Final = 4
MMAP_MARKERS: Final = 5
METADATA: Final = 6
SAMPLES_WITH_START: Final = 11
# Type of a histogram record -> whether its counts are floats, and whether its samples carry start timestamps. The
# types 9 and 10 are 7 and 8 with custom bucket bounds, which schema -53 announces in every type.
HISTOGRAMS: Final = {
    7: (False, False),
    8: (True, False),
    9: (False, False),
    10: (True, False),
    12: (False, True),
    13: (True, True),
}

_REF_AND_TIME: Final = 16
# What a histogram says of the one before.
_RESET: Final = 1
_GAUGE: Final = 3
_TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
_NO_START, _SAME_START = 0, 1

UInt64s = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class WalSeries:
    """Series by reference."""

    refs: UInt64s
    labels: list[Labels]


@dataclass(frozen=True, slots=True)
class WalSamples:
    """Samples of several records: series reference, time, value."""

    refs: UInt64s
    times: Int64s
    values: Floats


@dataclass(frozen=True, slots=True)
class WalHistograms:
    """Samples that are native histograms: series reference, time, histogram, as it was written, and whether it resets."""

    refs: UInt64s
    times: Int64s
    histograms: list[SpanHistogram]
    resets: list[bool]


@dataclass(frozen=True, slots=True)
class WalTombstones:
    """Deleted intervals, closed, by series reference."""

    refs: UInt64s
    starts: Int64s
    ends: Int64s


@dataclass(frozen=True, slots=True)
class WalMetadata:
    """(type, help, unit) of series by reference."""

    refs: UInt64s
    about: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class WalExemplars:
    """How many exemplars a record has."""

    count: int


class _RecordBody:
    """A reader of one record."""

    def __init__(self, record: bytes) -> None:
        self._record = record
        self._offset = 1

    def __bool__(self) -> bool:
        return self._offset < len(self._record)

    def skip(self, count: int) -> None:
        """Step over bytes."""
        self._offset += count
        if self._offset > len(self._record):
            raise FormatError("a WAL record ends within a field")

    def byte(self) -> int:
        """One byte."""
        self.skip(1)
        return self._record[self._offset - 1]

    def u64(self) -> int:
        """Eight bytes, the highest first."""
        self.skip(8)
        return int.from_bytes(self._record[self._offset - 8 : self._offset], "big")

    def double(self) -> float:
        """A float, the highest byte first."""
        self.skip(8)
        return float(struct.unpack_from(">d", self._record, self._offset - 8)[0])

    def uvarint(self) -> int:
        """An unsigned integer of variable length."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise FormatError("a variable-length integer of more than ten bytes")

    def varint(self) -> int:
        """A signed integer of variable length."""
        value = self.uvarint()
        return value >> 1 ^ -(value & 1)

    def text(self) -> str:
        """A string with its length before."""
        length = self.uvarint()
        self.skip(length)
        return self._record[self._offset - length : self._offset].decode("utf-8", "replace")

    def pairs(self) -> list[tuple[str, str]]:
        """As many pairs of strings as the number before them says."""
        return [(self.text(), self.text()) for _ in range(self.uvarint())]


def _refs(numbers: Sequence[int]) -> UInt64s:
    return np.array([number & 0xFFFF_FFFF_FFFF_FFFF for number in numbers], np.uint64)


def decode_series(record: bytes) -> WalSeries:
    """A record of type 1. Raises FormatError."""
    body = _RecordBody(record)
    refs: list[int] = []
    labels: list[Labels] = []
    while body:
        refs.append(body.u64())
        labels.append(tuple(sorted((name, value) for name, value in body.pairs() if value)))
    return WalSeries(_refs(refs), labels)


def decode_tombstones(record: bytes) -> WalTombstones:
    """A record of type 3. Raises FormatError."""
    body = _RecordBody(record)
    refs: list[int] = []
    intervals: list[tuple[int, int]] = []
    while body:
        refs.append(body.u64())
        intervals.append((body.varint(), body.varint()))
    bounds = np.array(intervals, np.int64).reshape(-1, 2)
    return WalTombstones(_refs(refs), bounds[:, 0], bounds[:, 1])


def decode_exemplars(record: bytes) -> WalExemplars:
    """A record of type 4. Raises FormatError."""
    body = _RecordBody(record)
    count = 0
    if body:
        body.skip(_REF_AND_TIME)
    while body:
        body.varint()
        body.varint()
        body.skip(8)
        body.pairs()
        count += 1
    return WalExemplars(count)


def decode_metadata(record: bytes) -> WalMetadata:
    """A record of type 6. Raises FormatError."""
    body = _RecordBody(record)
    refs: list[int] = []
    about: list[tuple[str, str, str]] = []
    while body:
        refs.append(body.uvarint())
        kind = body.byte()
        fields = dict(body.pairs())
        known = _TYPES[kind] if kind < len(_TYPES) else _TYPES[0]
        about.append((known, fields.get("HELP", ""), fields.get("UNIT", "")))
    return WalMetadata(_refs(refs), about)


def decode_histograms(record: bytes) -> WalHistograms:
    """A record of one of the `HISTOGRAMS`. Raises FormatError."""
    floats, with_start = HISTOGRAMS[record[0]]
    body = _RecordBody(record)
    refs: list[int] = []
    times: list[int] = []
    histograms: list[SpanHistogram] = []
    resets: list[bool] = []
    for ref, time_ms in (_places_with_start if with_start else _places)(body):
        hint = body.byte()
        histograms.append(_read_histogram(body, floats=floats, gauge=hint == _GAUGE))
        resets.append(hint == _RESET)
        refs.append(ref)
        times.append(time_ms)
    return WalHistograms(_refs(refs), np.array(times, np.int64), histograms, resets)


def _places(body: _RecordBody) -> Iterator[tuple[int, int]]:
    """Reference and time of each sample; whoever takes one reads what follows it."""
    if not body:
        return
    first_ref, first_ms = body.u64(), body.u64()
    while body:
        yield first_ref + body.varint(), first_ms + body.varint()


def _places_with_start(body: _RecordBody) -> Iterator[tuple[int, int]]:
    if not body:
        return
    ref, first_ms, _ = body.varint(), body.varint(), body.varint()
    yield ref, first_ms
    while body:
        ref += body.varint()
        time_ms = first_ms + body.varint()
        if body.byte() not in {_NO_START, _SAME_START}:
            body.varint()
        yield ref, time_ms


def _read_histogram(body: _RecordBody, *, floats: bool, gauge: bool) -> SpanHistogram:
    count: Callable[[], float] = body.double if floats else body.uvarint
    schema = body.varint()
    zero_threshold = body.double()
    zero_count, total, sums = count(), count(), body.double()
    positive_spans, negative_spans = _read_spans(body), _read_spans(body)
    positive, negative = _read_buckets(body, floats=floats), _read_buckets(body, floats=floats)
    bounds: tuple[float, ...] = ()
    if schema == CUSTOM_SCHEMA:
        bounds = tuple(body.double() for _ in range(body.uvarint()))
    return SpanHistogram(
        schema,
        zero_threshold,
        zero_count,
        total,
        sums,
        positive_spans,
        positive,
        negative_spans,
        negative,
        bounds,
        integer=not floats,
        gauge=gauge,
    )


def _read_spans(body: _RecordBody) -> Spans:
    return tuple((body.varint(), body.uvarint()) for _ in range(body.uvarint()))


def _read_buckets(body: _RecordBody, *, floats: bool) -> tuple[float, ...]:
    count = body.uvarint()
    if floats:
        return tuple(body.double() for _ in range(count))
    return absolute([body.varint() for _ in range(count)])


class _SampleRecords:
    """The bytes of several sample records, and the samples found in them so far."""

    def __init__(self, records: Sequence[bytes]) -> None:
        # The longest field that may be read behind the end has 10 bytes.
        self.data = np.frombuffer(b"".join(records) + bytes(16), np.uint8)
        sizes = np.array([len(record) for record in records], np.int64)
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes + 1
        self.words = np.ndarray((len(self.data) - 8,), ">u8", self.data.data, 0, (1,))
        self._owners: list[Int64s] = []
        self._refs: list[UInt64s] = []
        self._times: list[Int64s] = []
        self._values: list[UInt64s] = []

    def add(self, records: Int64s, refs: UInt64s, times: Int64s, at: Int64s) -> Int64s:
        """A sample of each of some records, whose values begin at `at`; where they end. Raises FormatError."""
        if (at + 8 > self.ends[records]).any():
            raise FormatError("a WAL record ends within a sample")
        self._owners.append(records)
        self._refs.append(refs)
        self._times.append(times)
        self._values.append(self.words[at].astype(np.uint64))
        return at + 8

    def samples(self) -> WalSamples:
        """All that were added, in order of record and place."""
        if not self._owners:
            none = np.zeros(0, np.int64)
            return WalSamples(none.view(np.uint64), none, np.zeros(0))
        order = np.argsort(np.concatenate(self._owners), kind="stable")
        return WalSamples(
            np.concatenate(self._refs)[order],
            np.concatenate(self._times)[order],
            np.concatenate(self._values)[order].view(np.float64),
        )


def decode_samples(records: Sequence[bytes]) -> WalSamples:
    """All samples of records of type 2, in order of record and place. Raises FormatError."""
    found = _SampleRecords(records)
    going = np.flatnonzero(found.ends - found.starts >= _REF_AND_TIME)
    first = found.starts[going]
    first_ref = found.words[first].astype(np.uint64)
    first_ms = found.words[first + 8].astype(np.uint64).view(np.int64)
    at = first + _REF_AND_TIME
    limit = found.ends[going]
    live = np.flatnonzero(at < limit)
    while len(live):
        step, middle = read_at(found.data, at[live])
        later, end = read_at(found.data, middle)
        refs = first_ref[live] + zigzag_decoded(step).view(np.uint64)
        at[live] = found.add(going[live], refs, first_ms[live] + zigzag_decoded(later), end)
        live = live[at[live] < limit[live]]
    return found.samples()


def decode_samples_with_start(records: Sequence[bytes]) -> WalSamples:
    """All samples of records of type 11, without their start timestamps. Raises FormatError."""
    found = _SampleRecords(records)
    live = np.flatnonzero(found.starts < found.ends)
    at = found.starts.copy()
    refs = np.zeros(len(records), np.uint64)
    first_ms = np.zeros(len(records), np.int64)
    is_first = True
    while len(live):
        step, middle = read_at(found.data, at[live])
        later, middle = read_at(found.data, middle)
        refs[live] += zigzag_decoded(step).view(np.uint64)
        times = zigzag_decoded(later)
        if is_first:
            first_ms[live] = times
            _, end = read_at(found.data, middle)
        else:
            times = first_ms[live] + times
            marker = found.data[middle]
            end = middle + 1
            told = np.flatnonzero((marker != _NO_START) & (marker != _SAME_START))
            end[told] = read_at(found.data, end[told])[1]
        at[live] = found.add(live, refs[live], times, end)
        live = live[at[live] < found.ends[live]]
        is_first = False
    return found.samples()
