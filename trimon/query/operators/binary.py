"""Binary operators where a side is a scalar, and set operators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimon.query.context import Context, Operator
from trimon.query.labelcodes import concat, shared_groups
from trimon.query.nodes import Matching
from trimon.query.operators.arithmetic import ARITHMETIC, COMPARISON
from trimon.query.operators.matching import any_present, signature_table
from trimon.query.operators.names import merge_equal, without_name
from trimon.query.values import Mask, Scalar, Value, Vector


class ScalarBinaryOperator(Operator):
    """Both sides scalars; comparisons give 0 or 1."""

    def __init__(self, op: str, left: Operator, right: Operator) -> None:
        self.op = op
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return f"scalar {self.op}"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """A Scalar."""
        del context
        left, right = inputs
        assert isinstance(left, Scalar)
        assert isinstance(right, Scalar)
        if self.op in COMPARISON:
            return Scalar(COMPARISON[self.op](left.values, right.values).astype(np.float64))
        return Scalar(ARITHMETIC[self.op](left.values, right.values))


class VectorScalarOperator(Operator):
    """A vector and a scalar, in either order."""

    def __init__(self, op: str, left: Operator, right: Operator, *, return_bool: bool) -> None:
        self.op = op
        self.return_bool = return_bool
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return f"vector-scalar {self.op}{' bool' if self.return_bool else ''}"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """A Vector of the same series, or of those for which the comparison holds."""
        left, right = inputs
        vector = left if isinstance(left, Vector) else right
        assert isinstance(vector, Vector)
        a = left.values if isinstance(left, (Vector, Scalar)) else vector.values
        b = right.values if isinstance(right, (Vector, Scalar)) else vector.values
        if self.op in ("</", ">/"):
            # Only histograms can be trimmed; floats are not comparable with this operator.
            return Vector.empty(vector.steps)
        if self.op not in COMPARISON:
            return without_name(context, vector.with_values(ARITHMETIC[self.op](a, b)))
        holds = COMPARISON[self.op](a, b)
        if self.return_bool:
            return without_name(context, vector.with_values(holds.astype(np.float64)))
        return vector.with_values(vector.values, vector.present & holds).compact()


class SetOperator(Operator):
    """`and`, `or`, `unless`: samples of either side by the presence of matches on the other."""

    def __init__(self, op: str, left: Operator, right: Operator, matching: Matching) -> None:
        self.op = op
        self.matching = matching
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        return f"set {self.op}"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
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


def stack(upper: Vector, lower: Vector) -> Vector:
    """The series of one vector under those of another."""
    if lower.rows == 0:
        return upper
    if upper.rows == 0:
        return lower
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
    )
