"""What planning of functions may use of the planner: the query's times and the plans of arguments."""

from __future__ import annotations

from typing import Protocol

from trimon.query.execution.grid import Grid, RefTimes
from trimon.query.execution.operator import Operator
from trimon.query.language.nodes import Expr, Modifiers, VectorSelector
from trimon.query.language.options import QueryOptions
from trimon.query.operators.select import Pick


class PlanScope(Protocol):
    """The query whose parts are planned."""

    @property
    def options(self) -> QueryOptions:
        """The query's options."""
        ...

    @property
    def grid(self) -> Grid:
        """The query's own steps."""
        ...

    def varies(self, expr: Expr) -> bool:
        """Whether an expression that is being planned is evaluated at several times, as one that is not fixed."""
        ...

    @property
    def end_ms(self) -> int:
        """The query's own end."""
        ...

    @property
    def query_step_ms(self) -> int:
        """The step as functions see it: 0 when the query has one time."""
        ...

    @property
    def query_range_ms(self) -> int:
        """From the start to the end of the query."""
        ...

    def plan(self, expr: Expr, grid: Grid) -> Operator:
        """The operator of an expression on a grid."""
        ...

    def plan_with(self, expr: Expr, grid: Grid, *, stats_only: bool) -> Operator:
        """Plan an expression of whose histograms only count and sum are wanted, or everything again."""
        ...

    def shifted(self, modifiers: Modifiers, refs: RefTimes) -> RefTimes:
        """Evaluation times after `@` and `offset`."""
        ...

    def select(self, expr: VectorSelector, grid: Grid, pick: Pick) -> Operator:
        """An instant selector that reads values or timestamps."""
        ...

    def select_at(self, expr: VectorSelector, refs: RefTimes, pick: Pick) -> Operator:
        """An instant selector that looks at given times."""
        ...
