"""Aggregations that make one series of each group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimon.model.labels import METRIC_NAME
from trimon.model.table import LabelTable
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import drop_names, group, select_names
from trimon.query.execution.operator import Operator
from trimon.query.execution.reducers import compensated_mean, quantile_of
from trimon.query.execution.values import Cells, Index, Mask, Matrix, Scalar, Value, Vector
from trimon.query.histograms.matrix import HistogramMatrix
from trimon.query.operators.columnaggregate import add_columns
from trimon.query.operators.grouped import Sorted
from trimon.query.operators.histogramaggregate import (
    ADDING,
    COUNTING,
    add_histograms,
    ignore_histograms,
)
from trimon.query.windows.foldedsum import Folded
from trimon.query.windows.zerosigns import first_zero_rows


def grouping_table(labels: LabelTable, grouping: Sequence[str], *, without: bool) -> LabelTable:
    """The labels that tell the groups apart."""
    if without:
        return drop_names(labels, (*grouping, METRIC_NAME))
    return select_names(labels, grouping)


class AggregateOperator(Operator):
    """`sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar` and `quantile`.

    The inputs are the vector and, for `quantile`, the parameter before it.
    """

    working = 4
    replaces = True
    columns = True

    leading = -1

    def __init__(
        self,
        op: str,
        vector: Operator,
        param: Operator | None,
        grouping: tuple[str, ...],
        *,
        without: bool,
        param_start: int = 0,
        start: int = 0,
    ) -> None:
        self.op = op
        self.grouping = grouping
        self.without = without
        self.children = (vector,) if param is None else (param, vector)
        self._param_start = param_start
        self._start = start

    def describe(self) -> str:
        """One line for the plan."""
        clause = f" {'without' if self.without else 'by'} ({', '.join(self.grouping)})"
        return f"aggregate {self.op}{clause if self.grouping or self.without else ''}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector with a row per group."""
        vector = inputs[-1]
        assert isinstance(vector, Vector)
        if isinstance(vector, Folded):
            return vector
        quantile: Matrix | None = None
        if self.op == "quantile":
            assert isinstance(inputs[0], Scalar)
            quantile = inputs[0].values
            self._warn(context, quantile)
        native = vector.has_histograms
        if native and self.op not in ADDING | COUNTING:
            vector = ignore_histograms(context, self.op, vector, self._start)
        if vector.rows == 0:
            return Vector.empty(vector.steps)
        table = grouping_table(vector.labels, self.grouping, without=self.without)
        groups = group(table).by_first_row()
        cells: Cells | None = None
        dropped: Mask | None = None
        columns: HistogramMatrix | None = None
        if native and self.op in ADDING:
            everything = vector
            if vector.native is not None:
                columns, holding, dropped = add_columns(context, self.op, vector, groups, self._start)
            else:
                cells, holding, dropped = add_histograms(context, self.op, vector, groups, self._start)
            floats = vector.present & ~vector.are_histograms()
            vector = replace(vector, present=floats, histograms=None, native=None)
        rows = Sorted.of(vector, groups)
        counts = rows.counts()
        values = _aggregate(self.op, rows, counts, quantile)
        drop = None
        if vector.drop_name is not None:
            drop = np.logical_or.reduceat(vector.drop_name[rows.order], rows.bounds)
        present = counts > 0
        if dropped is not None:
            present = (present | holding) & ~dropped
            if everything.drop_name is not None:
                drop = np.logical_or.reduceat(everything.drop_name[rows.order], rows.bounds)
        return Vector(table.take(groups.first), values, present, drop, cells, columns).compact()

    def _warn(self, context: QueryContext, quantile: Matrix) -> None:
        """Of all steps the worst parameters, whether or not there is a sample."""
        nothing = [math.nan] if np.isnan(quantile).any() else []
        extremes = [float(np.fmax.reduce(quantile)), float(np.fmin.reduce(quantile))]
        context.annotations.warn_of_worst(
            "quantile value should be between 0 and 1, got ", [*nothing, *extremes], self._param_start
        )


def _aggregate(op: str, rows: Sorted, counts: Index, quantile: Matrix | None) -> Matrix:
    match op:
        case "count":
            return counts.astype(np.float64)
        case "group":
            return np.ones(counts.shape)
        case "sum":
            return rows.total()
        case "avg":
            return _average(rows, counts)
        case "min":
            return _extreme(rows, np.fmin)
        case "max":
            return _extreme(rows, np.fmax)
        case "quantile":
            assert quantile is not None
            return _quantile(rows, quantile)
        case _:
            variance = _variance(rows, counts)
            return np.sqrt(variance) if op == "stddev" else variance


def _extreme(rows: Sorted, pick: np.ufunc) -> Matrix:
    values = rows.filled(np.nan)
    return first_zero_rows(values, rows.bounds, rows.reduce(pick, values))


def _average(rows: Sorted, counts: Index) -> Matrix:
    sums, bad = rows.sums()
    mean = sums.mean(counts)
    if bad is not None:
        rows.recompute(mean, bad & (counts > 0), compensated_mean)
    return mean


def _variance(rows: Sorted, counts: Index) -> Matrix:
    # Distances from the smallest value: a group of equal values has no variance at all, not 1e-32.
    base = rows.reduce(np.minimum, rows.filled(np.inf))
    away = np.where(rows.present, rows.values - rows.spread(base), 0.0)
    mean = rows.reduce(np.add, away) / counts
    away = np.where(rows.present, away - rows.spread(mean), 0.0)
    return rows.reduce(np.add, away * away) / counts


def _quantile(rows: Sorted, quantile: Matrix) -> Matrix:
    out = np.zeros((len(rows.bounds), rows.values.shape[1]))
    for chosen, values, valid in rows.cells():
        groups, steps, width = values.shape
        block = np.where(valid, values, np.nan).reshape(groups * steps, width)
        lengths = valid.sum(axis=2).reshape(-1)
        found = quantile_of(block, lengths, np.tile(quantile, groups))
        out[chosen] = found.reshape(groups, steps)
    return out
