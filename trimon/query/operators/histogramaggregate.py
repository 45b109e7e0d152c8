"""Aggregations whose input holds native histograms: one group and step after the other."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.model.histogram import FloatHistogram
from trimon.query.execution.annotationtext import remark
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import Groups
from trimon.query.execution.values import Cells, Mask, Vector
from trimon.query.histograms.arithmetic import IncompatibleError, combined, conflicting
from trimon.query.windows.histogramwindows import CONFLICT, EXPONENTIAL_AND_CUSTOM, MIXED, RECONCILED

# Aggregations that count histograms, and those that add them; the others see only the floats.
COUNTING: Final = frozenset({"count", "group"})
ADDING: Final = frozenset({"sum", "avg"})


def ignore_histograms(context: QueryContext, op: str, vector: Vector, start: int) -> Vector:
    """The floats alone, and an info where there was anything else."""
    if vector.are_histograms().any():
        context.annotations.info(f"ignored histogram in {op} aggregation", start)
    return vector.floats()


def add_histograms(
    context: QueryContext, op: str, vector: Vector, groups: Groups, start: int
) -> tuple[Cells, Mask, Mask]:
    """Sums or means of the histograms per group and step, where there are any, and where there is no result."""
    shape = (groups.count, vector.steps)
    cells = np.full(shape, None, np.object_)
    native = vector.are_histograms()
    floats = vector.present & ~native
    histogram_counts, float_counts = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(histogram_counts, groups.codes, native)
    np.add.at(float_counts, groups.codes, floats)
    mixed = (histogram_counts > 0) & (float_counts > 0)
    if mixed.any():
        context.annotations.warn(f"{MIXED} for aggregation", start)
    dropped = mixed.copy()
    assert vector.histograms is not None
    order = np.argsort(groups.codes, kind="stable")
    edges = np.searchsorted(groups.codes[order], np.arange(groups.count + 1))
    for group in np.flatnonzero(histogram_counts.any(axis=1)).tolist():
        context.budget.check()
        rows = order[edges[group] : edges[group + 1]]
        notes: set[tuple[str, str]] = set()
        for step in np.flatnonzero((histogram_counts[group] > 0) & ~mixed[group]).tolist():
            here = rows[native[rows, step]]
            members: list[FloatHistogram] = vector.histograms[here, step].tolist()
            if conflicting([member.hint for member in members]):
                notes.add(("warn", CONFLICT))
            try:
                total = combined(members, mean=op == "avg")
            except IncompatibleError:
                notes.add(("warn-for", EXPONENTIAL_AND_CUSTOM))
                dropped[group, step] = True
                continue
            if total.reconciled:
                notes.add(("info", RECONCILED + "aggregation"))
            cells[group, step] = total.histogram
        remark(context.annotations, notes, vector.labels, int(rows[0]), start)
    return cells, histogram_counts > 0, dropped
