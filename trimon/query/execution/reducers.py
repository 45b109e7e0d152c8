"""From many samples to one number, element by element or row by row: compensated sums, means, variances, quantiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from trimon.query.execution.values import Index, Matrix

# `reduceat` goes down one column after the other: that is well only where there are few, or groups of many sizes.
_STEPS_FEW: Final = 16
_SIZES_MAX: Final = 6

# (values [cells, width], lengths [cells]) -> value [cells]
Reducer = Callable[[Matrix, Index], Matrix]


def reduce_rows(ufunc: np.ufunc, values: Matrix, bounds: Index, order: Index | None = None) -> Matrix:
    """One row for the rows from each bound to the next; as `reduceat`, but along the rows in memory.

    With `order` that of the rows it names, in their order.
    """
    count, steps = len(bounds), values.shape[1]
    sizes = np.diff(bounds, append=len(values))
    distinct = np.unique(sizes)
    out: Matrix
    if steps < _STEPS_FEW or len(distinct) > _SIZES_MAX:
        out = ufunc.reduceat(values if order is None else values.take(order, axis=0), bounds, axis=0)
        return out
    if len(distinct) == 1:
        rows = values if order is None else values.take(order, axis=0)
        out = ufunc.reduce(rows.reshape(count, -1, steps), axis=1)
        return out
    out = np.empty((count, steps))
    for size in distinct.tolist():
        members = np.flatnonzero(sizes == size)
        places = bounds[members][:, None] + np.arange(size)
        out[members] = ufunc.reduce(values.take(places if order is None else order[places], axis=0), axis=1)
    return out


def two_sum_step(total: Matrix, carry: Matrix, value: Matrix) -> tuple[Matrix, Matrix]:
    """One step of Neumaier's summation, element by element; an infinite total clears the carry."""
    new = total + value
    larger = np.abs(total) >= np.abs(value)
    rest = np.where(larger, (total - new) + value, (value - new) + total)
    return new, np.where(np.isinf(new), 0.0, carry + rest)


def compensated_sum(values: Matrix, lengths: Index) -> Matrix:
    """The compensated sum of each row's first `length` values."""
    total = np.zeros(len(values))
    carry = np.zeros(len(values))
    for column in range(values.shape[1]):
        inside = column < lengths
        new, rest = two_sum_step(total, carry, values[:, column])
        total = np.where(inside, new, total)
        carry = np.where(inside, rest, carry)
    return np.where(np.isinf(total), total, total + carry)


def compensated_mean(values: Matrix, lengths: Index) -> Matrix:
    """The mean of each row's first `length` values; an overflowing sum goes on as an incremental mean."""
    total, carry = values[:, 0].copy(), np.zeros(len(values))
    mean = np.zeros(len(values))
    incremental = np.zeros(len(values), np.bool_)
    for column in range(1, values.shape[1]):
        inside = column < lengths
        value, count = values[:, column], float(column + 1)
        new, rest = two_sum_step(total, carry, value)
        turning = inside & ~incremental & np.isinf(new)
        plain = inside & ~incremental & ~turning
        mean = np.where(turning, total / (count - 1), mean)
        carry = np.where(turning, carry / (count - 1), carry)
        incremental |= turning
        share = (count - 1) / count
        new_mean, mean_rest = two_sum_step(share * mean, share * carry, value / count)
        moving = inside & incremental
        mean = np.where(moving, new_mean, mean)
        carry = np.where(moving, mean_rest, np.where(plain, rest, carry))
        total = np.where(plain, new, total)
    return np.where(incremental, mean + carry, total / lengths + carry / lengths)


def compensated_variance(values: Matrix, lengths: Index) -> Matrix:
    """The population variance of each row's first `length` values, by Welford's recurrence."""
    zeros = np.zeros(len(values))
    mean, mean_carry, squares, squares_carry = zeros, zeros, zeros, zeros
    for column in range(values.shape[1]):
        inside = column < lengths
        value = values[:, column]
        delta = value - (mean + mean_carry)
        new, rest = two_sum_step(mean, mean_carry, delta / (column + 1))
        mean, mean_carry = np.where(inside, new, mean), np.where(inside, rest, mean_carry)
        new, rest = two_sum_step(squares, squares_carry, delta * (value - (mean + mean_carry)))
        squares, squares_carry = np.where(inside, new, squares), np.where(inside, rest, squares_carry)
    return (squares + squares_carry) / lengths


def quantile_of(values: Matrix, lengths: Index, quantile: Matrix) -> Matrix:
    """The quantile of each row's first `length` values; NaN is the smallest value, padding is NaN."""
    ordered = np.sort(values, axis=1)
    width = values.shape[1]
    # NaN is sorted last: it is in the sum if it is anywhere, also as padding.
    clean = not np.isnan(ordered[:, -1].sum()) and int(lengths.min(initial=width)) == width
    nans = 0 if clean else np.isnan(values).sum(axis=1) - (width - lengths)
    rank = quantile * (lengths - 1)
    floor = np.floor(np.where(np.isfinite(rank), rank, 0.0))
    lower = np.clip(floor, 0, lengths - 1).astype(np.intp)
    upper = np.minimum(lower + 1, lengths - 1)
    weight = rank - floor
    cells = np.arange(len(values))

    def at(index: Index) -> Matrix:
        if clean:
            return ordered[cells, index]
        shifted = index - nans
        return np.where(shifted < 0, np.nan, ordered[cells, np.maximum(shifted, 0)])

    out = at(lower) * (1 - weight) + at(upper) * weight
    out = np.where(quantile < 0, -np.inf, np.where(quantile > 1, np.inf, out))
    return np.where(np.isnan(quantile) | (lengths == 0), np.nan, out)
