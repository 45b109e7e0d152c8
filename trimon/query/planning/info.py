"""Which operator an `info` call becomes."""

from __future__ import annotations

from typing import Final

from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher, MatchType
from trimon.query.execution.grid import Grid, RefTimes
from trimon.query.execution.operator import Operator
from trimon.query.language.nodes import (
    Call,
    Expr,
    MatrixSelector,
    Modifiers,
    Subquery,
    VectorSelector,
    children,
    unwrap,
)
from trimon.query.operators.info import InfoOperator
from trimon.query.operators.select import Pick
from trimon.query.planning.scope import PlanScope

_DEFAULT: Final = "target_info"


def plan_info(scope: PlanScope, expr: Call, grid: Grid) -> Operator:
    """The operator of an `info` call: the base vector, and the info series with their timestamps."""
    selector = expr.args[1] if len(expr.args) > 1 else None
    matchers = selector.matchers if isinstance(selector, VectorSelector) else ()
    names = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    data = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
    chosen = list(names)
    positive = [m for m in names if m.type in (MatchType.EQUAL, MatchType.REGEXP)]
    if not names:
        chosen = [Matcher(METRIC_NAME, MatchType.EQUAL, _DEFAULT)]
    elif not positive:
        chosen.append(Matcher(METRIC_NAME, MatchType.REGEXP, ".+_info"))
    refs = _reference_times(scope, expr.args[0], RefTimes(grid))
    wanted = VectorSelector("", (*chosen, *data))
    return InfoOperator(
        scope.plan(expr.args[0], grid),
        scope.select_at(wanted, refs, Pick.VALUE),
        scope.select_at(wanted, refs, Pick.TIME),
        tuple(chosen),
        tuple(data),
    )


def _reference_times(scope: PlanScope, expr: Expr, refs: RefTimes) -> RefTimes:
    """The times the first selector of an expression looks at: what `@` and `offset` make of the steps."""
    found = _first_path(expr)
    for modifiers in found or ():
        refs = scope.shifted(modifiers, refs)
    return refs


def _first_path(expr: Expr) -> tuple[Modifiers, ...] | None:
    """The modifiers on the way down to the first selector, outermost first; None without a selector."""
    waiting: list[tuple[Expr, tuple[Modifiers, ...]]] = [(expr, ())]
    while waiting:
        node, path = waiting.pop()
        bare = unwrap(node)
        if isinstance(bare, VectorSelector):
            return (*path, bare.modifiers)
        if isinstance(bare, MatrixSelector):
            return (*path, bare.vector.modifiers)
        if isinstance(bare, Subquery):
            path = (*path, bare.modifiers)
        waiting += ((child, path) for child in reversed(children(bare)))
    return None
