"""The native histograms of many series at many steps, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from trimon.model.components import Layout, Part
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.query.histograms.componenttable import ComponentTable, united
from trimon.query.histograms.hints import HINT_CODES, HINTS
from trimon.records import dataclass

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]
Cells = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class HistogramMatrix:
    """Histograms of rows at steps: `values[component, step]`, float64, sorted as `table` is.

    The sample of a row at a step is of layout `kinds[row, step]`, a number in `table.layouts`; -1 where it is no histogram.
    `hints` are the codes of what is known of counter resets. Components of other layouts are 0 there, as are those that the
    sample lacks. `stored` tells which buckets are there though they may be empty; without it those are that are not 0.
    Arrays are never written after the matrix is made.
    """

    table: ComponentTable
    values: Matrix
    kinds: npt.NDArray[np.int32]
    hints: npt.NDArray[np.uint8]
    stored: Mask | None = None

    @property
    def rows(self) -> int:
        """Number of series."""
        return len(self.kinds)

    @property
    def size_bytes(self) -> int:
        """The memory it takes, about."""
        size = self.values.nbytes + self.kinds.nbytes + self.hints.nbytes + self.table.size_bytes
        return size if self.stored is None else size + self.stored.nbytes

    @property
    def there(self) -> Mask:
        """Which components the samples have."""
        found: Mask = self.values != 0
        return found if self.stored is None else self.stored

    def take(self, rows: Index) -> HistogramMatrix:
        """The given rows, in the given order."""
        table, places = self.table.take(rows, self.rows)
        stored = None if self.stored is None else self.stored[places]
        return HistogramMatrix(table, self.values[places], self.kinds[rows], self.hints[rows], stored)

    def only(self, mask: Mask) -> HistogramMatrix:
        """The histograms where the mask is set."""
        gone = (self.kinds >= 0) & ~mask
        if not gone.any():
            return self
        spread = gone[self.table.row]
        stored = None if self.stored is None else self.stored & ~spread
        kinds = np.where(gone, np.int32(-1), self.kinds)
        return HistogramMatrix(self.table, np.where(spread, 0.0, self.values), kinds, self.hints, stored)

    def figures_only(self) -> HistogramMatrix:
        """Count and sum of the same histograms, and their schemas: all that is read where nothing else is asked for."""
        if not len(self.table):
            return self
        plain = tuple(Layout(layout.schema) for layout in self.table.layouts)
        layouts = tuple(dict.fromkeys(plain))
        number = np.array([layouts.index(layout) for layout in plain], np.int32)
        places = np.flatnonzero(self.table.part <= Part.SUM)
        table = replace(self.table.at(places), layout=number[self.table.layout[places]], layouts=layouts)
        table, values, _ = merged_components(table, self.values[places], None)
        kinds = np.where(self.kinds >= 0, number[self.kinds], np.int32(-1))
        return HistogramMatrix(table, values, kinds, self.hints)

    def repeated(self, steps: int) -> HistogramMatrix:
        """The only step shown so many times."""

        def shown(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.broadcast_to(array, (len(array), steps))

        stored = None if self.stored is None else shown(self.stored)
        return HistogramMatrix(self.table, shown(self.values), shown(self.kinds), shown(self.hints), stored)

    def figure(self, part: Part) -> Matrix:
        """Count, sum or zero count of every sample; 0 where there is none."""
        out = np.zeros(self.kinds.shape)
        places = np.flatnonzero(self.table.part == part)
        rows = self.table.row[places]
        if len(rows) == len(out) and (np.diff(rows) == 1).all():
            return self.values[places]
        np.add.at(out, rows, self.values[places])
        return out

    def cells(self) -> Cells:
        """The histograms as objects, None where there is none. For edges: it loops over samples."""
        out = np.full(self.kinds.shape, None, np.object_)
        for begin, end in pairwise([*self.table.units().tolist(), len(self.table)]):
            row, layout = int(self.table.row[begin]), int(self.table.layout[begin])
            steps = np.flatnonzero(self.kinds[row] == layout)
            if len(steps):
                out[row, steps] = self._objects(slice(begin, end), self.table.layouts[layout], row, steps)
        return out

    def _objects(self, unit: slice, layout: Layout, row: int, steps: Index) -> Cells:
        parts, index = self.table.part[unit], self.table.index[unit]
        values = np.ascontiguousarray(self.values[unit][:, steps].T)
        there = values != 0 if self.stored is None else np.ascontiguousarray(self.stored[unit][:, steps].T)
        hints = self.hints[row, steps].tolist()

        def numbers(part: Part) -> list[float]:
            at = np.flatnonzero(parts == part)
            return values[:, at[0]].tolist() if len(at) else [0.0] * len(steps)

        figures = zip(numbers(Part.ZERO), numbers(Part.COUNT), numbers(Part.SUM), strict=True)
        sides = []
        for part, turn in ((Part.POSITIVE, 1), (Part.NEGATIVE, -1)):
            at = np.flatnonzero(parts == part)[::turn]
            sides.append((index[at], values[:, at], there[:, at], bool(there[:, at].all())))
        out = np.empty(len(steps), np.object_)
        for step, (zero, count, total) in enumerate(figures):
            positive, negative = (
                Buckets(known, numbers[step])
                if full
                else Buckets(known[shown[step]], numbers[step][shown[step]])
                for known, numbers, shown, full in sides
            )
            out[step] = FloatHistogram(
                layout.schema, layout.zero_threshold, zero, count, total, positive, negative,
                layout.custom_values, HINTS[hints[step]],
            )  # fmt: skip
        return out

    @classmethod
    def none(cls, rows: int, steps: int) -> HistogramMatrix:
        """No histogram at all."""
        return cls.of(np.full((rows, steps), None, np.object_))

    @classmethod
    def of(cls, cells: Cells) -> HistogramMatrix:
        """Of objects and None. For what is rare: it loops over samples."""
        layouts: dict[Layout, int] = {}
        keys: dict[tuple[int, int, int, int], int] = {}
        kinds = np.full(cells.shape, -1, np.int32)
        hints = np.zeros(cells.shape, np.uint8)
        places: list[tuple[int, int, float]] = []
        for row, step in zip(*np.nonzero(np.not_equal(cells, _NOTHING)), strict=True):
            histogram = cells[row, step]
            layout = layouts.setdefault(layout_of(histogram), len(layouts))
            kinds[row, step], hints[row, step] = layout, HINT_CODES[histogram.hint]
            for part, index, value in numbers_of(histogram):
                key = (int(row), layout, part, index)
                places.append((keys.setdefault(key, len(keys)), int(step), value))
        columns = np.array(list(keys), np.int64).reshape(-1, 4).T
        table = ComponentTable(
            columns[0].astype(np.intp), columns[1].astype(np.int32), columns[2].astype(np.int8), columns[3],
            tuple(layouts),
        )  # fmt: skip
        values, stored = (
            np.zeros((len(keys), cells.shape[1])),
            np.zeros((len(keys), cells.shape[1]), np.bool_),
        )
        if places:
            at = tuple(np.array([place[:2] for place in places], np.intp).T)
            values[at] = [place[2] for place in places]
            stored[at] = True
        order = table.order()
        return cls(table.at(order), values[order], kinds, hints, stored[order]).compacted()

    def compacted(self) -> HistogramMatrix:
        """The same, without a note of stored buckets where none of them is empty."""
        if self.stored is None:
            return self
        empty = self.stored & (self.values == 0)
        empty &= (self.table.part >= Part.POSITIVE)[:, None]
        return self if empty.any() else replace(self, stored=None)


# numpy's types know no None among objects.
_NOTHING: Any = None


def layout_of(histogram: FloatHistogram) -> Layout:
    """What a histogram shares with those that are comparable number by number."""
    if histogram.custom:
        return Layout(histogram.schema, 0.0, histogram.custom_values)
    return Layout(histogram.schema, histogram.zero_threshold)


def numbers_of(histogram: FloatHistogram) -> list[tuple[int, int, float]]:
    """Part, index and value of all numbers of a histogram."""
    out = [(int(Part.COUNT), 0, histogram.count), (int(Part.SUM), 0, histogram.sum)]
    if not histogram.custom:
        out.append((int(Part.ZERO), 0, histogram.zero_count))
    for part, buckets in ((Part.POSITIVE, histogram.positive), (Part.NEGATIVE, histogram.negative)):
        numbers = zip(buckets.index.tolist(), buckets.counts.tolist(), strict=True)
        out += [(int(part), index, count) for index, count in numbers]
    return out


def stacked(upper: HistogramMatrix, lower: HistogramMatrix) -> HistogramMatrix:
    """The rows of one matrix under those of another."""
    shifted = replace(lower.table, row=lower.table.row + upper.rows)
    return _together([upper, replace(lower, table=shifted)], [upper.rows, lower.rows])


def overlaid(parts: Sequence[HistogramMatrix]) -> HistogramMatrix:
    """Matrices of the same rows, of which at most one has a histogram in each cell."""
    return _together(parts, None) if len(parts) > 1 else parts[0]


def _together(parts: Sequence[HistogramMatrix], heights: list[int] | None) -> HistogramMatrix:
    table, maps = united([part.table for part in parts])
    kinds = [
        np.where(part.kinds >= 0, known[part.kinds] if len(known) else np.int32(-1), np.int32(-1))
        for part, known in zip(parts, maps, strict=True)
    ]
    stored: Mask | None = None
    if any(part.stored is not None for part in parts):
        stored = np.concatenate([part.there for part in parts])
    values = np.concatenate([part.values for part in parts])
    table, values, stored = merged_components(table, values, stored)
    if heights is not None:
        all_kinds, hints = np.concatenate(kinds), np.concatenate([part.hints for part in parts])
    else:
        all_kinds, hints = kinds[0].copy(), parts[0].hints.copy()
        for more, part in zip(kinds[1:], parts[1:], strict=True):
            np.copyto(all_kinds, more, where=more >= 0)
            np.copyto(hints, part.hints, where=more >= 0)
    return HistogramMatrix(table, values, all_kinds.astype(np.int32), hints, stored)


def merged_components(
    table: ComponentTable, values: Matrix, stored: Mask | None
) -> tuple[ComponentTable, Matrix, Mask | None]:
    """Components sorted, and those that are the same added up, in their order."""
    order = table.order()
    if (order[1:] > order[:-1]).all():
        ordered = table
    else:
        ordered, values = table.at(order), values[order]
        stored = None if stored is None else stored[order]
    begins = ordered.equal_runs()
    if len(begins) == len(ordered):
        return ordered, values, stored
    lengths = np.diff(begins, append=len(ordered))
    total = values[begins]
    for further in range(1, int(lengths.max())):
        # One after the other: `reduceat` would begin with the sum of all but the first.
        longer = np.flatnonzero(lengths > further)
        total[longer] += values[begins[longer] + further]
    stored = None if stored is None else np.logical_or.reduceat(stored, begins, axis=0)
    return ordered.at(begins), total, stored
