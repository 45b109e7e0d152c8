"""`io.prometheus.client.MetricFamily` in protobuf's text form: over several lines, or compact, a line each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trimon.gotext.floats import format_g
from trimon.model.histogram import FloatHistogram
from trimon.model.spans import spans_of
from trimon.web.exposition.escaping import SCHEMES
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily, classic_points
from trimon.web.exposition.protobuf import PROTO

_INDENT: Final = "  "
_ESCAPES: Final = {
    **{code: f"\\x{code:02x}" for code in range(ord(" "))},
    ord("\n"): r"\n",
    ord("\r"): r"\r",
    ord("\t"): r"\t",
    ord('"'): r"\"",
    ord("\\"): r"\\",
}


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return format_g(value)


def _quoted(text: str) -> str:
    """A text between quotes; what is below the space is escaped, and bytes beyond ASCII stay as they are."""
    return f'"{text.translate(_ESCAPES)}"'


class PrototextEncoding:
    """Messages as text, with a field a line; `compact` ones have no line ends within."""

    needs_size = False
    shows_native = True

    def __init__(self, scheme: str, *, compact: bool) -> None:
        encoding = "compact-text" if compact else "text"
        self.content_type = f"{PROTO}; encoding={encoding}; escaping={scheme}"
        self._escape = SCHEMES[scheme]
        self._compact = compact
        self.end = b"\n"

    def _field(self, depth: int, name: str, value: str) -> str:
        """A field with a plain value, and what separates it from the next one."""
        return f"{name}:{value} " if self._compact else f"{_INDENT * depth}{name}: {value}\n"

    def _message(self, depth: int, name: str, fields: str) -> str:
        """A field that is a message of `fields`."""
        if self._compact:
            return f"{name}:{{{fields.removesuffix(' ')}}} "
        indent = _INDENT * depth
        return f"{indent}{name}: {{\n{fields}{indent}}}\n"

    def label(self, name: str, value: str) -> bytes:
        """A LabelPair."""
        fields = self._field(2, "name", _quoted(self._escape(name))) + self._field(2, "value", _quoted(value))
        return _bytes(self._message(1, "label", fields))

    def values(
        self, name: str, labels: Sequence[bytes], values: Sequence[float], times_ms: Sequence[int]
    ) -> bytes:
        """A Metric each."""
        del name
        # The frame of a metric is the same for all of them: only what is between is put in.
        parts = self._message(
            0,
            "metric",
            "\0"
            + self._message(1, "untyped", self._field(2, "value", "\0"))
            + self._field(1, "timestamp_ms", "\0"),
        )
        before, after, until, end = parts.split("\0")
        begin, middle = before.encode(), after
        return b"".join(
            begin + pieces + f"{middle}{_number(value)}{until}{time_ms}{end}".encode()
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
        before, after = self._message(0, "metric", "\0").split("\0")
        return b"".join(
            before.encode() + pieces + self._counted(each, time_ms).encode() + after.encode()
            for pieces, each, time_ms in zip(labels, histograms, times_ms, strict=True)
        )

    def _counted(self, histogram: FloatHistogram, time_ms: int) -> str:
        """A Histogram in the order in which its fields are declared, and the time."""
        fields = [
            self._field(2, "sample_count_float", _number(histogram.count)),
            self._field(2, "sample_sum", _number(histogram.sum)),
        ]
        if histogram.custom:
            for at, value in classic_points(histogram):
                point = self._field(3, "cumulative_count_float", _number(value))
                point += self._field(3, "upper_bound", _number(at))
                fields.append(self._message(2, "bucket", point))
        else:
            fields += [
                self._field(2, "schema", str(histogram.schema)),
                self._field(2, "zero_threshold", _number(histogram.zero_threshold)),
                self._field(2, "zero_count_float", _number(histogram.zero_count)),
            ]
            for sign, buckets in (("negative", histogram.negative), ("positive", histogram.positive)):
                for offset, length in spans_of(buckets.index.tolist()):
                    span = self._field(3, "offset", str(offset)) + self._field(3, "length", str(length))
                    fields.append(self._message(2, f"{sign}_span", span))
                fields += [self._field(2, f"{sign}_count", _number(each)) for each in buckets.counts.tolist()]
        held = self._message(1, "histogram", "".join(fields)) + self._field(1, "timestamp_ms", str(time_ms))
        return held.removesuffix(" ") if self._compact else held

    def metric(self, family: MetricFamily, metric: Metric) -> bytes:
        """A Metric."""
        labels = b"".join(self.label(name, value) for name, value in metric.labels).decode()
        stamp = "" if metric.time_ms is None else self._field(1, "timestamp_ms", str(metric.time_ms))
        return _bytes(self._message(0, "metric", labels + self._held(family.type, metric) + stamp))

    def begin(self, name: str, about: str, kind: FamilyType, metrics_bytes: int) -> bytes:
        """All of a message but the metrics."""
        del metrics_bytes
        fields = [self._field(0, "name", _quoted(self._escape(name)))]
        if about:
            fields.append(self._field(0, "help", _quoted(about)))
        fields.append(self._field(0, "type", kind.name))
        return _bytes("".join(fields))

    def _held(self, kind: FamilyType, metric: Metric) -> str:
        """The value of a metric, by its type."""
        if kind not in (FamilyType.SUMMARY, FamilyType.HISTOGRAM):
            return self._message(1, kind.word, self._field(2, "value", _number(metric.value)))
        fields = [
            self._field(2, "sample_count", str(metric.count)),
            self._field(2, "sample_sum", _number(metric.sum)),
        ]
        for at, value in metric.points:
            if kind is FamilyType.SUMMARY:
                point = self._field(3, "quantile", _number(at)) + self._field(3, "value", _number(value))
                fields.append(self._message(2, "quantile", point))
            else:
                point = self._field(3, "cumulative_count", str(int(value)))
                point += self._field(3, "upper_bound", _number(at))
                fields.append(self._message(2, "bucket", point))
        return self._message(1, kind.word, "".join(fields))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
