"""Metric families, and the bytes of them in protobuf: an encoder independent of the decoder under test."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from tests.support.protobuf import field as block
from tests.support.protobuf import varint

TYPES = {"counter": 0, "gauge": 1, "summary": 2, "untyped": 3, "histogram": 4, "gaugehistogram": 5}
_HOLDERS = {"counter": 3, "gauge": 2, "untyped": 5}


def double(number: int, value: float) -> bytes:
    """A double as a field."""
    return varint(number << 3 | 1) + struct.pack("<d", value)


def zigzag(value: int) -> bytes:
    """A signed number as a varint."""
    return varint(value << 1 if value >= 0 else -value * 2 - 1)


def whole(number: int, value: int) -> bytes:
    """A varint as a field."""
    return varint(number << 3) + varint(value)


@dataclass(frozen=True)
class HistogramNumbers:
    """A histogram: `buckets` are (bound, cumulative count), native `positive` and `negative` are counts by index."""

    count: int = 0
    sum: float = 0.0
    buckets: tuple[tuple[float, int], ...] = ()
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: int = 0
    positive: tuple[tuple[int, int], ...] = ()
    negative: tuple[tuple[int, int], ...] = ()
    is_float: bool = False
    packed: bool = True

    def encoded(self) -> bytes:
        """The message."""
        number = (lambda at, value: double(at, float(value))) if self.is_float else whole
        out = number(4 if self.is_float else 1, self.count) + double(2, self.sum)
        for bound, count in self.buckets:
            out += block(3, number(4 if self.is_float else 1, count) + double(2, bound))
        if not self.positive and not self.negative and not self.zero_threshold:
            return out
        out += whole(5, 0) if not self.schema else varint(5 << 3) + zigzag(self.schema)
        out += double(6, self.zero_threshold) + number(8 if self.is_float else 7, self.zero_count)
        for first, side in ((9, self.negative), (12, self.positive)):
            out += self._side(first, side)
        return out

    def _side(self, first: int, side: tuple[tuple[int, int], ...]) -> bytes:
        out, end = b"", 0
        for index, _ in side:  # a span each
            out += block(first, varint(1 << 3) + zigzag(index - end) + whole(2, 1))
            end = index + 1
        counts = [count for _, count in side]
        if self.is_float:
            numbers = [struct.pack("<d", float(count)) for count in counts]
            packed, wire = first + 2, 1
        else:
            numbers = [zigzag(after - before) for before, after in zip([0, *counts], counts, strict=False)]
            packed, wire = first + 1, 0
        if not numbers:
            return out
        if self.packed:
            return out + block(packed, b"".join(numbers))
        return out + b"".join(varint(packed << 3 | wire) + number for number in numbers)


@dataclass(frozen=True)
class MetricNumbers:
    """A metric: what of it is used says the type of its family."""

    labels: tuple[tuple[str, str], ...] = ()
    value: float = 0.0
    quantiles: tuple[tuple[float, float], ...] = ()
    histogram: HistogramNumbers = field(default_factory=HistogramNumbers)
    timestamp_ms: int = 0

    def encoded(self, kind: str) -> bytes:
        """The message, in a family of a type."""
        out = b"".join(
            block(1, block(1, name.encode()) + block(2, value.encode())) for name, value in self.labels
        )
        if kind in _HOLDERS:
            out += block(_HOLDERS[kind], double(1, self.value))
        elif kind == "summary":
            points = b"".join(block(3, double(1, at) + double(2, value)) for at, value in self.quantiles)
            out += block(4, whole(1, self.histogram.count) + double(2, self.histogram.sum) + points)
        else:
            out += block(7, self.histogram.encoded())
        return out + (whole(6, self.timestamp_ms) if self.timestamp_ms else b"")

    def with_(self, **changes: object) -> MetricNumbers:
        """The same with other numbers."""
        return replace(self, **changes)  # type: ignore[arg-type] # by name


@dataclass(frozen=True)
class FamilyNumbers:
    """A family."""

    name: str
    kind: str
    metrics: tuple[MetricNumbers, ...] = ()
    help: str = ""

    def encoded(self) -> bytes:
        """The message with its length before it."""
        out = block(1, self.name.encode()) + block(2, self.help.encode()) + whole(3, TYPES[self.kind])
        out += b"".join(block(4, metric.encoded(self.kind)) for metric in self.metrics)
        return varint(len(out)) + out


def body_of(families: tuple[FamilyNumbers, ...]) -> bytes:
    """A body."""
    return b"".join(family.encoded() for family in families)
