"""Rules by which a plan is made cheaper. Each takes an operator and gives one that does the same with less work.

`explain` shows what a rule changed: the operator says it in its line.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimon.query.execution.operator import Operator
from trimon.query.windows.foldedsum import Fold
from trimon.query.windows.operator import WindowOperator


def fold(op: str, vector: Operator, grouping: Sequence[str], *, without: bool) -> Operator:
    """The input of an aggregation: a window function below `sum` or `avg` adds up its results itself, where that pays."""
    if op in ("sum", "avg") and isinstance(vector, WindowOperator):
        return vector.with_fold(Fold(op, grouping, without))
    return vector


def keep_names(window: WindowOperator) -> WindowOperator:
    """The input of `absent_over_time`, which only asks whether there is anything: no name is removed from it."""
    return window.with_names()
