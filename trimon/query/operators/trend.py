"""Straight lines through windows: `deriv` and `predict_linear`."""

from __future__ import annotations

import numpy as np

from trimon.query.operators.cells import two_sum_step, window_chunks
from trimon.query.operators.prefix import counted, finite_part, pairs_counted, running, window_difference
from trimon.query.operators.windowcall import Cells, WindowCall
from trimon.query.panel import Panel
from trimon.query.values import Index, Mask, Matrix


def _exact_line(values: Matrix, lengths: Index, seconds: Matrix) -> tuple[Matrix, Matrix]:
    """Slope and value at second 0 of each row's first `length` points, sums compensated."""
    zeros = np.zeros(len(values))
    sums = [(zeros, zeros)] * 4
    for column in range(values.shape[1]):
        inside = column < lengths
        x, y = seconds[:, column], values[:, column]
        for index, term in enumerate((x, y, x * y, x * x)):
            new, rest = two_sum_step(*sums[index], term)
            total, carry = sums[index]
            sums[index] = (np.where(inside, new, total), np.where(inside, rest, carry))
    sx, sy, sxy, sxx = (total + carry for total, carry in sums)
    slope = (sxy - sx * sy / lengths) / (sxx - sx * sx / lengths)
    intercept = sy / lengths - slope * sx / lengths
    same = np.arange(values.shape[1]) >= lengths[:, None]
    constant = (same | (values == values[:, :1])).all(axis=1)
    start = values[:, 0]
    at_rest = np.where(np.isinf(start), np.nan, 0.0)
    return np.where(constant, at_rest, slope), np.where(constant, start + at_rest, intercept)


def _line(panel: Panel, call: WindowCall) -> tuple[Matrix, Matrix, Mask]:
    """Slope, value at the end of the window, and where there are two samples."""
    enough = panel.hi - panel.lo >= 2
    number = np.maximum(panel.hi - panel.lo, 1)
    values, spoiled = finite_part(panel.values)
    middle = int(call.refs_ms[len(call.refs_ms) // 2])
    far = np.iinfo(np.int64).max
    x = np.where(panel.times == far, 0.0, (panel.times - middle) / 1000)
    center = values[:, :1]
    y = values - center
    flat_x = x.reshape(-1, x.shape[-1])

    def over(matrix: Matrix) -> Matrix:
        out = window_difference(panel, running(matrix))
        return out[0] if panel.lo.ndim == 1 and len(out) == 1 and len(panel.rows) != 1 else out

    sx, sxx = over(flat_x), over(flat_x * flat_x)
    sy, sxy = over(y), over(x * y)
    covariance = sxy - sx * sy / number
    spread = sxx - sx * sx / number
    slope = covariance / spread
    constant = pairs_counted(panel, panel.values[:, 1:] != panel.values[:, :-1]) == 0
    slope = np.where(constant, 0.0, slope)
    ends = (call.refs_ms - middle) / 1000
    level = (sy - slope * sx) / number + center + slope * ends
    level = np.where(constant, panel.pick(panel.values, panel.lo), level)
    size = np.maximum(np.abs(sxy), np.abs(sx * sy / number))
    bad = ~constant & ((np.abs(covariance) < size * 1e-4) | (spread < sxx * 1e-7))
    if spoiled is not None:
        bad |= counted(panel, spoiled) > 0
    bad &= np.broadcast_to(enough, bad.shape)
    if bad.any():
        for rows, steps, cells, lengths, times in window_chunks(panel, bad):
            seconds = (times - times[:, :1]) / 1000
            tilt, start = _exact_line(cells, lengths, seconds)
            slope[rows, steps] = tilt
            level[rows, steps] = start + tilt * ((call.refs_ms[steps] - times[:, 0]) / 1000)
    return slope, level, enough


def derivative(panel: Panel, call: WindowCall) -> Cells:
    """Slope of the least-squares line, per second."""
    slope, _, enough = _line(panel, call)
    return slope, enough


def predict(panel: Panel, call: WindowCall) -> Cells:
    """The least-squares line's value `params[0]` seconds after the evaluation time."""
    (ahead,) = call.params
    slope, level, enough = _line(panel, call)
    return level + slope * ((call.times_ms - call.refs_ms) / 1000 + ahead), enough
