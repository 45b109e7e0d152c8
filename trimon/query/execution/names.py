"""Metric names after an operation: dropped at once or marked, and the series that become equal by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import drop_metric, group
from trimon.query.execution.values import Vector
from trimon.query.histograms.columnarithmetic import regrouped
from trimon.query.language.errors import QueryError

SAME_LABELS = "vector cannot contain metrics with the same labelset"


def without_name(context: QueryContext, vector: Vector) -> Vector:
    """The vector as a function leaves it: names marked (delayed removal) or dropped, series merged."""
    if context.delayed_names:
        return replace(vector, drop_name=np.ones(vector.rows, np.bool_))
    return merge_equal(replace(vector, labels=drop_metric(vector.labels), drop_name=None))


def remove_marked(vector: Vector) -> Vector:
    """The vector with marked names gone and equal series merged: the end of delayed removal."""
    marked = vector.drop_name
    if marked is None or not marked.any():
        return replace(vector, drop_name=None)
    if marked.all():
        labels = drop_metric(vector.labels)
    else:
        columns = list(vector.labels.columns)
        for index, name in enumerate(vector.labels.names):
            if name in ("__name__", "__type__", "__unit__"):
                columns[index] = np.where(marked, 0, columns[index]).astype(np.int32)
        labels = replace(vector.labels, columns=tuple(columns))
    return merge_equal(replace(vector, labels=labels, drop_name=None))


def merge_equal(vector: Vector, message: str = SAME_LABELS) -> Vector:
    """Rows with equal labels become one; QueryError where two of them have a sample at the same step."""
    groups = group(vector.labels)
    if groups.count == vector.rows:
        return vector
    order = np.argsort(groups.codes, kind="stable")
    bounds = np.searchsorted(groups.codes[order], np.arange(groups.count))
    present = vector.present[order]
    counts = np.add.reduceat(present, bounds, axis=0, dtype=np.int32)
    if (counts > 1).any():
        raise QueryError(message)
    # Nothing changes by adding -0, not even -0 itself.
    values = np.add.reduceat(np.where(present, vector.values[order], -0.0), bounds, axis=0)
    drop = None
    if vector.drop_name is not None:
        drop = np.logical_or.reduceat(vector.drop_name[order], bounds)
    cells = None
    if vector.histograms is not None:
        cells = np.full(values.shape, None, np.object_)
        row, step = np.nonzero(vector.are_histograms())
        cells[groups.codes[row], step] = vector.histograms[row, step]
    native = None
    if vector.native is not None:
        native = regrouped(vector.native.only(vector.present), groups.codes, groups.count)
    return Vector(vector.labels.take(order[bounds]), values, counts > 0, drop, cells, native)
