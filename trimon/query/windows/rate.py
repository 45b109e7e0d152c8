"""The rate family: `rate`, `increase`, `delta`, `irate`, `idelta`, with Prometheus' extrapolation."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.windows.prefixsums import counted, finite_part, window_sum
from trimon.query.windows.regularwindows import runs_of
from trimon.query.windows.singlewindows import window_chunks
from trimon.query.windows.windowarguments import WindowCall, WindowResults
from trimon.query.windows.windowmatrix import WindowMatrix
from trimon.records import dataclass

# Windows at the beginning of a run in which counters are looked for that have just begun.
_PROBE: Final = 32
# An increase so small against what resets took has lost digits.
_CANCELLED: Final = 1e-6


def with_resets(matrix: WindowMatrix, values: Matrix, increased: Matrix, began: Mask | None = None) -> Matrix:
    """The increases of all windows and what counter resets inside them add: the values before the falls.

    `began`, bool[rows, n - 1], tells pairs of neighbours between which the counter began anew without a fall.
    """
    falls = values[:, 1:] < values[:, :-1]
    if began is not None:
        falls |= began
    columns = np.flatnonzero(falls.any(axis=0))
    if not len(columns):
        return increased
    # Where no counter falls nothing is lost: most often a few columns are left.
    lost = np.where(falls[:, columns], values[:, columns], 0.0)
    before = np.zeros(values.shape[1] + 1, np.intp)
    before[columns + 1] = 1
    np.cumsum(before, out=before)
    times = matrix.times[:, columns] if matrix.ragged else matrix.times[columns]
    inside = WindowMatrix(
        matrix.rows, times, lost, before[matrix.lo], before[np.maximum(matrix.hi - 1, matrix.lo)]
    )
    finite, infinite = finite_part(lost)
    # One large value in a row must not take the digits of the windows that do not hold it.
    added, doubtful = window_sum(inside, finite)
    result: Matrix = increased + added
    cancelled = np.abs(result) < np.abs(added) * _CANCELLED
    doubtful = cancelled if doubtful is None else doubtful | cancelled
    if infinite is not None:
        doubtful |= counted(inside, infinite) > 0
    if doubtful.any():
        fallen = counted(inside, lost != 0) > 0
        np.copyto(result, increased, where=doubtful & ~fallen)
        doubtful &= fallen
    for rows, steps, cells, lengths, _ in window_chunks(inside, doubtful):
        # The few digits that are left depend on the order: it is Prometheus'.
        total = increased[rows, steps]
        for column in range(cells.shape[1]):
            total = np.where(column < lengths, total + cells[:, column], total)
        result[rows, steps] = total
    return result


@dataclass(frozen=True, slots=True)
class RateWindows:
    """What the windows of a window matrix have in common: durations in seconds, shaped like `lo`, and how to get at their ends.

    `runs` are steps with the columns of the first and of the last sample.
    """

    lo: Index
    enough: Mask
    sampled: Matrix
    to_start: Matrix
    to_end: Matrix
    runs: tuple[tuple[slice, slice | Index, slice | Index], ...]

    @classmethod
    def of(cls, matrix: WindowMatrix, call: WindowCall) -> RateWindows:
        """Of a window matrix; those that share their windows are one after the other and share the answer."""
        known = call.memo.get("rate")
        if isinstance(known, cls) and known.lo is matrix.lo:
            return known
        count, last = matrix.hi - matrix.lo, matrix.hi - 1
        first_time, last_time = matrix.pick_times(matrix.lo), matrix.pick_times(last)
        sampled = (last_time - first_time) / 1000
        average = sampled / np.maximum(count - 1, 1)
        to_start = (first_time - (call.refs_ms - call.range_ms)) / 1000
        to_end = (call.refs_ms - last_time) / 1000
        threshold = average * 1.1
        to_start = np.where(to_start >= threshold, average / 2, to_start)
        to_end = np.where(to_end >= threshold, average / 2, to_end)
        runs: list[tuple[slice, slice | Index, slice | Index]] = []
        for begin, end, stride in [] if matrix.ragged else runs_of(matrix.lo, matrix.hi):
            steps = slice(begin, end)
            lo, hi = matrix.lo[steps], last[steps]
            if stride:
                reach = stride * (end - begin - 1) + 1
                low, high = int(lo[0]), int(hi[0])
                runs.append((steps, slice(low, low + reach, stride), slice(high, high + reach, stride)))
            else:
                # A window without samples shows nothing, and may begin behind the last one.
                first = _columns(np.minimum(lo, matrix.values.shape[1] - 1))
                runs.append((steps, first, _columns(np.maximum(hi, 0))))
        known = cls(matrix.lo, count >= 2, sampled, to_start, to_end, tuple(runs))
        call.memo["rate"] = known
        return known

    def increases(self, matrix: WindowMatrix) -> Matrix:
        """The last value less the first one."""
        values = matrix.values
        if matrix.ragged:
            return matrix.pick(values, matrix.hi - 1) - matrix.pick(values, matrix.lo)
        out = np.empty((len(values), len(self.lo)))
        for steps, first, last in self.runs:
            np.subtract(values[:, last], values[:, first], out=out[:, steps])
        return out

    def near_zero(self, matrix: WindowMatrix, result: Matrix, *, rising: bool) -> Index:
        """The steps at which the start of some counter may have been within the extrapolated time.

        With `rising` no counter of the window matrix ever falls, and once far from zero stays so.
        """
        ratio = self.sampled / self.to_start
        if matrix.ragged:
            below = matrix.pick(matrix.values, matrix.lo) * ratio < result
            return np.flatnonzero((below & self.enough).any(axis=0))
        found = []
        for whole, first, _ in self.runs:
            steps = whole
            if rising and isinstance(first, slice) and first.step is None:
                # All these windows begin with the same sample, the first there is: a look would cost what it may save.
                found.append(np.flatnonzero(self.enough[steps]) + (steps.start or 0))
                continue
            rows: slice | Index = slice(None)
            if rising and isinstance(first, slice) and first.step and steps.stop - steps.start > _PROBE:
                # Only the first windows need a look where the last of these is beyond what any later one adds.
                later = result[:, steps].max(axis=1) / ratio[steps].min()
                at = steps.start + _PROBE
                probed = slice(first.start, first.start + first.step * _PROBE, first.step)
                weak = np.flatnonzero(~(matrix.values[:, first.start + (first.step * _PROBE)] >= later))
                if 2 * len(weak) <= len(later):
                    found.append(
                        self._below(matrix, ratio, result, slice(None), slice(steps.start, at), probed)
                    )
                    if not len(weak):
                        continue
                    steps, rows = slice(at, steps.stop), weak
                    first = slice(probed.stop, first.stop, first.step)
            found.append(self._below(matrix, ratio, result, rows, steps, first))
        return np.concatenate(found) if found else np.zeros(0, np.intp)

    def _below(
        self,
        matrix: WindowMatrix,
        ratio: Matrix,
        result: Matrix,
        rows: slice | Index,
        steps: slice,
        first: slice | Index,
    ) -> Index:
        """The steps at which one of the rows may have been zero within the extrapolated time."""
        below = matrix.values[rows][:, first] * ratio[steps] < result[rows, steps]
        found: Index = np.flatnonzero(below.any(axis=0) & self.enough[steps]) + steps.start
        return found


def _columns(index: Index) -> slice | Index:
    """Columns of a matrix as a slice where they lie at equal distances; one column stands for all that are the same."""
    first, last = int(index[0]), int(index[-1])
    if first == last and (index == first).all():
        return slice(first, first + 1)
    step = int(index[1]) - first
    if step > 0 and (np.diff(index) == step).all():
        return slice(first, last + 1, step)
    return index


def _first_values(matrix: WindowMatrix) -> Matrix:
    """The first value of every window; one column where all windows begin with the same sample."""
    lo = matrix.lo
    if lo.ndim == 1 and lo[0] == lo[-1] < matrix.values.shape[1] and (lo == lo[0]).all():
        return matrix.values[:, lo[0] : lo[0] + 1]
    return matrix.pick(matrix.values, lo)


def _extrapolated(
    matrix: WindowMatrix, call: WindowCall, *, counter: bool, per_second: bool
) -> WindowResults:
    windows = RateWindows.of(matrix, call)
    sampled, to_start, to_end = windows.sampled, windows.to_start, windows.to_end
    result = windows.increases(matrix)
    steps: Index | None = None
    rising = False
    if counter:
        if matrix.rising is not None:
            rising = bool(matrix.rising.all())
        else:
            rising = bool((matrix.values[:, 1:] >= matrix.values[:, :-1]).all())
        if not rising:
            result = with_resets(matrix, matrix.values, result)
        # A counter can not have been below zero: do not look further back than where it would have been 0.
        steps = windows.near_zero(matrix, result, rising=rising)
    # The order of operations is Prometheus': an increase of whole numbers stays whole where it does there.
    range_s = call.range_ms / 1000 if per_second else 1.0
    factor = (sampled + to_start + to_end) / sampled / range_s
    if steps is None or not len(steps):
        result *= factor
        return result, windows.enough
    # Most often these are the first windows of a counter's life.
    everywhere = matrix.ragged or len(steps) == result.shape[1]
    part = matrix if everywhere else replace(matrix, lo=matrix.lo[steps], hi=matrix.hi[steps])
    columns = slice(None) if everywhere else steps
    stretch = _Stretch(sampled[..., columns], to_start[..., columns], to_end[..., columns], range_s)
    began = _first_values(part)
    near = None
    if rising and not matrix.ragged and began.shape[1] == 1:
        near = stretch.rows_near_zero(began[:, 0], result[:, steps[-1]])
    if near is None:
        cells: tuple[slice | Index, slice | Index] = slice(None), columns
    else:
        cells, began = (near if everywhere else near[:, None], columns), began[near]
    increased = result[cells]
    stretch.apply(began, increased, rising=rising)
    if near is not None or not everywhere:
        result *= factor
        result[cells] = increased
    return result, windows.enough


class _Stretch(NamedTuple):
    """Durations of windows, shaped like `lo`: from first to last sample, back to the start at most, on to the end; and
    what the increase is divided by in the end."""

    sampled: Matrix
    longest: Matrix
    to_end: Matrix
    range_s: float

    def rows_near_zero(self, began: Matrix, increased: Matrix) -> Index | None:
        """Rows in which a counter that never falls may have been zero within the time before its first sample.

        All windows begin with `began`, and `increased` is what the last one adds, the most. None: it is most of the rows.
        """
        ratio = (self.sampled / self.longest).min() * (1 - 1e-9)
        near = np.flatnonzero(~(began * ratio >= increased))
        return near if 2 * len(near) <= len(began) else None

    def apply(self, began: Matrix, increased: Matrix, *, rising: bool) -> None:
        """Stretch increases to their windows, in place, back to no earlier than where the counter would have been zero."""
        stretch = began / increased
        stretch *= self.sampled
        if not (rising and began.size and began.min() >= 0):
            stretch[(increased <= 0) | (began < 0)] = np.inf
        # Where nothing increased this is no number, and the longest time counts.
        np.fmin(stretch, self.longest, out=stretch)
        stretch += self.sampled
        stretch += self.to_end
        stretch /= self.sampled
        if self.range_s != 1:
            stretch /= self.range_s
        increased *= stretch


def rate(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """Per-second increase of a counter, extrapolated to the window."""
    return _extrapolated(matrix, call, counter=True, per_second=True)


def increase(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """Increase of a counter, extrapolated to the window."""
    return _extrapolated(matrix, call, counter=True, per_second=False)


def delta(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """Difference of a gauge, extrapolated to the window."""
    return _extrapolated(matrix, call, counter=False, per_second=False)


def _last_two(matrix: WindowMatrix) -> tuple[Matrix, Matrix, Matrix, Mask]:
    last = matrix.hi - 1
    newer, older = matrix.pick(matrix.values, last), matrix.pick(matrix.values, last - 1)
    seconds = (matrix.pick_times(last) - matrix.pick_times(last - 1)) / 1000
    return newer, older, seconds, (matrix.hi - matrix.lo >= 2) & (seconds > 0)


def irate(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """Per-second increase between the last two samples; after a reset the last value itself."""
    del call
    newer, older, seconds, enough = _last_two(matrix)
    return np.where(newer < older, newer, newer - older) / seconds, enough


def idelta(matrix: WindowMatrix, call: WindowCall) -> WindowResults:
    """Difference between the last two samples."""
    del call
    newer, older, _, enough = _last_two(matrix)
    return newer - older, enough
