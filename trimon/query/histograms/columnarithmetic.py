"""Multiples, sums and differences of native histograms that are columns, all rows and steps at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from trimon.model.components import Part
from trimon.query.histograms.componenttable import united
from trimon.query.histograms.hints import GAUGE, NOT_RESET, RESET, UNKNOWN
from trimon.query.histograms.matrix import HistogramMatrix, Index, Mask, Matrix, merged_components

_T = TypeVar("_T", bound=np.generic)


def scaled(matrix: HistogramMatrix, factor: Matrix) -> HistogramMatrix:
    """Everything multiplied, by a number a step or a row and step; a negative factor makes a gauge."""
    shape = matrix.kinds.shape
    values = matrix.values * _of_components(matrix, factor)
    hints = np.where(np.broadcast_to(factor < 0, shape), np.uint8(GAUGE), matrix.hints)
    return _kept(matrix, values, hints, finite=bool(np.isfinite(factor).all()))


def divided(matrix: HistogramMatrix, divisor: Matrix) -> HistogramMatrix:
    """Everything divided; by zero no buckets are left."""
    shape = matrix.kinds.shape
    values = matrix.values / _of_components(matrix, divisor)
    hints = np.where(np.broadcast_to(divisor < 0, shape), np.uint8(GAUGE), matrix.hints)
    nothing = divisor == 0
    if not nothing.any():
        return _kept(matrix, values, hints, finite=not bool(np.isnan(divisor).any()))
    buckets = (matrix.table.part >= Part.POSITIVE)[:, None]
    gone = buckets & _of_components(matrix, nothing)
    stored = matrix.there & ~gone
    return _kept(replace(matrix, stored=stored), np.where(gone, 0.0, values), hints, finite=False)


def _of_components(matrix: HistogramMatrix, numbers: npt.NDArray[_T]) -> npt.NDArray[_T]:
    """A line a component from one a row, or the same for all."""
    return numbers if numbers.ndim == 1 else numbers[matrix.table.row]


def _kept(matrix: HistogramMatrix, values: Matrix, hints: Matrix, *, finite: bool) -> HistogramMatrix:
    """The matrix with other values; buckets that are there stay so, and those that are not are 0."""
    there, table = matrix.there, matrix.table
    if not finite:
        proper = matrix.kinds[table.row] == table.layout[:, None]
        figures = (table.part <= Part.ZERO)[:, None]
        values = np.where((there | figures) & proper, values, 0.0)
    stored = there if matrix.stored is not None or (there & (values == 0)).any() else None
    return HistogramMatrix(table, values, matrix.kinds, hints.astype(np.uint8), stored).compacted()


def alike(left: HistogramMatrix, right: HistogramMatrix) -> Mask:
    """Where both sides have histograms of one layout, and do not contradict one another about counter resets."""
    _, (mine, theirs) = united([left.table, right.table])
    both: Mask = (left.kinds >= 0) & (right.kinds >= 0)
    if not len(mine) or not len(theirs):
        return np.zeros_like(both)
    both &= mine[left.kinds] == theirs[right.kinds]
    for one, other in ((left.hints, right.hints), (right.hints, left.hints)):
        both &= ~((one == RESET) & (other == NOT_RESET))
    return both


def added(left: HistogramMatrix, right: HistogramMatrix, *, subtract: bool) -> HistogramMatrix:
    """Sums or differences where both sides are alike; there is nothing elsewhere."""
    cells = alike(left, right)
    left, right = left.only(cells), right.only(cells)
    table, (known, _) = united([left.table, right.table])
    values = np.concatenate([left.values, -right.values if subtract else right.values])
    table, values, _ = merged_components(table, values, None)
    kinds = np.where(left.kinds >= 0, known[left.kinds] if len(known) else np.int32(-1), np.int32(-1))
    hints = np.full(kinds.shape, GAUGE, np.uint8)
    if not subtract:
        hints = np.where(left.hints == right.hints, left.hints, np.uint8(UNKNOWN))
        hints[(left.hints == GAUGE) | (right.hints == GAUGE)] = GAUGE
    return HistogramMatrix(table, values, kinds.astype(np.int32), hints)


def coarsened(matrix: HistogramMatrix, wanted: npt.NDArray[np.int32]) -> HistogramMatrix:
    """Histograms brought to layouts of lower resolution, `wanted[row, step]`, whose zero thresholds are the same; -1: none.

    Counts of merged buckets are added in the order of their indexes.
    """
    table, layouts = matrix.table, matrix.table.layouts
    changing = (matrix.kinds >= 0) & (wanted >= 0) & (matrix.kinds != wanted)
    if not changing.any():
        return matrix
    parts, values, stored = [table], [matrix.values.copy()], [matrix.there]
    pairs = np.unique(np.stack([matrix.kinds[changing], wanted[changing]]), axis=1)
    for source, target in pairs.T.tolist():
        cells = changing & (matrix.kinds == source) & (wanted == target)
        places = np.flatnonzero((table.layout == source) & cells.any(axis=1)[table.row])
        places = places[np.argsort(table.index[places], kind="stable")]
        some, shift = table.at(places), layouts[source].schema - layouts[target].schema
        index = np.where(some.part >= Part.POSITIVE, ((some.index - 1) >> shift) + 1, some.index)
        parts.append(replace(some, layout=np.full(len(places), target, np.int32), index=index))
        here = cells[some.row]
        values.append(np.where(here, matrix.values[places], 0.0))
        stored.append(here & matrix.there[places])
        values[0][places] = np.where(here, 0.0, values[0][places])
        stored[0] = stored[0].copy()
        stored[0][places] &= ~here
    joined, _ = united(parts)
    joined, numbers, there = merged_components(joined, np.concatenate(values), np.concatenate(stored))
    kinds = np.where(changing, wanted, matrix.kinds).astype(np.int32)
    return HistogramMatrix(joined, numbers, kinds, matrix.hints, there).compacted()


def regrouped(matrix: HistogramMatrix, codes: Index, count: int) -> HistogramMatrix:
    """The rows put together to so many; no two of one code have a histogram at the same step."""
    kinds = np.full((count, matrix.kinds.shape[1]), -1, np.int32)
    row, step = np.nonzero(matrix.kinds >= 0)
    hints = np.zeros(kinds.shape, np.uint8)
    kinds[codes[row], step] = matrix.kinds[row, step]
    hints[codes[row], step] = matrix.hints[row, step]
    table = replace(matrix.table, row=codes[matrix.table.row])
    table, values, stored = merged_components(table, matrix.values, matrix.stored)
    return HistogramMatrix(table, values, kinds, hints, stored)
