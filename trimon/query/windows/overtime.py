"""`*_over_time` and their kin: each window of samples to one number."""

from __future__ import annotations

import numpy as np

from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.prefixsums import (
    counted,
    finite_part,
    finite_sum,
    merged,
    pairs_counted,
    rough_sum,
)
from trimon.query.windows.regularwindows import RegularPanel, window_extremes
from trimon.query.windows.singlewindows import (
    compensated_mean,
    compensated_sum,
    compensated_variance,
    quantile_of,
    reduce_windows,
    window_chunks,
)
from trimon.query.windows.windowarguments import Cells, WindowCall
from trimon.query.windows.windowmatrix import Panel
from trimon.query.windows.windowquantiles import window_quantiles


def _filled(panel: Panel) -> Mask:
    return panel.hi > panel.lo


def _shape(panel: Panel) -> tuple[int, int]:
    return len(panel.rows), panel.lo.shape[-1]


def _suspects(panel: Panel, spoiled: Mask | None, bad: Mask | None) -> Mask | None:
    """The filled windows that must be computed sample by sample."""
    if spoiled is not None:
        bad = merged(bad, counted(panel, spoiled) > 0)
    if bad is None:
        return None
    bad = np.broadcast_to(bad & _filled(panel), _shape(panel))
    return bad if bad.any() else None


def count(panel: Panel, call: WindowCall) -> Cells:
    """Number of samples."""
    del call
    return (panel.hi - panel.lo).astype(np.float64), _filled(panel)


def present(panel: Panel, call: WindowCall) -> Cells:
    """1 where there is any sample."""
    del call
    return np.ones(panel.lo.shape), _filled(panel)


def last(panel: Panel, call: WindowCall) -> Cells:
    """The newest value."""
    del call
    return panel.pick(panel.values, panel.hi - 1), _filled(panel)


def first(panel: Panel, call: WindowCall) -> Cells:
    """The oldest value."""
    del call
    return panel.pick(panel.values, panel.lo), _filled(panel)


def ts_of_last(panel: Panel, call: WindowCall) -> Cells:
    """Timestamp of the newest sample, in seconds."""
    del call
    return panel.pick_times(panel.hi - 1) / 1000, _filled(panel)


def ts_of_first(panel: Panel, call: WindowCall) -> Cells:
    """Timestamp of the oldest sample, in seconds."""
    del call
    return panel.pick_times(panel.lo) / 1000, _filled(panel)


def total(panel: Panel, call: WindowCall) -> Cells:
    """Compensated sum."""
    del call
    out, bad, spoiled = finite_sum(panel)
    suspects = _suspects(panel, spoiled, bad)
    if suspects is not None:
        out = out.copy()
        reduce_windows(panel, suspects, out, compensated_sum)
    return out, _filled(panel)


def average(panel: Panel, call: WindowCall) -> Cells:
    """Mean, from the compensated sum."""
    del call
    out, bad, spoiled = finite_sum(panel)
    out = out / (panel.hi - panel.lo)
    suspects = _suspects(panel, spoiled, bad)
    if suspects is not None:
        reduce_windows(panel, suspects, out, compensated_mean)
    return out, _filled(panel)


def variance(panel: Panel, call: WindowCall) -> Cells:
    """Population variance."""
    del call
    values, spoiled = finite_part(panel.values)
    center = values[:, :1]
    moved = values - center
    number = panel.hi - panel.lo
    sums, sums_bad = rough_sum(panel, moved)
    squares, squares_bad = rough_sum(panel, moved * moved)
    out = sums * sums
    out /= number
    np.subtract(squares, out, out=out)
    # Where the spread inside the window is small against the distance from the centre, digits are lost.
    lost: Mask | None = out < squares * 1e-4
    if not np.any(lost):
        lost = None
    out /= number
    suspects = _suspects(panel, spoiled, merged(merged(sums_bad, squares_bad), lost))
    if suspects is not None:
        reduce_windows(panel, suspects, out, compensated_variance)
    return out, _filled(panel)


def deviation(panel: Panel, call: WindowCall) -> Cells:
    """Population standard deviation."""
    out, shown = variance(panel, call)
    return np.sqrt(out), shown


