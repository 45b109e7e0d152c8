"""The text format 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from trimon.gotext.floats import format_g
from trimon.model.labels import is_legacy_label_name, is_legacy_metric_name
from trimon.web.exposition.escaping import SCHEMES, UNDERSCORES
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily

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

        def line(suffix: str, value: float, more: bytes = b"") -> bytes:
            before, after, alone = self._frame(family.name, suffix)
            pieces = labels + more
            head = before + pieces[1:] + after if pieces else alone
            return head + f"{number(value)}{stamp}\n".encode()

        if family.type not in (FamilyType.SUMMARY, FamilyType.HISTOGRAM):
            return line("", metric.value)
        if family.type is FamilyType.SUMMARY:
            lines = [line("", value, self.label("quantile", number(at))) for at, value in metric.points]
        else:
            points = list(metric.points)
            if not points or points[-1][0] != math.inf:
                points.append((math.inf, metric.count))
            lines = [line("_bucket", value, self.label("le", number(at))) for at, value in points]
        return b"".join([*lines, line("_sum", metric.sum), line("_count", metric.count)])

    def begin(self, name: str, about: str, kind: FamilyType, metrics_bytes: int) -> bytes:
        """The lines of help and type."""
        del metrics_bytes
        name = self._escape(name)
        shown = name if is_legacy_metric_name(name) else _quoted(name)
        about = f"# HELP {shown} {_escaped(about, quotes=False)}\n" if about else ""
        return f"{about}# TYPE {shown} {kind.word}\n".encode("utf-8", "replace")
