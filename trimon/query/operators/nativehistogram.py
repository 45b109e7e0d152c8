"""Functions of native histograms in instant vectors: figures, quantiles, fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from trimon.gotext.strings import go_quote
from trimon.model.histogram import FloatHistogram
from trimon.model.labels import BUCKET_LABEL
from trimon.query.execution.annotationtext import name_of, remark
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import drop_names, shared_groups
from trimon.query.execution.names import without_name
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Matrix, Value, Vector
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


class FigureOperator(Operator):
    """`histogram_count`, `_sum`, `_avg`, `_stddev`, `_stdvar`; floats have none of these."""

    leading = 0

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
        if vector.histograms is None or figure is None or not native.any():
            return Vector.empty(vector.steps)
        values = np.zeros(native.shape)
        for row, step in zip(*np.nonzero(native), strict=True):
            values[row, step] = figure(vector.histograms[row, step])
        return without_name(context, vector.with_values(values, native).compact())


def split(context: QueryContext, vector: Vector, start: int) -> tuple[Vector, Vector]:
    """The floats, which may be buckets of classic histograms, and the native histograms.

    Where both stand for the same histogram at the same step, neither is kept and a warning is given.
    """
    if vector.histograms is None:
        return vector, Vector.empty(vector.steps)
    classic = vector.floats()
    native = Vector(
        vector.labels, vector.values, vector.are_histograms(), vector.drop_name, vector.histograms
    ).compact()
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
        Vector(
            native.labels, native.values, native.present & ~both[theirs], native.drop_name, native.histograms
        ).compact(),
    )


def _noted(context: QueryContext, native: Vector, row: int, note: Note | None, start: int) -> None:
    if note is not None:
        name = name_of(native.labels, row) if context.delayed_names else ""
        shown = f" for metric name {go_quote(name)}" if name else ""
        context.annotations.info(note.value + shown, start)


def native_quantile(context: QueryContext, native: Vector, wanted: Matrix, start: int) -> Vector:
    """`histogram_quantile` of native histograms."""
    assert native.histograms is not None
    values = np.zeros(native.values.shape)
    for row, step in zip(*np.nonzero(native.present), strict=True):
        values[row, step], note = quantile(float(wanted[step]), native.histograms[row, step])
        _noted(context, native, int(row), note, start)
    return native.with_values(values)


def native_fraction(
    context: QueryContext, native: Vector, lower: Matrix, upper: Matrix, start: int
) -> Vector:
    """`histogram_fraction` of native histograms."""
    assert native.histograms is not None
    values = np.zeros(native.values.shape)
    for row, step in zip(*np.nonzero(native.present), strict=True):
        found = fraction(float(lower[step]), float(upper[step]), native.histograms[row, step])
        values[row, step], note = found
        _noted(context, native, int(row), note, start)
    return native.with_values(values)
