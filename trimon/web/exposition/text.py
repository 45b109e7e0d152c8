"""The text format 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trimon.gotext.floats import format_g
from trimon.model.histogram import FloatHistogram
from trimon.model.labels import is_legacy_label_name, is_legacy_metric_name
from trimon.web.exposition.escaping import SCHEMES, UNDERSCORES
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily, classic_points

# Whole numbers below it have no exponent.
_WHOLE_MAX: Final = 1_000_000


def number(value: float) -> str:
    """A float as Go's writer of the format does: as `%g`, but a zero has no sign."""
    if -_WHOLE_MAX < value < _WHOLE_MAX and value == (whole := int(value)):
        return str(whole)
    return format_g(value)


def _escaped(text: str, *, quotes: bool) -> str:
    if "\\" in text or "\n" in text or (quotes and '"' in text):
        text = text.replace("\\", r"\\").replace("\n", r"\n")
        text = text.replace('"', r"\"") if quotes else text
    return text


def _quoted(text: str) -> str:
    return f'"{_escaped(text, quotes=True)}"'


class TextEncoding:
    """Lines, with names escaped by a scheme."""

    needs_size = False
    shows_native = False
    end = b""

    def __init__(self, scheme: str = UNDERSCORES) -> None:
        self.content_type = f"text/plain; version=0.0.4; charset=utf-8; escaping={scheme}"
        self._escape = SCHEMES[scheme]

    def label(self, name: str, value: str) -> bytes:
        """`,name="value"`; the comma goes where it is the first."""
        name = self._escape(name)
        shown = name if is_legacy_label_name(name) else _quoted(name)
        return f",{shown}={_quoted(value)}".encode("utf-8", "replace")

    def _frame(self, name: str, suffix: str = "") -> tuple[bytes, bytes, bytes]:
        """What stands before labels, after them, and in their place where there are none."""
        name = self._escape(name) + suffix
        if is_legacy_metric_name(name):
            raw = name.encode()
            return raw + b"{", b"} ", raw + b" "
        raw = _quoted(name).encode("utf-8", "replace")
        return b"{" + raw + b",", b"} ", b"{" + raw + b"} "

    def values(
        self, name: str, labels: Sequence[bytes], values: Sequence[float], times_ms: Sequence[int]
    ) -> bytes:
        """A line each."""
        before, after, alone = self._frame(name)
        return b"".join(
            (before + pieces[1:] + after if pieces else alone) + f"{number(value)} {time_ms}\n".encode()
            for pieces, value, time_ms in zip(labels, values, times_ms, strict=True)
        )

    def metric(self, family: MetricFamily, metric: Metric) -> bytes:
        """The lines of one metric."""
        labels = b"".join(self.label(name, value) for name, value in metric.labels)
        stamp = "" if metric.time_ms is None else f" {metric.time_ms}"
        name = family.name
        if family.type is FamilyType.HISTOGRAM:
            return self._histogram(name, labels, metric.points, metric.sum, metric.count, stamp)
        if family.type is not FamilyType.SUMMARY:
            return self._line(name, labels, metric.value, stamp)
        lines = [
            self._line(name, labels + self.label("quantile", number(at)), value, stamp)
            for at, value in metric.points
        ]
        return b"".join([*lines, *self._totals(name, labels, metric.sum, metric.count, stamp)])

    def histograms(
        self,
        name: str,
        labels: Sequence[bytes],
        histograms: Sequence[FloatHistogram],
        times_ms: Sequence[int],
    ) -> bytes:
        """The lines of classic histograms; all must have custom bounds."""
        return b"".join(
            self._histogram(name, pieces, classic_points(each), each.sum, each.count, f" {time_ms}")
            for pieces, each, time_ms in zip(labels, histograms, times_ms, strict=True)
        )

    def _histogram(
        self,
        name: str,
        labels: bytes,
        points: Sequence[tuple[float, float]],
        total: float,
        count: float,
        stamp: str,
    ) -> bytes:
        if not points or points[-1][0] != math.inf:
            points = [*points, (math.inf, count)]
        lines = [
            self._line(name, labels + self.label("le", number(at)), value, stamp, "_bucket")
            for at, value in points
        ]
        return b"".join([*lines, *self._totals(name, labels, total, count, stamp)])

    def _totals(
        self, name: str, labels: bytes, total: float, count: float, stamp: str
    ) -> tuple[bytes, bytes]:
        return (
            self._line(name, labels, total, stamp, "_sum"),
            self._line(name, labels, count, stamp, "_count"),
        )

    def _line(self, name: str, labels: bytes, value: float, stamp: str, suffix: str = "") -> bytes:
        before, after, alone = self._frame(name, suffix)
        head = before + labels[1:] + after if labels else alone
        return head + f"{number(value)}{stamp}\n".encode()

    def begin(self, name: str, about: str, kind: FamilyType, metrics_bytes: int) -> bytes:
        """The lines of help and type."""
        del metrics_bytes
        name = self._escape(name)
        shown = name if is_legacy_metric_name(name) else _quoted(name)
        about = f"# HELP {shown} {_escaped(about, quotes=False)}\n" if about else ""
        # The format has no histograms that are gauges.
        word = FamilyType.HISTOGRAM.word if kind is FamilyType.GAUGE_HISTOGRAM else kind.word
        return f"{about}# TYPE {shown} {word}\n".encode("utf-8", "replace")
