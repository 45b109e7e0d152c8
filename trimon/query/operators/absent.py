"""`absent` and `absent_over_time`: a sample where there is none."""

from __future__ import annotations

import numpy as np

from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.matcher import Matcher, MatchType
from trimon.model.table import LabelTable
from trimon.query.execution.context import QueryContext
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Mask, Value, Vector
from trimon.query.language.nodes import Expr, MatrixSelector, VectorSelector, unwrap


def labels_of_selector(expr: Expr) -> Labels:
    """The labels a selector pins by exactly one equality each; none for other expressions."""
    bare = unwrap(expr)
    selector = bare.vector if isinstance(bare, MatrixSelector) else bare
    if not isinstance(selector, VectorSelector):
        return ()
    pinned: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if _pins(matcher) and matcher.name not in seen:
            pinned[matcher.name] = matcher.value
        else:
            pinned.pop(matcher.name, None)
        seen.add(matcher.name)
    return labels_of(pinned)


def _pins(matcher: Matcher) -> bool:
    return matcher.type is MatchType.EQUAL


class AbsentOperator(Operator):
    """1 at the steps at which the input has no sample of any series."""

    columns = True

    def __init__(self, vector: Operator, labels: Labels) -> None:
        self.children = (vector,)
        self.labels = labels

    def describe(self) -> str:
        """One line for the plan."""
        return "absent"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of at most one series."""
        del context
        (vector,) = inputs
        assert isinstance(vector, Vector)
        missing: Mask = ~np.logical_or.reduce(vector.present, axis=0)
        if not missing.any():
            return Vector.empty(vector.steps)
        return Vector(LabelTable.of([self.labels]), np.ones((1, vector.steps)), missing[None, :])
