"""A checked tree and its times to operators: sources shared, constants folded, fixed parts computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimon.model.frame import Times
from trimon.model.matcher import Matcher
from trimon.query.execution.context import SampleSource
from trimon.query.execution.grid import Grid
from trimon.query.execution.operator import Operator
from trimon.query.language.checker import type_of
from trimon.query.language.durations import milliseconds, positive_milliseconds
from trimon.query.language.errors import QueryError
from trimon.query.language.nodes import (
    Aggregation,
    AtModifier,
    Binary,
    Call,
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
    children,
    unwrap,
)
from trimon.query.language.options import QueryOptions
from trimon.query.language.printer import print_expr
from trimon.query.language.signatures import STEP_VARIANT
from trimon.query.language.tokens import SET_OPERATORS, TRIMS
from trimon.query.operators.aggregate import AggregateOperator
from trimon.query.operators.binary import ScalarBinaryOperator, SetOperator, VectorScalarOperator
from trimon.query.operators.countvalues import CountValuesOperator
from trimon.query.operators.elementwise import ConstantOperator, NegateOperator
from trimon.query.operators.matching import MatchOperator
from trimon.query.operators.select import Pick, RangeOperator, RepeatOperator, SelectOperator
from trimon.query.operators.subquery import SubqueryOperator
from trimon.query.operators.topk import KeepOperator
from trimon.query.planning.functions import plan_call
from trimon.query.planning.rules import fold

# Times this far from the epoch hold no samples; nearer ones can be added and subtracted without overflow.
_FAR_MS: Final = 1 << 61


# By the id of a node of one tree: whether all its selectors are fixed, and whether it has some.
_FixedNodes = dict[int, tuple[bool, bool]]


@dataclass(slots=True)
class Planner:
    """Turns one tree into operators for one grid. The query's own times give `@ start()` and `step()`."""

    options: QueryOptions
    grid: Grid
    ranged: bool
    end_ms: int
    sources: list[SampleSource] = field(default_factory=list)
    stats_only: bool = False
    """Whether of histograms nothing but count and sum will be asked for."""
    _known: _FixedNodes = field(default_factory=dict)

    @property
    def query_step_ms(self) -> int:
        """The step as functions see it: 0 when the query has one time."""
        return self.grid.step_ms if self.ranged and self.end_ms > self.grid.start_ms else 0

    @property
    def query_range_ms(self) -> int:
        """From the start to the end of the query."""
        return self.end_ms - self.grid.start_ms

    def plan(self, expr: Expr, grid: Grid) -> Operator:
        """The operator of an expression on a grid."""
        if grid.count > 1 and type_of(expr) is ValueType.VECTOR and self._is_fixed(expr):
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
            case Binary():
                return self._binary(expr, grid)
            case Aggregation():
                return self._aggregation(expr, grid)
            case Call():
                return plan_call(self, expr, grid)

    def _is_fixed(self, expr: Expr) -> bool:
        """Whether an expression with selectors gives the same at every step: all of them have `@`."""
        fixed, has_selector = _fixed(expr, self._known)
        return fixed and has_selector

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
        for source in self.sources:
            if source.matchers == wanted and source.covers_cheaply(start_ms, end_ms):
                source.extend(start_ms, end_ms)
                return source
        made = SampleSource(wanted, start_ms, end_ms)
        self.sources.append(made)
        return made

    def refs(self, modifiers: Modifiers, grid: Grid) -> Times:
        """The times at which a selector looks, one per step."""
        return self.shifted(modifiers, grid.times_ms())

    def shifted(self, modifiers: Modifiers, times_ms: Times) -> Times:
        """Evaluation times after `@` and `offset`."""
        offset_ms = 0
        if modifiers.offset is not None:
            offset_ms = milliseconds(modifiers.offset, self.query_step_ms, self.query_range_ms)
        fixed = modifiers.at_ms
        if modifiers.at is AtModifier.START:
            fixed = self.grid.start_ms
        elif modifiers.at is AtModifier.END:
            fixed = self.end_ms
        if fixed is not None:
            return np.full(len(times_ms), min(max(fixed, -_FAR_MS), _FAR_MS) - offset_ms, np.int64)
        return np.clip(times_ms, -_FAR_MS, _FAR_MS) - offset_ms

    def select(self, expr: VectorSelector, grid: Grid, pick: Pick) -> Operator:
        """An instant selector that reads values or timestamps."""
        return self.select_at(expr, self.refs(expr.modifiers, grid), pick)

    def select_at(self, expr: VectorSelector, refs: Times, pick: Pick) -> Operator:
        """An instant selector that looks at given times."""
        lookback_ms = self.options.lookback_ms
        after_ms = lookback_ms if expr.smoothed else 0
        first, last = _ends(refs)
        source = self.source(expr.matchers, first - lookback_ms + 1, last + after_ms)
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
        refs = self.refs(vector.modifiers, grid)
        range_ms = self.duration(expr.range)
        extended = vector.anchored or vector.smoothed
        before_ms = self.options.lookback_ms if extended else 0
        after_ms = self.options.lookback_ms if vector.smoothed else 0
        first, last = _ends(refs)
        source = self.source(vector.matchers, first - range_ms - before_ms + 1, last + after_ms)
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

    def duration(self, duration: object) -> int:
        """A range in milliseconds."""
        return positive_milliseconds(duration, self.query_step_ms, self.query_range_ms)  # type: ignore[arg-type]

    def _subquery(self, expr: Subquery, grid: Grid) -> Operator:
        refs = self.refs(expr.modifiers, grid)
        range_ms = self.duration(expr.range)
        step_ms = self.options.subquery_step_ms if expr.step is None else self.duration(expr.step)
        first, last = _ends(refs)
        begin = step_ms * _truncated(first - range_ms, step_ms)
        if begin <= first - range_ms:
            begin += step_ms
        inner = Grid.between(begin, last, step_ms)
        if inner.count > self.options.samples_max:
            raise QueryError("query processing would load too many samples into memory in query execution")
        # Samples may be left out between two steps: counter resets must be seen in the buckets.
        child = self.plan_with(expr.expr, inner, stats_only=False) if inner.count else None
        return SubqueryOperator(child, inner, refs, range_ms)

    def _binary(self, expr: Binary, grid: Grid) -> Operator:
        left = self.plan_with(expr.lhs, grid, stats_only=self.stats_only and expr.op not in TRIMS)
        right = self.plan(expr.rhs, grid)
        if expr.matching is not None:
            if expr.op in SET_OPERATORS:
                return SetOperator(expr.op, left, right, expr.matching)
            return MatchOperator(
                expr.op, left, right, expr.matching, return_bool=expr.return_bool, start=expr.start
            )
        if type_of(expr) is ValueType.SCALAR:
            return ScalarBinaryOperator(expr.op, left, right)
        return VectorScalarOperator(expr.op, left, right, return_bool=expr.return_bool, start=expr.start)

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
                start=expr.expr.start,
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


def _ends(refs: Times) -> tuple[int, int]:
    return int(refs[0]), int(refs[-1])


def _truncated(value: int, step: int) -> int:
    return value // step if value >= 0 else -(-value // step)


def _fixed(expr: Expr, known: _FixedNodes) -> tuple[bool, bool]:
    """Whether all selectors of a tree are fixed, and whether it has some; `known`, by the id of a node, is filled."""
    found = known.get(id(expr))
    if found is None:
        found = known[id(expr)] = _looked_up(expr, known)
    return found


def _looked_up(expr: Expr, known: _FixedNodes) -> tuple[bool, bool]:
    match expr:
        case VectorSelector(modifiers=modifiers):
            return modifiers.fixed, True
        case MatrixSelector(vector=vector):
            return vector.modifiers.fixed, True
        case Subquery(expr=inner, modifiers=modifiers):
            return modifiers.fixed, _fixed(inner, known)[1] or modifiers.fixed
        case Call(function=function, args=args) if function in STEP_VARIANT:
            selector = function == "timestamp" and isinstance(unwrap(args[0]), VectorSelector)
            if not selector:
                return False, True
    parts = [_fixed(child, known) for child in children(expr)]
    return all(fixed for fixed, _ in parts), any(has for _, has in parts)
