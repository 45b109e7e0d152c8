"""What a query will look at, estimated from its plan before a sample is read."""

from __future__ import annotations

from typing import Final

from trimon.query.execution.context import QueryContext
from trimon.query.execution.operator import Operator
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.operators.select import RangeOperator, SelectOperator

FLAG: Final = "--query.cost-max"
RANGE_FLAG: Final = "--query.range-cost-max"


def estimated_samples(context: QueryContext, root: Operator) -> int:
    """Samples of all selectors times the steps that look at them: about what `totalQueryableSamples` will be, at the most."""
    total, order, seen = 0, [root], {id(root)}
    for operator in order:
        for child in operator.children:
            if id(child) not in seen:
                seen.add(id(child))
                order.append(child)
        if isinstance(operator, SelectOperator) and operator.source is not None:
            total += context.labels(operator.source).rows * len(operator.refs)
        elif isinstance(operator, RangeOperator) and operator.source is not None:
            source = operator.source
            found = context.selection(source).estimate(source.start_ms, source.end_ms)
            share = min(
                1.0, (operator.range_ms + operator.lookback_ms) / max(source.end_ms - source.start_ms, 1)
            )
            total += round(found.samples * share * len(operator.refs))
    return total


def check_cost(context: QueryContext, root: Operator, *, ranged: bool) -> None:
    """Raises QueryError where a query will look at more samples than it may."""
    most = context.options.range_cost_max if ranged else context.options.cost_max
    if not most:
        return
    cost = estimated_samples(context, root)
    if cost > most:
        raise QueryError(
            f"query would look at about {cost} samples over all its steps: more than the limit of {most} "
            f"({RANGE_FLAG if ranged else FLAG}); it was not run",
            FailureKind.EXECUTION,
        )
