"""Sums whose value does not depend on the order of addition.

A sum is kept as two numbers: `high`, and the small rest `low` that rounding took from it. Each value is split at a power
of two far above all values beside it: the leading parts are whole multiples of one number and add up without any rounding,
the rests are so small that their rounding does not matter. `high + low`, rounded once, is what a compensated sum over the
values one by one gives, whatever order it takes; so a step of a range shows what an instant query shows.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Final

import numpy as np

from trimon.query.execution.reducers import reduce_rows
from trimon.query.execution.values import Index, Mask, Matrix

# Beyond this a leading part could be infinite.
HUGE: Final = 1e290
# Sums smaller than this part of the largest value (times their number) have lost digits that rounding needs.
_LOST: Final = 2.0**-46
# What is split at once stays in the cache.
_CELLS_MAX: Final = 1 << 15
# Groups of one size that follow on one another are summed together; shorter runs are not worth it.
_RUN_MIN: Final = 3
# Rows and cells that share an anchor: the more, the larger it is, the more sums are doubtful, and the more memory they take.
_ROWS_MAX: Final = 1 << 16
_SHARED_CELLS_MAX: Final = 1 << 20


def anchor_of(largest: float, count: int) -> float:
    """The power of two at which `count` values up to `largest` are split; infinite where there can be none."""
    if not largest < HUGE:
        return math.inf
    return math.ldexp(1.0, math.frexp(largest)[1] + math.ceil(math.log2(count + 2)))


def mean_of(high: Matrix, low: Matrix, counts: Matrix | Index) -> Matrix:
    """The mean from both parts of a sum: that of equal values is their value."""
    out = np.empty(high.shape)
    rows = max(1, _CELLS_MAX // max(1, high.shape[1]))
    divisors: Any = np.broadcast_to(counts, high.shape)
    for at in range(0, len(high), rows):
        part = slice(at, at + rows)
        total = high[part] + low[part]
        rest = high[part] - total
        rest += low[part]
        rest /= divisors[part]
        mean = np.divide(total, divisors[part], out=out[part])
        mean += rest
    return out


def _consecutive(groups: Index) -> Index | slice:
    """Numbers that follow on one another as a slice, which copies nothing."""
    first = int(groups[0])
    return slice(first, first + len(groups)) if groups[-1] - first == len(groups) - 1 else groups


class _Split:
    """Leading parts and rests of some rows: summed by group, each group in both parts."""

    def __init__(self, values: Matrix, order: Index | None, anchor: float, room: Matrix) -> None:
        self._values, self._order, self._anchor = values, order, anchor
        self._width = values.shape[1]
        self._room = room
        self.rows_max = room.shape[1] // self._width

    def parts(self, begin: int, end: int) -> tuple[Matrix, Matrix]:
        """Both parts of at most `rows_max` rows; they are void when others are asked for."""
        size = (end - begin) * self._width
        lead, rest = self._room[:, :size].reshape(2, end - begin, self._width)
        if self._order is None:
            block = self._values[begin:end]
        else:
            block = self._values.take(self._order[begin:end], axis=0, out=rest, mode="clip")
        np.add(block, self._anchor, out=lead)
        lead -= self._anchor
        np.subtract(block, lead, out=rest)
        return lead, rest

    def sums(self, bounds: Index, begin: int, end: int) -> Matrix:
        """Both sums [2, group, width] of the rows `begin:end`, in which the groups begin at `bounds`."""
        out = np.zeros((2, len(bounds), self._width))
        starts = np.append(np.maximum(bounds, begin), end)
        sizes = np.diff(starts)
        changes = np.flatnonzero(sizes[1:] != sizes[:-1]) + 1
        if len(changes) > 2 and len(changes) * _RUN_MIN > len(bounds):
            self._mixed(out, starts)
            return out
        for first, last in pairwise([0, *changes.tolist(), len(bounds)]):
            self._alike(out[:, first:last], int(starts[first]), int(sizes[first]))
        return out

    def _alike(self, out: Matrix, begin: int, size: int) -> None:
        """Groups that are all of one size: some at a time, or each in parts where it is large."""
        count = max(1, self.rows_max // size)
        for first in range(0, out.shape[1], count):
            into = out[:, first : first + count]
            groups, start = into.shape[1], begin + first * size
            if size <= self.rows_max:
                for sums, part in zip(into, self.parts(start, start + groups * size), strict=True):
                    np.add.reduce(part.reshape(groups, size, -1), axis=1, out=sums)
                continue
            for at in range(start, start + size, self.rows_max):
                for sums, part in zip(
                    into, self.parts(at, min(at + self.rows_max, start + size)), strict=True
                ):
                    sums[0] += np.add.reduce(part, axis=0)

    def _mixed(self, out: Matrix, starts: Index) -> None:
        """Groups of many sizes, as many at a time as there is room for."""
        first = 0
        while first < out.shape[1]:
            begin = int(starts[first])
            last = int(np.searchsorted(starts, begin + self.rows_max, side="right")) - 1
            if last <= first:
                last = first + 1
                self._alike(out[:, first:last], begin, int(starts[last]) - begin)
            else:
                for sums, part in zip(out, self.parts(begin, int(starts[last])), strict=True):
                    sums[first:last] = reduce_rows(np.add, part, starts[first:last] - begin)
            first = last


def _groups_within(bounds: Index, begin: int, end: int) -> tuple[int, int]:
    """The groups of some rows: the first, and the one behind the last."""
    first = int(np.searchsorted(bounds, begin, side="right")) - 1
    return first, int(np.searchsorted(bounds, end, side="left"))


class ExactSums:
    """Sums per group and step of finite values that come matrix by matrix."""

    def __init__(self, groups: int, steps: int) -> None:
        self.high = np.zeros((groups, steps))
        self.low = np.zeros((groups, steps))
        # Sums nearer to zero than this have lost digits that rounding needs.
        self._least = 0.0
        # Memory that is used again costs a third of new memory.
        self._room = np.empty((2, 0))

    def add(
        self,
        values: Matrix,
        largest: float,
        bounds: Index,
        groups: Index,
        steps: slice = slice(None),
        order: Index | None = None,
    ) -> None:
        """Add rows that are sorted by group: those from each bound to the next belong to one of `groups`.

        `largest` is the largest absolute value. With `order`, that of the rows it names, in their order.
        """
        count, width = values.shape
        size = max(width, min(count * width, _CELLS_MAX))
        if self._room.shape[1] < size:
            self._room = np.empty((2, size))
        together = max(1, min(_ROWS_MAX, _SHARED_CELLS_MAX // max(1, width)))
        for begin in range(0, count, together):
            end = min(begin + together, count)
            first, last = _groups_within(bounds, begin, end)
            inner = bounds[first:last]
            most = int(np.diff(np.append(np.maximum(inner, begin), end)).max())
            anchor = anchor_of(largest, most)
            self._least = max(self._least, anchor * (count * _LOST))
            if anchor == math.inf:
                return
            split = _Split(values, order, anchor, self._room[:, :size])
            lead, rest = split.sums(inner, begin, end)
            self._take(lead, rest, _consecutive(groups[first:last]), steps)

    def _take(self, lead: Matrix, rest: Matrix, groups: Index | slice, steps: slice) -> None:
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
