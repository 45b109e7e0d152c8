"""`io.prometheus.client.MetricFamily` in protobuf's own bytes, each message after its length."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from trimon.model.histogram import FloatHistogram
from trimon.model.spans import spans_of
from trimon.web.exposition.escaping import SCHEMES
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily, classic_points
from trimon.wire import put_varint, zigzag

PROTO: Final = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily"

# The tags of fields: number and wire type.
_NAME, _HELP, _TYPE, _METRIC = b"\x0a", b"\x12", b"\x18", b"\x22"
_LABEL, _LABEL_NAME, _LABEL_VALUE, _TIME = b"\x0a", b"\x0a", b"\x12", b"\x30"
_VALUES: Final = {FamilyType.GAUGE: b"\x12", FamilyType.COUNTER: b"\x1a", FamilyType.UNTYPED: b"\x2a"}
_SUMMARY, _HISTOGRAM = b"\x22", b"\x3a"
_COUNT, _SUM, _POINT = b"\x08", b"\x11", b"\x1a"
# Those of histograms with counts that are floats.
_COUNT_FLOAT, _CUMULATIVE_FLOAT, _BOUND = b"\x21", b"\x21", b"\x11"
_SCHEMA, _ZERO_THRESHOLD, _ZERO_COUNT_FLOAT = b"\x28", b"\x31", b"\x41"
# Of the spans and of the counts of a sign.
_NEGATIVE, _POSITIVE = (b"\x4a", b"\x59"), (b"\x62", b"\x71")
_OFFSET, _LENGTH = b"\x08", b"\x10"
_DOUBLE = struct.Struct("<d").pack
_UNTYPED: Final = _VALUES[FamilyType.UNTYPED] + b"\x09\x09"


def _field(tag: bytes, payload: bytes) -> bytes:
    return tag + put_varint(len(payload)) + payload


def _text(tag: bytes, text: str) -> bytes:
    return _field(tag, text.encode("utf-8", "replace"))


class ProtobufEncoding:
    """Messages with their lengths before them, names escaped by a scheme."""

    needs_size = True
    shows_native = True
    end = b""

    def __init__(self, scheme: str) -> None:
        self.content_type = f"{PROTO}; encoding=delimited; escaping={scheme}"
        self._escape = SCHEMES[scheme]

    def label(self, name: str, value: str) -> bytes:
        """A LabelPair as a field of a Metric."""
        return _field(_LABEL, _text(_LABEL_NAME, self._escape(name)) + _text(_LABEL_VALUE, value))

    def values(
        self, name: str, labels: Sequence[bytes], values: Sequence[float], times_ms: Sequence[int]
    ) -> bytes:
        """A Metric each, as fields of a family."""
        del name
        return b"".join(
            _field(_METRIC, pieces + _UNTYPED + _DOUBLE(value) + _TIME + put_varint(time_ms))
            for pieces, value, time_ms in zip(labels, values, times_ms, strict=True)
        )

    def histograms(
        self,
        name: str,
        labels: Sequence[bytes],
        histograms: Sequence[FloatHistogram],
        times_ms: Sequence[int],
    ) -> bytes:
        """A Metric each, with counts that are floats."""
        del name
        return b"".join(
            _field(_METRIC, pieces + _field(_HISTOGRAM, _counted(each)) + _TIME + put_varint(time_ms))
            for pieces, each, time_ms in zip(labels, histograms, times_ms, strict=True)
        )

    def metric(self, family: MetricFamily, metric: Metric) -> bytes:
        """A Metric as a field of its family."""
        body = b"".join(self.label(name, value) for name, value in metric.labels) + _held(family.type, metric)
        stamp = b"" if metric.time_ms is None else _TIME + put_varint(metric.time_ms)
        return _field(_METRIC, body + stamp)

    def begin(self, name: str, about: str, kind: FamilyType, metrics_bytes: int) -> bytes:
        """The length of the message, and all of it but the metrics."""
        head = _text(_NAME, self._escape(name)) + (_text(_HELP, about) if about else b"")
        head += _TYPE + put_varint(kind.value)
        return put_varint(len(head) + metrics_bytes) + head


def _counted(histogram: FloatHistogram) -> bytes:
    """A Histogram in the order of its numbers."""
    body = _SUM + _DOUBLE(histogram.sum)
    count = _COUNT_FLOAT + _DOUBLE(histogram.count)
    if histogram.custom:
        points = [
            _BOUND + _DOUBLE(at) + _CUMULATIVE_FLOAT + _DOUBLE(value)
            for at, value in classic_points(histogram)
        ]
        return body + b"".join(_field(_POINT, point) for point in points) + count
    body += count + _SCHEMA + put_varint(zigzag(histogram.schema))
    body += _ZERO_THRESHOLD + _DOUBLE(histogram.zero_threshold)
    body += _ZERO_COUNT_FLOAT + _DOUBLE(histogram.zero_count)
    for (span_tag, count_tag), buckets in ((_NEGATIVE, histogram.negative), (_POSITIVE, histogram.positive)):
        for offset, length in spans_of(buckets.index.tolist()):
            body += _field(span_tag, _OFFSET + put_varint(zigzag(offset)) + _LENGTH + put_varint(length))
        body += b"".join(count_tag + _DOUBLE(each) for each in buckets.counts.tolist())
    return body


def _held(kind: FamilyType, metric: Metric) -> bytes:
    """What a metric has beside its labels."""
    tag = _VALUES.get(kind)
    if tag is not None:
        return _field(tag, b"\x09" + _DOUBLE(metric.value))
    body = _COUNT + put_varint(metric.count) + _SUM + _DOUBLE(metric.sum)
    if kind is FamilyType.SUMMARY:
        points = [b"\x09" + _DOUBLE(at) + b"\x11" + _DOUBLE(value) for at, value in metric.points]
        return _field(_SUMMARY, body + b"".join(_field(_POINT, point) for point in points))
    points = [b"\x08" + put_varint(int(value)) + b"\x11" + _DOUBLE(at) for at, value in metric.points]
    return _field(_HISTOGRAM, body + b"".join(_field(_POINT, point) for point in points))