def _extreme(panel: Panel, pick: np.ufunc) -> Cells:
    """Minimum or maximum by doubling: two overlapping spans of a power of two cover each window."""
    if isinstance(panel, RegularPanel):
        return window_extremes(panel, panel.values, pick), _filled(panel)
    filled = _filled(panel)
    lengths = panel.hi - panel.lo
    out = np.full(_shape(panel), np.nan)
    table, span = panel.values, 1
    longest = int(lengths.max(initial=0))
    while span <= longest:
        here = (lengths >= span) & (lengths < 2 * span)
        if here.any():
            if here.ndim == 1:
                steps = np.flatnonzero(here)
                left = table.take(panel.lo[steps], axis=1)
                out[:, steps] = left if span == 1 else pick(left, table.take(panel.hi[steps] - span, axis=1))
            else:
                rows, steps = np.nonzero(here)
                left = table[rows, panel.lo[rows, steps]]
                out[rows, steps] = pick(left, table[rows, panel.hi[rows, steps] - span])
        if 2 * span > longest:
            break
        table = pick(table[:, :-span], table[:, span:])
        span *= 2
    return out, filled


def minimum(panel: Panel, call: WindowCall) -> Cells:
    """Smallest value; NaN only when all are."""
    del call
    return _extreme(panel, np.fmin)


def maximum(panel: Panel, call: WindowCall) -> Cells:
    """Largest value; NaN only when all are."""
    del call
    return _extreme(panel, np.fmax)


def _ts_of(panel: Panel, pick: np.ufunc) -> Cells:
    extreme, filled = _extreme(panel, pick)
    out = np.zeros(extreme.shape)
    mask = np.broadcast_to(filled, extreme.shape)
    for rows, steps, values, lengths, times in window_chunks(panel, mask, with_times=True):
        wanted = extreme[rows, steps][:, None]
        inside = np.arange(values.shape[1]) < lengths[:, None]
        equal = inside & ((values == wanted) | np.isnan(wanted))
        at = values.shape[1] - 1 - np.argmax(equal[:, ::-1], axis=1)
        out[rows, steps] = times[np.arange(len(at)), at] / 1000
    return out, filled


def ts_of_min(panel: Panel, call: WindowCall) -> Cells:
    """Timestamp of the last smallest value, in seconds."""
    del call
    return _ts_of(panel, np.fmin)


def ts_of_max(panel: Panel, call: WindowCall) -> Cells:
    """Timestamp of the last largest value, in seconds."""
    del call
    return _ts_of(panel, np.fmax)


def changes(panel: Panel, call: WindowCall) -> Cells:
    """How often the value changed; NaN to NaN is no change."""
    del call
    before, after = panel.values[:, :-1], panel.values[:, 1:]
    moved = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return pairs_counted(panel, moved), _filled(panel)


def resets(panel: Panel, call: WindowCall) -> Cells:
    """How often the value fell."""
    del call
    return pairs_counted(panel, panel.values[:, 1:] < panel.values[:, :-1]), _filled(panel)


def quantile(panel: Panel, call: WindowCall) -> Cells:
    """The quantile `params[0]` of each window."""
    (wanted,) = call.params
    if isinstance(panel, RegularPanel) and 0 <= wanted[0] <= 1 and (wanted == wanted[0]).all():
        found = window_quantiles(panel, float(wanted[0]))
        if found is not None:
            return found, _filled(panel)
    out = np.full(_shape(panel), np.nan)
    filled = _filled(panel)
    for rows, steps, values, lengths, _ in window_chunks(panel, np.broadcast_to(filled, out.shape)):
        out[rows, steps] = quantile_of(values, lengths, wanted[steps])
    return out, filled


def median_deviation(panel: Panel, call: WindowCall) -> Cells:
    """Median of the distances from the median."""
    del call
    out = np.full(_shape(panel), np.nan)
    filled = _filled(panel)

    def reducer(values: Matrix, lengths: Index) -> Matrix:
        half = np.full(len(values), 0.5)
        middle = quantile_of(values, lengths, half)
        result = quantile_of(np.abs(values - middle[:, None]), lengths, half)
        nans = np.isnan(values).sum(axis=1) > values.shape[1] - lengths
        return np.where(nans, np.nan, result)

    reduce_windows(panel, np.broadcast_to(filled, out.shape), out, reducer)
    return out, filled


def smoothing(panel: Panel, call: WindowCall) -> Cells:
    """Double exponential smoothing with factors `params`; at least two samples."""
    level_factor, trend_factor = call.params
    out = np.zeros(_shape(panel))
    enough = panel.hi - panel.lo >= 2
    for rows, steps, values, lengths, _ in window_chunks(panel, np.broadcast_to(enough, out.shape)):
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
