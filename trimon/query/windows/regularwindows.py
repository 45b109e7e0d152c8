"""Windows at regular distances: what scraping at a fixed interval makes of a range query's grid.

Where all windows hold equally many samples and begin equally many samples apart, they are put together from blocks
they have in common, by doubling: a few passes over contiguous arrays instead of a prefix sum, and without its loss
of precision, because nothing is ever subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from trimon.model.frame import Times
from trimon.query.execution.values import Index, Matrix
from trimon.query.windows.windowarguments import WindowCall
from trimon.query.windows.windowmatrix import WindowMatrix
from trimon.records import dataclass

# Fewer steps than these in a row are not worth a part of their own.
_STEPS_MIN: Final = 8
# Blocks of this many samples are reduced along the row, shorter ones sample by sample over all blocks.
_LONG: Final = 32


@dataclass(frozen=True, slots=True)
class RegularWindowMatrix(WindowMatrix):
    """A window matrix whose windows all hold equally many samples, at least one; each is `stride` after the one before."""

    stride: int = 1

    @property
    def width(self) -> int:
        """Samples of a window."""
        return int(self.hi[0] - self.lo[0])

    @property
    def block(self) -> int:
        """Samples of the blocks of which every window is made."""
        return math.gcd(self.width, self.stride)


@dataclass(slots=True)
class WindowParts:
    """Cuts window matrices at the steps where their windows begin or cease to be regular. For one call of one function.

    The regular parts are `RegularWindowMatrix`; the others are left to what copes with any windows. Steps at which no
    row has a sample may be left out.
    """

    call: WindowCall
    _lo: Index | None = None
    _cuts: tuple[_MatrixSlice, ...] = ()

    def of(self, windows: WindowMatrix) -> Iterator[tuple[slice, WindowMatrix, WindowCall]]:
        """The parts with their steps; window matrices that share their windows are cut alike."""
        if windows.ragged:
            yield slice(None), windows, self.call
            return
        if self._lo is not windows.lo:
            self._lo = windows.lo
            runs = runs_of(windows.lo, windows.hi)
            self._cuts = tuple(
                _MatrixSlice.of(windows, self.call, run)
                for run in runs
                if windows.hi[run[1] - 1] > windows.lo[run[0]]
            )
        for cut in self._cuts:
            yield cut.steps, cut.part(windows), cut.call


@dataclass(frozen=True, slots=True)
class _MatrixSlice:
    """One run of steps, and the columns of a window matrix it is about."""

    steps: slice
    columns: slice
    times: Times
    lo: Index
    hi: Index
    stride: int
    call: WindowCall

    @classmethod
    def of(cls, windows: WindowMatrix, call: WindowCall, run: tuple[int, int, int]) -> _MatrixSlice:
        begin, end, stride = run
        lo, hi = windows.lo[begin:end], windows.hi[begin:end]
        left, right = int(lo[0]), int(hi[-1])
        steps = slice(begin, end)
        part_call = replace(
            call,
            refs_ms=call.refs_ms[steps],
            times_ms=call.times_ms[steps],
            params=tuple(param[steps] for param in call.params),
            memo={},
        )
        columns = slice(left, right)
        return cls(steps, columns, windows.times[columns], lo - left, hi - left, stride, part_call)

    def part(self, windows: WindowMatrix) -> WindowMatrix:
        columns = self.columns
        fields = (
            windows.rows,
            self.times,
            windows.values[:, columns],
            self.lo,
            self.hi,
            None if windows.starts is None else windows.starts[:, columns],
            None if windows.histograms is None else windows.histograms[:, columns],
        )
        return RegularWindowMatrix(*fields, stride=self.stride) if self.stride else WindowMatrix(*fields)


def runs_of(lo: Index, hi: Index) -> list[tuple[int, int, int]]:
    """The steps as runs (first step, end, stride); a stride of 0 says that there is none."""
    count = len(lo)
    if count == 1:
        return [(0, 1, int(hi[0] > lo[0]))]
    # How far windows move from step to step, 0 where their two ends do not move alike.
    moved = np.diff(lo)
    moved[moved != np.diff(hi)] = 0
    cuts = np.flatnonzero(moved[1:] != moved[:-1]) + 1
    starts = [0, *cuts.tolist()]
    ends = [*cuts.tolist(), count - 1]
    out: list[tuple[int, int, int]] = []
    done = 0
    for start, end in zip(starts, ends, strict=True):
        # The steps start..end, both included: neighbouring runs have one in common.
        begin, stride = max(start, done), int(moved[start])
        if stride <= 0 or hi[start] <= lo[start] or end + 1 - begin < _STEPS_MIN:
            continue
        if begin > done:
            out.append((done, begin, 0))
        out.append((begin, end + 1, stride))
        done = end + 1
    if done < count:
        out.append((done, count, 0))
    return out


def window_adds(windows: RegularWindowMatrix, values: Matrix) -> Matrix:
    """Plain sums over the windows."""
    table, blocks, apart = _blocks(windows, values, np.add)
    reach = apart * (len(windows.lo) - 1) + 1
    out: Matrix | None = None
    span, done = 1, 0
    while True:
        if blocks & span:
            part = table[:, done : done + reach : apart]
            out = part if out is None else out + part
            done += span
            if done == blocks:
                return out
        table = table[:, :-span] + table[:, span:]
        span *= 2


def window_extremes(windows: RegularWindowMatrix, values: Matrix, pick: np.ufunc) -> Matrix:
    """`pick` (fmin or fmax) over the windows."""
    table, blocks, apart = _blocks(windows, values, pick)
    reach = apart * (len(windows.lo) - 1) + 1
    span = 1
    while 2 * span <= blocks:
        table = pick(table[:, :-span], table[:, span:])
        span *= 2
    out = table[:, :reach:apart]
    if span < blocks:
        last = blocks - span
        out = pick(out, table[:, last : last + reach : apart])
    return out


def _blocks(windows: RegularWindowMatrix, values: Matrix, ufunc: np.ufunc) -> tuple[Matrix, int, int]:
    """Reduced blocks, how many of them a window has, and how many the next window is ahead."""
    used = values[:, int(windows.lo[0]) : int(windows.hi[-1])]
    width, size = windows.width, windows.block
    if len(windows.lo) == 1:
        return ufunc.reduce(used, axis=1, keepdims=True), 1, 1
    if size == 1:
        return used, width, windows.stride
    blocks, apart = width // size, windows.stride // size
    if size >= _LONG:
        rows, columns = used.strides
        shape = (len(used), used.shape[1] // size, size)
        split = np.lib.stride_tricks.as_strided(used, shape, (rows, columns * size, columns), writeable=False)
        return ufunc.reduce(split, axis=2), blocks, apart
    table: Matrix = ufunc(used[:, ::size], used[:, 1::size])
    for at in range(2, size):
        ufunc(table, used[:, at::size], out=table)
    return table, blocks, apart
