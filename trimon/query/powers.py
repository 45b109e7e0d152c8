"""Powers of floats: the same bits for one value and for many, and for whole exponents those of Prometheus."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]
_Numbers = npt.NDArray[np.int64]

# Between these bounds every square on the way is rounded as its mantissa is, for none is smaller or larger than the result.
_SMALL: Final = 2.0**-1000
_LARGE: Final = 2.0**1000
# From here on a binary exponent says for certain that the result is 0 or infinite.
_EXPONENT_MAX: Final = 1 << 12
_INT64: Final = 2.0**63


def power(base: npt.ArrayLike, exponent: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """`base ^ exponent` of arrays that fit together, or of numbers.

    Whole exponents multiply by squares with binary exponents apart, halves are square roots, and all else,
    with zeros, infinities and NaN, is the C library's.
    """
    x, y = np.asarray(base, np.float64), np.asarray(exponent, np.float64)
    shape = np.broadcast_shapes(x.shape, y.shape)
    with np.errstate(all="ignore"):
        if y.size and bool((y == y.flat[0]).all()):
            return _constant(np.broadcast_to(x, shape).ravel(), float(y.flat[0])).reshape(shape)
        return _mixed(np.broadcast_to(x, shape).ravel(), np.broadcast_to(y, shape).ravel()).reshape(shape)


def _mixed(x: _Floats, y: _Floats) -> _Floats:
    """Powers where each number has its own exponent."""
    out = np.empty(x.shape)
    usual = np.isfinite(x) & (x != 0)
    whole = usual & (np.trunc(y) == y) & (np.abs(y) < _INT64)
    half = usual & (np.abs(y) == 0.5)
    other = ~(whole | half)
    out[whole] = _by_squares(x[whole], y[whole])
    out[half] = _roots(x[half], y[half] < 0)
    out[other] = _library(x[other], y[other])
    return out


def _constant(x: _Floats, y: float) -> _Floats:
    """Powers with one exponent: plain squares where no digit can be lost, which is nearly everywhere."""
    if y == 1:
        return x.copy()
    if abs(y) == 0.5:
        out = _roots(x, np.array(y < 0))
        special = ~np.isfinite(x) | (x == 0)
    elif y == np.trunc(y) and y != 0 and abs(y) < _INT64:
        out = _plain(x, int(abs(y)))
        size = np.abs(out)
        again = ~((size > _SMALL) & (size < _LARGE))
        if y < 0:
            np.divide(1.0, out, out=out)
        if not again.any():
            return out
        special = again & (~np.isfinite(x) | (x == 0))
        again &= ~special
        out[again] = _by_squares(x[again], np.full(np.count_nonzero(again), y))
    else:
        return _library(x, np.full(x.shape, y))
    out[special] = _library(x[special], np.full(np.count_nonzero(special), y))
    return out


def _plain(x: _Floats, count: int) -> _Floats:
    out: _Floats | None = None
    while True:
        if count & 1:
            out = x.copy() if out is None else np.multiply(out, x, out=out)
        count >>= 1
        if not count:
            assert out is not None
            return out
        x = x * x


def _by_squares(x: _Floats, y: _Floats) -> _Floats:
    """Finite numbers other than 0 with whole exponents: mantissas between a half and 1, and their binary exponents."""
    mantissa, binary = np.frexp(x)
    binary = binary.astype(np.int64)
    left: _Numbers = np.abs(y).astype(np.int64)
    out, exponents = np.ones(x.shape), np.zeros(x.shape, np.int64)
    while left.any():
        sure: _Mask = (np.abs(binary) > _EXPONENT_MAX) & (left != 0)
        exponents[sure] += binary[sure]
        left[sure] = 0
        odd = (left & 1).astype(np.bool_)
        np.multiply(out, mantissa, out=out, where=odd)
        np.add(exponents, binary, out=exponents, where=odd)
        left >>= 1
        going = left != 0
        np.multiply(mantissa, mantissa, out=mantissa, where=going)
        np.multiply(binary, 2, out=binary, where=going)
        small = going & (np.abs(mantissa) < 0.5)
        np.multiply(mantissa, 2.0, out=mantissa, where=small)
        np.subtract(binary, 1, out=binary, where=small)
    negative = y < 0
    out = np.where(negative, 1.0 / out, out)
    return _scaled(out, np.where(negative, -exponents, exponents))


def _scaled(mantissas: _Floats, exponents: _Numbers) -> _Floats:
    scaled: Any = np.ldexp(mantissas, exponents.astype(np.int32))
    return np.asarray(scaled, np.float64)


def _roots(x: _Floats, inverse: _Mask) -> _Floats:
    roots = np.sqrt(x)
    return np.where(inverse, 1.0 / roots, roots)


def _library(x: _Floats, y: _Floats) -> _Floats:
    """Always over arrays: of single numbers, and with one exponent for all, numpy computes some powers otherwise."""
    powers: _Floats = np.power(x, y)
    return powers
