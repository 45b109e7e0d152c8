"""Binary operators where a side is a scalar, and set operators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import concat, shared_groups
from trimon.query.execution.names import merge_equal, without_name
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Cells, Mask, Scalar, Value, Vector
from trimon.query.histograms.columnarithmetic import divided, scaled
from trimon.query.histograms.matrix import HistogramMatrix, stacked
from trimon.query.language.errors import QueryError
from trimon.query.language.nodes import Matching
from trimon.query.language.tokens import TRIMS
from trimon.query.operators.arithmetic import ARITHMETIC, COMPARISON
from trimon.query.operators.histogrambinary import announce, combine
from trimon.query.operators.matching import any_present, signature_table


class ScalarBinaryOperator(Operator):
    """Both sides scalars; comparisons give 0 or 1."""

    def __init__(self, op: str, left: Operator, right: Operator) -> None:
        self.op = op
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return f"scalar {self.op}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Scalar."""
        del context
        left, right = inputs
        assert isinstance(left, Scalar)
        assert isinstance(right, Scalar)
        if self.op in TRIMS:
            raise QueryError(f'operator "{self.op}" not allowed for Scalar operations')
        if self.op in COMPARISON:
            return Scalar(COMPARISON[self.op](left.values, right.values).astype(np.float64))
        return Scalar(ARITHMETIC[self.op](left.values, right.values))


class VectorScalarOperator(Operator):
    """A vector and a scalar, in either order."""

    columns = True

    def __init__(
        self,
        op: str,
        left: Operator,
        right: Operator,
        *,
        return_bool: bool,
        scalar_left: bool = False,
        start: int = 0,
    ) -> None:
        self.leading = int(scalar_left)
        self.op = op
        self.return_bool = return_bool
        self._start = start
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return f"vector-scalar {self.op}{' bool' if self.return_bool else ''}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same series, or of those for which the comparison holds."""
        left, right = inputs
        vector = left if isinstance(left, Vector) else right
        assert isinstance(vector, Vector)
        a = left.values if isinstance(left, (Vector, Scalar)) else vector.values
        b = right.values if isinstance(right, (Vector, Scalar)) else vector.values
        if vector.native is not None:
            scaled_one = self._scaled(context, left, right, vector)
            if scaled_one is not None:
                return scaled_one
            vector = vector.with_objects()
            left, right = (vector if isinstance(side, Vector) else side for side in (left, right))
        if vector.histograms is not None or self.op in TRIMS:
            return self._with_histograms(context, left, right, vector)
        if self.op not in COMPARISON:
            return without_name(context, vector.with_values(ARITHMETIC[self.op](a, b)))
        holds = COMPARISON[self.op](a, b)
        if self.return_bool:
            return without_name(context, vector.with_values(holds.astype(np.float64)))
        return vector.with_values(vector.values, vector.present & holds).compact()

    def _scaled(self, context: QueryContext, left: Value, right: Value, vector: Vector) -> Vector | None:
        """Multiples of histograms as columns; None where the operator makes none of them."""
        assert vector.native is not None
        if self.op != "*" and (self.op != "/" or vector is right):
            return None
        assert isinstance(left, (Vector, Scalar))
        assert isinstance(right, (Vector, Scalar))
        factor = right.values if isinstance(right, Scalar) else left.values
        native = (scaled if self.op == "*" else divided)(vector.native.only(vector.present), factor)
        values = ARITHMETIC[self.op](left.values, right.values)
        return without_name(context, replace(vector, values=values, native=native))

    def _with_histograms(self, context: QueryContext, left: Value, right: Value, vector: Vector) -> Vector:
        native = vector.are_histograms()
        wanted = vector.present if self.op in TRIMS else native
        values = np.zeros(vector.values.shape)
        kept = np.zeros(vector.values.shape, np.bool_)
        if self.op not in TRIMS:
            floats = vector.present & ~native
            a = left.values if isinstance(left, (Vector, Scalar)) else values
            b = right.values if isinstance(right, (Vector, Scalar)) else values
            if self.op in COMPARISON:
                holds = COMPARISON[self.op](a, b)
                values = holds.astype(np.float64) if self.return_bool else vector.values
                kept = floats & (holds | self.return_bool)
            else:
                values, kept = ARITHMETIC[self.op](a, b), floats
        sides = [
            (value.values, value.histograms)
            if isinstance(value, Vector)
            else (np.broadcast_to(value.values, vector.values.shape), None)
            for value in (left, right)
            if isinstance(value, (Vector, Scalar))
        ]
        outcome = combine(self.op, sides[0], sides[1], wanted, return_bool=self.return_bool)
        announce(context.annotations, outcome, self._start)
        result = Vector(
            vector.labels,
            np.where(wanted, outcome.values, values),
            kept | outcome.kept,
            vector.drop_name,
            outcome.cells,
        ).compact()
        keeps = self.op in TRIMS or (self.op in COMPARISON and not self.return_bool)
        return result if keeps else without_name(context, result)


class SetOperator(Operator):
    """`and`, `or`, `unless`: samples of either side by the presence of matches on the other."""

    columns = True

    def __init__(self, op: str, left: Operator, right: Operator, matching: Matching) -> None:
        self.leading = None if op == "or" else 0
        self.op = op
        self.matching = matching
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return f"set {self.op}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector."""
        del context
        left, right = inputs
        assert isinstance(left, Vector)
        assert isinstance(right, Vector)
        if right.rows == 0:
            return Vector.empty(left.steps) if self.op == "and" else left
        if left.rows == 0:
            return right if self.op == "or" else left
        mine, theirs, count = shared_groups(
            signature_table(left.labels, self.matching), signature_table(right.labels, self.matching)
        )
        if self.op == "or":
            taken = any_present(mine, count, left.present)
            rest = replace(right, present=right.present & ~taken[theirs]).compact()
            return merge_equal(stack(left, rest))
        found = any_present(theirs, count, right.present)[mine]
        if self.op == "unless":
            found = ~found
        return replace(left, present=left.present & found).compact()


def stacked_cells(upper: Vector, lower: Vector) -> Cells | None:
    """The histograms of one vector under those of another; None when neither has any."""
    if upper.histograms is None and lower.histograms is None:
        return None
    parts = [
        np.full(part.present.shape, None, np.object_) if part.histograms is None else part.histograms
        for part in (upper, lower)
    ]
    return np.concatenate(parts)


def stacked_columns(upper: Vector, lower: Vector) -> HistogramMatrix | None:
    """The columns of one vector under those of another; None when neither has any."""
    if upper.native is None and lower.native is None:
        return None
    mine, theirs = (
        HistogramMatrix.none(*part.present.shape) if part.native is None else part.native
        for part in (upper, lower)
    )
    return stacked(mine, theirs)


def stack(upper: Vector, lower: Vector) -> Vector:
    """The series of one vector under those of another."""
    if lower.rows == 0:
        return upper
    if upper.rows == 0:
        return lower
    if upper.histograms is not None or lower.histograms is not None:
        upper, lower = upper.with_objects(), lower.with_objects()
    drop: Mask | None = None
    if upper.drop_name is not None or lower.drop_name is not None:
        parts = [
            np.zeros(part.rows, np.bool_) if part.drop_name is None else part.drop_name
            for part in (upper, lower)
        ]
        drop = np.concatenate(parts)
    return Vector(
        concat(upper.labels, lower.labels),
        np.concatenate([upper.values, lower.values]),
        np.concatenate([upper.present, lower.present]),
        drop,
        stacked_cells(upper, lower),
        stacked_columns(upper, lower),
    )
