"""Sums and means of native histograms that are columns: all groups and steps at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.query.execution.annotationtext import remark
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import Groups
from trimon.query.execution.values import Index, Mask, Matrix, Vector
from trimon.query.histograms.columnarithmetic import coarsened
from trimon.query.histograms.hints import GAUGE, NOT_RESET, RESET, UNKNOWN
from trimon.query.histograms.matrix import HistogramMatrix, overlaid
from trimon.query.operators.grouped import Sorted
from trimon.query.operators.histogramaggregate import Notes, sum_of_objects
from trimon.query.windows.histogramwindows import CONFLICT, MIXED

Kinds: TypeAlias = npt.NDArray[np.int32]


def add_columns(
    context: QueryContext, op: str, vector: Vector, groups: Groups, start: int
) -> tuple[HistogramMatrix | None, Mask, Mask]:
    """Sums or means of the histograms per group and step, where there are any, and where there is no result."""
    assert vector.native is not None
    native = vector.native.only(vector.present)
    order = np.argsort(groups.codes, kind="stable")
    edges = np.searchsorted(groups.codes[order], np.arange(groups.count + 1))
    held, bounds = (native.kinds >= 0)[order], edges[:-1]
    counts = np.add.reduceat(held, bounds, axis=0, dtype=np.intp)
    floats = np.logical_or.reduceat(vector.present[order] & ~held, bounds, axis=0)
    holding = counts > 0
    mixed = holding & floats
    if mixed.any():
        context.annotations.warn(f"{MIXED} aggregation", start)
    highest, lowest = _extremes(native.kinds[order], held, bounds)
    hard = holding & ~mixed & (lowest != highest)
    if hard.any():
        common = _common(native, order, held, bounds)
        native = coarsened(native, np.where((common >= 0) & hard, common, -1)[groups.codes])
        highest, lowest = _extremes(native.kinds[order], held, bounds)
        hard &= lowest != highest
    notes: Notes = {}
    hints, conflicts = _hints(native.hints[order], held, bounds)
    for group in np.flatnonzero((conflicts & ~mixed & ~hard).any(axis=1)).tolist():
        notes.setdefault(group, set()).add(("warn", CONFLICT))
    shown = np.where(holding & ~mixed & ~hard, highest, np.int32(-1)).astype(np.int32)
    made = _sums(native, groups, shown, hints, counts)
    if op == "avg":
        made, large = _means(made, counts)
        hard = hard | large
    dropped = mixed
    if hard.any():
        made = made.only(~hard)
        cells, failed = sum_of_objects(context, op, _members(vector, order, edges, hard), hard, notes)
        dropped = mixed | failed
        made = overlaid([made, HistogramMatrix.of(cells)])
    for group in sorted(notes):
        remark(context.annotations, notes[group], vector.labels, int(order[edges[group]]), start)
    return made, holding, dropped


def _extremes(numbers: npt.NDArray[np.signedinteger], held: Mask, bounds: Index) -> tuple[Kinds, Kinds]:
    """The highest and the lowest number of the members that are histograms."""
    return (
        np.maximum.reduceat(np.where(held, numbers, np.int32(-(2**31))), bounds, axis=0),
        np.minimum.reduceat(np.where(held, numbers, np.int32(2**31 - 1)), bounds, axis=0),
    )


def _common(native: HistogramMatrix, order: Index, held: Mask, bounds: Index) -> Kinds:
    """The layout of the lowest resolution among the members, where others differ from it by that alone; else -1."""
    layouts, kinds = native.table.layouts, native.kinds[order]
    schemas = np.array([layout.schema for layout in layouts], np.int32)
    thresholds, alike = np.unique([layout.zero_threshold for layout in layouts], return_inverse=True)
    del thresholds
    alike = np.where(schemas == CUSTOM_SCHEMA, -1, alike).astype(np.int32)
    widest, narrowest = _extremes(alike[kinds], held, bounds)
    _, schema = _extremes(schemas[kinds], held, bounds)
    sizes = np.diff(bounds, append=len(order))
    coarsest = held & (schemas[kinds] == np.repeat(schema, sizes, axis=0))
    found, _ = _extremes(kinds, coarsest, bounds)
    return np.where((widest == narrowest) & (narrowest >= 0), found, np.int32(-1)).astype(np.int32)


def _hints(hints: npt.NDArray[np.uint8], held: Mask, bounds: Index) -> tuple[npt.NDArray[np.uint8], Mask]:
    """What is known of resets of the members together, and where they contradict one another."""
    told = np.bitwise_or.reduceat(np.where(held, np.uint8(1) << hints, np.uint8(0)), bounds, axis=0)
    out = np.full(told.shape, UNKNOWN, np.uint8)
    for hint in (RESET, NOT_RESET):
        out[told == 1 << hint] = hint
    out[(told & (1 << GAUGE)) != 0] = GAUGE
    both = (1 << RESET) | (1 << NOT_RESET)
    return out, (told & both) == both


def _sums(
    native: HistogramMatrix,
    groups: Groups,
    kinds: npt.NDArray[np.int32],
    hints: npt.NDArray[np.uint8],
    counts: Index,
) -> HistogramMatrix:
    """Sums of components by group; those of other layouts than `kinds` are 0."""
    table = replace(native.table, row=groups.codes[native.table.row])
    order = table.order()
    table = table.at(order)
    bounds = table.equal_runs()
    sizes = np.diff(bounds, append=len(table))
    values = native.values[order]
    rows = Sorted(values, np.broadcast_to(np.True_, values.shape), order, bounds, sizes, full=True)
    sums = rows.total() if len(bounds) < len(values) else values
    table = table.at(bounds)
    proper = kinds[table.row] == table.layout[:, None]
    if not proper.all():
        sums = np.where(proper, sums, 0.0)
    stored: Mask | None = None
    if native.stored is not None:
        alone = (counts == 1)[table.row]
        stored = np.where(alone, np.logical_or.reduceat(native.stored[order], bounds, axis=0), sums != 0)
        stored &= proper
    return HistogramMatrix(table, sums, kinds, hints, stored).compacted()


def _means(sums: HistogramMatrix, counts: Index) -> tuple[HistogramMatrix, Mask]:
    """Means from sums, and where a sum is too large for that."""
    infinite = np.isinf(sums.values)
    large = np.zeros(counts.shape, np.bool_)
    if infinite.any():
        component, step = np.nonzero(infinite)
        large[sums.table.row[component], step] = True
    divisors: Matrix = np.maximum(counts, 1)[sums.table.row]
    return replace(sums, values=sums.values / divisors), large & (counts > 1)


def _members(vector: Vector, order: Index, edges: Index, hard: Mask) -> list[tuple[int, Vector]]:
    """The members of the groups that have hard steps, as objects at these steps."""
    out = []
    for group in np.flatnonzero(hard.any(axis=1)).tolist():
        rows = order[edges[group] : edges[group + 1]]
        some = vector.take(rows)
        out.append((group, replace(some, present=some.present & hard[group]).with_objects()))
    return out
