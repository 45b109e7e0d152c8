"""Selectors: samples from storage, as instant vectors and as windows."""

from __future__ import annotations

from enum import Enum

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame, Times
from trimon.model.histogram import FloatHistogram
from trimon.model.sample import is_stale
from trimon.query.execution.annotationtext import remark
from trimon.query.execution.context import QueryContext, SampleSource
from trimon.query.execution.grid import FAR_MS, Grid, RefTimes
from trimon.query.execution.operator import STEP_BYTES, Operator
from trimon.query.execution.values import Cells, Mask, Matrix, Ranges, Value, Vector, holds
from trimon.query.windows.bundles import NativeRows
from trimon.query.windows.extended import interpolate_instant
from trimon.query.windows.extendedhistograms import smoothed_instant
from trimon.query.windows.histogramwindows import (
    HistogramRow,
    bounds_of,
    figures_of,
    floats_of,
    put,
    rows_with_histograms,
    with_resets,
)
from trimon.query.windows.nativewindows import newest_histograms
from trimon.query.windows.windowmatrix import WindowMatrix, window_matrices


class Pick(Enum):
    """What an instant selector reads of the sample it finds."""

    VALUE = "value"
    TIME = "timestamp"
    START = "start timestamp"


class SelectOperator(Operator):
    """The newest sample in `(ref - lookback, ref]` of every series at every step; a stale marker is none.

    With `smoothed` the value at `ref` between its neighbours within the lookback instead.
    """

    def __init__(
        self,
        source: SampleSource,
        refs: RefTimes,
        lookback_ms: int,
        text: str,
        *,
        pick: Pick,
        smoothed: bool = False,
        start: int = 0,
        stats_only: bool = False,
    ) -> None:
        self.source = self._source = source
        self.refs = refs
        self.lookback_ms = lookback_ms
        self.pick = pick
        self.smoothed = smoothed
        self.start = start
        self.stats_only = stats_only
        self._text = text

    def describe(self) -> str:
        """One line for the plan."""
        shown = "" if self.pick is Pick.VALUE else f" {self.pick.value}"
        return f"select{shown} {self._text}"

    def extent(self, context: QueryContext) -> slice:
        """The steps within the lookback of some sample."""
        after_ms = self.lookback_ms if self.smoothed else 0
        return _near_samples(context.frame(self._source), self.refs, self.lookback_ms, after_ms)

    def _smoothed(
        self, context: QueryContext, frame: SampleFrame, refs_ms: Times, values: Matrix, present: Mask
    ) -> Vector:
        labels = context.labels(self._source)
        if frame.histograms is None:
            interpolate_instant(frame, refs_ms, self.lookback_ms, values, present)
            return Vector(labels, values, present).compact()
        cells = np.full(values.shape, None, np.object_)
        native = rows_with_histograms(frame)
        everything = np.zeros_like(native)
        interpolate_instant(floats_of(frame, everything), refs_ms, self.lookback_ms, values, present)
        for index in np.flatnonzero(native).tolist():
            row = HistogramRow.of(frame, index)
            notes: set[tuple[str, str]] = set()
            windows = bounds_of(row, refs_ms + self.lookback_ms, 2 * self.lookback_ms)
            for step, (low, high) in enumerate(windows):
                if all(isinstance(sample, float) for sample in row.samples[low:high]):
                    continue
                present[index, step] = False
                found = smoothed_instant(row, int(refs_ms[step]), self.lookback_ms, notes)
                put(found, index, step, values, present, cells)
            remark(context.annotations, notes, labels, index, self.start)
        return Vector(labels, values, present, None, cells).compact()

    def _newest(self, context: QueryContext) -> Vector | None:
        """The result at a single time, where storage has the newest samples at hand; None where the frame is needed."""
        if len(self.refs) != 1 or self.smoothed or self.pick is Pick.START:
            return None
        ref_ms = self.refs.first_ms
        if abs(ref_ms) >= FAR_MS:
            return None
        found = context.newest(self._source, ref_ms, self.lookback_ms)
        if found is None:
            return None
        context.budget.take_bytes(len(found.values) * 9 + STEP_BYTES, "the result of a selector")
        values = found.times_ms / 1000 if self.pick is Pick.TIME else found.values
        present = found.present & ~is_stale(found.values)
        labels = context.labels(self._source)
        vector = Vector(labels, values[:, None], present[:, None]).compact()
        context.stats.looked_at(vector.present.sum(axis=0))
        return vector

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector."""
        del inputs
        newest = self._newest(context)
        if newest is not None:
            return newest
        frame = context.frame(self._source)
        known = None if frame.native is None else NativeRows.of(frame)
        if known is not None and (known.damaged or self.smoothed):
            frame, known = context.objects(self._source), None
        steps = len(self.refs)
        shape = (frame.rows, steps)
        context.budget.take_bytes((frame.rows * 9 + STEP_BYTES) * steps, "the result of a selector")
        refs_ms = self.refs.times_ms()
        values = np.zeros(shape)
        present = np.zeros(shape, np.bool_)
        if self.smoothed:
            return self._smoothed(context, frame, refs_ms, values, present)
        cells: Cells | None = None
        if frame.histograms is not None and self.pick is Pick.VALUE:
            cells = np.full(shape, None, np.object_)
        for windows in window_matrices(frame, refs_ms, self.lookback_ms, drop_stale=False):
            context.budget.check()
            _newest(windows, self.pick, values, present)
            found = windows.pick_cells(windows.hi - 1)
            if cells is not None and found is not None:
                cells[windows.rows] = found
        if cells is not None and self.stats_only:
            cells = _stats_cells(frame, cells)
        native = None
        if known is not None and self.pick is Pick.VALUE:
            native = newest_histograms(
                context, known, refs_ms, self.lookback_ms, values, present, stats=self.stats_only
            )
        if native is not None and self.stats_only:
            native = native.figures_only()
        vector = Vector(context.labels(self._source), values, present, None, cells, native).compact()
        shown = vector.weights() if vector.has_histograms else vector.present
        context.stats.looked_at(shown.sum(axis=0))
        return vector


def _stats_cells(frame: SampleFrame, cells: Cells) -> Cells:
    """The cells as where only count and sum are asked for: nothing else, and every counter reset found out."""
    known: dict[int, FloatHistogram] = {}
    for row in np.flatnonzero(rows_with_histograms(frame)).tolist():
        plain = HistogramRow.of(frame, row)
        for before, after in zip(plain.samples, with_resets(plain.samples), strict=True):
            if isinstance(before, FloatHistogram) and isinstance(after, FloatHistogram):
                known[id(before)] = figures_of(after)
    out = cells.copy()
    for row, step in zip(*np.nonzero(holds(cells)), strict=True):
        out[row, step] = known[id(cells[row, step])]
    return out


def _newest(windows: WindowMatrix, pick: Pick, values: Matrix, present: Mask) -> None:
    last = windows.hi - 1
    found = windows.hi > windows.lo
    newest = windows.pick(windows.values, last)
    shown = np.broadcast_to(found, newest.shape)
    stale = is_stale(newest)
    if stale.any():
        shown = shown & ~stale
    if pick is Pick.TIME:
        newest = np.broadcast_to(windows.pick_times(last) / 1000, newest.shape)
    elif pick is Pick.START:
        # A start that is not known is 0.
        starts = windows.starts
        newest = np.zeros(newest.shape) if starts is None else windows.pick_int(starts, last) / 1000
    rows = windows.target
    values[rows] = newest
    present[rows] = shown


def _near_samples(frame: SampleFrame, refs: RefTimes, before_ms: int, after_ms: int) -> slice:
    """The steps that look at the times from `before_ms` before to `after_ms` after any sample of a frame."""
    if not len(frame.times):
        return slice(0, 0)
    return refs.steps_within(int(frame.times.min()) - after_ms, int(frame.times.max()) + before_ms)


class RangeOperator(Operator):
    """The windows of a range selector: the frame itself, nothing is copied."""

    def __init__(
        self,
        source: SampleSource,
        refs: RefTimes,
        range_ms: int,
        text: str,
        *,
        lookback_ms: int = 0,
        anchored: bool = False,
        smoothed: bool = False,
        stats_only: bool = False,
    ) -> None:
        self.stats_only = stats_only
        self.source = self._source = source
        self.refs = refs
        self.range_ms = range_ms
        self.lookback_ms = lookback_ms
        self.anchored = anchored
        self.smoothed = smoothed
        self._text = text

    def describe(self) -> str:
        """One line for the plan."""
        return f"windows {self._text}"

    def extent(self, context: QueryContext) -> slice:
        """The steps whose windows are near some sample."""
        after_ms = self.lookback_ms if self.smoothed else 0
        frame = context.frame(self._source)
        return _near_samples(frame, self.refs, self.range_ms + self.lookback_ms, after_ms)

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """Ranges."""
        del inputs
        context.budget.take_bytes(STEP_BYTES * len(self.refs), "the times of windows")
        return Ranges(
            context.labels(self._source),
            context.frame(self._source),
            self.refs.times_ms(),
            self.range_ms,
            context.count(self._source),
            self.lookback_ms,
            anchored=self.anchored,
            smoothed=self.smoothed,
            stats_only=self.stats_only,
        )


class RepeatOperator(Operator):
    """A value that does not depend on the step, computed at the first one and shown at all."""

    replaces = True
    recounts = True
    columns = True

    def __init__(self, child: Operator, grid: Grid) -> None:
        self.children = (child,)
        self.grid = grid

    def recount(self, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """What was looked at once counts at every step."""
        counts: npt.NDArray[np.int64] = before + (after - before).sum()
        return counts

    def describe(self) -> str:
        """One line for the plan."""
        return f"repeat over {self.grid.count} steps"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector whose rows are constant."""
        del context
        (value,) = inputs
        assert isinstance(value, Vector)
        shape = (value.rows, self.grid.count)
        native = None if value.native is None else value.native.repeated(self.grid.count)
        cells = None if value.histograms is None else np.broadcast_to(value.histograms, shape)
        return Vector(
            value.labels,
            np.broadcast_to(value.values, shape),
            np.broadcast_to(value.present, shape),
            value.drop_name,
            cells,
            native,
        )
