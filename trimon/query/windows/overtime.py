"""`*_over_time` and their kin: each window of samples to one number."""

from __future__ import annotations

import numpy as np

from trimon.query.execution.reducers import (
    compensated_mean,
    compensated_sum,
    compensated_variance,
    quantile_of,
)
from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.prefixsums import (
    counted,
    finite_part,
    finite_sums,
    merged,
    pairs_counted,
    rough_sum,
)
from trimon.query.windows.regularwindows import RegularWindowMatrix, window_extremes
from trimon.query.windows.singlewindows import reduce_windows, window_chunks
from trimon.query.windows.windowarguments import WindowCall, WindowResults
from trimon.query.windows.windowmatrix import WindowMatrix
from trimon.query.windows.windowmeans import means
from trimon.query.windows.windowquantiles import window_quantiles
from trimon.query.windows.zerosigns import first_zeros


def _filled(windows: WindowMatrix) -> Mask:
    return windows.hi > windows.lo


def _shape(windows: WindowMatrix) -> tuple[int, int]:
    return len(windows.rows), windows.lo.shape[-1]


def _suspects(windows: WindowMatrix, spoiled: Mask | None, bad: Mask | None) -> Mask | None:
    """The filled windows that must be computed sample by sample."""
    if spoiled is not None:
        bad = merged(bad, counted(windows, spoiled) > 0)
    if bad is None:
        return None
    bad = np.broadcast_to(bad & _filled(windows), _shape(windows))
    return bad if bad.any() else None


