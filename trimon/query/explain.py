"""The plan of a query as text and data: what will be read, and with `analyze` what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trimon.model.snapshot import Snapshot
from trimon.query import engine
from trimon.query.execution.budget import Budget
from trimon.query.execution.context import QueryContext
from trimon.query.execution.grid import Grid
from trimon.query.execution.operator import Operator
from trimon.query.execution.stats import NodeStats, QueryStats
from trimon.query.language.nodes import Expr
from trimon.query.language.options import QueryOptions


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One operator: the estimate where it reads, and the figures where it ran."""

    text: str
    children: tuple[PlanNode, ...]
    estimate: tuple[int, int, int] | None = None
    """Series, samples and bytes at most."""
    actual: NodeStats | None = None

    def lines(self, level: int = 0) -> list[str]:
        """The node and those below it, indented."""
        out = "  " * level + self.text
        if self.estimate is not None:
            series, samples, size_bytes = self.estimate
            out += f"  (at most {series} series, {samples} samples, {size_bytes} bytes)"
        if self.actual is not None:
            out += f"  [{self.actual.seconds * 1000:.3f} ms, {self.actual.series} series, {self.actual.samples} samples]"
        lines = [out]
        for child in self.children:
            lines += child.lines(level + 1)
        return lines

    def data(self) -> dict[str, Any]:
        """The node and those below it, ready for JSON."""
        out: dict[str, Any] = {"operator": self.text}
        if self.estimate is not None:
            out["estimate"] = dict(zip(("series", "samples", "bytes"), self.estimate, strict=True))
        if self.actual is not None:
            out["actual"] = {
                "seconds": self.actual.seconds,
                "series": self.actual.series,
                "samples": self.actual.samples,
            }
        if self.children:
            out["children"] = [child.data() for child in self.children]
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
        engine.run_plan(context, root)
    return _node(context, root, stats if analyze else None)


def _node(context: QueryContext, operator: Operator, stats: QueryStats | None) -> PlanNode:
    estimate = None
    source = operator.source
    if source is not None:
        found = context.selection(source).estimate(source.start_ms, source.end_ms)
        estimate = found.series, found.samples, found.size_bytes
    return PlanNode(
        operator.describe(),
        tuple(_node(context, child, stats) for child in operator.children),
        estimate,
        None if stats is None else stats.nodes.get(id(operator)),
    )
