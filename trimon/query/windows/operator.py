"""Functions over range vectors: one kernel per function, run over the window matrices of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.gotext.floats import format_g, format_six
from trimon.gotext.strings import go_quote
from trimon.model.histogram import HISTOGRAM_BYTES, FloatHistogram
from trimon.model.labels import METRIC_NAME, TYPE_LABEL
from trimon.model.table import LabelTable
from trimon.query.execution.annotationtext import remark
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import factorize, pack
from trimon.query.execution.names import without_name
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Cells as HistogramCells
from trimon.query.execution.values import Mask, Matrix, Ranges, Scalar, Value, Vector, holds
from trimon.query.histograms.framecells import with_objects
from trimon.query.language.errors import QueryError
from trimon.query.language.signatures import EXTENDED, KEEPS_NAME
from trimon.query.windows import overtime, rate, regression, starttime
from trimon.query.windows.bundles import NativeRows
from trimon.query.windows.extended import anchored, smoothed
from trimon.query.windows.extendedhistograms import extended_value
from trimon.query.windows.foldedsum import Fold, Folding, seen_rows
from trimon.query.windows.histogramwindows import (
    WITH_HISTOGRAMS,
    HistogramRow,
    bounds_of,
    floats_of,
    put,
    rows_with_histograms,
    window_value,
)
from trimon.query.windows.nativewindows import IGNORED, native_windows, needs_objects
from trimon.query.windows.regularwindows import WindowParts
from trimon.query.windows.resetfree import RESET_FREE, note_reset_free
from trimon.query.windows.windowarguments import Kernel, WindowCall, WindowResults
from trimon.query.windows.windowmatrix import CELLS_MAX, WindowMatrix, window_matrices
from trimon.query.windows.windowweights import WindowWeights
from trimon.records import dataclass

_INCREASING: Final = ("rate", "increase")
KERNELS: Final[dict[str, Kernel]] = {
    "rate": rate.rate,
    "increase": rate.increase,
    "delta": rate.delta,
    "irate": rate.irate,
    "idelta": rate.idelta,
    "deriv": regression.derivative,
    "predict_linear": regression.predict,
    "changes": overtime.changes,
    "resets": overtime.resets,
    "avg_over_time": overtime.average,
    "sum_over_time": overtime.total,
    "min_over_time": overtime.minimum,
    "max_over_time": overtime.maximum,
    "count_over_time": overtime.count,
    "present_over_time": overtime.present,
    "last_over_time": overtime.last,
    "first_over_time": overtime.first,
    "stddev_over_time": overtime.deviation,
    "stdvar_over_time": overtime.variance,
    "quantile_over_time": overtime.quantile,
    "mad_over_time": overtime.median_deviation,
    "ts_of_min_over_time": overtime.ts_of_min,
    "ts_of_max_over_time": overtime.ts_of_max,
    "ts_of_first_over_time": overtime.ts_of_first,
    "ts_of_last_over_time": overtime.ts_of_last,
    "double_exponential_smoothing": overtime.smoothing,
}
START_TIME_KERNELS: Final[dict[str, Kernel]] = {
    "rate": starttime.rate,
    "increase": starttime.increase,
    "irate": starttime.irate,
    "resets": starttime.resets,
}
# Functions that do better on regular windows.
IN_PARTS: Final = frozenset(
    f"{name}_over_time" for name in ("avg", "sum", "min", "max", "stddev", "stdvar", "quantile", "mad")
) | {"deriv", "predict_linear"}
# What a kernel makes of a cell on its way: some arrays of numbers. Of usual window matrices that is little.
_WORKING_BYTES: Final = 80
COUNTER_SUFFIXES: Final = ("_total", "_sum", "_count", "_bucket")


@dataclass(slots=True)
class _Seen:
    """How many samples windows held at every step, and how many of them the window of the step before did not."""

    samples: npt.NDArray[np.int64]
    read: npt.NDArray[np.int64]
    stored: bool

    @classmethod
    def none(cls, ranges: Ranges) -> _Seen:
        """Nothing yet. What a subquery made is not read from storage."""
        return cls(np.zeros(ranges.steps, np.int64), np.zeros(ranges.steps, np.int64), not ranges.owned)

    def add(self, windows: WindowMatrix) -> int:
        """Take in the windows of a window matrix; how many samples the longest has."""
        length = windows.hi - windows.lo
        rows = len(windows.rows) if length.ndim == 1 else 1
        self.samples += rows * np.atleast_2d(length).sum(axis=0)
        if self.stored:
            fresh = length.copy()
            fresh[..., 1:] = windows.hi[..., 1:] - np.maximum(windows.lo[..., 1:], windows.hi[..., :-1])
            self.read += rows * np.atleast_2d(fresh).sum(axis=0)
        return int(length.max(initial=0))


class WindowOperator(Operator):
    """`function(range vector, scalars...)`. The inputs are the scalars, then the range vector."""

    leading = -1
    columns = True

    def __init__(
        self,
        function: str,
        ranges: Operator,
        params: Sequence[Operator],
        grid: Grid,
        start: int,
        param_start: int,
    ) -> None:
        self.function = function
        self._keeps_names = False
        self._fold: Fold | None = None
        self.children = (*params, ranges)
        self.grid = grid
        self._start = start
        self._param_start = param_start

    def describe(self) -> str:
        """One line for the plan."""
        added = "" if self._fold is None else f", added up for {self._fold.op}"
        return f"window {self.function}{', names kept' if self._keeps_names else ''}{added}"

    def with_fold(self, fold: Fold) -> WindowOperator:
        """The same operator, which does the aggregation above it where that pays."""
        changed = copy(self)
        changed._fold = fold
        return changed

    def with_names(self) -> WindowOperator:
        """The same operator, which removes no names; its series need not be distinct then."""
        changed = copy(self)
        changed._keeps_names = True
        return changed

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector."""
        ranges = inputs[-1]
        assert isinstance(ranges, Ranges)
        params = tuple(value.values for value in inputs[:-1] if isinstance(value, Scalar))
        self._check(ranges)
        known = None if ranges.frame.native is None else NativeRows.of(ranges.frame)
        weighed = WindowWeights.of(ranges, known) if ranges.frame.has_histograms else None
        if known is not None and (known.damaged or needs_objects(context, self.function, ranges)):
            ranges, known = replace(ranges, frame=with_objects(ranges.frame)), None
        call = WindowCall(
            ranges.refs_ms, ranges.range_ms, self.grid.times_ms(), params, set(), context.budget.check
        )
        if self.function in _INCREASING and ranges.frame.native is None:
            note_reset_free(ranges.frame)
        if self._fold is not None and self._foldable(context, ranges):
            folding = self._fold.begin(ranges.labels, ranges.steps)
            folded = None if folding is None else self._folded(context, ranges, call, folding)
            if folded is not None:
                return folded
        shape = (ranges.frame.rows, ranges.steps)
        context.budget.take_bytes(shape[0] * shape[1] * 9, "the result of a window function")
        values = np.zeros(shape)
        present = np.zeros(shape, np.bool_)
        floats = ranges
        if ranges.frame.has_histograms:
            nothing = np.zeros(ranges.frame.rows, np.bool_)
            floats = replace(ranges, frame=floats_of(ranges.frame, nothing))
        seen = _Seen.none(ranges)
        for windows, steps, cells, shown in self._cells(context, floats, call, seen):
            values[windows.target, steps] = cells
            present[windows.target, steps] = shown
        if weighed is None:
            context.stats.looked_at(seen.samples, seen.read)
        else:
            weighed.count(context, seen.samples, seen.read)
        self._check_params(context, call.params, seen.samples)
        histograms = None
        if ranges.frame.histograms is not None:
            histograms = self._histograms(context, ranges, values, present)
        native = None
        if known is not None:
            native = native_windows(context, self.function, ranges, known, call, values, present, self._start)
            if native is not None and ranges.stats_only:
                native = native.figures_only()
        vector = Vector(ranges.labels, values, present, ranges.drop_name, histograms, native).compact()
        self._annotate(context, ranges, vector.floats().labels, call)
        keeps_name = self.function in KEEPS_NAME or self._keeps_names
        return vector if keeps_name else without_name(context, vector)

    def _cells(
        self, context: QueryContext, ranges: Ranges, call: WindowCall, seen: _Seen
    ) -> Iterator[tuple[WindowMatrix, slice, Matrix, Mask]]:
        """The function's results, window matrix by window matrix and part by part; counts the samples in the windows."""
        extended = ranges.anchored or ranges.smoothed
        whole, cutter = extended or self.function not in IN_PARTS, WindowParts(call)
        for windows in (
            _wide_panels(ranges)
            if extended
            else window_matrices(
                ranges.frame,
                ranges.refs_ms,
                ranges.range_ms,
                drop_stale=True,
                ends_only=self._ends_only(ranges),
            )
        ):
            context.budget.check()
            cells = max(windows.values.size, len(windows.rows) * ranges.steps)
            if cells > CELLS_MAX:
                context.budget.take_bytes(cells * _WORKING_BYTES, self)
            for steps, part, part_call in [(slice(None), windows, call)] if whole else cutter.of(windows):
                values, shown = self._kernel(context, ranges, part, part_call)
                yield windows, steps, values, shown
            context.budget.passing = max(context.budget.passing, seen.add(windows))

    def _ends_only(self, ranges: Ranges) -> bool:
        """Whether only the ends of windows count, because no counter was ever reset."""
        facts = ranges.frame.facts
        return self.function in _INCREASING and facts is not None and bool(facts[RESET_FREE].all())

    def _foldable(self, context: QueryContext, ranges: Ranges) -> bool:
        return not (
            ranges.anchored
            or ranges.smoothed
            or context.delayed_names
            or self._keeps_names
            or self.function in KEEPS_NAME
            or ranges.frame.has_histograms
            or ranges.drop_name is not None
        )

    def _folded(
        self, context: QueryContext, ranges: Ranges, call: WindowCall, folding: Folding
    ) -> Vector | None:
        """The aggregated vector; None when its sums need more care."""
        seen = _Seen.none(ranges)
        for windows, steps, cells, shown in self._cells(context, ranges, call, seen):
            if not folding.add(windows, steps, cells, shown):
                return None
        vector = folding.result()
        if vector is not None:
            context.stats.looked_at(seen.samples, seen.read)
            self._check_params(context, call.params, seen.samples)
            self._annotate(context, ranges, seen_rows(ranges.labels, folding.seen), call)
        return vector

    def _histograms(
        self, context: QueryContext, ranges: Ranges, values: Matrix, present: Mask
    ) -> HistogramCells:
        """Overwrite the windows that hold histograms, one after the other."""
        cells = np.full(values.shape, None, np.object_)
        extended, made = ranges.anchored or ranges.smoothed, 0
        for index in np.flatnonzero(rows_with_histograms(ranges.frame)).tolist():
            context.budget.check()
            row = HistogramRow.of(ranges.frame, index, stats=ranges.stats_only)
            notes: set[tuple[str, str]] = set()
            wide = ranges.range_ms + ranges.lookback_ms
            for step, (low, high) in enumerate(
                bounds_of(row, ranges.refs_ms, wide if extended else ranges.range_ms)
            ):
                window = row.window(low, high, int(ranges.refs_ms[step]), ranges.range_ms, notes)
                if not any(isinstance(sample, FloatHistogram) for sample in window.samples):
                    continue
                if self.function not in WITH_HISTOGRAMS:
                    # One float is too little for some, but it shows that the histograms are not alone.
                    if any(isinstance(sample, float) for sample in window.samples):
                        notes.add(("info-name", IGNORED))
                    continue
                present[index, step] = False
                if extended:
                    sample = extended_value(
                        self.function, row, window.ref_ms, ranges.range_ms, ranges.lookback_ms, notes,
                        smoothed=ranges.smoothed,
                    )  # fmt: skip
                else:
                    sample = window_value(self.function, window, use_starts=context.start_timestamps)
                put(sample, index, step, values, present, cells)
            made += int(np.count_nonzero(holds(cells[index])))
            context.budget.take_bytes(made * HISTOGRAM_BYTES, self)
            remark(context.annotations, notes, ranges.labels, index, self._start)
        return cells

    def _kernel(
        self, context: QueryContext, ranges: Ranges, windows: WindowMatrix, call: WindowCall
    ) -> WindowResults:
        if ranges.anchored:
            return anchored(self.function, windows, call, ranges.lookback_ms)
        if ranges.smoothed:
            return smoothed(self.function, windows, call, ranges.lookback_ms)
        if windows.starts is not None and context.start_timestamps:
            kernel = START_TIME_KERNELS.get(self.function)
            if kernel is not None and windows.starts.any():
                return kernel(windows, call)
        return KERNELS[self.function](windows, call)

    def _check(self, ranges: Ranges) -> None:
        for word, used in (("anchored", ranges.anchored), ("smoothed", ranges.smoothed)):
            if used and self.function not in EXTENDED[word]:
                allowed = ", ".join(EXTENDED[word])
                raise QueryError(
                    f"{word} modifier can only be used with: {allowed} - not with {self.function}"
                )

    def _check_params(
        self, context: QueryContext, params: tuple[np.ndarray, ...], looked_at: npt.NDArray[np.int64]
    ) -> None:
        """Parameters count at steps with samples in some window. Raises QueryError."""
        used = looked_at > 0
        if self.function == "double_exponential_smoothing":
            for value, name, short in ((params[0], "smoothing", "sf"), (params[1], "trend", "tf")):
                wrong = used & ~((value > 0) & (value < 1))
                if wrong.any():
                    got = format_six(float(value[wrong][0]))
                    raise QueryError(f"invalid {name} factor. Expected: 0 < {short} < 1, got: {got}")
        if self.function == "quantile_over_time":
            for wrong_value in np.unique(params[0][used & ~((params[0] >= 0) & (params[0] <= 1))]).tolist():
                context.annotations.warn(
                    f"quantile value should be between 0 and 1, got {format_g(wrong_value)}",
                    self._param_start,
                )

    def _annotate(self, context: QueryContext, ranges: Ranges, series: LabelTable, call: WindowCall) -> None:
        if self.function in ("rate", "increase"):
            for message in _not_counters(series, typed=context.type_labels):
                context.annotations.info(message, self._start)
        for row in sorted(call.overlaps or ()):
            name = dict(ranges.labels.labels(row)).get(METRIC_NAME, "")
            shown = f" for metric {go_quote(name)}" if name else ""
            context.annotations.warn(
                f"sample has start time that overlaps with previous sample timestamp{shown}", self._start
            )


