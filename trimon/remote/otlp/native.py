"""Histograms of OpenTelemetry as native ones."""

from __future__ import annotations

from typing import Final

from trimon.errors import UserError
from trimon.model.histogram import CUSTOM_SCHEMA, SCHEMA_MAX, SCHEMA_MIN
from trimon.model.sample import STALE_NAN
from trimon.model.spans import SpanHistogram, Spans
from trimon.remote.otlp.points import Buckets, ExponentialPoint, HistogramPoint

# OpenTelemetry's threshold is not kept: series of one threshold can be added.
ZERO_THRESHOLD: Final = 1e-128
# So many empty buckets are counted out: as many numbers as a span has.
_GAP_MAX: Final = 2


def native_exponential(point: ExponentialPoint, *, gauge: bool) -> SpanHistogram:
    """An exponential histogram, in the finest schema that there is if it comes in a finer one. Raises UserError."""
    if point.scale < SCHEMA_MIN:
        raise UserError(
            f"cannot convert exponential to native histogram. Scale must be >= {SCHEMA_MIN}, was {point.scale}"
        )
    if point.has_no_value:
        return SpanHistogram(sum=STALE_NAN)
    levels = max(0, point.scale - SCHEMA_MAX)
    positive_spans, positive = _spans(point.positive, levels, 1)
    negative_spans, negative = _spans(point.negative, levels, 1)
    return SpanHistogram(
        point.scale - levels,
        ZERO_THRESHOLD,
        point.zero_count,
        point.count,
        point.sum or 0.0,
        positive_spans,
        positive,
        negative_spans,
        negative,
        gauge=gauge,
    )


def native_custom(point: HistogramPoint, *, gauge: bool) -> SpanHistogram:
    """A histogram of explicit bounds as one of custom buckets. Raises UserError."""
    if point.has_no_value:
        return SpanHistogram(sum=STALE_NAN)
    first = next((place for place, count in enumerate(point.counts) if count), len(point.counts))
    spans, counts = _spans(Buckets(first, point.counts[first:]), 0, 0)
    return SpanHistogram(
        CUSTOM_SCHEMA,
        count=point.count,
        sum=point.sum or 0.0,
        positive_spans=spans,
        positive=counts,
        custom_values=tuple(point.bounds),
        gauge=gauge,
    )


def _spans(side: Buckets, levels: int, shift: int) -> tuple[Spans, tuple[float, ...]]:
    """Buckets merged so many times by two: from the first on those that count something, and the last.

    `shift`: ours are counted by their upper bounds, OpenTelemetry's by their lower.
    """
    totals: dict[int, int] = {}
    for index, count in enumerate(side.counts, side.offset):
        place = (index >> levels) + shift
        totals[place] = totals.get(place, 0) + count
    if not totals:
        return (), ()
    end = min(totals)
    last = max(totals)
    spans: list[tuple[int, int]] = [(end, 0)]
    counts: list[float] = []
    for place, count in totals.items():
        if not count and place != last:
            continue
        gap = place - end
        if gap <= _GAP_MAX:
            spans[-1] = (spans[-1][0], spans[-1][1] + gap + 1)
            counts += [0] * gap
        elif counts:
            spans.append((gap, 1))
        else:
            spans[0] = (place, 1)
        counts.append(count)
        end = place + 1
    return tuple(spans), tuple(counts)
