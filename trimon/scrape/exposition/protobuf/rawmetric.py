"""One metric as its bytes say, and where in the body its numbers stand.

What may change from scrape to scrape without anything else changing is a *number*: a double, a varint or a zigzag varint,
each numbered within its metric in the order of the bytes. All other bytes are literal: labels, bounds, schemas, spans.
"""

from __future__ import annotations

from dataclasses import field
from struct import Struct
from typing import Final

from trimon.records import dataclass
from trimon.scrape.exposition.protobuf.parts import (
    expect_end,
    expect_wire,
    read_double,
    read_exemplar,
    read_pair,
    read_span,
    read_tag,
    read_timestamp_ms,
)
from trimon.scrape.exposition.records import LineExemplar
from trimon.wire import FIXED64, LENGTH, VARINT, WireError, block, signed, skip, varint

_LABEL: Final = 0x0A
# The number of a number that is not there.
ABSENT: Final = -1
_double = Struct("<d").unpack_from


@dataclass(slots=True)
class Bucket:
    """A bucket of a classic histogram: its bound, and which numbers are its cumulative counts."""

    bound: float = 0.0
    count: int = ABSENT
    count_float: int = ABSENT
    exemplar: LineExemplar | None = None


@dataclass(slots=True)
class RawHistogram:
    """A histogram: `count` and its like say which number it is; `spans` are (offset, length)."""

    count: int = ABSENT
    count_float: int = ABSENT
    sum: int = ABSENT
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: int = ABSENT
    zero_count_float: int = ABSENT
    buckets: list[Bucket] = field(default_factory=list)
    negative_spans: list[tuple[int, int]] = field(default_factory=list)
    positive_spans: list[tuple[int, int]] = field(default_factory=list)
    negative_deltas: list[int] = field(default_factory=list)
    positive_deltas: list[int] = field(default_factory=list)
    negative_counts: list[int] = field(default_factory=list)
    positive_counts: list[int] = field(default_factory=list)
    exemplars: list[LineExemplar] = field(default_factory=list)


@dataclass(slots=True)
class RawSummary:
    """A summary: which numbers its count and sum are, and its quantiles with theirs."""

    count: int = ABSENT
    sum: int = ABSENT
    quantiles: list[tuple[float, int]] = field(default_factory=list)


