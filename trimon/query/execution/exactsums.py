"""Sums whose value does not depend on the order of addition.

A sum is kept as two numbers: `high`, and the small rest `low` that rounding took from it. Each value is split at a power
of two far above all values beside it: the leading parts are whole multiples of one number and add up without any rounding,
the rests are so small that their rounding does not matter. `high + low`, rounded once, is what a compensated sum over the
values one by one gives, whatever order it takes; so a step of a range shows what an instant query shows.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from trimon.query.execution.reducers import reduce_rows
from trimon.query.execution.values import Index, Mask, Matrix

# Beyond this a leading part could be infinite.
HUGE: Final = 1e290
# Sums smaller than this part of the largest value (times their number) have lost digits that rounding needs.
_LOST: Final = 2.0**-46
# What is split at once stays in the cache.
_CELLS_MAX: Final = 1 << 16


def anchor_of(largest: float, count: int) -> float:
    """The power of two at which `count` values up to `largest` are split; infinite where there can be none."""
    if not largest < HUGE:
        return math.inf
    return math.ldexp(1.0, math.frexp(largest)[1] + math.ceil(math.log2(count + 2)))


def mean_of(high: Matrix, low: Matrix, counts: Matrix | Index) -> Matrix:
    """The mean from both parts of a sum: that of equal values is their value."""
    total = high + low
    out: Matrix = total / counts
    np.subtract(high, total, out=total)
    total += low
    total /= counts
    out += total
    return out


class ExactSums:
    """Sums per group and step of finite values that come block by block."""

    def __init__(self, groups: int, steps: int) -> None:
        self.high = np.zeros((groups, steps))
        self.low = np.zeros((groups, steps))
        # Sums nearer to zero than this have lost digits that rounding needs.
        self._least = 0.0

    def add(
        self, values: Matrix, largest: float, bounds: Index, groups: Index, steps: slice = slice(None)
    ) -> None:
        """Add rows that are sorted by group: those from each bound to the next belong to one of `groups`.

        `largest` is the largest absolute value.
        """
        count, width = values.shape
        block = max(1, min(count, _CELLS_MAX // max(1, width)))
        anchor = anchor_of(largest, block)
        self._least = max(self._least, anchor * (count * _LOST))
        if anchor == math.inf:
            return
        # Memory that is used again costs a third of new memory.
        room = np.empty((block, width)), np.empty((block, width))
        for begin in range(0, count, block):
            end = min(begin + block, count)
            first = int(np.searchsorted(bounds, begin, side="right")) - 1
            last = int(np.searchsorted(bounds, end, side="left"))
            inner = np.maximum(bounds[first:last] - begin, 0)
            lead = np.add(values[begin:end], anchor, out=room[0][: end - begin])
            lead -= anchor
            rest = np.subtract(values[begin:end], lead, out=room[1][: end - begin])
            self._take(
                reduce_rows(np.add, lead, inner), reduce_rows(np.add, rest, inner), groups[first:last], steps
            )

    def _take(self, lead: Matrix, rest: Matrix, groups: Index, steps: slice) -> None:
        high = self.high[groups, steps]
        total = high + lead
        # What rounding took from the total: whichever of the two is the smaller has lost it.
        back = total - high
        rest += (high - (total - back)) + (lead - back)
        self.high[groups, steps] = total
        self.low[groups, steps] += rest

    def total(self) -> Matrix:
        """The sums, rounded once."""
        out: Matrix = self.high + self.low
        return out

    def mean(self, counts: Matrix | Index) -> Matrix:
        """The means; where nothing was counted they are not numbers."""
        return mean_of(self.high, self.low, counts)

    def doubtful(self) -> Mask | None:
        """Where a sum of anything but zeros must be computed value by value; None where nowhere."""
        if self._least == math.inf:
            return np.ones(self.high.shape, np.bool_)
        few: Mask = np.abs(self.high) < self._least
        return few if few.any() else None
