"""Straight lines through windows: `deriv` and `predict_linear`."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.query.operators.cells import window_chunks
from trimon.query.operators.prefix import (
    counted,
    finite_part,
    pairs_counted,
    window_sum,
)
from trimon.query.operators.windowcall import Cells, WindowCall
from trimon.query.panel import Panel
from trimon.query.values import Index, Mask, Matrix

_FAR: Final = np.iinfo(np.int64).max


def _exact_line(values: Matrix, lengths: Index, seconds: Matrix) -> tuple[Matrix, Matrix]:
    """Slope and value at second 0 of each row's first `length` points, in two passes around their means."""
    inside = np.arange(values.shape[1]) < lengths[:, None]
    mean_x = np.where(inside, seconds, 0.0).sum(axis=1) / lengths
    mean_y = np.where(inside, values, 0.0).sum(axis=1) / lengths
    x = np.where(inside, seconds - mean_x[:, None], 0.0)
    y = np.where(inside, values - mean_y[:, None], 0.0)
    slope = (x * y).sum(axis=1) / (x * x).sum(axis=1)
    intercept = mean_y - slope * mean_x
    constant = (~inside | (values == values[:, :1])).all(axis=1)
    start = values[:, 0]
    at_rest = np.where(np.isinf(start), np.nan, 0.0)
    return np.where(constant, at_rest, slope), np.where(constant, start + at_rest, intercept)


def _line(panel: Panel, call: WindowCall) -> tuple[Matrix, Matrix, Mask]:
    """Slope, value at the end of the window, and where there are two samples."""
    enough = panel.hi - panel.lo >= 2
    number = np.maximum(panel.hi - panel.lo, 1)
    values, spoiled = finite_part(panel.values)
    middle = int(call.refs_ms[len(call.refs_ms) // 2])
    offsets = np.where(panel.times == _FAR, 0, panel.times - middle)
    x = offsets / 1000
    center = values[:, :1]
    y = values - center
    sy, y_bad = window_sum(panel, y)
    sxy, xy_bad = window_sum(panel, x * y)
    sx, spread, narrow = _spread(panel, offsets, call.refs_ms - middle, call.range_ms, number)
    covariance = sxy - sx * sy / number
    slope = covariance / spread
    constant = pairs_counted(panel, panel.values[:, 1:] != panel.values[:, :-1]) == 0
    slope = np.where(constant, 0.0, slope)
    ends = (call.refs_ms - middle) / 1000
    level = (sy - slope * sx) / number + center + slope * ends
    level = np.where(constant, panel.pick(panel.values, panel.lo), level)
    size = np.maximum(np.abs(sxy), np.abs(sx * sy / number))
    # The sums are exact but for the rounding of each product: this much may be lost when they are subtracted.
    bad = ~constant & ((np.abs(covariance) < size * 1e-6) | narrow)
    for doubtful in (y_bad, xy_bad):
        if doubtful is not None:
            bad |= doubtful & ~constant
    if spoiled is not None:
        bad |= counted(panel, spoiled) > 0
    bad &= np.broadcast_to(enough, bad.shape)
    if bad.any():
        for rows, steps, cells, lengths, times in window_chunks(panel, bad, with_times=True):
            seconds = (times - times[:, :1]) / 1000
            tilt, start = _exact_line(cells, lengths, seconds)
            slope[rows, steps] = tilt
            level[rows, steps] = start + tilt * ((call.refs_ms[steps] - times[:, 0]) / 1000)
    return slope, level, enough


def _spread(
    panel: Panel, offsets: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], range_ms: int, number: Index
) -> tuple[Matrix, Matrix, Mask]:
    """Per window the sum of the times in seconds, the sum of their squared distances from their mean, and
    where the latter lost digits.

    The sums run over whole milliseconds. They may wrap around, but seen from the window's end the result
    fits an int64 again, and is then exact.
    """
    lo, hi = panel.lo, panel.hi
    flat = offsets if lo.ndim == 2 else offsets[None, :]

    def windows(terms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        difference: npt.NDArray[np.int64]
        prefix = np.zeros((terms.shape[0], terms.shape[1] + 1), np.int64)
        np.cumsum(terms, axis=1, out=prefix[:, 1:])
        if lo.ndim == 1:
            difference = prefix[0, hi]
            difference -= prefix[0, lo]
            return difference
        difference = np.take_along_axis(prefix, hi, axis=1)
        difference -= np.take_along_axis(prefix, lo, axis=1)
        return difference

    total, squares = windows(flat), windows(flat * flat)
    if int(number.max()) * range_ms * range_ms < 2**62:
        moved = total - number * ends
        squares = squares - 2 * ends * total + number * ends * ends
    else:
        moved = total
    spread: Matrix = squares / 1e6 - (moved / 1000) * (moved / 1000) / number
    return total / 1000, spread, spread < np.abs(squares) * 1e-12


def derivative(panel: Panel, call: WindowCall) -> Cells:
    """Slope of the least-squares line, per second."""
    slope, _, enough = _line(panel, call)
    return slope, enough


def predict(panel: Panel, call: WindowCall) -> Cells:
    """The least-squares line's value `params[0]` seconds after the evaluation time."""
    (ahead,) = call.params
    slope, level, enough = _line(panel, call)
    return level + slope * ((call.times_ms - call.refs_ms) / 1000 + ahead), enough
