"""Figures read out of one native histogram: quantile, fraction, variance."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import FloatHistogram, Ordered, apparent


class Note(Enum):
    """A remark on a result; the value is Prometheus' text."""

    NAN = "input to histogram_quantile has NaN observations, result is NaN"
    SKEWED = "input to histogram_quantile has NaN observations, result is skewed higher"
    EXCLUDED = "input to histogram_fraction has NaN observations, which are excluded from all fractions"


def quantile(wanted: float, histogram: FloatHistogram) -> tuple[float, Note | None]:
    """The value below which a share of the observations lies."""
    if wanted < 0:
        return -math.inf, None
    if wanted > 1:
        return math.inf, None
    if histogram.count == 0 or math.isnan(wanted):
        return math.nan, None
    buckets = apparent(histogram)
    unknown = math.isnan(histogram.sum)
    if len(buckets.counts) == 0:
        return math.nan, Note.NAN if unknown else None
    if unknown or wanted < 0.5:
        rank = wanted * histogram.count
        running = np.cumsum(buckets.counts)
        at = _first_reaching(running, rank)
        reached = min(float(running[at]), histogram.count)
        inside = rank - (reached - float(buckets.counts[at]))
    else:
        rank = (1 - wanted) * histogram.count
        running = np.cumsum(buckets.counts[::-1])
        back = _first_reaching(running, rank)
        at = len(running) - 1 - back
        reached = min(float(running[back]), histogram.count)
        inside = reached - rank
    if unknown and reached < rank:
        return math.nan, Note.NAN
    note = Note.SKEWED if unknown else None
    lower, upper = _effective(histogram, buckets, at)
    if histogram.custom:
        if lower == -math.inf:
            return upper, note
        if upper == math.inf:
            return lower, note
    if reached < rank:
        return upper, note
    return _interpolated(histogram, lower, upper, inside / float(buckets.counts[at])), note


def _first_reaching(running: npt.NDArray[np.float64], rank: float) -> int:
    """The first place of a sum that reaches the rank, the last where none does; sums fall where buckets are below zero."""
    reaches = running >= rank
    return int(reaches.argmax()) if reaches.any() else len(running) - 1


def _effective(histogram: FloatHistogram, buckets: Ordered, at: int) -> tuple[float, float]:
    """The bounds of a bucket as they count: one-sided zero buckets end at zero, as does a first custom one."""
    lower, upper = float(buckets.lower[at]), float(buckets.upper[at])
    if histogram.custom:
        return (0.0, upper) if lower == -math.inf and upper > 0 else (lower, upper)
    if at == buckets.zero:
        if len(histogram.negative) == 0 and len(histogram.positive) > 0:
            lower = 0.0
        elif len(histogram.positive) == 0 and len(histogram.negative) > 0:
            upper = 0.0
    return lower, upper


def _interpolated(histogram: FloatHistogram, lower: float, upper: float, fraction: float) -> float:
    if histogram.custom or lower <= 0 <= upper:
        return lower + (upper - lower) * fraction
    low, high = math.log2(abs(lower)), math.log2(abs(upper))
    # With numpy's power, as for columns: `**` may differ in the last digit, and an answer must not depend on how it was found.
    if lower > 0:
        return float(np.power(2.0, low + (high - low) * fraction))
    return -float(np.power(2.0, high + (low - high) * (1 - fraction)))


def share_below(histogram: FloatHistogram, lower: float, upper: float, value: float) -> float:
    """How much of a bucket with finite width lies below a value inside it."""
    if histogram.custom or lower <= 0 <= upper:
        return (value - lower) / (upper - lower)
    low, high, at = math.log2(abs(lower)), math.log2(abs(upper)), math.log2(abs(value))
    if value > 0:
        return (at - low) / (high - low)
    return 1 - (at - high) / (low - high)


def fraction(lower: float, upper: float, histogram: FloatHistogram) -> tuple[float, Note | None]:
    """The share of observations between two values."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, None
    note = Note.EXCLUDED if math.isnan(histogram.sum) else None
    if lower >= upper:
        return 0.0, note
    buckets = apparent(histogram)
    low, high = _rank(histogram, buckets, lower), _rank(histogram, buckets, upper)
    return (high - low) / histogram.count, note


def _rank(histogram: FloatHistogram, buckets: Ordered, value: float) -> float:
    """How many observations lie below a value."""
    rank = 0.0
    counts: list[float] = buckets.counts.tolist()
    for at, count in enumerate(counts):
        lower, upper = _effective(histogram, buckets, at)
        if lower >= value:
            return min(rank, histogram.count)
        if upper > value:
            if lower == -math.inf:
                inside = count
            elif upper == math.inf:
                inside = 0.0
            else:
                inside = count * share_below(histogram, lower, upper, value)
            return min(rank + inside, histogram.count)
        rank += count
    return rank if math.isnan(histogram.sum) else float(histogram.count)


def variance(histogram: FloatHistogram) -> float:
    """The variance if every observation were in the middle of its bucket."""
    if histogram.count == 0:
        return math.nan
    mean = histogram.sum / histogram.count
    buckets = apparent(histogram)
    if histogram.custom:
        middle = (buckets.lower + buckets.upper) / 2
    else:
        middle = np.sqrt(np.abs(buckets.lower) * np.abs(buckets.upper))
        middle = np.where(buckets.upper < 0, -middle, middle)
        middle = np.where((buckets.lower <= 0) & (buckets.upper >= 0), 0.0, middle)
    away = middle - mean
    return float((buckets.counts * away * away).sum() / histogram.count)
