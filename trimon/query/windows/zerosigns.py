"""Which of 0 and -0 a smallest or largest value is: they are equal, and the first of them stands."""

from __future__ import annotations

import numpy as np

from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.windowmatrix import WindowMatrix


def negative_zeros(values: Matrix) -> Mask:
    """Where there is -0."""
    zeros: Mask = values.view(np.int64) == np.iinfo(np.int64).min
    return zeros


def first_zeros(windows: WindowMatrix, out: Matrix) -> Matrix:
    """Extremes of windows, where they are zero with the sign of the window's first zero; `out` may be written to."""
    values = windows.values
    if (out != 0).all():
        return out
    mixed = np.flatnonzero(negative_zeros(values).any(axis=1))
    if not len(mixed):
        return out
    width = values.shape[1]
    chosen = values[mixed]
    zeros = np.flatnonzero(chosen == 0)
    found = out[mixed]
    rows, steps = np.nonzero(found == 0)
    begins = windows.lo[mixed[rows], steps] if windows.lo.ndim == 2 else windows.lo[steps]
    first = zeros[np.searchsorted(zeros, rows * width + begins)]
    found[rows, steps] = chosen.ravel()[first]
    if not out.flags.writeable or np.shares_memory(out, values):
        out = out.copy()
    out[mixed] = found
    return out


def first_zero_rows(values: Matrix, bounds: Index, out: Matrix) -> Matrix:
    """Extremes of groups of rows, where they are zero with the sign of the group's first; groups begin at `bounds`."""
    if len(bounds) == len(values) or (out != 0).all():
        return out
    steps = np.flatnonzero(negative_zeros(values).any(axis=0))
    if not len(steps):
        return out
    chosen = values[:, steps]
    numbers = np.arange(len(values))[:, None]
    first = np.minimum.reduceat(np.where(chosen == 0, numbers, len(values) - 1), bounds, axis=0)
    found = out[:, steps]
    out[:, steps] = np.where(found == 0, np.take_along_axis(chosen, first, axis=0), found)
    return out
