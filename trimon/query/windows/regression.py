"""Straight lines through windows: `deriv` and `predict_linear`."""

from __future__ import annotations

from typing import Final, TypeGuard

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.prefixsums import (
    counted,
    finite_part,
    pairs_counted,
    window_sum,
)
from trimon.query.windows.regularwindows import RegularWindowMatrix
from trimon.query.windows.singlewindows import window_chunks
from trimon.query.windows.windowarguments import WindowCall, WindowResults
from trimon.query.windows.windowmatrix import WindowMatrix
from trimon.records import dataclass

_FAR: Final = np.iinfo(np.int64).max
# Multiplications in one matrix product; OpenBLAS starts threads above 2 ** 18.
_PRODUCT_MAX: Final = 1 << 18
# Neighbouring windows multiplied at once: more of them fill the product with zeros.
_TOGETHER: Final = 8
_WIDTH_MAX: Final = 1024
_WEIGHTS_MAX: Final = 1 << 21
# Of values from here on products with seconds may be infinite: whether they are must not depend on the middle of all windows.
_HUGE: Final = 1e290
# Times this, less the excess, a number has its upper 26 bits.
_SPLIT: Final = 2.0**27 + 1


def _line_of(values: Matrix, lengths: Index, times: npt.NDArray[np.int64]) -> tuple[Matrix, Matrix]:
    """Slope per second, and value at the first time, of each row's first `length` points."""
    inside = np.arange(values.shape[1]) < lengths[:, None]
    seconds = np.where(inside, times - times[:, :1], 0) / 1000
    mean_x = seconds.sum(axis=1) / lengths
    mean_y = np.where(inside, values, 0.0).sum(axis=1) / lengths
    x = np.where(inside, seconds - mean_x[:, None], 0.0)
    y = np.where(inside, values - mean_y[:, None], 0.0)
    products = x * y
    covariance = products.sum(axis=1)
    slope = covariance / (x * x).sum(axis=1)
    start = mean_y - slope * mean_x
    constant = (~inside | (values == values[:, :1])).all(axis=1)
    # What is left of products that cancel one another are their rounding errors.
    kept = np.abs(covariance) > np.abs(products, out=products).sum(axis=1) * 1e-6
    lost = np.flatnonzero(~(kept | constant))
    if len(lost):
        slope[lost], start[lost] = _exact_line(values[lost], lengths[lost], times[lost])
    first = values[:, 0]
    at_rest = np.where(np.isinf(first), np.nan, 0.0)
    return np.where(constant, at_rest, slope), np.where(constant, first + at_rest, start)


def _exact_line(values: Matrix, lengths: Index, times: npt.NDArray[np.int64]) -> tuple[Matrix, Matrix]:
    """As `_line_of`: distances from the mean time are whole numbers, products have two parts, sums twice the digits."""
    inside = np.arange(values.shape[1]) < lengths[:, None]
    since = np.where(inside, times - times[:, :1], 0)
    # `length` times the distance in milliseconds.
    x = np.where(inside, since * lengths[:, None] - since.sum(axis=1, keepdims=True), 0).astype(np.float64)
    y = np.where(inside, values, 0.0)
    exponent = np.frexp(np.abs(y).max(axis=1, keepdims=True))[1]
    y = np.ldexp(y, -exponent)
    product = x * y
    (x_high, x_low), (y_high, y_low) = _halves(x), _halves(y)
    rest = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    covariance = _row_sums(product) + rest.sum(axis=1)
    tilt = covariance / (x * x).sum(axis=1) * lengths
    middle = _row_sums(y) / lengths
    back = exponent[:, 0]
    start = middle - tilt * (since.sum(axis=1) / lengths)
    return np.ldexp(tilt * 1000, back), np.ldexp(start, back)


def _halves(values: Matrix) -> tuple[Matrix, Matrix]:
    """Each value as the sum of two of half the digits, whose products are exact."""
    wide = values * _SPLIT
    high = wide - (wide - values)
    return high, values - high


def _row_sums(values: Matrix) -> Matrix:
    """The sum of each row: exactly that of the leading digits, and that of the others."""
    largest = np.abs(values).max(axis=1, keepdims=True)
    exponent = np.frexp(largest)[1] + int(np.ceil(np.log2(values.shape[1] + 2)))
    anchor = np.ldexp(1.0, exponent)
    lead = (values + anchor) - anchor
    total: Matrix = lead.sum(axis=1) + (values - lead).sum(axis=1)
    return total