def count(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Number of samples."""
    del call
    return (windows.hi - windows.lo).astype(np.float64), _filled(windows)


def present(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """1 where there is any sample."""
    del call
    return np.ones(windows.lo.shape), _filled(windows)


def last(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """The newest value."""
    del call
    return windows.pick(windows.values, windows.hi - 1), _filled(windows)


def first(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """The oldest value."""
    del call
    return windows.pick(windows.values, windows.lo), _filled(windows)


def ts_of_last(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Timestamp of the newest sample, in seconds."""
    del call
    return windows.pick_times(windows.hi - 1) / 1000, _filled(windows)


def ts_of_first(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Timestamp of the oldest sample, in seconds."""
    del call
    return windows.pick_times(windows.lo) / 1000, _filled(windows)


def total(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Compensated sum."""
    del call
    sums = finite_sums(windows)
    out = sums.total()
    suspects = _suspects(windows, sums.spoiled, sums.bad)
    if suspects is not None:
        out = out.copy()
        reduce_windows(windows, suspects, out, compensated_sum)
    return out, _filled(windows)


def average(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Mean, from the compensated sum."""
    del call
    sums = finite_sums(windows)
    out = means(windows, sums)
    suspects = _suspects(windows, sums.spoiled, sums.bad)
    if suspects is not None:
        reduce_windows(windows, suspects, out, compensated_mean)
    return out, _filled(windows)


def variance(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Population variance."""
    del call
    values, spoiled = finite_part(windows.values)
    center = values[:, :1]
    moved = values - center
    number = windows.hi - windows.lo
    sums, sums_bad = rough_sum(windows, moved)
    squares, squares_bad = rough_sum(windows, moved * moved)
    out = sums * sums
    out /= number
    np.subtract(squares, out, out=out)
    # Where the spread inside the window is small against the distance from the centre, digits are lost.
    lost: Mask | None = out < squares * 1e-4
    if not np.any(lost):
        lost = None
    out /= number
    suspects = _suspects(windows, spoiled, merged(merged(sums_bad, squares_bad), lost))
    if suspects is not None:
        reduce_windows(windows, suspects, out, compensated_variance)
    return out, _filled(windows)


def deviation(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Population standard deviation."""
    out, shown = variance(windows, call)
    return np.sqrt(out), shown


def _extreme(windows: WindowMatrix, pick: np.ufunc) -> WindowResults:
    """Minimum or maximum by doubling: two overlapping spans of a power of two cover each window."""
    if isinstance(windows, RegularWindowMatrix):
        return window_extremes(windows, windows.values, pick), _filled(windows)
    filled = _filled(windows)
    lengths = windows.hi - windows.lo
    out = np.full(_shape(windows), np.nan)
    table, span = windows.values, 1
    longest = int(lengths.max(initial=0))
    while span <= longest:
        here = (lengths >= span) & (lengths < 2 * span)
        if here.any():
            if here.ndim == 1:
                steps = np.flatnonzero(here)
                left = table.take(windows.lo[steps], axis=1)
                out[:, steps] = (
                    left if span == 1 else pick(left, table.take(windows.hi[steps] - span, axis=1))
                )
            else:
                rows, steps = np.nonzero(here)
                left = table[rows, windows.lo[rows, steps]]
                out[rows, steps] = pick(left, table[rows, windows.hi[rows, steps] - span])
        if 2 * span > longest:
            break
        table = pick(table[:, :-span], table[:, span:])
        span *= 2
    return out, filled


def minimum(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Smallest value; NaN only when all are."""
    del call
    smallest, filled = _extreme(windows, np.fmin)
    return first_zeros(windows, smallest), filled


def maximum(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Largest value; NaN only when all are."""
    del call
    largest, filled = _extreme(windows, np.fmax)
    return first_zeros(windows, largest), filled


def _ts_of(windows: WindowMatrix, pick: np.ufunc) -> WindowResults:
    extreme, filled = _extreme(windows, pick)
    out = np.zeros(extreme.shape)
    mask = np.broadcast_to(filled, extreme.shape)
    for rows, steps, values, lengths, times in window_chunks(windows, mask, with_times=True):
        wanted = extreme[rows, steps][:, None]
        inside = np.arange(values.shape[1]) < lengths[:, None]
        equal = inside & ((values == wanted) | np.isnan(wanted))
        at = values.shape[1] - 1 - np.argmax(equal[:, ::-1], axis=1)
        out[rows, steps] = times[np.arange(len(at)), at] / 1000
    return out, filled


def ts_of_min(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Timestamp of the last smallest value, in seconds."""
    del call
    return _ts_of(windows, np.fmin)


def ts_of_max(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Timestamp of the last largest value, in seconds."""
    del call
    return _ts_of(windows, np.fmax)


def changes(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """How often the value changed; NaN to NaN is no change."""
    del call
    before, after = windows.values[:, :-1], windows.values[:, 1:]
    moved = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return pairs_counted(windows, moved), _filled(windows)


def resets(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """How often the value fell."""
    del call
    return pairs_counted(windows, windows.values[:, 1:] < windows.values[:, :-1]), _filled(windows)


def quantile(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """The quantile `params[0]` of each window."""
    (wanted,) = call.params
    if isinstance(windows, RegularWindowMatrix) and 0 <= wanted[0] <= 1 and (wanted == wanted[0]).all():
        found = window_quantiles(windows, float(wanted[0]), call.check)
        if found is not None:
            return found, _filled(windows)
    out = np.full(_shape(windows), np.nan)
    filled = _filled(windows)
    for rows, steps, values, lengths, _ in window_chunks(windows, np.broadcast_to(filled, out.shape)):
        out[rows, steps] = quantile_of(values, lengths, wanted[steps])
    return out, filled


def median_deviation(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Median of the distances from the median."""
    del call
    out = np.full(_shape(windows), np.nan)
    filled = _filled(windows)

    def reducer(values: Matrix, lengths: Index) -> Matrix:
        half = np.full(len(values), 0.5)
        middle = quantile_of(values, lengths, half)
        result = quantile_of(np.abs(values - middle[:, None]), lengths, half)
        nans = np.isnan(values).sum(axis=1) > values.shape[1] - lengths
        return np.where(nans, np.nan, result)

    reduce_windows(windows, np.broadcast_to(filled, out.shape), out, reducer)
    return out, filled


def smoothing(windows: WindowMatrix, call: WindowCall) -> WindowResults:
    """Double exponential smoothing with factors `params`; at least two samples."""
    level_factor, trend_factor = call.params
    out = np.zeros(_shape(windows))
    enough = windows.hi - windows.lo >= 2
    for rows, steps, values, lengths, _ in window_chunks(windows, np.broadcast_to(enough, out.shape)):
        level, trend = level_factor[steps], trend_factor[steps]
        previous, current = np.zeros(len(values)), values[:, 0]
        slope = values[:, 1] - values[:, 0]
        for column in range(1, values.shape[1]):
            inside = column < lengths
            if column > 1:
                slope = np.where(inside, trend * (current - previous) + (1 - trend) * slope, slope)
            following = level * values[:, column] + (1 - level) * (current + slope)
            previous = np.where(inside, current, previous)
            current = np.where(inside, following, current)
        out[rows, steps] = current
    return out, enough
