"""Data points and exemplars field by field, of any form.

NumberDataPoint        2 start  3 time  4 double  5 exemplar …  6 sfixed64  7 attribute …  8 flags
HistogramDataPoint     2 start  3 time  4 count  5 sum  6 counts  7 bounds  8 exemplar …  9 attribute …  10 flags
ExponentialHistogram…  1 attribute …  2 start  3 time  4 count  5 sum  6 scale  7 zero count  8 positive  9 negative
                       10 flags  11 exemplar …
SummaryDataPoint       2 start  3 time  4 count  5 sum  6 quantile …  7 attribute …  8 flags
Exemplar               2 time  3 double  4 span id  5 trace id  6 sfixed64  7 attribute …
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import field
from typing import Final

from trimon.limits import HISTOGRAM_BUCKETS_MAX
from trimon.records import dataclass
from trimon.remote.histograms import zigzag
from trimon.remote.otlp.values import Attributes, attribute
from trimon.wire import FIXED64, LENGTH, VARINT, FieldCount, WireError, block, skip, varint

_NO_VALUE: Final = 1
# Of the labels of one exemplar, in characters: what is more loses its attributes.
EXEMPLAR_CHARACTERS_MAX: Final = 128
EXEMPLARS_PER_POINT_MAX: Final = 10_000


@dataclass(slots=True)
class Exemplar:
    """One, with the labels that it gets."""

    time_ns: int = 0
    value: float | None = None
    """None where it has none."""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Point:
    """What data points of all kinds have. `attributes` are the fields as they are there, one after the other."""

    start_ns: int = 0
    time_ns: int = 0
    flags: int = 0
    value: float = 0.0
    count: int = 0
    sum: float | None = None
    attributes: bytearray = field(default_factory=bytearray)
    exemplars: list[Exemplar] = field(default_factory=list)

    @property
    def has_no_value(self) -> bool:
        """Whether it says that its series is no longer there."""
        return bool(self.flags & _NO_VALUE)


@dataclass(slots=True)
class HistogramPoint(Point):
    """One of explicit bounds."""

    counts: list[int] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Buckets:
    """One side of an exponential histogram: counts from an offset on."""

    offset: int = 0
    counts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ExponentialPoint(Point):
    """One of exponential buckets."""

    scale: int = 0
    zero_count: int = 0
    positive: Buckets = field(default_factory=Buckets)
    negative: Buckets = field(default_factory=Buckets)


@dataclass(slots=True)
class SummaryPoint(Point):
    """One of quantiles, (quantile, value) each."""

    quantiles: list[tuple[float, float]] = field(default_factory=list)


_START: Final = 2 << 3 | FIXED64
_TIME: Final = 3 << 3 | FIXED64


def number_point(data: bytes, position: int, end: int, fields: FieldCount) -> Point:
    """A point of a gauge or a sum; of several values the last counts."""
    point = Point()
    while position < end:
        before = position
        tag, position = fields.tag(data, position)
        if tag & 7 == FIXED64 and position + 8 <= end:
            number, raw = tag >> 3, data[position : position + 8]
            position += 8
            if number == 4:
                (point.value,) = struct.unpack("<d", raw)
            elif number == 6:
                point.value = float(int.from_bytes(raw, "little", signed=True))
            else:
                _times(point, number, raw)
        elif tag == 5 << 3 | LENGTH:
            start, position = block(data, position, end)
            _add_exemplar(point, data, start, position, fields)
        elif tag == 7 << 3 | LENGTH:
            _, position = block(data, position, end)
            point.attributes += data[before:position]
        else:
            position = _flags_or_other(point, 8, data, tag, position, end)
    return point


def histogram_point(data: bytes, position: int, end: int, fields: FieldCount) -> HistogramPoint:
    """A point of a histogram of explicit bounds."""
    point = HistogramPoint()
    while position < end:
        before = position
        tag, position = fields.tag(data, position)
        number = tag >> 3
        if tag & 7 == FIXED64 and position + 8 <= end:
            raw = data[position : position + 8]
            position += 8
            if number == 6:
                point.counts.append(int.from_bytes(raw, "little"))
            elif number == 7:
                point.bounds += struct.unpack("<d", raw)
            elif number < 6:
                _count_sum_times(point, number, raw)
        elif tag & 7 == LENGTH and 6 <= number <= 9:
            start, position = block(data, position, end)
            if number in (6, 7) and (position - start) % 8:
                raise WireError("unexpected EOF")
            if number == 6:
                point.counts += struct.unpack_from(f"<{(position - start) // 8}Q", data, start)
            elif number == 7:
                point.bounds += struct.unpack_from(f"<{(position - start) // 8}d", data, start)
            elif number == 8:
                _add_exemplar(point, data, start, position, fields)
            else:
                point.attributes += data[before:position]
        else:
            position = _flags_or_other(point, 10, data, tag, position, end)
        if len(point.counts) > HISTOGRAM_BUCKETS_MAX or len(point.bounds) > HISTOGRAM_BUCKETS_MAX:
            raise WireError(f"a histogram of more than {HISTOGRAM_BUCKETS_MAX} buckets")
    return point


def exponential_point(data: bytes, position: int, end: int, fields: FieldCount) -> ExponentialPoint:
    """A point of an exponential histogram."""
    point = ExponentialPoint()
    while position < end:
        before = position
        tag, position = fields.tag(data, position)
        number = tag >> 3
        if tag & 7 == FIXED64 and position + 8 <= end:
            raw = data[position : position + 8]
            position += 8
            if number == 7:
                point.zero_count = int.from_bytes(raw, "little")
            elif number < 7:
                _count_sum_times(point, number, raw)
        elif tag == 6 << 3 | VARINT:
            found, position = varint(data, position)
            point.scale = zigzag(found & 0xFFFFFFFF)
        elif tag & 7 == LENGTH and number in _EXPONENTIAL_BLOCKS:
            start, position = block(data, position, end)
            if number == 1:
                point.attributes += data[before:position]
            elif number == 11:
                _add_exemplar(point, data, start, position, fields)
            else:
                _read_buckets(
                    point.positive if number == 8 else point.negative, data, start, position, fields
                )
        else:
            position = _flags_or_other(point, 10, data, tag, position, end)
    return point


_EXPONENTIAL_BLOCKS: Final = frozenset((1, 8, 9, 11))


def summary_point(data: bytes, position: int, end: int, fields: FieldCount) -> SummaryPoint:
    """A point of a summary."""
    point = SummaryPoint()
    while position < end:
        before = position
        tag, position = fields.tag(data, position)
        number = tag >> 3
        if tag & 7 == FIXED64 and position + 8 <= end:
            _count_sum_times(point, number, data[position : position + 8])
            position += 8
        elif tag == 6 << 3 | LENGTH:
            start, position = block(data, position, end)
            point.quantiles.append(_quantile(data, start, position, fields))
        elif tag == 7 << 3 | LENGTH:
            _, position = block(data, position, end)
            point.attributes += data[before:position]
        else:
            position = _flags_or_other(point, 8, data, tag, position, end)
    return point


def _times(point: Point, number: int, raw: bytes) -> None:
    if number == 2:
        point.start_ns = int.from_bytes(raw, "little")
    elif number == 3:
        point.time_ns = int.from_bytes(raw, "little")


def _count_sum_times(point: Point, number: int, raw: bytes) -> None:
    if number == 4:
        point.count = int.from_bytes(raw, "little")
    elif number == 5:
        (point.sum,) = struct.unpack("<d", raw)
    else:
        _times(point, number, raw)


def _flags_or_other(point: Point, number: int, data: bytes, tag: int, position: int, end: int) -> int:
    """Takes in the flags, skips anything else; the position after it."""
    if tag == number << 3 | VARINT:
        point.flags, position = varint(data, position)
        if position > end:
            raise WireError("unexpected EOF")
        return position
    return skip(data, position, end, tag & 7)


def _read_buckets(side: Buckets, data: bytes, position: int, end: int, fields: FieldCount) -> None:
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 1 << 3 | VARINT:
            raw, position = varint(data, position)
            side.offset = zigzag(raw & 0xFFFFFFFF)
        elif tag == 2 << 3 | VARINT:
            raw, position = varint(data, position)
            side.counts.append(raw)
        elif tag == 2 << 3 | LENGTH:
            start, position = block(data, position, end)
            if position - start > 10 * HISTOGRAM_BUCKETS_MAX:
                raise WireError(f"a histogram of more than {HISTOGRAM_BUCKETS_MAX} buckets")
            while start < position:
                raw, start = varint(data, start)
                side.counts.append(raw)
            if start > position:
                raise WireError("unexpected EOF")
        else:
            position = skip(data, position, end, tag & 7)
        if len(side.counts) > HISTOGRAM_BUCKETS_MAX:
            raise WireError(f"a histogram of more than {HISTOGRAM_BUCKETS_MAX} buckets")
    if position > end:
        raise WireError("unexpected EOF")


def _quantile(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[float, float]:
    found = [0.0, 0.0]
    while position < end:
        tag, position = fields.tag(data, position)
        if tag in (1 << 3 | FIXED64, 2 << 3 | FIXED64) and position + 8 <= end:
            (found[(tag >> 3) - 1],) = struct.unpack_from("<d", data, position)
            position += 8
        else:
            position = skip(data, position, end, tag & 7)
    return found[0], found[1]


def _add_exemplar(point: Point, data: bytes, position: int, end: int, fields: FieldCount) -> None:
    if len(point.exemplars) == EXEMPLARS_PER_POINT_MAX:
        raise WireError(f"more than {EXEMPLARS_PER_POINT_MAX} exemplars of a data point")
    found = Exemplar()
    filtered: Attributes = []
    while position < end:
        tag, position = fields.tag(data, position)
        number = tag >> 3
        if tag & 7 == FIXED64 and position + 8 <= end:
            raw = data[position : position + 8]
            position += 8
            if number == 2:
                found.time_ns = int.from_bytes(raw, "little")
            elif number == 3:
                (found.value,) = struct.unpack("<d", raw)
            elif number == 6:
                found.value = float(int.from_bytes(raw, "little", signed=True))
        elif tag & 7 == LENGTH:
            start, position = block(data, position, end)
            if number == 7:
                filtered.append(attribute(data, start, position, fields))
            elif number in _IDS:
                _add_id(found.labels, *_IDS[number], data[start:position])
        else:
            position = skip(data, position, end, tag & 7)
    size = sum(len(name) + len(value) for name, value in (*found.labels.items(), *filtered))
    if size <= EXEMPLAR_CHARACTERS_MAX:
        found.labels |= dict(filtered)
    point.exemplars.append(found)


_IDS: Final = {4: ("span_id", 8), 5: ("trace_id", 16)}


def _add_id(labels: dict[str, str], name: str, size: int, raw: bytes) -> None:
    if raw and len(raw) != size:
        raise WireError(f"invalid length for {name}: {len(raw)} bytes, and {size} there must be")
    if any(raw):
        labels[name] = raw.hex()


def attributes_of(raw: bytes, fields: FieldCount) -> Attributes:
    """The attributes that stand one after the other as fields of a message, whatever their number."""
    found: Attributes = []
    position, end = 0, len(raw)
    while position < end:
        _, position = fields.tag(raw, position)
        start, position = block(raw, position, end)
        found.append(attribute(raw, start, position, fields))
    return found


ReadPoint = Callable[[bytes, int, int, FieldCount], Point]
