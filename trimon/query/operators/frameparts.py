"""Frames made of vectors: what a subquery's windows look at."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame, Times, Values
from trimon.model.histogram import HISTOGRAM_BYTES, FloatHistogram, ResetHint
from trimon.model.table import LabelTable
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import concat, shared_groups
from trimon.query.execution.values import Cells, Index, Mask, Vector, only
from trimon.query.histograms.cells import map_cells
from trimon.query.histograms.weights import Weights, beyond
from trimon.records import dataclass

# Samples that are put into their places at once.
_PLACED_MAX: Final = 1 << 18


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
    cells = _cells(vector)
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


def _cells(vector: Vector) -> Cells | None:
    """The histograms. Whether a counter was reset must be found out again: samples may have been left out in between."""
    if vector.histograms is None:
        return None
    return map_cells(_without_claim, only(vector.histograms, vector.are_histograms()))


@dataclass(frozen=True, slots=True)
class _Part:
    """The samples of some steps: `lengths[i]` of row `rows[i]`, one row after the other; no `steps` where all have all."""

    rows: Index
    lengths: Index
    first: int
    count: int
    values: Values
    steps: npt.NDArray[np.int32] | None
    cells: Cells | None
    weights: Weights | None

    def steps_of(self, begin: int, end: int) -> Index:
        """The steps of its samples from the one to the other."""
        if self.steps is None:
            return np.arange(begin, end) % self.count + self.first
        return self.steps[begin:end] + np.intp(self.first)


class FrameParts:
    """Vectors of one part of a grid after the other, and the frame they make together.

    Only what is present is kept. Rows with the same labels in several parts are one row.
    """

    def __init__(self, grid: Grid) -> None:
        self.labels = LabelTable.empty()
        self.drop_name: Mask | None = None
        self.samples = 0
        self.weight = 0
        self.size_bytes = 0
        self._grid = grid
        self._parts: deque[_Part] = deque()
        self._known: tuple[LabelTable, Index] | None = None

    def add(self, vector: Vector, first: int, weights: Weights | None = None) -> None:
        """Take in the next steps, which begin at step `first` of the grid; `weights` are those of its histograms."""
        vector = vector.compact()
        if vector.rows == 0:
            return
        present = vector.present
        full, cells = bool(present.all()), _cells(vector)
        part = _Part(
            self._rows(vector),
            present.sum(axis=1),
            first,
            vector.steps,
            vector.values[present],
            None if full else np.nonzero(present)[1].astype(np.int32),
            None if cells is None else cells[present],
            weights,
        )
        self._parts.append(part)
        self.samples += len(part.values)
        self.weight += len(part.values)
        if weights is not None:
            self.weight += beyond(weights)
        self.size_bytes += part.values.nbytes + part.rows.nbytes + part.lengths.nbytes
        self.size_bytes += 0 if part.steps is None else part.steps.nbytes
        if part.cells is not None:
            self.size_bytes += part.cells.nbytes + HISTOGRAM_BYTES * int(np.count_nonzero(part.cells))

    def _rows(self, vector: Vector) -> Index:
        """Which rows of the frame those of a vector are; new ones come behind."""
        labels = vector.labels
        if self._known is None or not _same(self._known[0], labels):
            mine, theirs, count = shared_groups(self.labels, labels)
            place = np.full(count, -1, np.intp)
            place[mine] = np.arange(len(mine))
            fresh = np.flatnonzero(place[theirs] < 0)
            place[theirs[fresh]] = len(mine) + np.arange(len(fresh))
            self.labels = concat(self.labels, labels.take(fresh)) if len(mine) else labels
            self._known = labels, place[theirs]
        rows = self._known[1]
        if vector.drop_name is not None or self.drop_name is not None:
            marks = np.zeros(self.labels.rows, np.bool_)
            if self.drop_name is not None:
                marks[: len(self.drop_name)] = self.drop_name
            if vector.drop_name is not None:
                marks[rows] |= vector.drop_name
            self.drop_name = marks
        return rows

    def frame(self) -> tuple[SampleFrame, Weights | None]:
        """The frame of all parts, which are let go of, and what the histograms among its samples weigh."""
        rows, count = self.labels.rows, self._grid.count
        if not self._parts:
            return SampleFrame.empty(rows), None
        lengths = np.zeros(rows, np.int64)
        for part in self._parts:
            lengths[part.rows] += part.lengths
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        shared = bool((lengths == count).all())
        values = np.empty(self.samples)
        times = None if shared else np.empty(self.samples, np.int64)
        native = any(part.cells is not None for part in self._parts)
        cells = np.full(self.samples, None, np.object_) if native else None
        weights = np.zeros(self.samples, np.int64) if native else None
        ends = offsets[:-1].copy()
        while self._parts:
            part = self._parts.popleft()
            _place(part, ends, values, times, cells, weights)
        if times is None:
            times, time_offsets = np.arange(count), np.array([0, count], np.int64)
            time_of_row = np.zeros(rows, np.int32)
        else:
            time_offsets, time_of_row = offsets, np.arange(rows, dtype=np.int32)
        times *= self._grid.step_ms
        times += self._grid.start_ms
        stale = np.zeros(rows, np.bool_)
        return SampleFrame(values, offsets, times, time_offsets, time_of_row, stale, None, cells), weights


def _place(
    part: _Part,
    ends: Index,
    values: Values,
    steps: Times | None,
    cells: Cells | None,
    weights: Weights | None,
) -> None:
    """Put the samples of a part behind those of their rows, of which `ends` tells where they end, some rows at a time."""
    bounds = np.concatenate([[0], np.cumsum(part.lengths)])
    at = 0
    while at < len(part.rows):
        stop = max(at + 1, int(np.searchsorted(bounds, bounds[at] + _PLACED_MAX, side="right")) - 1)
        begin, end = int(bounds[at]), int(bounds[stop])
        rows = part.rows[at:stop]
        target: Index | slice = np.repeat(ends[rows] - bounds[at:stop], part.lengths[at:stop]) + np.arange(
            begin, end
        )
        if stop == at + 1:
            target = slice(int(ends[rows[0]]), int(ends[rows[0]]) + end - begin)
        values[target] = part.values[begin:end]
        if steps is not None:
            steps[target] = part.steps_of(begin, end)
        if cells is not None and part.cells is not None:
            cells[target] = part.cells[begin:end]
        if weights is not None and part.weights is not None:
            weights[target] = part.weights[begin:end]
        at = stop
    ends[part.rows] += part.lengths


def _same(one: LabelTable, other: LabelTable) -> bool:
    return (
        one.rows == other.rows
        and one.names == other.names
        and all(np.array_equal(*pair) for pair in zip(one.columns, other.columns, strict=True))
        and all(
            mine is theirs or list(mine) == list(theirs)
            for mine, theirs in zip(one.values, other.values, strict=True)
        )
    )
