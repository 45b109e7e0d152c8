"""Sums over windows from prefix sums, without their loss of precision.

Every value is split in a leading part, whose prefix sums are exact, and a small rest. The sum of the differences of both
prefix sums is then right to about 1e-28 of the row's largest value, and rounds to what a compensated sum over the window
gives, whatever else is in the row. Windows where that is not small against the result, and those that hold infinities
or NaN, are left to the caller as `bad`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from trimon.query.execution.values import Mask, Matrix
from trimon.query.windows.regularwindows import RegularWindowMatrix, window_adds
from trimon.query.windows.windowmatrix import WindowMatrix

_HUGE: Final = 1e290
# Sums smaller than this part of a row's largest value (times its samples) have lost digits that rounding needs.
_LOST: Final = 2.0**-46
# Rows whose sums are made together, with all that is made on the way, stay in the cache.
_CELLS_MAX: Final = 1 << 17


def running(values: Matrix | Mask) -> Matrix:
    """Prefix sums along the rows with a leading zero, float64[rows, n + 1]."""
    out = np.empty((values.shape[0], values.shape[1] + 1))
    out[:, 0] = 0.0
    np.cumsum(values, axis=1, out=out[:, 1:])
    return out


def exact_sums(windows: WindowMatrix, terms: Matrix) -> Matrix:
    """Sums over the windows of terms whose sums are exact in any order, or need not be."""
    if isinstance(windows, RegularWindowMatrix):
        return window_adds(windows, terms)
    return window_difference(windows, running(terms))


def rough_sum(windows: WindowMatrix, values: Matrix) -> tuple[Matrix, Mask | None]:
    """As `window_sum`, but the error may be some 1e-15 of the sum of the absolute values."""
    if not isinstance(windows, RegularWindowMatrix):
        return window_sum(windows, values)
    total = window_adds(windows, values)
    return total, None if np.isfinite(total).all() else ~np.isfinite(total)


def window_difference(windows: WindowMatrix, prefix: Matrix) -> Matrix:
    """`prefix[hi] - prefix[lo]` for every window."""
    return windows.pick(prefix, windows.hi) - windows.pick(prefix, windows.lo)


def counted(windows: WindowMatrix, marks: Mask) -> Matrix:
    """How many set marks (bool[rows, n]) each window holds."""
    return window_difference(windows, running(marks))


def pairs_counted(windows: WindowMatrix, marks: Mask) -> Matrix:
    """How many neighbouring pairs inside each window are set; `marks[row, i]` is about `i` and `i + 1`."""
    prefix = running(marks)
    last = np.maximum(windows.hi - 1, windows.lo)
    return windows.pick(prefix, last) - windows.pick(prefix, windows.lo)


def finite_part(values: Matrix) -> tuple[Matrix, Mask | None]:
    """The values with everything that is not a finite number replaced by 0, and where that was."""
    low, high = values.min(initial=0.0), values.max(initial=0.0)
    if np.isfinite(low) and np.isfinite(high):
        return values, None
    finite = np.isfinite(values)
    return np.where(finite, values, 0.0), ~finite


class WindowSums(NamedTuple):
    """Sums of the finite values in windows, in two parts; the second is None where it is 0 everywhere.

    `bad` are the windows where they can not be trusted, `spoiled` the values that are not finite.
    """

    lead: Matrix
    rest: Matrix | None
    bad: Mask | None
    spoiled: Mask | None

    def total(self) -> Matrix:
        """The sums, rounded once."""
        return self.lead if self.rest is None else self.lead + self.rest


def finite_sums(windows: WindowMatrix) -> WindowSums:
    """Sums of the finite values in the windows."""
    if windows.ragged or windows.values.size <= _CELLS_MAX:
        return _finite_sums(windows)
    rows = max(1, _CELLS_MAX // windows.values.shape[1])
    out = _Blocks((len(windows.values), len(windows.lo)), windows.values.shape)
    for at in range(0, len(windows.values), rows):
        part = slice(at, at + rows)
        block = replace(
            windows,
            rows=windows.rows[part],
            values=windows.values[part],
            starts=None,
            histograms=None,
            rising=None,
        )
        out.put(part, _finite_sums(block))
    return WindowSums(out.lead, out.rest, out.bad, out.spoiled)


class _Blocks:
    """Sums of some rows after those of others: all that is made on the way to them stays in the cache."""

    def __init__(self, shape: tuple[int, int], values_shape: tuple[int, int]) -> None:
        self._values_shape = values_shape
        self.lead = np.empty(shape)
        self.rest: Matrix | None = None
        self.bad: Mask | None = None
        self.spoiled: Mask | None = None

    def put(self, rows: slice, sums: WindowSums) -> None:
        """The sums of these rows."""
        self.lead[rows] = sums.lead
        if sums.rest is not None:
            if self.rest is None:
                self.rest = np.zeros(self.lead.shape)
            self.rest[rows] = sums.rest
        if sums.bad is not None:
            if self.bad is None:
                self.bad = np.zeros(self.lead.shape, np.bool_)
            self.bad[rows] = sums.bad
        if sums.spoiled is not None:
            if self.spoiled is None:
                self.spoiled = np.zeros(self._values_shape, np.bool_)
            self.spoiled[rows] = sums.spoiled


def _finite_sums(windows: WindowMatrix) -> WindowSums:
    values, spoiled = windows.values, None
    low, high = values.min(axis=1, initial=0.0), values.max(axis=1, initial=0.0)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        values, spoiled = finite_part(values)
        low, high = values.min(axis=1, initial=0.0), values.max(axis=1, initial=0.0)
    return _window_sums(windows, values, np.maximum(high, -low), spoiled)


def window_sum(windows: WindowMatrix, values: Matrix) -> tuple[Matrix, Mask | None]:
    """Sums of finite `values` over the windows, and the cells where they can not be trusted."""
    largest = np.maximum(values.max(axis=1, initial=0.0), -values.min(axis=1, initial=0.0))
    sums = _window_sums(windows, values, largest, None)
    return sums.total(), sums.bad


def _window_sums(windows: WindowMatrix, values: Matrix, largest: Matrix, spoiled: Mask | None) -> WindowSums:
    """`largest` is each row's largest absolute value."""
    width = values.shape[1]
    huge = largest > _HUGE
    exponent = np.frexp(np.where(huge, 1.0, largest))[1] + int(np.ceil(np.log2(width + 2)))
    anchor = np.ldexp(1.0, exponent)[:, None]
    lead = values + anchor
    lead -= anchor
    rest = values - lead
    sums, rests = exact_sums(windows, lead), None
    bad: Mask | None = None
    if rest[:, :1].any() or rest.any():
        rests = exact_sums(windows, rest)
        bad = np.abs(sums) < anchor * (width * _LOST)
        # Where nothing has a rest, as in a window of zeros, the sum is exact.
        bad = bad & (counted(windows, rest != 0) > 0) if bad.any() else None
    if huge.any():
        bad = np.broadcast_to(huge[:, None], sums.shape) if bad is None else bad | huge[:, None]
    return WindowSums(sums, rests, bad, spoiled)


def merged(bad: Mask | None, more: Mask | None) -> Mask | None:
    """Either mask, or both."""
    if bad is None or more is None:
        return more if bad is None else bad
    return bad | more
