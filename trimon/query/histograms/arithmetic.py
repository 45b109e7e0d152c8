"""Sums, differences and multiples of native histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import Buckets, FloatHistogram, ResetHint, bounds
from trimon.query.execution.reducers import two_sum_step
from trimon.records import dataclass


class IncompatibleError(ValueError):
    """Exponential and custom buckets do not mix."""


@dataclass(frozen=True, slots=True)
class Combined:
    """The outcome of adding histograms, and what Prometheus remarks on it."""

    histogram: FloatHistogram
    reconciled: bool
    """Whether custom bounds had to be brought in line."""
    conflict: bool
    """Whether one operand says there was a counter reset and another that there was none."""


def to_schema(histogram: FloatHistogram, schema: int) -> FloatHistogram:
    """The histogram with a lower resolution."""
    if histogram.custom or schema >= histogram.schema:
        return histogram
    shift = histogram.schema - schema
    return replace(
        histogram,
        schema=schema,
        positive=_merged(histogram.positive, shift),
        negative=_merged(histogram.negative, shift),
    )


def _merged(buckets: Buckets, shift: int) -> Buckets:
    index = ((buckets.index - 1) >> shift) + 1
    distinct, position = np.unique(index, return_inverse=True)
    return Buckets(distinct, np.bincount(position, buckets.counts, len(distinct)).astype(np.float64))


def widened(histogram: FloatHistogram, threshold: float) -> FloatHistogram:
    """The histogram with a zero bucket at least as wide as `threshold`, grown to the edge of the last populated
    bucket it swallows a part of.
    """
    if threshold <= histogram.zero_threshold:
        return histogram
    while True:
        swallowed = histogram.zero_count
        keep: list[npt.NDArray[np.bool_]] = []
        grown = threshold
        for buckets in (histogram.positive, histogram.negative):
            low, high = bounds(histogram, buckets)
            inside = low < threshold
            swallowed += float(buckets.counts[inside].sum())
            keep.append(~inside)
            cut = inside & (high > threshold) & (buckets.counts != 0)
            if cut.any():
                grown = max(grown, float(high[cut].max()))
        if grown == threshold:
            break
        threshold = grown
    positive, negative = histogram.positive, histogram.negative
    return replace(
        histogram,
        zero_threshold=threshold,
        zero_count=swallowed,
        positive=Buckets(positive.index[keep[0]], positive.counts[keep[0]]),
        negative=Buckets(negative.index[keep[1]], negative.counts[keep[1]]),
    )


def to_bounds(histogram: FloatHistogram, custom_values: tuple[float, ...]) -> FloatHistogram:
    """A histogram of custom buckets with fewer bounds, all of them its own."""
    if histogram.custom_values == custom_values:
        return histogram
    _, high = bounds(histogram, histogram.positive)
    index = np.searchsorted(np.array(custom_values, np.float64), high, side="left").astype(np.int64)
    distinct, position = np.unique(index, return_inverse=True)
    counts = np.bincount(position, histogram.positive.counts, len(distinct)).astype(np.float64)
    return replace(histogram, custom_values=custom_values, positive=Buckets(distinct, counts))


def aligned(histograms: Sequence[FloatHistogram]) -> tuple[list[FloatHistogram], bool]:
    """Histograms brought to a common layout, and whether custom bounds had to be reconciled.

    Raises IncompatibleError.
    """
    custom = histograms[0].custom
    if any(histogram.custom != custom for histogram in histograms):
        raise IncompatibleError
    if custom:
        shared = histograms[0].custom_values
        if all(histogram.custom_values == shared for histogram in histograms):
            return list(histograms), False
        common = set(shared).intersection(*(histogram.custom_values for histogram in histograms))
        shared = tuple(value for value in shared if value in common)
        return [to_bounds(histogram, shared) for histogram in histograms], True
    schema = min(histogram.schema for histogram in histograms)
    out = [to_schema(histogram, schema) for histogram in histograms]
    if any(math.isnan(histogram.zero_threshold) for histogram in out):
        raise IncompatibleError
    while True:
        threshold = max(histogram.zero_threshold for histogram in out)
        out = [widened(histogram, threshold) for histogram in out]
        if all(histogram.zero_threshold == threshold for histogram in out):
            return out, False


def _hint(hints: Sequence[ResetHint]) -> ResetHint:
    distinct = set(hints)
    if ResetHint.GAUGE in distinct:
        return ResetHint.GAUGE
    return hints[0] if len(distinct) == 1 else ResetHint.UNKNOWN


def conflicting(hints: Sequence[ResetHint]) -> bool:
    """Whether both a reset and its absence are claimed."""
    return ResetHint.RESET in hints and ResetHint.NOT_RESET in hints


def combined(histograms: Sequence[FloatHistogram], *, mean: bool = False) -> Combined:
    """The compensated sum of several histograms, or their mean. Raises IncompatibleError."""
    hints = [histogram.hint for histogram in histograms]
    if len(histograms) == 1:
        return Combined(histograms[0], reconciled=False, conflict=False)
    parts, reconciled = aligned(histograms)
    reduce = _mean if mean else _sum
    scalars = np.array([[h.count, h.sum, h.zero_count] for h in parts])
    count, total, zero = reduce(scalars).tolist()
    return Combined(
        FloatHistogram(
            parts[0].schema,
            parts[0].zero_threshold,
            zero,
            count,
            total,
            _stacked([h.positive for h in parts], mean=mean),
            _stacked([h.negative for h in parts], mean=mean),
            parts[0].custom_values,
            _hint(hints),
        ).compact(),
        reconciled,
        conflicting(hints),
    )


def _stacked(parts: Sequence[Buckets], *, mean: bool) -> Buckets:
    index = np.unique(np.concatenate([part.index for part in parts]))
    rows = np.zeros((len(parts), len(index)))
    for row, part in zip(rows, parts, strict=True):
        row[np.searchsorted(index, part.index)] = part.counts
    return Buckets(index, (_mean if mean else _sum)(rows))


def _sum(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compensated sums of columns."""
    total: npt.NDArray[np.float64] = rows[0]
    carry = np.zeros(rows.shape[1])
    for row in rows[1:]:
        total, carry = two_sum_step(total, carry, row)
    return np.where(np.isinf(total), total, total + carry)