def _wide_panels(ranges: Ranges) -> list[WindowMatrix]:
    """Panels that keep the samples within the lookback around the windows."""
    after = ranges.lookback_ms if ranges.smoothed else 0
    out = []
    for windows in window_matrices(
        ranges.frame,
        ranges.refs_ms + after,
        ranges.range_ms + ranges.lookback_ms + after,
        drop_stale=True,
    ):
        if windows.ragged:
            hi = np.stack([np.searchsorted(row, ranges.refs_ms, side="right") for row in windows.times])
            lo = np.stack(
                [
                    np.searchsorted(row, ranges.refs_ms - ranges.range_ms, side="right")
                    for row in windows.times
                ]
            )
        else:
            hi = np.searchsorted(windows.times, ranges.refs_ms, side="right")
            lo = np.searchsorted(windows.times, ranges.refs_ms - ranges.range_ms, side="right")
        out.append(WindowMatrix(windows.rows, windows.times, windows.values, lo, hi, windows.starts))
    return out


def _not_counters(labels: LabelTable, *, typed: bool) -> list[str]:
    codes, names = labels.column(METRIC_NAME)
    type_codes, types = labels.column(TYPE_LABEL)
    first = factorize(*pack((codes, type_codes), labels.rows)).first
    out = []
    for code, type_code in zip(codes[first].tolist(), type_codes[first].tolist(), strict=True):
        name, kind = names[code], types[type_code]
        if not name:
            continue
        if typed and kind not in ("counter", "histogram"):
            out.append(
                'metric might not be a counter, __type__ label is not set to "counter" or "histogram", '
                f"got {go_quote(kind)}: {go_quote(name)}"
            )
        elif not typed and not name.endswith(COUNTER_SUFFIXES):
            out.append(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                f"{go_quote(name)}"
            )
    return out
