"""Means over windows from their sums.

Prometheus adds the samples of a window one after the other, keeps what rounding took, and divides both parts. What comes of
it depends on where each addition rounded. Short windows are added in the same way, so the mean has the same bits. Long
ones would cost what they are long: their sum is rounded once and both parts are divided, which is as near and differs
from Prometheus' mean by a unit in the last place at most. Which way a window is taken depends on its own samples alone: a
range shows what its instants show. Either way the mean of equal values is their value.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.query.execution.exactsums import mean_of
from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.prefixsums import WindowSums
from trimon.query.windows.regularwindows import RegularWindowMatrix
from trimon.query.windows.windowmatrix import WindowMatrix

# Samples of windows that are added one after the other: ten minutes at 30 s, five at 15 s.
SHORT: Final = 20
# What is added at once stays in the cache.
_CELLS_MAX: Final = 1 << 16


def means(windows: WindowMatrix, sums: WindowSums) -> Matrix:
    """The means of the finite values; where a window is empty they are not numbers."""
    counts = windows.hi - windows.lo
    if sums.rest is None:
        return sums.lead / counts
    short = counts <= SHORT
    if not short.any():
        return mean_of(sums.lead, sums.rest, counts)
    if short.all():
        return _of_sums_in_order(windows, sums.lead, sums.rest, counts)
    out = mean_of(sums.lead, sums.rest, counts)
    if short.ndim == 1:
        steps = np.flatnonzero(short)
        part = WindowMatrix(windows.rows, windows.times, windows.values, windows.lo[steps], windows.hi[steps])
        out[:, steps] = _of_sums_in_order(part, sums.lead[:, steps], sums.rest[:, steps], counts[steps])
        return out
    return np.where(short, _of_sums_in_order(windows, sums.lead, sums.rest, counts), out)


def _of_sums_in_order(windows: WindowMatrix, lead: Matrix, rest: Matrix, counts: Index) -> Matrix:
    """The means of the short windows; of the others whatever comes."""
    plain = _sums_in_order(windows, counts)
    left = lead - plain
    left += rest
    left /= counts
    out: Matrix = np.divide(plain, counts, out=plain)
    out += left
    return out


def _sums_in_order(windows: WindowMatrix, counts: Index) -> Matrix:
    """Plain sums of the short windows, sample after sample; of the others whatever comes."""
    if isinstance(windows, RegularWindowMatrix):
        return _regular(windows)
    if counts.ndim == 1 and (windows.lo == windows.lo[0]).all() and 0 < counts.max() <= SHORT:
        # Windows that begin with the same sample, the first there is.
        first = int(windows.lo[0])
        ahead = np.cumsum(windows.values[:, first : first + int(counts.max())], axis=1)
        sums: Matrix = np.where(counts > 0, ahead.take(np.maximum(counts - 1, 0), axis=1), 0.0)
        return sums
    out = np.zeros((len(windows.rows), windows.lo.shape[-1]))
    for place in range(min(SHORT, int(counts.max(initial=0)))):
        here: Mask = (counts > place) & (counts <= SHORT)
        if here.ndim == 1:
            steps = np.flatnonzero(here)
            out[:, steps] += windows.values.take(windows.lo[steps] + place, axis=1)
        else:
            rows, steps = np.nonzero(here)
            out[rows, steps] += windows.values[rows, windows.lo[rows, steps] + place]
    return out


def _regular(windows: RegularWindowMatrix) -> Matrix:
    values, first, stride, width = windows.values, int(windows.lo[0]), windows.stride, windows.width
    steps = windows.lo.shape[-1]
    out = np.zeros((len(values), steps))
    chunk = max(1, _CELLS_MAX // max(steps, values.shape[1]))
    for row in range(0, len(values), chunk):
        part, into = values[row : row + chunk], out[row : row + chunk]
        # The samples at one place of all windows, side by side: where windows move by more than a sample, copied once.
        tracks = [part[:, first + track :: stride] for track in range(min(stride, width))]
        if stride > 1:
            tracks = [np.ascontiguousarray(track) for track in tracks]
        for place in range(width):
            ahead, track = divmod(place, stride)
            into += tracks[track][:, ahead : ahead + steps]
    return out