def _mean(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means of columns; where the sum is too large, the sum of the parts."""
    count = len(rows)
    total = _sum(rows)
    again = np.isinf(total) & np.isfinite(rows).all(axis=0)
    return np.where(again, _sum(rows / count), total / count)


def added(left: FloatHistogram, right: FloatHistogram, *, subtract: bool = False) -> Combined:
    """`left + right` or `left - right`. Raises IncompatibleError."""
    (a, b), reconciled = aligned([left, right])
    sign = -1.0 if subtract else 1.0
    hints = (left.hint, right.hint)
    return Combined(
        FloatHistogram(
            a.schema,
            a.zero_threshold,
            a.zero_count + sign * b.zero_count,
            a.count + sign * b.count,
            a.sum + sign * b.sum,
            _joined(a.positive, b.positive, sign),
            _joined(a.negative, b.negative, sign),
            a.custom_values,
            ResetHint.GAUGE if subtract else _hint(hints),
        ),
        reconciled,
        conflicting(hints),
    )


def _joined(left: Buckets, right: Buckets, sign: float) -> Buckets:
    if len(left) == len(right) and (left.index == right.index).all():
        return Buckets(left.index, left.counts + sign * right.counts).compact()
    index = np.union1d(left.index, right.index)
    counts = np.zeros(len(index))
    counts[np.searchsorted(index, left.index)] = left.counts
    counts[np.searchsorted(index, right.index)] += sign * right.counts
    return Buckets(index, counts).compact()


def scaled(histogram: FloatHistogram, factor: float) -> FloatHistogram:
    """Everything multiplied; a negative factor makes a gauge."""
    return replace(
        histogram,
        zero_count=histogram.zero_count * factor,
        count=histogram.count * factor,
        sum=histogram.sum * factor,
        positive=Buckets(histogram.positive.index, histogram.positive.counts * factor),
        negative=Buckets(histogram.negative.index, histogram.negative.counts * factor),
        hint=ResetHint.GAUGE if factor < 0 else histogram.hint,
    )


def divided(histogram: FloatHistogram, divisor: float) -> FloatHistogram:
    """Everything divided; by zero no buckets are left."""
    empty = Buckets.of(0, ())
    zero = divisor == 0

    def buckets(part: Buckets) -> Buckets:
        return empty if zero else Buckets(part.index, part.counts / divisor)

    return replace(
        histogram,
        zero_count=_quotient(histogram.zero_count, divisor),
        count=_quotient(histogram.count, divisor),
        sum=_quotient(histogram.sum, divisor),
        positive=buckets(histogram.positive),
        negative=buckets(histogram.negative),
        hint=ResetHint.GAUGE if divisor < 0 else histogram.hint,
    )


def _quotient(value: float, divisor: float) -> float:
    if divisor != 0:
        return value / divisor
    if value == 0 or math.isnan(value):
        return math.nan
    return math.copysign(math.inf, value) * math.copysign(1.0, divisor)


def equal(left: FloatHistogram, right: FloatHistogram) -> bool:
    """The same schema, figures and buckets; hints are not looked at."""
    a, b = left.compact(), right.compact()
    return (
        (a.schema, a.custom_values) == (b.schema, b.custom_values)
        and _same(
            [a.count, a.sum, a.zero_count, a.zero_threshold], [b.count, b.sum, b.zero_count, b.zero_threshold]
        )
        and all(
            len(x) == len(y) and (x.index == y.index).all() and _same(x.counts, y.counts)
            for x, y in ((a.positive, b.positive), (a.negative, b.negative))
        )
    )


def _same(
    left: Sequence[float] | npt.NDArray[np.float64], right: Sequence[float] | npt.NDArray[np.float64]
) -> bool:
    return np.array_equal(np.asarray(left), np.asarray(right), equal_nan=True)
