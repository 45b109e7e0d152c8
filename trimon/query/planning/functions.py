"""Which operator a function call becomes."""

from __future__ import annotations

from typing import Final

from trimon.query.execution.grid import Grid
from trimon.query.execution.operator import Operator
from trimon.query.language.nodes import Call, Expr, Subquery, VectorSelector, unwrap
from trimon.query.language.options import START_TIMESTAMPS
from trimon.query.operators.absent import AbsentOperator, labels_of_selector
from trimon.query.operators.elementwise import (
    CALENDAR,
    FUNCTIONS,
    ConstantOperator,
    ElementwiseOperator,
    NamelessOperator,
    PairScalarOperator,
    TimeOperator,
    TimestampOperator,
    ToScalarOperator,
    ToVectorOperator,
)
from trimon.query.operators.histogram import FractionOperator, QuantileOperator
from trimon.query.operators.label import LabelJoinOperator, LabelReplaceOperator
from trimon.query.operators.nativehistogram import FigureOperator
from trimon.query.operators.order import SortOperator
from trimon.query.operators.select import Pick
from trimon.query.planning.info import plan_info
from trimon.query.planning.rules import keep_names
from trimon.query.planning.scope import PlanScope
from trimon.query.windows.operator import KERNELS, WindowOperator

_PI: Final = 3.141592653589793


def plan_call(scope: PlanScope, expr: Call, grid: Grid) -> Operator:
    """The operator of a function call on a grid."""
    name, args = expr.function, expr.args
    if name in KERNELS:
        return _window(scope, name, args, grid)
    if name in FUNCTIONS or (name in CALENDAR and args):
        first, *rest = (scope.plan(arg, grid) for arg in args)
        return ElementwiseOperator(name, first, rest)
    if name in CALENDAR:
        return ElementwiseOperator(name, ToVectorOperator(TimeOperator(grid)), ())
    match name:
        case "timestamp" | "start_timestamp":
            return _timestamp(scope, name, args[0], grid)
        case "absent":
            return AbsentOperator(scope.plan(args[0], grid), labels_of_selector(args[0]))
        case "absent_over_time":
            present = keep_names(_window(scope, "present_over_time", args, grid))
            return AbsentOperator(present, labels_of_selector(args[0]))
        case "label_replace" | "label_join":
            vector, *texts = (scope.plan(arg, grid) for arg in args)
            made = LabelReplaceOperator if name == "label_replace" else LabelJoinOperator
            return made(vector, texts)
        case "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc":
            vector, *texts = (scope.plan(arg, grid) for arg in args)
            return SortOperator(name, vector, texts, expr.start, ineffective=scope.varies(expr))
        case "info":
            return plan_info(scope, expr, grid)
        case _ if name.startswith("histogram_"):
            return _histogram(scope, name, args, grid)
        case _:
            return _scalar(scope, name, args, grid)


def _window(scope: PlanScope, name: str, args: tuple[Expr, ...], grid: Grid) -> WindowOperator:
    at = 1 if name == "quantile_over_time" else 0
    params = [scope.plan(arg, grid) for index, arg in enumerate(args) if index != at]
    ranges = scope.plan(args[at], grid)
    # Prometheus replaces a subquery by its samples, which stand nowhere in the text: notes on them are at its beginning.
    # Those of quantile_over_time are at its first argument, whatever they are about.
    start = 0 if not at and isinstance(unwrap(args[0]), Subquery) else args[0].start
    return WindowOperator(name, ranges, params, grid, start, args[0].start)


def _timestamp(scope: PlanScope, name: str, arg: Expr, grid: Grid) -> Operator:
    bare = unwrap(arg)
    plain = isinstance(bare, VectorSelector) and not bare.smoothed
    if name == "start_timestamp":
        usable = plain and scope.options.has(START_TIMESTAMPS)
        if isinstance(bare, VectorSelector) and usable:
            return NamelessOperator(scope.select(bare, grid, Pick.START))
        return FigureOperator(name, scope.plan(arg, grid))
    if isinstance(bare, VectorSelector) and plain:
        return NamelessOperator(scope.select(bare, grid, Pick.TIME))
    return TimestampOperator(scope.plan(arg, grid), grid)


def _histogram(scope: PlanScope, name: str, args: tuple[Expr, ...], grid: Grid) -> Operator:
    figures = name in ("histogram_count", "histogram_sum", "histogram_avg")
    planned = [scope.plan_with(arg, grid, stats_only=figures) for arg in args]
    if name == "histogram_quantile":
        return QuantileOperator(planned[1], [planned[0]], None, args[1].start, [args[0].start], grid)
    if name == "histogram_quantiles":
        starts = [arg.start for arg in args[2:]]
        return QuantileOperator(planned[0], planned[2:], planned[1], args[0].start, starts, grid)
    if name == "histogram_fraction":
        return FractionOperator(planned[2], planned[0], planned[1], args[2].start)
    return FigureOperator(name, planned[0])


def _scalar(scope: PlanScope, name: str, args: tuple[Expr, ...], grid: Grid) -> Operator:
    match name:
        case "time":
            return TimeOperator(grid)
        case "pi":
            return ConstantOperator(_PI, grid)
        case "start":
            return ConstantOperator(scope.grid.start_ms / 1000, grid)
        case "end":
            return ConstantOperator(scope.end_ms / 1000, grid)
        case "step":
            return ConstantOperator(scope.query_step_ms / 1000, grid)
        case "range":
            return ConstantOperator(scope.query_range_ms / 1000, grid)
        case "min_of" | "max_of":
            return PairScalarOperator(name, scope.plan(args[0], grid), scope.plan(args[1], grid))
        case "scalar":
            return ToScalarOperator(scope.plan(args[0], grid), grid)
        case _:
            assert name == "vector"
            return ToVectorOperator(scope.plan(args[0], grid))
