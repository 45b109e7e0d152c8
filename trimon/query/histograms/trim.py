"""`h </ x` and `h >/ x`: a native histogram without what lies above or below a value."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from trimon.model.histogram import Buckets, FloatHistogram, ordered
from trimon.query.histograms.quantile import share_below


def trimmed(histogram: FloatHistogram, value: float, *, keep_below: bool) -> FloatHistogram:
    """The observations up to `value`, or from it on.

    The sum is estimated from the middles of what is left, but only if anything went.
    """
    buckets = ordered(histogram)
    size = len(buckets.counts)
    kept, middles = np.zeros(size), np.zeros(size)
    one_sided = (len(histogram.negative) == 0) != (len(histogram.positive) == 0)
    for at in range(size):
        lower, upper = float(buckets.lower[at]), float(buckets.upper[at])
        if histogram.custom:
            share, middle = _custom(lower, upper, value, keep_below=keep_below)
        else:
            if at == buckets.zero and one_sided:
                lower, upper = (0.0, upper) if len(histogram.negative) == 0 else (lower, 0.0)
            if at == buckets.zero:
                share, middle = _linear(lower, upper, value, keep_below=keep_below)
            else:
                share, middle = _exponential(histogram, lower, upper, value, keep_below=keep_below)
        kept[at], middles[at] = buckets.counts[at] * share, middle
    if (kept == buckets.counts).all():
        return histogram
    return _rebuilt(histogram, kept, float((kept * middles)[kept != 0].sum()), buckets.zero)


def _exponential(
    histogram: FloatHistogram, lower: float, upper: float, value: float, *, keep_below: bool
) -> tuple[float, float]:
    """The share of a bucket that is kept, and the middle of that part."""
    if value <= lower:
        return (0.0, 0.0) if keep_below else (1.0, _middle(lower, upper))
    if value >= upper:
        return (1.0, _middle(lower, upper)) if keep_below else (0.0, 0.0)
    below = share_below(histogram, lower, upper, value)
    if keep_below:
        return below, _middle(lower, value)
    return 1 - below, _middle(value, upper)


def _middle(lower: float, upper: float) -> float:
    middle = math.sqrt(abs(lower)) * math.sqrt(abs(upper))
    return middle if lower >= 0 else -middle


def _custom(lower: float, upper: float, value: float, *, keep_below: bool) -> tuple[float, float]:
    if math.isinf(lower) and math.isinf(upper):
        whole = value == (math.inf if keep_below else -math.inf)
        return (1.0, 0.0) if whole else (0.0, 0.0)
    if upper == math.inf:
        if keep_below:
            return (1.0, lower) if value == math.inf else (0.0, 0.0)
        return (0.0, 0.0) if value == math.inf else (1.0, max(lower, value))
    if lower == -math.inf:
        return _first_custom(upper, value, keep_below=keep_below)
    return _linear(lower, upper, value, keep_below=keep_below)


def _first_custom(upper: float, value: float, *, keep_below: bool) -> tuple[float, float]:
    """The bucket without a lower end: it begins at 0 if it ends above."""
    if keep_below and upper <= 0:
        return (0.0, 0.0) if value == -math.inf else (1.0, min(upper, value))
    if not keep_below and (value < 0 or upper <= 0):
        return (1.0, upper / 2 if upper > 0 else upper) if value == -math.inf else (0.0, 0.0)
    return _linear(0.0, upper, value, keep_below=keep_below)


def _linear(lower: float, upper: float, value: float, *, keep_below: bool) -> tuple[float, float]:
    cut = min(max(value, lower), upper)
    below = (cut - lower) / (upper - lower) if upper > lower else float(value >= lower)
    return (below, (lower + cut) / 2) if keep_below else (1 - below, (cut + upper) / 2)


def _rebuilt(histogram: FloatHistogram, kept: np.ndarray, total: float, zero: int) -> FloatHistogram:
    positive, negative = histogram.positive.compact(), histogram.negative.compact()
    first_positive = len(kept) - len(positive)
    return replace(
        histogram,
        count=float(kept.sum()),
        sum=total,
        zero_count=float(kept[zero]) if zero >= 0 else histogram.zero_count,
        negative=Buckets(negative.index, kept[: len(negative)][::-1].copy()),
        positive=Buckets(positive.index, kept[first_positive:].copy()),
    ).compact()
