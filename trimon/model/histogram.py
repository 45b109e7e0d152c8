"""One sample of a native histogram, with float counts."""

from __future__ import annotations

import math
from dataclasses import field, replace
from decimal import Decimal, localcontext
from enum import Enum
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.records import dataclass

CUSTOM_SCHEMA: Final = -53
SCHEMA_MIN: Final = -4
SCHEMA_MAX: Final = 8
# The memory of one with some ten buckets.
HISTOGRAM_BYTES: Final = 700


class ResetHint(Enum):
    """What is known about a counter reset between a histogram and the one before it."""

    UNKNOWN = "unknown"
    RESET = "reset"
    NOT_RESET = "not_reset"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Counts of the buckets of one sign: `index` int64[n] ascends, `counts` float64[n]; absent ones are 0."""

    index: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]

    @classmethod
    def of(cls, offset: int, counts: tuple[float, ...]) -> Buckets:
        """Consecutive buckets from index `offset`."""
        return cls(np.arange(offset, offset + len(counts), dtype=np.int64), np.array(counts, np.float64))

    def compact(self) -> Buckets:
        """Without the empty ones."""
        kept = self.counts != 0
        return self if kept.all() else Buckets(self.index[kept], self.counts[kept])

    def __len__(self) -> int:
        return len(self.index)


def no_buckets() -> Buckets:
    """No bucket at all."""
    return Buckets(np.zeros(0, np.int64), np.zeros(0, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class FloatHistogram:
    """A native histogram; never written after it is made.

    With `schema` -4 to 8 the positive bucket `i` covers `(2^((i-1)*2^-schema), 2^(i*2^-schema)]`, the negative
    one is mirrored, and the zero bucket covers `[-zero_threshold, zero_threshold]`. With schema -53 the upper
    bounds are `custom_values`, an implicit +Inf last, and there are only positive buckets, from index 0.
    """

    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    count: float = 0.0
    sum: float = 0.0
    positive: Buckets = field(default_factory=no_buckets)
    negative: Buckets = field(default_factory=no_buckets)
    custom_values: tuple[float, ...] = ()
    hint: ResetHint = ResetHint.UNKNOWN

    @property
    def custom(self) -> bool:
        """Whether the buckets have custom bounds."""
        return self.schema == CUSTOM_SCHEMA

    def with_hint(self, hint: ResetHint) -> FloatHistogram:
        """The same with another hint."""
        return self if self.hint is hint else replace(self, hint=hint)

    def compact(self) -> FloatHistogram:
        """Without empty buckets."""
        return replace(self, positive=self.positive.compact(), negative=self.negative.compact())


_EXPONENT_MAX: Final = 1024
# How far the bounds that Prometheus has in its table lie from the powers of two, in units of the last place: a digit a
# power, 1 for none, more for below.
_DEVIATIONS: Final = (
    "1111112111211111112311222222222211211121122211221122102211221122"
    "1111112222332132112111211112111111121011213311221222112121332222"
    "2121223322322122222222323233323311221121223321332233212232332232"
    "2243223233433343333333444455435422322333324422333243223333543344"
)


@lru_cache(maxsize=1)
def _fractions() -> npt.NDArray[np.float64]:
    """The bounds `2^(i/256)` between 1 and 2, to the bit as Prometheus has them."""
    with localcontext() as context:
        context.prec = 40
        exact = [float(Decimal(2) ** (Decimal(part) / 256)) for part in range(256)]
    digits = [int(digit) - 1 for digit in _DEVIATIONS]
    return np.array([bound - below * math.ulp(bound) for bound, below in zip(exact, digits, strict=True)])


def upper_bounds(schema: int, index: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The upper bounds of exponential buckets. That of the last finite one is the largest float, not infinity."""
    if schema <= 0:
        whole, within = index << -schema, np.float64(1.0)
    else:
        whole, part = index >> schema, index & ((1 << schema) - 1)
        within = _fractions()[part << (SCHEMA_MAX - schema)]
    with np.errstate(over="ignore"):
        found: npt.NDArray[np.float64] = np.ldexp(within, np.clip(whole, -2000, 2000).astype(np.int32))
    last = (whole == _EXPONENT_MAX) & (within == 1.0)
    return np.where(last, np.finfo(np.float64).max, found) if last.any() else found


def bounds(
    histogram: FloatHistogram, buckets: Buckets
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lower and upper bounds of positive buckets (as distances from zero for exponential ones)."""
    index = buckets.index
    if not histogram.custom:
        return upper_bounds(histogram.schema, index - 1), upper_bounds(histogram.schema, index)
    edges = np.array([-math.inf, *histogram.custom_values, math.inf])
    last = len(edges) - 1
    return edges[np.clip(index, 0, last)], edges[np.clip(index + 1, 0, last)]


@dataclass(frozen=True, slots=True)
class Ordered:
    """All populated buckets of a histogram in ascending order of their bounds."""

    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    zero: int
    """The position of the zero bucket, or -1."""


def beyond_zero(near: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.float64]:
    """The bounds nearer to zero, as they count where the zero bucket reaches into buckets: those end at its edge."""
    return np.where((near > 0) & (near < threshold), threshold, near)


def apparent(histogram: FloatHistogram) -> Ordered:
    """The same as `ordered`, but buckets end where the zero bucket begins."""
    buckets = ordered(histogram)
    if histogram.custom or not histogram.zero_threshold:
        return buckets
    edge = histogram.zero_threshold
    lower, upper = beyond_zero(buckets.lower, edge), -beyond_zero(-buckets.upper, edge)
    return replace(buckets, lower=lower, upper=upper)


def ordered(histogram: FloatHistogram) -> Ordered:
    """Negative buckets from the lowest, the zero bucket, positive buckets; empty ones are left out.

    So is a zero bucket of less than nothing, as a difference may have; buckets beside it stay.
    """
    positive, negative = histogram.positive.compact(), histogram.negative.compact()
    low, high = bounds(histogram, positive)
    if histogram.custom:
        return Ordered(low, high, positive.counts, -1)
    near, far = bounds(histogram, negative)
    edge = histogram.zero_threshold
    middle = histogram.zero_count > 0
    return Ordered(
        np.concatenate([-far[::-1], [-edge] if middle else [], low]),
        np.concatenate([-near[::-1], [edge] if middle else [], high]),
        np.concatenate([negative.counts[::-1], [histogram.zero_count] if middle else [], positive.counts]),
        len(negative) if middle else -1,
    )