def _line(matrix: WindowMatrix, call: WindowCall) -> tuple[Matrix, Matrix, Mask]:
    """Slope, value at the end of the window, and where there are two samples."""
    enough = matrix.hi - matrix.lo >= 2
    values, spoiled = finite_part(matrix.values)
    center = values[:, :1]
    y = values - center
    if spoiled is None and _fits(matrix):
        slope, level, bad = _regular_line(matrix, call, y)
    else:
        slope, level, bad = _prefix_line(matrix, call, y)
    level += center
    if spoiled is not None:
        bad |= counted(matrix, spoiled) > 0
    bad &= np.broadcast_to(enough, bad.shape)
    if bad.any():
        _again(matrix, call, bad, slope, level)
    return slope, level, enough


def _prefix_line(matrix: WindowMatrix, call: WindowCall, y: Matrix) -> tuple[Matrix, Matrix, Mask]:
    """Slope, height of the line at the window's end, and the cells where digits were lost, of any windows."""
    number = np.maximum(matrix.hi - matrix.lo, 1)
    middle = int(call.refs_ms[len(call.refs_ms) // 2])
    offsets = np.where(matrix.times == _FAR, 0, matrix.times - middle)
    sy, y_bad = window_sum(matrix, y)
    sxy, xy_bad = window_sum(matrix, offsets / 1000 * y)
    sx, spread, narrow = _spread(matrix, offsets, call.refs_ms - middle, call.range_ms, number)
    covariance = sxy - sx * sy / number
    slope = covariance / spread
    ends = (call.refs_ms - middle) / 1000
    level = (sy - slope * sx) / number + slope * ends
    # The sums are exact but for the rounding of each product: this much may be lost when they are subtracted. Products
    # may be far larger than their sum.
    farthest = np.maximum(np.abs(ends), np.abs(ends - call.range_ms / 1000))
    largest = np.abs(y).max(axis=1, initial=0.0)[:, None]
    size = np.maximum(np.abs(sx * sy / number), largest * farthest)
    bad = (np.abs(covariance) < size * 1e-6) | narrow | ~(largest < _HUGE)
    for doubtful in (y_bad, xy_bad):
        if doubtful is not None:
            bad |= doubtful
    # All values are at the centre: nothing was found to be near zero.
    bad |= size == 0
    return slope, level, bad


def _regular_line(matrix: RegularWindowMatrix, call: WindowCall, y: Matrix) -> tuple[Matrix, Matrix, Mask]:
    """As `_prefix_line`: the values times weights that are the same for all rows."""
    weights = call.memo.get("line")
    if not isinstance(weights, _Weights) or weights.lo is not matrix.lo:
        weights = _Weights.of(matrix, call)
        call.memo["line"] = weights
    covariance, sy = weights.products(y)
    slope = covariance / weights.spread
    level = sy / matrix.width
    level += slope * weights.ahead
    largest = np.maximum(y.max(axis=1, initial=0.0), -y.min(axis=1, initial=0.0))
    bad = np.abs(covariance) <= (largest * 1e-6)[:, None] * weights.reach
    if weights.narrow.any():
        bad |= weights.narrow
    if not (largest < _HUGE).all():
        bad |= ~(largest < _HUGE)[:, None]
    return slope, level, bad


def _grouping(matrix: RegularWindowMatrix) -> tuple[int, int, int]:
    """Steps of a group of windows, the number of groups, and the samples under a group."""
    steps = len(matrix.lo)
    together = min(steps, _TOGETHER, 1 + 2 * matrix.width // matrix.stride)
    return together, -(-steps // together), (together - 1) * matrix.stride + matrix.width


def _fits(matrix: WindowMatrix) -> TypeGuard[RegularWindowMatrix]:
    """Whether multiplying every window is less work than prefix sums, and its weights are not too many."""
    if not isinstance(matrix, RegularWindowMatrix) or matrix.width > _WIDTH_MAX:
        return False
    together, groups, span = _grouping(matrix)
    return groups * span * 2 * together <= _WEIGHTS_MAX


@dataclass(frozen=True, slots=True)
class _Weights:
    """What makes sums of values into lines, for regular windows: `tables` is float64[groups, samples, 2 * steps].

    A group is some neighbouring steps; its first half of columns holds the distances of the times from each window's mean,
    the second 1 inside the window. Per step: `spread` is the sum of the squared distances, `reach` that of the
    distances, `ahead` how far the evaluation time is behind the mean, `narrow` where the spread lost digits.
    """

    lo: Index
    tables: Matrix
    first: int
    advance: int
    spread: Matrix
    reach: Matrix
    ahead: Matrix
    narrow: Mask

    @classmethod
    def of(cls, matrix: RegularWindowMatrix, call: WindowCall) -> _Weights:
        """The weights of a window matrix's windows."""
        steps, width, stride = len(matrix.lo), matrix.width, matrix.stride
        first = int(matrix.lo[0])
        middle = int(call.refs_ms[steps // 2])
        offsets = matrix.times - middle
        number = np.full(steps, width)
        sx, spread, narrow = _spread(matrix, offsets, call.refs_ms - middle, call.range_ms, number)
        seconds = sliding_window_view((offsets / 1000)[first:], width)[::stride][:steps]
        means = sx / width
        away = seconds - means[:, None]
        together, groups, span = _grouping(matrix)
        tables = np.zeros((groups, span, 2, together))
        for step in range(together):
            part = away[step::together]
            columns = slice(step * stride, step * stride + width)
            tables[: len(part), columns, 0, step] = part
            tables[: len(part), columns, 1, step] = 1.0
        return cls(
            matrix.lo,
            tables.reshape(groups, span, 2 * together),
            first,
            together * stride,
            spread,
            np.abs(away).sum(axis=1),
            (call.refs_ms - middle) / 1000 - means,
            narrow,
        )

    def products(self, y: Matrix) -> tuple[Matrix, Matrix]:
        """Per row and step the values' sum weighted with the distances, and their sum."""
        rows, steps = len(y), len(self.lo)
        groups, span, both = self.tables.shape
        needed = self.first + (groups - 1) * self.advance + span
        if needed > y.shape[1]:
            y = np.concatenate([y, np.zeros((rows, needed - y.shape[1]))], axis=1)
        down, along = y.strides
        shape, strides = (groups, rows, span), (along * self.advance, down, along)
        blocks = as_strided(y[:, self.first :], shape, strides, writeable=False)
        # Small enough for one thread: the other cores are not ours.
        chunk = max(1, _PRODUCT_MAX // (span * both))
        out = np.empty((2, rows, groups, both // 2))
        for at in range(0, rows, chunk):
            found = blocks[:, at : at + chunk] @ self.tables
            shaped = found.reshape(groups, -1, 2, both // 2)
            out[:, at : at + chunk] = shaped.transpose(2, 1, 0, 3)
        flat = out.reshape(2, rows, -1)[:, :, :steps]
        return flat[0], flat[1]


def _again(matrix: WindowMatrix, call: WindowCall, bad: Mask, slope: Matrix, level: Matrix) -> None:
    """Put right the lines in the cells of `bad`, sample by sample where the value is not constant."""
    rows = np.flatnonzero(bad.any(axis=1))
    ragged = matrix.ragged
    some = WindowMatrix(
        matrix.rows[rows],
        matrix.times[rows] if ragged else matrix.times,
        matrix.values[rows],
        matrix.lo[rows] if ragged else matrix.lo,
        matrix.hi[rows] if ragged else matrix.hi,
    )
    wanted = bad[rows]
    constant = pairs_counted(some, some.values[:, 1:] != some.values[:, :-1]) == 0
    constant &= wanted & np.isfinite(some.pick(some.values, some.lo))
    slope[rows] = np.where(constant, 0.0, slope[rows])
    level[rows] = np.where(constant, some.pick(some.values, some.lo), level[rows])
    wanted &= ~constant
    if not wanted.any():
        return
    for at, steps, cells, lengths, times in window_chunks(some, wanted, with_times=True):
        tilt, start = _line_of(cells, lengths, times)
        slope[rows[at], steps] = tilt
        level[rows[at], steps] = start + tilt * ((call.refs_ms[steps] - times[:, 0]) / 1000)


def _spread(
    matrix: WindowMatrix,
    offsets: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    range_ms: int,
    number: Index,
) -> tuple[Matrix, Matrix, Mask]:
    """Per window the sum of the times in seconds, the sum of their squared distances from their mean, and
    where the latter lost digits.

    The sums run over whole milliseconds. They may wrap around, but seen from the window's end the result
    fits an int64 again, and is then exact.
    """
    lo, hi = matrix.lo, matrix.hi
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


def derivative(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """Slope of the least-squares line, per second."""
    slope, _, enough = _line(matrix, call)
    return slope, enough


def predict(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """The least-squares line's value `params[0]` seconds after the evaluation time."""
    (ahead,) = call.params
    slope, level, enough = _line(matrix, call)
    return level + slope * ((call.times_ms - call.refs_ms) / 1000 + ahead), enough