class RawMetric:
    """What the bytes of a metric say; positions are those in the body."""

    __slots__ = (
        "counter", "created_ms", "data", "double_at", "doubles", "exemplar", "gauge", "guards", "histogram", "label_bytes",
        "labels", "labels_first", "summary", "timestamp_ms", "untyped", "varint_at", "varints", "zigzag_at", "zigzags",
    )  # fmt: skip

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.double_at: list[int] = []
        self.doubles: list[float] = []
        self.varint_at: list[tuple[int, int]] = []
        self.varints: list[int] = []
        self.zigzag_at: list[tuple[int, int]] = []
        self.zigzags: list[int] = []
        self.guards: list[int] = []
        """Doubles that count only while they are above 0."""
        self.labels: list[tuple[int, int]] = []
        self.label_bytes = b""
        self.labels_first = True
        """Whether the labels are the first bytes, in one piece."""
        self.timestamp_ms = 0
        self.created_ms = 0
        self.gauge = self.counter = self.untyped = ABSENT
        self.exemplar: LineExemplar | None = None
        self.summary: RawSummary | None = None
        self.histogram: RawHistogram | None = None

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Its labels. Raises ExpositionError for those that are not UTF-8."""
        return tuple(read_pair(self.data, start, end) for start, end in self.labels)

    def _take_double(self, position: int, end: int) -> int:
        if position + 8 > end:
            raise WireError("unexpected EOF")
        self.double_at.append(position)
        self.doubles.append(_double(self.data, position)[0])
        return len(self.doubles) - 1

    def _take_positive(self, position: int, end: int) -> int:
        """A double that is there only when it is above 0."""
        if not read_double(self.data, position, end) > 0:
            return ABSENT
        taken = self._take_double(position, end)
        self.guards.append(taken)
        return taken

    def _take_varint(self, value: int, start: int, end: int) -> int:
        self.varint_at.append((start, end - start))
        self.varints.append(value)
        return len(self.varints) - 1

    def _take_zigzag(self, value: int, start: int, end: int) -> int:
        self.zigzag_at.append((start, end - start))
        self.zigzags.append((value >> 1) ^ -(value & 1))
        return len(self.zigzags) - 1

    def read(self, start: int, end: int) -> None:
        """Reads the message between two positions. Raises WireError."""
        data, position, labels = self.data, start, self.labels
        # as most metrics begin
        while position + 2 <= end and data[position] == _LABEL and data[position + 1] < 0x80:
            begin = position + 2
            position = begin + data[position + 1]
            labels.append((begin, position))
        expect_end(position, end)
        label_end = position
        while position < end:
            begin = position
            number, wire, position = read_tag(data, position, end)
            if wire == LENGTH and number in _MESSAGES:
                inner, position = block(data, position, end)
                if number == 1:
                    labels.append((inner, position))
                    self.labels_first = self.labels_first and label_end == begin
                    label_end = position
                else:
                    _MESSAGES[number](self, inner, position)
            elif number == 6 and wire == VARINT:
                value, position = varint(data, position)
                self.timestamp_ms = signed(value)
            elif number in _MESSAGES or number == 6:
                raise WireError(f"proto: wrong wireType = {wire} for field of a metric")
            else:
                position = skip(data, position, end, wire)
        expect_end(position, end)
        if self.labels_first:
            self.label_bytes = data[start:label_end]
        else:
            self.label_bytes = b"".join(data[first - 1 : last] for first, last in self.labels)

    def read_gauge(self, start: int, end: int) -> None:
        """The message of a gauge."""
        self.gauge = self._value(start, end)

    def read_untyped(self, start: int, end: int) -> None:
        """The message of an untyped metric."""
        self.untyped = self._value(start, end)

    def _value(self, start: int, end: int) -> int:
        if end - start == 9 and self.data[start] == 9:
            return self._take_double(start + 1, end)
        found, position = ABSENT, start
        while position < end:
            number, wire, position = read_tag(self.data, position, end)
            if number == 1:
                expect_wire(wire, FIXED64)
                found = self._take_double(position, end)
                position += 8
            else:
                position = skip(self.data, position, end, wire)
        expect_end(position, end)
        return found

    def read_counter(self, start: int, end: int) -> None:
        """The message of a counter."""
        data, position = self.data, start
        while position < end:
            number, wire, position = read_tag(data, position, end)
            if number == 1:
                expect_wire(wire, FIXED64)
                self.counter = self._take_double(position, end)
                position += 8
            elif number in (2, 3):
                expect_wire(wire, LENGTH)
                inner, position = block(data, position, end)
                if number == 2:
                    self.exemplar = read_exemplar(data, inner, position)
                else:
                    self.created_ms = read_timestamp_ms(data, inner, position)
            else:
                position = skip(data, position, end, wire)
        expect_end(position, end)

    def read_summary(self, start: int, end: int) -> None:
        """The message of a summary."""
        data, position = self.data, start
        summary = self.summary = self.summary or RawSummary()
        while position < end:
            number, wire, position = read_tag(data, position, end)
            if number == 1:
                expect_wire(wire, VARINT)
                value, after = varint(data, position)
                summary.count = self._take_varint(value, position, after)
                position = after
            elif number == 2:
                expect_wire(wire, FIXED64)
                summary.sum = self._take_double(position, end)
                position += 8
            elif number in (3, 4):
                expect_wire(wire, LENGTH)
                inner, position = block(data, position, end)
                if number == 3:
                    summary.quantiles.append(self._quantile(inner, position))
                else:
                    self.created_ms = read_timestamp_ms(data, inner, position)
            else:
                position = skip(data, position, end, wire)
        expect_end(position, end)

    def _quantile(self, start: int, end: int) -> tuple[float, int]:
        at, value, position = 0.0, ABSENT, start
        while position < end:
            number, wire, position = read_tag(self.data, position, end)
            if number == 1:
                expect_wire(wire, FIXED64)
                at = read_double(self.data, position, end)
                position += 8
            elif number == 2:
                expect_wire(wire, FIXED64)
                value = self._take_double(position, end)
                position += 8
            else:
                position = skip(self.data, position, end, wire)
        expect_end(position, end)
        return at, value

    def read_histogram(self, start: int, end: int) -> None:
        """The message of a histogram."""
        data, position = self.data, start
        histogram = self.histogram = self.histogram or RawHistogram()
        while position < end:
            number, wire, position = read_tag(data, position, end)
            if number == 3:
                expect_wire(wire, LENGTH)
                inner, position = block(data, position, end)
                histogram.buckets.append(self._bucket(inner, position))
            elif wire == VARINT:
                value, after = varint(data, position)
                self._whole(histogram, number, value, position, after)
                position = after
            elif wire == FIXED64:
                self._fraction(histogram, number, position, end)
                position += 8
            elif wire == LENGTH:
                inner, position = block(data, position, end)
                self._part(histogram, number, inner, position)
            else:
                position = skip(data, position, end, wire)
        expect_end(position, end)

    def _whole(self, histogram: RawHistogram, number: int, value: int, start: int, end: int) -> None:
        if number == 1:
            histogram.count = self._take_varint(value, start, end)
        elif number == 7:
            histogram.zero_count = self._take_varint(value, start, end)
        elif number == 5:
            value &= 0xFFFFFFFF
            histogram.schema = (value >> 1) ^ -(value & 1)
        elif number == 10:
            histogram.negative_deltas.append(self._take_zigzag(value, start, end))
        elif number == 13:
            histogram.positive_deltas.append(self._take_zigzag(value, start, end))
        elif number in _HISTOGRAM_FIELDS:
            raise WireError(f"proto: wrong wireType = {VARINT} for field of a histogram")

    def _fraction(self, histogram: RawHistogram, number: int, position: int, end: int) -> None:
        if number == 2:
            histogram.sum = self._take_double(position, end)
        elif number == 4:
            histogram.count_float = self._take_positive(position, end)
        elif number == 6:
            histogram.zero_threshold = read_double(self.data, position, end)
        elif number == 8:
            histogram.zero_count_float = self._take_positive(position, end)
        elif number == 11:
            histogram.negative_counts.append(self._take_double(position, end))
        elif number == 14:
            histogram.positive_counts.append(self._take_double(position, end))
        elif number in _HISTOGRAM_FIELDS:
            raise WireError(f"proto: wrong wireType = {FIXED64} for field of a histogram")
        elif position + 8 > end:
            raise WireError("unexpected EOF")

    def _part(self, histogram: RawHistogram, number: int, start: int, end: int) -> None:
        """A message, or numbers that are packed."""
        data = self.data
        if number in (9, 12):
            spans = histogram.negative_spans if number == 9 else histogram.positive_spans
            spans.append(read_span(data, start, end))
        elif number in (10, 13):
            deltas = histogram.negative_deltas if number == 10 else histogram.positive_deltas
            while start < end:
                value, after = varint(data, start)
                deltas.append(self._take_zigzag(value, start, after))
                start = after
            expect_end(start, end)
        elif number in (11, 14):
            counts = histogram.negative_counts if number == 11 else histogram.positive_counts
            while start < end:
                counts.append(self._take_double(start, end))
                start += 8
        elif number == 15:
            self.created_ms = read_timestamp_ms(data, start, end)
        elif number == 16:
            histogram.exemplars.append(read_exemplar(data, start, end))
        elif number in _HISTOGRAM_FIELDS:
            raise WireError(f"proto: wrong wireType = {LENGTH} for field of a histogram")

    def _bucket(self, start: int, end: int) -> Bucket:
        data, position, bucket = self.data, start, Bucket()
        while position < end:
            tag = data[position]
            if tag == 8:
                value, after = varint(data, position + 1)
                bucket.count = self._take_varint(value, position + 1, after)
                position = after
                continue
            if tag == 17:
                bucket.bound = read_double(data, position + 1, end)
                position += 9
                continue
            number, wire, position = read_tag(data, position, end)
            if number == 3:
                expect_wire(wire, LENGTH)
                inner, position = block(data, position, end)
                bucket.exemplar = read_exemplar(data, inner, position)
            elif number == 4:
                expect_wire(wire, FIXED64)
                bucket.count_float = self._take_positive(position, end)
                position += 8
            elif number in (1, 2):
                raise WireError(f"proto: wrong wireType = {wire} for field of a bucket")
            else:
                position = skip(data, position, end, wire)
        expect_end(position, end)
        return bucket


_MESSAGES: Final = {
    1: RawMetric.read_gauge,  # labels, which are read apart
    2: RawMetric.read_gauge,
    3: RawMetric.read_counter,
    4: RawMetric.read_summary,
    5: RawMetric.read_untyped,
    7: RawMetric.read_histogram,
}
_HISTOGRAM_FIELDS: Final = range(1, 17)
