"""Aggregations whose input holds native histograms: one group and step after the other."""

from __future__ import annotations

from typing import Final, TypeAlias

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
# What is to be said of each group.
Notes: TypeAlias = dict[int, set[tuple[str, str]]]


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
    native = vector.are_histograms()
    floats = vector.present & ~native
    histogram_counts, float_counts = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(histogram_counts, groups.codes, native)
    np.add.at(float_counts, groups.codes, floats)
    mixed = (histogram_counts > 0) & (float_counts > 0)
    if mixed.any():
        context.annotations.warn(f"{MIXED} aggregation", start)
    order = np.argsort(groups.codes, kind="stable")
    edges = np.searchsorted(groups.codes[order], np.arange(groups.count + 1))
    wanted = (histogram_counts > 0) & ~mixed
    members = [
        (group, vector.take(order[edges[group] : edges[group + 1]]))
        for group in np.flatnonzero(wanted.any(axis=1)).tolist()
    ]
    notes: Notes = {}
    cells, failed = sum_of_objects(context, op, members, wanted, notes)
    for group in sorted(notes):
        remark(context.annotations, notes[group], vector.labels, int(order[edges[group]]), start)
    return cells, histogram_counts > 0, mixed | failed


def sum_of_objects(
    context: QueryContext, op: str, groups: list[tuple[int, Vector]], wanted: Mask, notes: Notes
) -> tuple[Cells, Mask]:
    """Sums or means of the histograms of some groups at the wanted steps, and where there can be none."""
    cells, failed = np.full(wanted.shape, None, np.object_), np.zeros(wanted.shape, np.bool_)
    for group, vector in groups:
        context.budget.check()
        native = vector.are_histograms()
        said = notes.setdefault(group, set())
        for step in np.flatnonzero(wanted[group]).tolist():
            assert vector.histograms is not None
            members: list[FloatHistogram] = vector.histograms[native[:, step], step].tolist()
            if conflicting([member.hint for member in members]):
                said.add(("warn", CONFLICT))
            try:
                total = combined(members, mean=op == "avg")
            except IncompatibleError:
                said.add(("warn-name", EXPONENTIAL_AND_CUSTOM))
                failed[group, step] = True
                continue
            if total.reconciled:
                said.add(("info", RECONCILED + "aggregation"))
            cells[group, step] = total.histogram
    return cells, failed
