"""A checked tree and its times to operators: sources shared, constants folded, fixed parts computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from trimon.model.matcher import Matcher
from trimon.query.execution.context import SampleSource
from trimon.query.execution.grid import Grid, RefTimes
from trimon.query.execution.operator import Operator
from trimon.query.language.durations import milliseconds
from trimon.query.language.errors import QueryError
from trimon.query.language.nodes import (
    Aggregation,
    AtModifier,
    Binary,
    Call,
    Duration,
    DurationNumber,
    Expr,
    MatrixSelector,
    Modifiers,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    ValueType,
    VectorSelector,
)
from trimon.query.language.options import QueryOptions
from trimon.query.language.printer import print_expr
from trimon.query.language.tokens import SET_OPERATORS, TRIMS
from trimon.query.operators.aggregate import AggregateOperator
from trimon.query.operators.binary import ScalarBinaryOperator, SetOperator, VectorScalarOperator
from trimon.query.operators.countvalues import CountValuesOperator
from trimon.query.operators.elementwise import ConstantOperator, NegateOperator
from trimon.query.operators.matching import MatchOperator
from trimon.query.operators.select import Pick, RangeOperator, RepeatOperator, SelectOperator
from trimon.query.operators.subquery import SubqueryOperator
from trimon.query.operators.topk import KeepOperator
from trimon.query.planning.facts import TreeFacts
from trimon.query.planning.functions import plan_call
from trimon.query.planning.rules import fold
from trimon.records import dataclass


@dataclass(slots=True)
class Planner:
    """Turns one tree into operators for one grid. The query's own times give `@ start()` and `step()`."""

    options: QueryOptions
    grid: Grid
    ranged: bool
    end_ms: int
    sources: dict[tuple[Matcher, ...], list[SampleSource]] = field(default_factory=dict)
    stats_only: bool = False
    """Whether of histograms nothing but count and sum will be asked for."""
    _facts: TreeFacts = field(default_factory=TreeFacts)
    # The first time of the innermost subquery that is being planned, and its end, which need not be a step.
    _inside: tuple[int, int] | None = None

    @property
    def query_step_ms(self) -> int:
        """The step as functions see it: 0 when the query has one time."""
        return self.grid.step_ms if self.ranged and self.end_ms > self.grid.start_ms else 0

    @property
    def query_range_ms(self) -> int:
        """From the start to the end of the query."""
        return self.end_ms - self.grid.start_ms

    def varies(self, expr: Expr) -> bool:
        """Whether an expression that is being planned is evaluated at several times, as one that is not fixed."""
        start_ms, end_ms = self._inside or (self.grid.start_ms, self.end_ms)
        return start_ms != end_ms and not self._facts.fixed(expr)

    def plan(self, expr: Expr, grid: Grid) -> Operator:
        """The operator of an expression on a grid."""
        if isinstance(expr, Binary):
            return self._chain(expr, grid)
        if self._repeats(expr, grid):
            return RepeatOperator(self.plan(expr, grid.first()), grid)
        match expr:
            case Paren(expr=inner):
                return self.plan(inner, grid)
            case NumberLiteral(value=value) | StringLiteral(value=value):
                return ConstantOperator(value, grid)
            case VectorSelector():
                return self.select(expr, grid, Pick.VALUE)
            case MatrixSelector():
                return self._windows(expr, grid)
            case Subquery():
                return self._subquery(expr, grid)
            case Unary(op=op, expr=inner):
                child = self.plan(inner, grid)
                return NegateOperator(child) if op == "-" else child
            case Aggregation():
                return self._aggregation(expr, grid)
            case Call():
                return plan_call(self, expr, grid)

    def _repeats(self, expr: Expr, grid: Grid) -> bool:
        """Whether a vector is the same at every step: it has selectors, and all of them have `@`."""
        return grid.count > 1 and self._facts.kind(expr) is ValueType.VECTOR and self._facts.repeats(expr)

    def plan_with(self, expr: Expr, grid: Grid, *, stats_only: bool) -> Operator:
        """Plan an expression of whose histograms only count and sum are wanted, or everything again."""
        before, self.stats_only = self.stats_only, stats_only
        try:
            return self.plan(expr, grid)
        finally:
            self.stats_only = before

    def source(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SampleSource:
        """The samples of a selector; shared with another selector of the same series where that is cheap."""
        wanted = tuple(matchers)
        sources = self.sources.setdefault(wanted, [])
        for source in sources:
            # Parts of a subquery are planned when their source may have been read: it is not to grow.
            if (
                source.start_ms <= start_ms
                and end_ms <= source.end_ms
                and source.covers_cheaply(start_ms, end_ms)
            ):
                return source
        for source in sources:
            if source.covers_cheaply(start_ms, end_ms):
                source.extend(start_ms, end_ms)
                return source
        made = SampleSource(wanted, start_ms, end_ms)
        sources.append(made)
        return made

    def refs(self, modifiers: Modifiers, grid: Grid) -> RefTimes:
        """The times at which a selector looks, one per step."""
        return self.shifted(modifiers, RefTimes(grid))

    def shifted(self, modifiers: Modifiers, refs: RefTimes) -> RefTimes:
        """Evaluation times after `@` and `offset`."""
        offset_ms = 0
        if modifiers.offset is not None:
            offset_ms = milliseconds(modifiers.offset, self.query_step_ms, self.query_range_ms)
        fixed = modifiers.at_ms
        if modifiers.at is AtModifier.START:
            fixed = self.grid.start_ms
        elif modifiers.at is AtModifier.END:
            fixed = self.end_ms
        return refs.shifted(fixed, offset_ms)

    def select(self, expr: VectorSelector, grid: Grid, pick: Pick) -> Operator:
        """An instant selector that reads values or timestamps."""
        return self.select_at(expr, self.refs(expr.modifiers, grid), pick)

    def select_at(self, expr: VectorSelector, refs: RefTimes, pick: Pick) -> Operator:
        """An instant selector that looks at given times."""
        lookback_ms = self.options.lookback_ms
        after_ms = lookback_ms if expr.smoothed else 0
        source = self.source(expr.matchers, refs.first_ms - lookback_ms + 1, refs.last_ms + after_ms)
        return SelectOperator(
            source,
            refs,
            lookback_ms,
            print_expr(expr),
            pick=pick,
            smoothed=expr.smoothed,
            start=expr.start,
            stats_only=self.stats_only,
        )

    def _windows(self, expr: MatrixSelector, grid: Grid) -> Operator:
        vector = expr.vector
        range_ms = self.duration(expr.range)
        refs = self.refs(vector.modifiers, grid)
        extended = vector.anchored or vector.smoothed
        before_ms = self.options.lookback_ms if extended else 0
        after_ms = self.options.lookback_ms if vector.smoothed else 0
        first_ms = refs.first_ms - range_ms - before_ms + 1
        source = self.source(vector.matchers, first_ms, refs.last_ms + after_ms)
        return RangeOperator(
            source,
            refs,
            range_ms,
            print_expr(expr),
            lookback_ms=before_ms,
            anchored=vector.anchored,
            smoothed=vector.smoothed,
            stats_only=self.stats_only,
        )

    def duration(self, duration: Duration) -> int:
        """A range or step in milliseconds."""
        return milliseconds(duration, self.query_step_ms, self.query_range_ms, positive=True)

    def _step_ms(self, step: Duration | None) -> int:
        """The step of a subquery; one that was computed and is less than a millisecond is as if there were none."""
        step_ms = 0 if step is None else self.duration(step)
        if step_ms == 0 and isinstance(step, DurationNumber):
            raise QueryError(
                f"a subquery's step of {step.value} s is less than a millisecond, the finest resolution"
            )
        return step_ms or self.options.subquery_step_ms

    def _subquery(self, expr: Subquery, grid: Grid) -> Operator:
        refs = self.refs(expr.modifiers, grid)
        step_ms = self._step_ms(expr.step)
        range_ms = self.duration(expr.range)
        begin = step_ms * _truncated(refs.first_ms - range_ms, step_ms)
        if begin <= refs.first_ms - range_ms:
            begin += step_ms
        inner = Grid.between(begin, refs.last_ms, step_ms)

        def part(grid: Grid) -> Operator:
            before, self._inside = self._inside, (begin, refs.last_ms)
            try:
                # Samples may be left out between two steps: counter resets must be seen in the buckets.
                return self.plan_with(expr.expr, grid, stats_only=False)
            finally:
                self._inside = before

        return SubqueryOperator(part(inner) if inner.count else None, part, inner, refs, range_ms)

    def _chain(self, expr: Binary, grid: Grid) -> Operator:
        """The operators of a chain: from its last one down to the operand at the left, and up again."""
        links: list[tuple[Binary, Grid, Grid, bool]] = []
        node: Expr = expr
        while isinstance(node, Binary):
            inner = grid.first() if self._repeats(node, grid) else grid
            links.append((node, grid, inner, self.stats_only))
            self.stats_only = self.stats_only and node.op not in TRIMS
            grid, node = inner, node.lhs
        left = self.plan(node, grid)
        for link, outer, inner, self.stats_only in reversed(links):
            left = self._binary(link, left, inner)
            if inner is not outer:
                left = RepeatOperator(left, outer)
        return left

    def _binary(self, expr: Binary, left: Operator, grid: Grid) -> Operator:
        right = self.plan(expr.rhs, grid)
        if expr.matching is not None:
            if expr.op in SET_OPERATORS:
                return SetOperator(expr.op, left, right, expr.matching)
            return MatchOperator(
                expr.op, left, right, expr.matching, return_bool=expr.return_bool, start=expr.start
            )
        if self._facts.kind(expr) is ValueType.SCALAR:
            return ScalarBinaryOperator(expr.op, left, right)
        scalar_left = self._facts.kind(expr.lhs) is ValueType.SCALAR
        return VectorScalarOperator(
            expr.op, left, right, return_bool=expr.return_bool, scalar_left=scalar_left, start=expr.start
        )

    def _aggregation(self, expr: Aggregation, grid: Grid) -> Operator:
        vector = fold(expr.op, self.plan(expr.expr, grid), expr.grouping, without=expr.without)
        param = None if expr.param is None else self.plan(expr.param, grid)
        start = expr.expr.start if expr.param is None else expr.param.start
        if expr.op == "count_values":
            assert param is not None
            return CountValuesOperator(vector, param, expr.grouping, without=expr.without)
        if param is not None and expr.op != "quantile":
            return KeepOperator(
                expr.op,
                vector,
                param,
                expr.grouping,
                without=expr.without,
                param_start=start,
                start=expr.start,
            )
        return AggregateOperator(
            expr.op,
            vector,
            param,
            expr.grouping,
            without=expr.without,
            param_start=start,
            start=expr.expr.start,
        )


def _truncated(value: int, step: int) -> int:
    return value // step if value >= 0 else -(-value // step)
