"""Quantiles of regular windows: the largest or smallest few of each block are shared by all windows over it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from trimon.query.execution.values import Matrix
from trimon.query.windows.regularwindows import RegularWindowMatrix
from trimon.records import dataclass

# Cells of one array while lists are merged; a dozen of them stay in the second-level cache.
_CELLS_MAX: Final = 1 << 13
_SORTED_MAX: Final = 1 << 16
# Cells of the lists of one row: longer ones take more memory than sorting every window does.
_LISTED_MAX: Final = 1 << 21
# Relative cost of sorting a sample in its window, and of one element of a merge.
_SORT_COST: Final = 7.0

# The most extreme values of every block, the most extreme one first.
_Lists = list[Matrix]


def window_quantiles(
    matrix: RegularWindowMatrix, quantile: float, check: Callable[[], None]
) -> Matrix | None:
    """The quantile (0 to 1) of every window; None when there is NaN among the values.

    `check` is called between some windows and the next, and may raise.
    """
    values = matrix.values[:, int(matrix.lo[0]) : int(matrix.hi[-1])]
    if np.isnan(values.max()):
        return None
    rank = quantile * (matrix.width - 1)
    lower = int(np.floor(rank))
    upper = min(lower + 1, matrix.width - 1)
    weight = rank - lower
    shape = (len(values), len(matrix.lo))
    out = np.empty(shape)
    merge = _RankMerge.of(matrix, lower, upper)
    if merge is None:
        windows = sliding_window_view(values, matrix.width, axis=1)[:, :: matrix.stride]
        rows = max(1, _SORTED_MAX // (shape[1] * matrix.width))
        steps = min(shape[1], max(1, _SORTED_MAX // matrix.width))
        for at, first in product(range(0, shape[0], rows), range(0, shape[1], steps)):
            check()
            part = slice(at, at + rows), slice(first, first + steps)
            ordered = np.sort(windows[part], axis=2)
            out[part] = ordered[:, :, lower] * (1 - weight) + ordered[:, :, upper] * weight
        return out
    chunk = max(1, _CELLS_MAX // (values.shape[1] // merge.block))
    for at in range(0, shape[0], chunk):
        check()
        low, high = merge.ends(values[at : at + chunk])
        out[at : at + chunk] = low * (1 - weight) + high * weight
    return out


@dataclass(frozen=True, slots=True)
class _RankMerge:
    """How the values of two ranks are found: counted from the end that `pick` (maximum or minimum) finds."""

    block: int
    blocks: int
    apart: int
    count: int
    pick: np.ufunc
    other: np.ufunc
    lower: int
    upper: int

    @classmethod
    def of(cls, matrix: RegularWindowMatrix, lower: int, upper: int) -> _RankMerge | None:
        """For two neighbouring ranks, or None when sorting every window is less work."""
        width, block, count = matrix.width, matrix.block, len(matrix.lo)
        blocks, apart = width // block, matrix.stride // block
        top = width - lower <= upper + 1
        depth = width - lower if top else upper + 1
        merges = blocks.bit_length() + blocks.bit_count() - 2
        cells = (count - 1) * apart + blocks
        cost = cells * (2 * block * min(depth, block) + merges * depth * depth)
        if cost > _SORT_COST * count * width or cells * min(depth, width) > _LISTED_MAX:
            return None
        if top:
            last = width - 1
            return cls(block, blocks, apart, count, np.maximum, np.minimum, last - lower, last - upper)
        return cls(block, blocks, apart, count, np.minimum, np.maximum, lower, upper)

    def ends(self, values: Matrix) -> tuple[Matrix, Matrix]:
        """The values of the two ranks in every window."""
        wanted = sorted({self.lower, self.upper})
        depth = wanted[-1] + 1
        table, size, span = self._sorted_blocks(values, depth), self.block, 1
        found: _Lists | None = None
        done = 0
        while done < self.blocks:
            if self.blocks & span:
                part = self._at(table, done)
                last = done + span == self.blocks
                if found is None:
                    found = [part[rank] for rank in wanted] if last else part
                else:
                    ranks = wanted if last else list(range(min(depth, done * self.block + size)))
                    found = self._merged(found, part, ranks)
                done += span
            if done < self.blocks:
                size *= 2
                ranks = list(range(min(depth, size)))
                table = self._merged(
                    [row[:, :-span] for row in table], [row[:, span:] for row in table], ranks
                )
                span *= 2
        assert found is not None
        return found[wanted.index(self.lower)], found[wanted.index(self.upper)]

    def _at(self, table: _Lists, first: int) -> _Lists:
        """The lists of the blocks that are `first` after the beginning of each window."""
        reach = self.apart * (self.count - 1) + 1
        return [row[:, first : first + reach : self.apart] for row in table]

    def _sorted_blocks(self, values: Matrix, depth: int) -> _Lists:
        out: _Lists = []
        for sample in range(self.block):
            falling = values[:, sample :: self.block]
            for place, held in enumerate(out):
                out[place] = self.pick(held, falling)
                falling = self.other(held, falling)
            if len(out) < depth:
                out.append(falling)
        return out

    def _merged(self, left: _Lists, right: _Lists, ranks: list[int]) -> _Lists:
        """The values of the given ranks in two lists put together."""
        out: _Lists = []
        for rank in ranks:
            # Either list has them all, or so many are in the one and the others in the other.
            held: Matrix | None = None
            for taken in range(rank + 2):
                rest = rank + 1 - taken
                if taken > len(left) or rest > len(right):
                    continue
                if taken and rest:
                    value = self.other(left[taken - 1], right[rest - 1])
                else:
                    value = left[taken - 1] if taken else right[rest - 1]
                held = value if held is None else self.pick(held, value)
            assert held is not None
            out.append(held)
        return out
