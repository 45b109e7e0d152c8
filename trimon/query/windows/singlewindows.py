"""Single windows taken out of a panel: the slow, exact way for the few that need it, and for functions that
must see every sample of a window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.windowmatrix import Panel

_CELLS_MAX: Final = 1 << 19
# Windows of more lengths than these are irregular and are padded instead.
_LENGTHS_MAX: Final = 24
_NO_TIMES: Final = np.zeros((0, 0), np.int64)

# (window values [cells, width], lengths [cells]) -> value [cells]
Reducer = Callable[[Matrix, Index], Matrix]


def window_chunks(
    panel: Panel, mask: Mask, *, with_times: bool = False
) -> Iterator[tuple[Index, Index, Matrix, Index, npt.NDArray[np.int64]]]:
    """The windows at the set cells of `mask` (bool[rows, steps]) as padded matrices of like lengths.

    Yields rows, steps, values [cells, width] (padding NaN), lengths, and where wanted times [cells, width].
    """
    if panel.lo.ndim == 1 and mask.strides[0] == 0:
        lengths = (panel.hi - panel.lo)[mask[0]]
        distinct = np.unique(lengths)
        if len(distinct) <= _LENGTHS_MAX:
            yield from _aligned_chunks(panel, mask[0], distinct, with_times=with_times)
            return
    rows, steps = np.nonzero(mask)
    lo = panel.lo[steps] if panel.lo.ndim == 1 else panel.lo[rows, steps]
    hi = panel.hi[steps] if panel.hi.ndim == 1 else panel.hi[rows, steps]
    lengths = hi - lo
    order = np.argsort(lengths, kind="stable")
    at = 0
    while at < len(order):
        longest = max(int(lengths[order[at]]) * 5 // 4, 8)
        stop = int(np.searchsorted(lengths[order], longest, side="right"))
        stop = min(stop, at + max(1, _CELLS_MAX // longest))
        part = order[at:stop]
        length = lengths[part]
        width = int(length[-1])
        index = lo[part, None] + np.arange(width)
        inside = np.arange(width) < length[:, None]
        index = np.minimum(index, panel.values.shape[1] - 1)
        values = np.where(inside, panel.values[rows[part, None], index], np.nan)
        times = _NO_TIMES
        if with_times:
            times = panel.times[index] if panel.times.ndim == 1 else panel.times[rows[part, None], index]
        yield rows[part], steps[part], values, length, times
        at = stop


def _aligned_chunks(
    panel: Panel, shown: Mask, lengths: Index, *, with_times: bool
) -> Iterator[tuple[Index, Index, Matrix, Index, npt.NDArray[np.int64]]]:
    """The windows at the same steps of all rows of a panel, those of one length at a time, without padding."""
    count = len(panel.rows)
    for length in lengths.tolist():
        steps = np.flatnonzero(shown & (panel.hi - panel.lo == length))
        spans = np.lib.stride_tricks.sliding_window_view(panel.values, length, axis=1)
        moments = np.lib.stride_tricks.sliding_window_view(panel.times, length)
        chunk = max(1, _CELLS_MAX // (length * count))
        for at in range(0, len(steps), chunk):
            part = steps[at : at + chunk]
            size = len(part)
            yield (
                np.repeat(np.arange(count), size),
                np.tile(part, count),
                spans[:, panel.lo[part]].reshape(count * size, length),
                np.full(count * size, length),
                np.tile(moments[panel.lo[part]], (count, 1)) if with_times else _NO_TIMES,
            )


def reduce_windows(panel: Panel, mask: Mask, out: Matrix, reducer: Reducer) -> None:
    """Put `reducer`'s value of every window in `mask` into `out`."""
    for rows, steps, values, lengths, _ in window_chunks(panel, mask):
        out[rows, steps] = reducer(values, lengths)


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
