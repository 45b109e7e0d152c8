"""The plan of a query as text and data: what will be read, and with `analyze` what it cost."""

from __future__ import annotations

from typing import Any, Final

from trimon.model.snapshot import Snapshot
from trimon.query import engine
from trimon.query.execution.budget import Budget
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.operator import Operator
from trimon.query.execution.stats import NodeStats, QueryStats
from trimon.query.language.nodes import Expr
from trimon.query.language.options import QueryOptions
from trimon.query.planning.cost import check_cost
from trimon.records import dataclass

# Levels that are told by indentation.
_LEVELS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One operator: the estimate where it reads, and the figures where it ran."""

    text: str
    children: tuple[PlanNode, ...]
    estimate: tuple[int, int, int] | None = None
    """Series, samples and bytes at most."""
    actual: NodeStats | None = None

    def lines(self) -> list[str]:
        """The node and those below it, indented; where the indentation would grow too wide, it is the level's number."""
        out: list[str] = []
        waiting = [(self, 0)]
        while waiting:
            node, level = waiting.pop()
            indent = "  " * level if level <= _LEVELS_MAX else f"{'  ' * _LEVELS_MAX}{level}: "
            out.append(indent + node._line())
            waiting += ((child, level + 1) for child in reversed(node.children))
        return out

    def _line(self) -> str:
        out = self.text
        if self.estimate is not None:
            series, samples, size_bytes = self.estimate
            out += f"  (at most {series} series, {samples} samples, {size_bytes} bytes)"
        if self.actual is not None:
            out += f"  [{self.actual.seconds * 1000:.3f} ms, {self.actual.series} series, {self.actual.samples} samples]"
        return out

    def data(self) -> dict[str, Any]:
        """The node and those below it, ready for JSON."""
        out = self._fields()
        waiting = [(self, out)]
        while waiting:
            node, fields = waiting.pop()
            if node.children:
                below = [(child, child._fields()) for child in node.children]
                fields["children"] = [inner for _, inner in below]
                waiting += below
        return out

    def _fields(self) -> dict[str, Any]:
        out: dict[str, Any] = {"operator": self.text}
        if self.estimate is not None:
            out["estimate"] = dict(zip(("series", "samples", "bytes"), self.estimate, strict=True))
        if self.actual is not None:
            out["actual"] = {
                "seconds": self.actual.seconds,
                "series": self.actual.series,
                "samples": self.actual.samples,
            }
        return out


def explain(
    snapshot: Snapshot,
    query: str | Expr,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    options: QueryOptions,
    *,
    analyze: bool = False,
    budget: Budget | None = None,
) -> PlanNode:
    """The plan of a query; an instant query has `step_ms` 0. With `analyze` it runs, too.

    Without it no sample is read. Raises ParseError or QueryError.
    """
    ranged = step_ms > 0
    grid = Grid.between(start_ms, end_ms, step_ms) if ranged else Grid.instant(start_ms)
    _, planner, root = engine.plan_query(query, grid, options, ranged=ranged, end_ms=end_ms)
    stats = QueryStats(grid.count)
    limits = budget or Budget(options)
    context = engine.context_of(snapshot, query, grid, options, limits, stats, planner)
    if analyze:
        check_cost(context, root, ranged=ranged)
        engine.run_plan(context, root)
    return _node(context, root, stats if analyze else None)


def _node(context: QueryContext, root: Operator, stats: QueryStats | None) -> PlanNode:
    """The plan below an operator, in a loop: chains are deeper than a stack of calls may be."""
    order = [root]
    for operator in order:
        order += operator.children
    made: dict[int, PlanNode] = {}
    for operator in reversed(order):
        estimate = None
        source = operator.source
        if source is not None:
            found = context.selection(source).estimate(source.start_ms, source.end_ms)
            estimate = found.series, found.samples, found.size_bytes
        made[id(operator)] = PlanNode(
            operator.describe(),
            tuple(made[id(child)] for child in operator.children),
            estimate,
            None if stats is None else stats.nodes.get(id(operator)),
        )
    return made[id(root)]
