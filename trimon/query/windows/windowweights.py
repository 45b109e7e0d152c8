"""How many samples windows hold where they hold native histograms, each by its size."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.query.execution.context import QueryContext
from trimon.query.execution.values import Index, Ranges
from trimon.query.histograms.componenttable import ComponentTable
from trimon.query.histograms.placed import times_of
from trimon.query.histograms.weights import LayoutWeights, Weights, weights_of
from trimon.query.windows.bundles import NativeRows
from trimon.records import dataclass

# Samples that are added up at once: what is made of them stays in the cache.
_CELLS_MAX: Final = 1 << 18


@dataclass(slots=True)
class WindowWeights:
    """What the histograms in the windows of all series weigh at every step.

    `read` are those that the window of the step before did not hold, `longest` is the most that a single window holds.
    """

    samples: Weights
    read: Weights
    longest: int = 0

    @classmethod
    def none(cls, steps: int) -> WindowWeights:
        """Nothing yet."""
        return cls(np.zeros(steps, np.int64), np.zeros(steps, np.int64))

    @classmethod
    def of(cls, ranges: Ranges, known: NativeRows | None, *, above: int = 0) -> WindowWeights:
        """Of the windows of a range vector; `known` are its histograms where they are columns. Each counts `above` less."""
        made, frame = cls.none(ranges.steps), ranges.frame
        weigh = _Samples(ranges, known, above)
        holding = np.flatnonzero(frame.lengths) if known is None else np.flatnonzero(np.diff(known.bounds))
        arrays = frame.time_of_row[holding]
        order = np.argsort(arrays, kind="stable")
        for rows in np.split(holding[order], np.flatnonzero(np.diff(arrays[order])) + 1):
            if not len(rows):
                continue
            times = times_of(frame, int(frame.time_of_row[rows[0]]))
            lo = np.searchsorted(times, ranges.refs_ms - ranges.range_ms, side="right")
            hi = np.searchsorted(times, ranges.refs_ms, side="right")
            if int(lo[0]) < int(hi[-1]):
                made._add(weigh, rows, lo, hi)
        if ranges.owned:
            # What a subquery made is not read from storage.
            made.read[:] = 0
        return made

    def count(self, context: QueryContext, samples: Weights, read: Weights) -> None:
        """Count them, and the floats in the same windows."""
        context.stats.looked_at(samples + self.samples, read + self.read)
        context.budget.passing = max(context.budget.passing, self.longest)

    def _add(self, weigh: _Samples, rows: Index, lo: Index, hi: Index) -> None:
        """Take in the windows of some rows that share their times."""
        left, right = int(lo[0]), int(hi[-1])
        fresh = lo.copy()
        fresh[1:] = np.maximum(lo[1:], hi[:-1])
        chunk = max(1, _CELLS_MAX // max(right - left, len(lo)))
        for at in range(0, len(rows), chunk):
            some = rows[at : at + chunk]
            each = weigh.constant(some, left, right)
            if each is not None:
                self.samples += int(each.sum()) * (hi - lo)
                self.read += int(each.sum()) * (hi - fresh)
                self.longest = max(self.longest, int(each.max()) * int((hi - lo).max()))
                continue
            sums = np.zeros((len(some), right - left + 1), np.int64)
            np.cumsum(weigh.of(some, left, right), axis=1, out=sums[:, 1:])
            ends = sums[:, hi - left]
            windows = ends - sums[:, lo - left]
            self.samples += windows.sum(axis=0)
            self.read += (ends - sums[:, fresh - left]).sum(axis=0)
            self.longest = max(self.longest, int(windows.max()))


class _Samples:
    """The weights of the samples of a frame; those of floats are 0."""

    def __init__(self, ranges: Ranges, known: NativeRows | None, above: int) -> None:
        self._above = above
        self._frame, self._known = ranges.frame, known
        self._layouts: LayoutWeights | None = None
        self._made: Weights | None = None
        if known is None:
            assert ranges.frame.histograms is not None
            self._made = weights_of(ranges.frame.histograms) if ranges.weights is None else ranges.weights
        elif ranges.stats_only:
            self._layouts = LayoutWeights.figures(ranges.frame.rows)
        else:
            native = known.native
            table = ComponentTable(native.row, native.layout, native.part, native.index, native.layouts)
            self._layouts = LayoutWeights.of(table.at(table.order()), ranges.frame.rows)

    def _places(self, rows: Index, left: int, right: int) -> npt.NDArray[np.int64]:
        return self._frame.offsets[rows][:, None] + np.arange(left, right)

    def constant(self, rows: Index, left: int, right: int) -> Weights | None:
        """The weight of all samples of each row where they are the same; None where that is not known."""
        if self._known is None or self._layouts is None or len(self._layouts.keys):
            return None
        kinds = self._known.kinds[self._places(rows, left, right)]
        return self._layouts.own[rows] - self._above if (kinds >= 0).all() else None

    def of(self, rows: Index, left: int, right: int) -> Weights:
        """The samples from `left` to `right` of rows."""
        places = self._places(rows, left, right)
        if self._made is not None:
            found = self._made[places]
        else:
            assert self._known is not None
            assert self._layouts is not None
            found = self._layouts.at(rows, self._known.kinds[places])
        return np.maximum(found - self._above, 0) if self._above else found
