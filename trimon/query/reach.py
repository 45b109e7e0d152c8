"""How far back a query looks, and from which step on local samples are enough.

steps    t0      t1      t2      t3      t4               a step looks at (t - reach, t]; the steps that look at nothing
looks   [....t0)[....t1)[....t2)[....t3)[....t4)          before the boundary are answered here, those before them by
samples            |boundary: local samples begin         somebody else: t0, t1 there, t2 ... t4 here
"""

from __future__ import annotations

from trimon.query.engine import parse, plan_query
from trimon.query.execution.grid import Grid
from trimon.query.language.nodes import Expr, Subquery, VectorSelector, nodes_of
from trimon.query.language.options import QueryOptions

# Functions of durations whose value is that of the whole query.
_OF_THE_WHOLE = ("step(", "range(")


def first_local_step(text: str, grid: Grid, options: QueryOptions, boundary_ms: int, *, ranged: bool) -> int:
    """The first step that needs no samples from before the boundary; `grid.count` when none does without.

    A query with `@`, or that knows its own range, is not cut: all of its steps or none. Raises ParseError, QueryError.
    """
    expr = parse(text, options)
    if not _reads(expr):
        return 0
    if not _is_cut_safely(expr, text):
        return 0 if _begins_ms(expr, grid, options, ranged=ranged) >= boundary_ms else grid.count
    reach_ms = grid.start_ms - _begins_ms(expr, grid.first(), options, ranged=ranged)
    missing_ms = boundary_ms - (grid.start_ms - reach_ms)
    first = min(grid.count, max(0, -(-missing_ms // grid.step_ms)))
    # Steps of subqueries are on a grid of their own: some look back a little further than the first one.
    while (
        first < grid.count
        and _begins_ms(expr, grid.part(slice(first, first + 1)), options, ranged=ranged) < boundary_ms
    ):
        first += 1
    return first


def _begins_ms(expr: Expr, grid: Grid, options: QueryOptions, *, ranged: bool) -> int:
    """The earliest time that selectors look at."""
    _, planner, _ = plan_query(expr, grid, options, ranged=ranged)
    return min(source.start_ms for sources in planner.sources.values() for source in sources)


def _reads(expr: Expr) -> bool:
    return any(isinstance(node, VectorSelector) for node in nodes_of(expr))


def _is_cut_safely(expr: Expr, text: str) -> bool:
    if any(name in text for name in _OF_THE_WHOLE):
        return False
    return not any(
        node.modifiers.fixed for node in nodes_of(expr) if isinstance(node, VectorSelector | Subquery)
    )
