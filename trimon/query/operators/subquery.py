"""Subqueries: an expression evaluated on a grid of its own, then seen through windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame, Times
from trimon.model.histogram import FloatHistogram, ResetHint
from trimon.model.table import LabelTable
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Ranges, Value, Vector, only
from trimon.query.histograms.cells import map_cells


class SubqueryOperator(Operator):
    """Makes windows of a vector; `inner` is the grid the vector was evaluated on.

    There is no child where no time of the inner grid falls into the windows.
    """

    replaces = True
    recounts = True

    def __init__(self, child: Operator | None, inner: Grid, refs_ms: Times, range_ms: int) -> None:
        self.children = () if child is None else (child,)
        self.inner = inner
        self.refs_ms = refs_ms
        self.range_ms = range_ms

    def recount(self, before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The samples that count are those its windows are made of."""
        del after
        return before

    def describe(self) -> str:
        """One line for the plan."""
        return f"subquery of {self.inner.count} steps every {self.inner.step_ms} ms"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """Ranges."""
        del context
        if not inputs:
            return Ranges(LabelTable.empty(), SampleFrame.empty(), self.refs_ms, self.range_ms, 0)
        (vector,) = inputs
        assert isinstance(vector, Vector)
        frame = frame_of(vector, self.inner)
        samples = len(frame.values)
        return Ranges(
            vector.labels,
            frame,
            self.refs_ms,
            self.range_ms,
            samples,
            drop_name=vector.drop_name,
            owned=True,
        )


def _without_claim(histogram: FloatHistogram) -> FloatHistogram:
    claims = histogram.hint in (ResetHint.RESET, ResetHint.NOT_RESET)
    return histogram.with_hint(ResetHint.UNKNOWN) if claims else histogram


def frame_of(vector: Vector, grid: Grid) -> SampleFrame:
    """The samples of a vector as a frame: rows without gaps share the grid's times."""
    rows, steps = vector.values.shape
    if rows == 0 or steps == 0:
        return SampleFrame.empty(rows)
    times = grid.times_ms()
    has_stale = np.zeros(rows, np.bool_)
    full = vector.present.all(axis=1)
    cells = None
    if vector.histograms is not None:
        # Whether a counter was reset must be found out again: samples may have been left out in between.
        cells = map_cells(_without_claim, only(vector.histograms, vector.are_histograms()))
    if full.all():
        offsets = np.arange(rows + 1, dtype=np.int64) * steps
        values = np.ascontiguousarray(vector.values).reshape(-1)
        return SampleFrame(
            values,
            offsets,
            times,
            np.array([0, steps], np.int64),
            np.zeros(rows, np.int32),
            has_stale,
            None,
            None if cells is None else cells.reshape(-1),
        )
    lengths = vector.present.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    gaps = np.flatnonzero(~full)
    private = np.broadcast_to(times, (len(gaps), steps))[vector.present[gaps]]
    time_offsets = np.concatenate([[0, steps], steps + np.cumsum(lengths[gaps])]).astype(np.int64)
    time_of_row = np.zeros(rows, np.int32)
    time_of_row[gaps] = np.arange(1, len(gaps) + 1)
    return SampleFrame(
        vector.values[vector.present],
        offsets,
        np.concatenate([times, private]),
        time_offsets,
        time_of_row,
        has_stale,
        None,
        None if cells is None else cells[vector.present],
    )
