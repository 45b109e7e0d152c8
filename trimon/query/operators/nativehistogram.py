"""Functions of native histograms in instant vectors: figures, quantiles, fractions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from trimon.gotext.strings import go_quote
from trimon.model.components import Part
from trimon.model.histogram import FloatHistogram
from trimon.model.labels import BUCKET_LABEL
from trimon.query.execution.annotationtext import name_of, remark
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import drop_names, shared_groups
from trimon.query.execution.names import without_name
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Mask, Matrix, Value, Vector
from trimon.query.histograms.columnfigures import Check, fractions, quantiles, variances
from trimon.query.histograms.matrix import HistogramMatrix
from trimon.query.histograms.quantile import Note, fraction, quantile, variance
from trimon.query.operators.matching import any_present

_MIX: Final = "vector contains a mix of classic and native histograms"


def _average(histogram: FloatHistogram) -> float:
    return histogram.sum / histogram.count if histogram.count else math.nan


def _deviation(histogram: FloatHistogram) -> float:
    found = variance(histogram)
    return math.sqrt(found) if found >= 0 else math.nan


_FIGURES: Final[dict[str, Callable[[FloatHistogram], float]]] = {
    "histogram_count": lambda histogram: histogram.count,
    "histogram_sum": lambda histogram: histogram.sum,
    "histogram_avg": _average,
    "histogram_stddev": _deviation,
    "histogram_stdvar": variance,
}


def _column_deviation(matrix: HistogramMatrix, check: Check) -> Matrix:
    found: Matrix = np.sqrt(variances(matrix, check))
    return found


_COLUMN_FIGURES: Final[dict[str, Callable[[HistogramMatrix, Check], Matrix]]] = {
    "histogram_count": lambda matrix, _: matrix.figure(Part.COUNT),
    "histogram_sum": lambda matrix, _: matrix.figure(Part.SUM),
    "histogram_avg": lambda matrix, _: matrix.figure(Part.SUM) / _or_nan(matrix.figure(Part.COUNT)),
    "histogram_stddev": _column_deviation,
    "histogram_stdvar": variances,
}


def _or_nan(counts: Matrix) -> Matrix:
    return np.where(counts == 0, np.nan, counts)


class FigureOperator(Operator):
    """`histogram_count`, `_sum`, `_avg`, `_stddev`, `_stdvar`; floats have none of these."""

    leading = 0
    columns = True

    def __init__(self, function: str, vector: Operator) -> None:
        self.function = function
        self.children = (vector,)

    def describe(self) -> str:
        """One line for the plan."""
        return self.function

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of floats."""
        (vector,) = inputs
        assert isinstance(vector, Vector)
        native = vector.are_histograms()
        figure = _FIGURES.get(self.function)
        if figure is None or not native.any():
            return Vector.empty(vector.steps)
        if vector.native is not None:
            values = _COLUMN_FIGURES[self.function](vector.native, context.budget.check)
            return without_name(context, vector.with_values(values, native).compact())
        assert vector.histograms is not None
        values = np.zeros(native.shape)
        for row, step in zip(*np.nonzero(native), strict=True):
            values[row, step] = figure(vector.histograms[row, step])
        return without_name(context, vector.with_values(values, native).compact())


def split(context: QueryContext, vector: Vector, start: int) -> tuple[Vector, Vector]:
    """The floats, which may be buckets of classic histograms, and the native histograms.

    Where both stand for the same histogram at the same step, neither is kept and a warning is given.
    """
    if not vector.has_histograms:
        return vector, Vector.empty(vector.steps)
    classic = vector.floats()
    native = replace(vector, present=vector.are_histograms()).compact()
    if classic.rows == 0 or native.rows == 0:
        return classic, native
    bucket_codes, _ = classic.labels.column(BUCKET_LABEL)
    buckets = classic.take(np.flatnonzero(bucket_codes != 0))
    mine, theirs, count = shared_groups(drop_names(buckets.labels, (BUCKET_LABEL,)), native.labels)
    both = any_present(mine, count, buckets.present) & any_present(theirs, count, native.present)
    if not both.any():
        return classic, native
    for row in np.flatnonzero((both[theirs] & native.present).any(axis=1)).tolist():
        remark(context.annotations, [("warn-for", _MIX)], native.labels, row, start)
    return (
        buckets.with_values(buckets.values, buckets.present & ~both[mine]).compact(),
        replace(native, present=native.present & ~both[theirs]).compact(),
    )


def _noted(context: QueryContext, native: Vector, row: int, note: Note | None, start: int) -> None:
    if note is not None:
        name = name_of(native.labels, row) if context.delayed_names else ""
        shown = f" for metric name {go_quote(name)}" if name else ""
        context.annotations.info(note.value + shown, start)


def _objects(native: Vector, wanted: Mask) -> Iterator[tuple[int, int, FloatHistogram]]:
    """Some of the histograms as objects, with their rows and steps."""
    rows = np.flatnonzero((wanted & native.present).any(axis=1))
    if not len(rows):
        return
    some = replace(native.take(rows), present=(wanted & native.present)[rows]).with_objects()
    assert some.histograms is not None
    for row, step in zip(*np.nonzero(some.present), strict=True):
        yield int(rows[row]), int(step), some.histograms[row, step]


def native_quantile(context: QueryContext, native: Vector, wanted: Matrix, start: int) -> Vector:
    """`histogram_quantile` of native histograms."""
    values, hard = np.zeros(native.values.shape), native.present
    if native.native is not None:
        values, hard = quantiles(wanted, native.native, context.budget.check)
    for row, step, histogram in _objects(native, hard):
        values[row, step], note = quantile(float(wanted[step]), histogram)
        _noted(context, native, int(row), note, start)
    return native.with_values(values)


def native_fraction(
    context: QueryContext, native: Vector, lower: Matrix, upper: Matrix, start: int
) -> Vector:
    """`histogram_fraction` of native histograms."""
    values, hard = np.zeros(native.values.shape), native.present
    if native.native is not None:
        values, hard = fractions(lower, upper, native.native, context.budget.check)
    for row, step, histogram in _objects(native, hard):
        values[row, step], note = fraction(float(lower[step]), float(upper[step]), histogram)
        _noted(context, native, int(row), note, start)
    return native.with_values(values)
