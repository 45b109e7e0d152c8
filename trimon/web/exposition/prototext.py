"""`io.prometheus.client.MetricFamily` in protobuf's text form: over several lines, or compact, a line each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimon.web.exposition.escaping import SCHEMES
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily
from trimon.web.exposition.protobuf import PROTO


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return repr(value).removesuffix(".0")


def _quoted(text: str) -> str:
    """A text between quotes, bytes beyond ASCII as they are, and those below the space by their numbers."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append(r"\n")
        elif char < " " or char == "\x7f":
            out.append(f"\\{ord(char):03o}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


class PrototextEncoding:
    """Messages as text; `compact` ones have no line ends within."""

    needs_size = False

    def __init__(self, scheme: str, *, compact: bool) -> None:
        encoding = "compact-text" if compact else "text"
        self.content_type = f"{PROTO}; encoding={encoding}; escaping={scheme}"
        self._escape = SCHEMES[scheme]
        self._between = " " if compact else "\n"
        self.end = b"\n"

    def label(self, name: str, value: str) -> bytes:
        """A LabelPair."""
        return self._bytes(f"label:{{name:{_quoted(self._escape(name))} value:{_quoted(value)}}} ")

    @staticmethod
    def _bytes(text: str) -> bytes:
        return text.encode("utf-8", "replace")

    def values(
        self, name: str, labels: Sequence[bytes], values: Sequence[float], times_ms: Sequence[int]
    ) -> bytes:
        """A Metric each."""
        del name
        return b"".join(
            b"metric:{"
            + pieces
            + f"untyped:{{value:{_number(value)}}} timestamp_ms:{time_ms}}}{self._between}".encode()
            for pieces, value, time_ms in zip(labels, values, times_ms, strict=True)
        )

    def metric(self, family: MetricFamily, metric: Metric) -> bytes:
        """A Metric."""
        stamp = "" if metric.time_ms is None else f" timestamp_ms:{metric.time_ms}"
        labels = b"".join(self.label(name, value) for name, value in metric.labels)
        return b"metric:{" + labels + self._bytes(f"{_held(family.type, metric)}{stamp}}}{self._between}")

    def begin(self, name: str, about: str, kind: FamilyType, metrics_bytes: int) -> bytes:
        """All of a message but the metrics."""
        del metrics_bytes
        parts = [f"name:{_quoted(self._escape(name))}", f"help:{_quoted(about)}" if about else ""]
        parts.append(f"type:{kind.name}")
        return self._bytes("".join(part + self._between for part in parts if part))


def _held(kind: FamilyType, metric: Metric) -> str:
    if kind not in (FamilyType.SUMMARY, FamilyType.HISTOGRAM):
        return f"{kind.word}:{{value:{_number(metric.value)}}}"
    if kind is FamilyType.SUMMARY:
        points = [
            f" quantile:{{quantile:{_number(at)} value:{_number(value)}}}" for at, value in metric.points
        ]
    else:
        points = [
            f" bucket:{{cumulative_count:{int(value)} upper_bound:{_number(at)}}}"
            for at, value in metric.points
        ]
    return f"{kind.word}:{{sample_count:{metric.count} sample_sum:{_number(metric.sum)}{''.join(points)}}}"
