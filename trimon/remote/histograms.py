"""Native histograms as remote write sends them: one message each."""

from __future__ import annotations

import struct
from collections.abc import Sequence, Sized
from typing import Final

from trimon.limits import HISTOGRAM_BUCKETS_MAX
from trimon.model.spans import HistogramError, SpanHistogram, Spans, absolute
from trimon.wire import FIXED64, LENGTH, VARINT, FieldCount, WireError, block, signed, skip, varint

_GAUGE: Final = 3
# Fields of the message by number.
_DOUBLES: Final = {2: "count", 3: "sum", 5: "zero_threshold", 7: "zero_count"}
_SPANS: Final = {8: "negative_spans", 11: "positive_spans"}
_DELTAS: Final = {9: "negative", 12: "positive"}
_COUNTS: Final = {10: "negative", 13: "positive", 16: "custom_values"}


def zigzag(value: int) -> int:
    """A signed integer from its zigzag form."""
    return (value >> 1) ^ -(value & 1)


class HistogramMessage:
    """Reads one message. Later fields replace earlier ones, repeated ones add to them, as protobuf has it."""

    def __init__(self) -> None:
        self.timestamp_ms = 0
        self._integer = False
        self._float = False
        self._gauge = False
        self._schema = 0
        self._counts: dict[str, int] = {}
        self._numbers: dict[str, float] = {}
        self._spans: dict[str, list[tuple[int, int]]] = {"positive_spans": [], "negative_spans": []}
        self._deltas: dict[str, list[int]] = {"positive": [], "negative": []}
        self._lists: dict[str, list[float]] = {"positive": [], "negative": [], "custom_values": []}

    def read(self, data: bytes, position: int, end: int, fields: FieldCount) -> None:
        """Take in the fields between two positions. Raises WireError."""
        while position < end:
            tag, position = fields.tag(data, position)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                raw, position = varint(data, position)
                self._whole(number, raw)
            elif wire == FIXED64 and number in _DOUBLES and position + 8 <= end:
                self._numbers[_DOUBLES[number]] = struct.unpack_from("<d", data, position)[0]
                self._float = self._float or number == 2
                self._integer = self._integer and number != 2
                position += 8
            elif wire == FIXED64 and number in _COUNTS and position + 8 <= end:
                self._lists[_COUNTS[number]].append(struct.unpack_from("<d", data, position)[0])
                position += 8
            elif wire == LENGTH:
                start, position = block(data, position, end)
                self._block(number, data, start, position, fields)
            else:
                position = skip(data, position, end, wire)

    def _whole(self, number: int, raw: int) -> None:
        if number == 1:
            self._counts["count"], self._float, self._integer = raw, False, True
        elif number == 4:
            self._schema = zigzag(raw & 0xFFFFFFFF)
        elif number == 6:
            self._counts["zero_count"] = raw
        elif number in _DELTAS:
            self._deltas[_DELTAS[number]].append(zigzag(raw))
        elif number == 14:
            self._gauge = raw == _GAUGE
        elif number == 15:
            self.timestamp_ms = signed(raw)

    def _block(self, number: int, data: bytes, start: int, end: int, fields: FieldCount) -> None:
        if number in _SPANS:
            self._spans[_SPANS[number]].append(_span(data, start, end, fields))
        elif number in _DELTAS:
            deltas = self._deltas[_DELTAS[number]]
            while start < end:
                raw, start = varint(data, start)
                deltas.append(zigzag(raw))
            if start > end:
                raise WireError("unexpected EOF")
        elif number in _COUNTS:
            if (end - start) % 8:
                raise WireError("unexpected EOF")
            self._lists[_COUNTS[number]] += struct.unpack_from(f"<{(end - start) // 8}d", data, start)

    def histogram(self) -> SpanHistogram:
        """The histogram, not checked. Raises HistogramError for more buckets or spans than any may have."""
        listed: tuple[Sized, ...] = (*self._spans.values(), *self._deltas.values(), *self._lists.values())
        most = max(map(len, listed))
        if most > HISTOGRAM_BUCKETS_MAX:
            raise HistogramError(
                f"a histogram has {most} buckets or spans, and at most {HISTOGRAM_BUCKETS_MAX} may be"
            )
        floats = self._float
        numbers, counts = self._numbers, self._counts
        return SpanHistogram(
            self._schema,
            numbers.get("zero_threshold", 0.0),
            numbers.get("zero_count", 0.0) if floats else counts.get("zero_count", 0),
            numbers.get("count", 0.0) if floats else counts.get("count", 0),
            numbers.get("sum", 0.0),
            self._spans_of("positive_spans"),
            self._buckets("positive"),
            self._spans_of("negative_spans"),
            self._buckets("negative"),
            tuple(self._lists["custom_values"]),
            integer=not floats,
            gauge=self._gauge,
        )

    def _spans_of(self, name: str) -> Spans:
        return tuple(self._spans[name])

    def _buckets(self, side: str) -> tuple[float, ...]:
        counts: Sequence[float] = self._lists[side] if self._float else absolute(self._deltas[side])
        return tuple(counts)


def _span(data: bytes, position: int, end: int, fields: FieldCount) -> tuple[int, int]:
    offset = length = 0
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == 1 << 3 | VARINT:
            raw, position = varint(data, position)
            offset = zigzag(raw & 0xFFFFFFFF)
        elif tag == 2 << 3 | VARINT:
            length, position = varint(data, position)
            length &= 0xFFFFFFFF
        else:
            position = skip(data, position, end, tag & 7)
    return offset, length
