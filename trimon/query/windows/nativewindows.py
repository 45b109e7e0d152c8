"""Functions over range vectors whose frames have histograms as columns: columns where they can, objects for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import MarkerFlags, is_marker, marker_flags
from trimon.model.frame import HistogramColumns, SampleFrame, Times
from trimon.model.histogram import HISTOGRAM_BYTES, FloatHistogram
from trimon.query.execution.annotationtext import remark
from trimon.query.execution.context import QueryContext
from trimon.query.execution.values import Cells, Index, Mask, Matrix, Ranges
from trimon.query.histograms.componenttable import ComponentTable
from trimon.query.histograms.framecells import with_objects
from trimon.query.histograms.hints import HINT_CODES
from trimon.query.histograms.matrix import HistogramMatrix, overlaid
from trimon.query.windows.bundles import NativeRows
from trimon.query.windows.columnwindows import COLUMN_KERNELS, Look, Outcome, picked, resets_at
from trimon.query.windows.histogramwindows import HistogramRow, bounds_of, window_value
from trimon.query.windows.windowarguments import WindowCall

IGNORED: Final = "ignored histograms in a range containing both floats and histograms for metric name"
# Of these the hints of the result are those of samples, and with nothing but count and sum asked for every reset is found out.
_KEEPING_HINTS: Final = frozenset({"sum_over_time", "avg_over_time", "last_over_time", "first_over_time"})
_COUNTING: Final = frozenset({"rate", "increase", "irate", "resets"})


def needs_objects(context: QueryContext, function: str, ranges: Ranges) -> bool:
    """Whether a function must see the histograms of all windows as objects."""
    if ranges.anchored or ranges.smoothed:
        return True
    if context.start_timestamps and ranges.frame.starts is not None:
        return True
    if not ranges.stats_only:
        return False
    return function in _KEEPING_HINTS or (function in _COUNTING and _has_gauges(ranges.frame))


def _has_gauges(frame: SampleFrame) -> bool:
    """Whether any histogram may fall: of these resets are looked for in what is read, which may be without buckets."""
    flags = marker_flags(frame.values) & MarkerFlags.GAUGE
    return bool(((flags != 0) & is_marker(frame.values)).any())


class Gathering:
    """Results of bundles put together: a matrix of histograms whose rows are those of the frame.

    Memory for all components is asked of the budget when the first one comes.
    """

    def __init__(self, context: QueryContext, native: HistogramColumns, rows: int, steps: int) -> None:
        self._context = context
        table = ComponentTable(native.row, native.layout, native.part, native.index, native.layouts)
        order = table.order()
        self._sorted = bool((np.diff(order) == 1).all())
        self._rank = np.empty(len(order), np.intp)
        self._rank[order] = np.arange(len(order))
        self._table = table if self._sorted else table.at(order)
        self._shape = (len(table), steps)
        self._numbers: Matrix | None = None
        self._stored: Mask | None = None
        self.kinds = np.full((rows, steps), -1, np.int32)
        self.hints = np.zeros((rows, steps), np.uint8)

    def add(self, outcome: Outcome, rows: Index, first: int) -> None:
        """Take in the histograms of a bundle whose components begin at `first`."""
        numbers = outcome.numbers
        if numbers is None or outcome.kinds is None or outcome.hints is None:
            return
        if self._numbers is None:
            cells = self._shape[0] * self._shape[1]
            self._context.budget.take_bytes(cells * 9, "the result of a function of histograms")
            self._numbers = np.zeros(self._shape)
        last = first + len(numbers)
        target = slice(first, last) if self._sorted else self._rank[first:last]
        self._numbers[target] = numbers
        if outcome.stored is not None:
            if self._stored is None:
                self._stored = self._numbers != 0
            self._stored[target] = outcome.stored
        elif self._stored is not None:
            self._stored[target] = numbers != 0
        begin, end = int(rows[0]), int(rows[-1]) + 1
        self.kinds[begin:end] = outcome.kinds
        self.hints[begin:end] = outcome.hints

    def matrix(self) -> HistogramMatrix | None:
        """All of them; None if there are none."""
        if self._numbers is None or not (self.kinds >= 0).any():
            return None
        made = HistogramMatrix(self._table, self._numbers, self.kinds, self.hints, self._stored)
        return made.compacted()


def native_windows(
    context: QueryContext,
    function: str,
    ranges: Ranges,
    known: NativeRows,
    call: WindowCall,
    values: Matrix,
    present: Mask,
    start: int,
) -> HistogramMatrix | None:
    """Overwrite the windows that hold histograms; gives those of the results that are histograms."""
    gathering = Gathering(context, known.native, ranges.frame.rows, ranges.steps)
    notes: dict[int, set[tuple[str, str]]] = {}
    hard: dict[int, Index] = {}
    kernel = COLUMN_KERNELS.get(function)
    for bundle in known.bundles(ranges.refs_ms, ranges.range_ms):
        context.budget.check()
        rows = slice(int(bundle.rows[0]), int(bundle.rows[-1]) + 1)
        look = Look.of(bundle)
        if kernel is None:
            # One float is too little for some, but it shows that the histograms are not alone.
            for row in np.flatnonzero((look.holds & look.mixed()).any(axis=1)).tolist():
                notes.setdefault(rows.start + row, set()).add(("info-name", IGNORED))
            continue
        outcome = kernel(bundle, call)
        present[rows] &= ~look.holds
        present[rows] |= outcome.present
        if outcome.floats is not None:
            np.copyto(values[rows], outcome.floats, where=outcome.present)
        gathering.add(outcome, bundle.rows, bundle.first)
        for marked, note in outcome.notes:
            for row in marked.tolist():
                notes.setdefault(rows.start + row, set()).add(note)
        for row in np.flatnonzero(outcome.hard.any(axis=1)).tolist():
            hard[rows.start + row] = np.flatnonzero(outcome.hard[row])
    made = gathering.matrix()
    if hard:
        cells = _by_objects(context, function, ranges, hard, values, present, notes)
        parts = [part for part in (made, HistogramMatrix.of(cells)) if part is not None]
        made = overlaid(parts)
    for row in sorted(notes):
        remark(context.annotations, notes[row], ranges.labels, row, start)
    return made


def _by_objects(
    context: QueryContext,
    function: str,
    ranges: Ranges,
    hard: dict[int, Index],
    values: Matrix,
    present: Mask,
    notes: dict[int, set[tuple[str, str]]],
) -> Cells:
    """Some windows of some rows one after the other."""
    cells = np.full(present.shape, None, np.object_)
    made = 0
    for row, plain in rows_as_objects(ranges.frame, sorted(hard), stats=ranges.stats_only):
        context.budget.check()
        windows = bounds_of(plain, ranges.refs_ms, ranges.range_ms)
        said = notes.setdefault(row, set())
        for step in hard[row].tolist():
            low, high = windows[step]
            window = plain.window(low, high, int(ranges.refs_ms[step]), ranges.range_ms, said)
            sample = window_value(function, window, use_starts=False)
            if sample is None:
                continue
            present[row, step] = True
            if isinstance(sample, float):
                values[row, step] = sample
            else:
                cells[row, step] = sample
                made += 1
        context.budget.take_bytes(made * HISTOGRAM_BYTES, function)
    return cells


def newest_histograms(
    context: QueryContext,
    known: NativeRows,
    refs_ms: Times,
    lookback_ms: int,
    values: Matrix,
    present: Mask,
    *,
    stats: bool,
) -> HistogramMatrix | None:
    """The histograms that `values` has markers of, which go. With `stats` every counter reset is found out."""
    markers = is_marker(values)
    markers &= present
    gathering = Gathering(context, known.native, *values.shape)
    for bundle in known.bundles(refs_ms, lookback_ms):
        context.budget.check()
        rows = slice(int(bundle.rows[0]), int(bundle.rows[-1]) + 1)
        shown = markers[rows]
        if not shown.any():
            continue
        columns = Look.of(bundle).last
        outcome = picked(bundle, columns, shown, np.zeros(shown.shape, np.bool_))
        if stats:
            outcome.hints, unclear = resets_at(bundle, columns)
            for row in np.flatnonzero((unclear & shown).any(axis=1)).tolist():
                hints = _hints_by_objects(known.frame, rows.start + row, refs_ms, lookback_ms)
                np.copyto(outcome.hints[row], hints, where=shown[row])
        gathering.add(outcome, bundle.rows, bundle.first)
    values[markers] = np.nan
    return gathering.matrix()


def _hints_by_objects(
    frame: SampleFrame, row: int, refs_ms: Times, lookback_ms: int
) -> npt.NDArray[np.uint8]:
    """What is known of the newest samples of a row, with resets found out from one sample to the next."""
    ((_, plain),) = rows_as_objects(frame, [row], stats=True)
    hints = np.zeros(len(refs_ms), np.uint8)
    for step, (low, high) in enumerate(bounds_of(plain, refs_ms, lookback_ms)):
        sample = plain.samples[high - 1] if high > low else None
        if isinstance(sample, FloatHistogram):
            hints[step] = HINT_CODES[sample.hint]
    return hints


def rows_as_objects(
    frame: SampleFrame, rows: list[int], *, stats: bool = False
) -> Iterator[tuple[int, HistogramRow]]:
    """Some rows of a frame with columns, with their histograms as objects."""
    for row in rows:
        alone = with_objects(_row(frame, row))
        if alone.histograms is None:
            alone = replace(alone, histograms=np.full(len(alone.values), None, np.object_))
        yield row, HistogramRow.of(alone, 0, stats=stats)


def _row(frame: SampleFrame, row: int) -> SampleFrame:
    """One row alone."""
    native = frame.native
    assert native is not None
    first, last = np.searchsorted(native.row, [row, row + 1]).tolist()
    own = native.frame.take(np.arange(first, last))
    columns = HistogramColumns(
        np.zeros(last - first, np.int64),
        native.layout[first:last],
        native.part[first:last],
        native.index[first:last],
        native.layouts,
        own,
    )
    return replace(frame.take(np.array([row])), native=columns)
