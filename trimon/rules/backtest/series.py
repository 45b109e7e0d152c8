"""What one rule has recorded in a backtest: a matrix of its evaluations, read back as series that begin and end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimon.model.frame import SampleFrame, Times
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.model.sample import STALE_NAN
from trimon.model.table import LabelTable
from trimon.query.execution.grid import Grid
from trimon.query.execution.values import Cells, Index, Mask, Matrix, holds
from trimon.rules.recording import Recorded
from trimon.rules.slots import SlotResults

_ROWS_FIRST = 16


class RecordedSeries:
    """The series of one rule at the times of a grid. Belongs to the thread of its backtest.

    A series that an evaluation does not give any more ends there, with a staleness marker; an evaluation that fails stores
    nothing and ends nothing.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.values: Matrix = np.zeros((0, grid.count))
        self.present: Mask = np.zeros((0, grid.count), np.bool_)
        self.histograms: Cells | None = None
        self._times: Times = grid.times_ms()
        self._ended: Mask = self.present
        self._labels: LabelTable | None = LabelTable.empty()
        # Of a rule that is evaluated one time after the other: the place of every series, and which it gave the last time.
        self._places: dict[Labels, int] = {}
        self._last: set[int] = set()

    @property
    def labels(self) -> LabelTable:
        """A row for each series."""
        if self._labels is None:
            self._labels = LabelTable.of(list(self._places))
        return self._labels

    @property
    def size_bytes(self) -> int:
        """The memory it takes, about."""
        return (
            self.values.nbytes
            + 2 * self.present.nbytes
            + (0 if self.histograms is None else self.histograms.nbytes)
        )

    def fill(self, results: SlotResults) -> None:
        """Takes the results of all times."""
        self._labels = results.labels
        self.values, self.present, self.histograms = results.values, results.present, results.histograms
        evaluated = np.ones(self.grid.count, np.bool_)
        evaluated[list(results.failures)] = False
        places = np.flatnonzero(evaluated)
        self._ended = np.zeros_like(self.present)
        before, after = self.present[:, places[:-1]], self.present[:, places[1:]]
        self._ended[:, places[1:]] = before & ~after

    def put(self, place: int, recorded: Recorded) -> None:
        """Takes the result of one time; they come in their order."""
        rows = []
        for row in range(recorded.labels.rows):
            labels = recorded.labels.labels(row)
            found = self._places.get(labels)
            if found is None:
                found = self._places[labels] = len(self._places)
                self._labels = None
            rows.append(found)
        self._grow(len(self._places))
        self.values[rows, place] = recorded.values
        self.present[rows, place] = True
        if recorded.histograms is not None:
            if self.histograms is None:
                self.histograms = np.full(self.values.shape, None, np.object_)
            self.histograms[rows, place] = recorded.histograms
        self._ended[list(self._last.difference(rows)), place] = True
        self._last = set(rows)

    def _grow(self, rows: int) -> None:
        held = len(self.values)
        if rows <= held:
            return
        more = (max(rows, 2 * held, _ROWS_FIRST) - held, self.grid.count)
        self.values = np.concatenate([self.values, np.zeros(more)])
        self.present = np.concatenate([self.present, np.zeros(more, np.bool_)])
        self._ended = np.concatenate([self._ended, np.zeros(more, np.bool_)])
        if self.histograms is not None:
            self.histograms = np.concatenate([self.histograms, np.full(more, None, np.object_)])

    def matching(self, matchers: Sequence[Matcher]) -> Index:
        """The rows that satisfy every matcher."""
        table = self.labels
        chosen = np.ones(table.rows, np.bool_)
        for matcher in matchers:
            codes, values = table.column(matcher.name)
            used = np.unique(codes)
            kept = [code for code in used.tolist() if matcher.matches(values[code])]
            chosen &= np.isin(codes, kept)
        return np.flatnonzero(chosen)

    def frame(self, rows: Index, start_ms: int, end_ms: int) -> SampleFrame:
        """The samples of some rows in the closed interval."""
        begin = int(np.searchsorted(self._times, start_ms))
        end = max(begin, int(np.searchsorted(self._times, end_ms, "right")))
        ended = self._ended[rows, begin:end]
        stored = self.present[rows, begin:end] | ended
        values = np.where(ended, STALE_NAN, self.values[rows, begin:end])
        cells = None if self.histograms is None else self.histograms[rows, begin:end]
        return _frame(self._times[begin:end], values, stored, ended, cells)


def _frame(times: Times, values: Matrix, stored: Mask, ended: Mask, cells: Cells | None) -> SampleFrame:
    """The stored samples as a frame; rows that have the same times share them."""
    if not len(stored):
        return SampleFrame.empty()
    masks, time_of_row = np.unique(np.packbits(stored, axis=1), axis=0, return_inverse=True)
    shared = np.unpackbits(masks, axis=1, count=len(times)).astype(np.bool_)
    shown = None
    if cells is not None:
        shown = cells[stored]
        shown = shown if holds(shown).any() else None
    return SampleFrame(
        values[stored],
        _offsets(stored),
        np.broadcast_to(times, shared.shape)[shared],
        _offsets(shared),
        time_of_row.reshape(-1).astype(np.int32),
        np.asarray(ended.any(axis=1), np.bool_),
        histograms=shown,
    )


def _offsets(stored: Mask) -> Times:
    return np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(np.int64)
