"""The door to PromQL: parse a text, evaluate it at one time or over a range."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from trimon.memory.texts import TextCache
from trimon.model.snapshot import NotFetched, Snapshot
from trimon.model.table import LabelTable
from trimon.query.answer.result import QueryResult, RangeSamples
from trimon.query.execution.annotations import Annotations
from trimon.query.execution.budget import PREPARATION, Budget
from trimon.query.execution.context import QueryContext, quiet
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import sort_order, sorted_table
from trimon.query.execution.names import remove_marked
from trimon.query.execution.operator import WHOLE_BYTES, Operator, extent_of, step_bytes
from trimon.query.execution.reads import reads_of
from trimon.query.execution.run import run
from trimon.query.execution.stats import QueryStats
from trimon.query.execution.values import Ranges, Scalar, TextValue, Value, Vector
from trimon.query.histograms.framecells import with_objects
from trimon.query.language import selectors
from trimon.query.language.astjson import ast_data
from trimon.query.language.checker import Checker, type_of
from trimon.query.language.errors import ParseError, QueryError
from trimon.query.language.nodes import Expr, ValueType, VectorSelector
from trimon.query.language.options import DURATION_EXPRESSIONS, PER_STEP_STATS, QueryOptions
from trimon.query.language.parser import Parser
from trimon.query.language.pretty import prettify
from trimon.query.language.rewriting import with_selectors
from trimon.query.operators.subquery import SubqueryOperator
from trimon.query.planning.cost import check_cost
from trimon.query.planning.plan import Planner
from trimon.query.windows.bundles import NativeRows
from trimon.query.windows.windowmatrix import window_matrices
from trimon.query.windows.windowweights import WindowWeights

# Trees are as deep as QUERY_DEPTH_MAX and every level is a few Python frames, in parser, checker and printer.
_RECURSION = 20_000
if sys.getrecursionlimit() < _RECURSION:
    sys.setrecursionlimit(_RECURSION)


# Characters of a text that nobody waits for while it is parsed: nothing but operators takes some 5 µs each.
QUICK_MAX: Final = 2048
# What a sample of a range vector takes on its way into the result, where all are shown and where some are picked.
_OWNED_BYTES: Final = 16
_WINDOW_BYTES: Final = 64
T = TypeVar("T", bound=np.generic)


def _parse(text: str, features: frozenset[str]) -> Expr:
    return Checker(text).check(Parser(text, features).parse())


def _trees(features: frozenset[str]) -> TextCache[Expr]:
    return TextCache(partial(_parse, features=features))


# By the features, which are those of the whole server.
_parsed: dict[frozenset[str], TextCache[Expr]] = {}


def parse(text: str, options: QueryOptions) -> Expr:
    """The checked tree of a query. Raises ParseError with line and column."""
    features = options.features | {DURATION_EXPRESSIONS}
    trees = _parsed.get(features)
    if trees is None:
        trees = _parsed.setdefault(features, _trees(features))
    return trees.get(text)


def forget_texts() -> None:
    """Gives back what is remembered of texts; whatever is asked again is parsed again."""
    for trees in _parsed.values():
        trees.clear()
    selectors.forget_texts()


def is_quickly_parsed(text: str) -> bool:
    """Whether parsing takes no more than some 10 ms, or a tenth of a second where a pattern is as large as can be."""
    return len(text) <= QUICK_MAX and text.count("~") <= 1


def format_query(text: str, options: QueryOptions) -> str:
    """The query over lines of at most a hundred characters. Raises ParseError."""
    return prettify(parse(text, options))


def change_selectors(
    text: str, options: QueryOptions, change: Callable[[VectorSelector], VectorSelector]
) -> str:
    """The query with every selector changed, as `format_query` has it. Raises ParseError."""
    return prettify(with_selectors(parse(text, options), change))


def parse_query(text: str, options: QueryOptions) -> dict[str, Any]:
    """The query's tree as plain data. Raises ParseError."""
    return ast_data(parse(text, options))


def instant(
    snapshot: Snapshot, query: str | Expr, time_ms: int, options: QueryOptions, budget: Budget
) -> QueryResult:
    """A query at one time. Raises ParseError or QueryError."""
    return _evaluate(snapshot, query, Grid.instant(time_ms), options, budget, ranged=False)


def range_(
    snapshot: Snapshot,
    query: str | Expr,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    options: QueryOptions,
    budget: Budget,
) -> QueryResult:
    """A query at every step from start to end, both included. Raises ParseError or QueryError.

    `step_ms` must be positive and `end_ms` not before `start_ms`.
    """
    if step_ms <= 0 or end_ms < start_ms:
        raise QueryError("the step of a range query must be positive, and its end not before its start")
    grid = Grid.between(start_ms, end_ms, step_ms)
    return _evaluate(snapshot, query, grid, options, budget, ranged=True, end_ms=end_ms)


def plan_query(
    query: str | Expr, grid: Grid, options: QueryOptions, *, ranged: bool, end_ms: int | None = None
) -> tuple[Expr, Planner, Operator]:
    """The tree, the planner with its sources, and the root operator of a query."""
    expr = parse(query, options) if isinstance(query, str) else query
    kind = type_of(expr)
    if ranged and kind not in (ValueType.SCALAR, ValueType.VECTOR):
        # This is about the whole query: it has no place in the text.
        raise ParseError(
            f'invalid expression type "{kind.value}" for range query, must be Scalar or instant Vector'
        )
    planner = Planner(options, grid, ranged, grid.end_ms if end_ms is None else end_ms)
    root = planner.plan(expr, grid)
    if isinstance(root, SubqueryOperator):
        # Nothing looks at its windows: the samples of its inner steps are those that count.
        root.recounts = False
    return expr, planner, root


def _evaluate(
    snapshot: Snapshot,
    query: str | Expr,
    grid: Grid,
    options: QueryOptions,
    budget: Budget,
    *,
    ranged: bool,
    end_ms: int | None = None,
) -> QueryResult:
    began = time.perf_counter()
    budget.check(PREPARATION)
    stats = QueryStats(grid.count, queue_s=budget.elapsed_s)
    budget.stats = budget.stats or stats
    expr, planner, root = plan_query(query, grid, options, ranged=ranged, end_ms=end_ms)
    context = context_of(snapshot, query, grid, options, budget, stats, planner)
    try:
        check_cost(context, root, ranged=ranged)
        some = _steps_with_samples(context, root, grid)
        if some.count < grid.count:
            grid, root = some, planner.plan(expr, some)
            stats.narrow(some.count)
        planned = time.perf_counter()
        value = run_plan(context, root)
    except NotFetched:
        _select_all(context, planner)
        raise
    evaluated = time.perf_counter()
    budget.check()
    heavier = 0
    if isinstance(value, Ranges):
        heavier = _heavier(value)
        budget.take_bytes(
            value.samples * (_OWNED_BYTES if value.owned else _WINDOW_BYTES), "the samples that are shown"
        )
        budget.hold(0 if value.owned else value.samples + heavier)
    with quiet():
        result = _result(value, grid, stats, ranged=ranged)
    if isinstance(value, Ranges) and not value.owned and result.samples is not None:
        stats.looked_at(np.array([len(result.samples.values) + heavier]))
    budget.evaluated(result.size_bytes)
    if ranged:
        result.reads = reads_of(context, chain.from_iterable(planner.sources.values()))
    result.warnings = context.annotations.warnings()
    result.infos = context.annotations.infos()
    stats.preparation_s = planned - began
    stats.evaluation_s = evaluated - planned
    # Prometheus sorts matrices alone.
    stats.sort_s = time.perf_counter() - evaluated if ranged else 0.0
    stats.samples_peak = budget.peak
    return result


def _heavier(ranges: Ranges) -> int:
    """For how many samples more the histograms of an only window count than there are."""
    if ranges.owned or not ranges.frame.has_histograms:
        return 0
    known = None if ranges.frame.native is None else NativeRows.of(ranges.frame)
    return int(WindowWeights.of(ranges, known, above=1).samples.sum())


def _select_all(context: QueryContext, planner: Planner) -> None:
    """Asks for all selections of a query that cannot go on without samples of one, so that those of all are fetched at once."""
    for sources in planner.sources.values():
        for source in sources:
            with suppress(NotFetched):
                context.selection(source)


def _steps_with_samples(context: QueryContext, root: Operator, grid: Grid) -> Grid:
    """The steps to evaluate: where many series have samples in a small part of the time, only that part."""
    if grid.count == 1 or context.options.has(PER_STEP_STATS):
        return grid
    if grid.count * step_bytes(context, (root,)) <= WHOLE_BYTES:
        return grid
    with quiet():
        steps = extent_of(context, root)
    if steps is None:
        return grid
    return grid.part(steps) if steps.stop > steps.start else grid.first()


def context_of(
    snapshot: Snapshot,
    query: str | Expr,
    grid: Grid,
    options: QueryOptions,
    budget: Budget,
    stats: QueryStats,
    planner: Planner,
) -> QueryContext:
    """What a planned query needs to run."""
    annotations = Annotations(query if isinstance(query, str) else "")
    return QueryContext(
        snapshot, options, budget, annotations, grid.start_ms, planner.end_ms, grid.step_ms, stats
    )


def run_plan(context: QueryContext, root: Operator) -> Value:
    """The value of a plan. Raises QueryError."""
    with quiet():
        return run(context, root)


def _result(value: Value, grid: Grid, stats: QueryStats, *, ranged: bool) -> QueryResult:
    times = grid.times_ms()
    nothing, no_mask = np.zeros((0, grid.count)), np.zeros((0, grid.count), np.bool_)
    if isinstance(value, TextValue):
        return QueryResult("string", LabelTable.empty(), times, nothing, no_mask, stats, text=value.value)
    if isinstance(value, Scalar):
        if not ranged:
            shown = value.values[None, :]
            return QueryResult(
                "scalar", LabelTable.empty(), times, shown, np.ones_like(shown, np.bool_), stats
            )
        value = Vector.single(value.values)
    if isinstance(value, Ranges):
        value = replace(value, frame=with_objects(value.frame))
        if value.drop_name is not None and value.drop_name.any():
            alone = np.ones((value.labels.rows, 1), np.bool_)
            named = Vector(value.labels, np.zeros(alone.shape), alone, value.drop_name)
            value = replace(value, labels=remove_marked(named).labels, drop_name=None)
        return _all_samples(value, times, stats) if value.owned else _windows(value, times, stats)
    vector = remove_marked(value).compact()
    if ranged:
        order = sort_order(vector.labels)
        if len(order) > 1 and (order[1:] < order[:-1]).any():
            vector = vector.take(order, sorted_table(vector.labels))
    kind = "matrix" if ranged else "vector"
    result = QueryResult(kind, vector.labels, times, vector.values, vector.present, stats)
    result.cells = vector.histograms
    if vector.native is not None and vector.are_histograms().any():
        result.native = vector.native.only(vector.present)
    return result


def _all_samples(ranges: Ranges, times: np.ndarray, stats: QueryStats) -> QueryResult:
    """The samples of an instant subquery, which are all that its frame has."""
    frame, lengths = ranges.frame, ranges.frame.lengths
    alive = np.flatnonzero(lengths)
    labels = ranges.labels.take(alive)
    order = sort_order(labels)
    rows = alive[order]
    begins, sizes = frame.offsets[rows].tolist(), lengths[rows].tolist()
    stamps = frame.time_offsets[frame.time_of_row[rows]].tolist()

    def taken(array: npt.NDArray[T], starts: list[int]) -> npt.NDArray[T]:
        if len(starts) == 1:
            return array[starts[0] : starts[0] + sizes[0]]
        runs = [array[start : start + size] for start, size in zip(starts, sizes, strict=True)]
        return np.concatenate(runs) if runs else array[:0]

    samples = RangeSamples(
        np.concatenate([[0], np.cumsum(lengths[rows])]).astype(np.int64),
        taken(frame.times, stamps),
        taken(frame.values, begins),
        None if frame.histograms is None else taken(frame.histograms, begins),
    )
    empty = np.zeros((len(alive), 0))
    return QueryResult("matrix", labels.take(order), times, empty, empty.astype(np.bool_), stats, samples)


def _windows(ranges: Ranges, times: np.ndarray, stats: QueryStats) -> QueryResult:
    """The samples of the only window of an instant query."""
    rows, stamps, values, cells = [], [], [], []
    for windows in window_matrices(ranges.frame, ranges.refs_ms, ranges.range_ms, drop_stale=True):
        shape = windows.values.shape
        column = np.arange(shape[1])
        lo = windows.lo[:, :1] if windows.ragged else windows.lo[0]
        hi = windows.hi[:, :1] if windows.ragged else windows.hi[0]
        inside = np.broadcast_to((column >= lo) & (column < hi), shape)
        rows.append(np.broadcast_to(windows.rows[:, None], shape)[inside])
        stamps.append(np.broadcast_to(windows.times, shape)[inside])
        values.append(windows.values[inside])
        if windows.histograms is not None:
            cells.append(windows.histograms[inside])
    row = np.concatenate(rows) if rows else np.zeros(0, np.intp)
    stamp = np.concatenate(stamps) if rows else np.zeros(0, np.int64)
    value = np.concatenate(values) if rows else np.zeros(0)
    lengths = np.bincount(row, minlength=ranges.frame.rows)
    alive = np.flatnonzero(lengths)
    labels = ranges.labels.take(alive)
    order = sort_order(labels)
    rank = np.zeros(ranges.frame.rows, np.intp)
    rank[alive[order]] = np.arange(len(alive))
    by_row = np.lexsort((stamp, rank[row]))
    offsets = np.concatenate([[0], np.cumsum(lengths[alive[order]])]).astype(np.int64)
    histograms = np.concatenate(cells)[by_row] if cells else None
    samples = RangeSamples(offsets, stamp[by_row], value[by_row], histograms)
    empty = np.zeros((len(alive), 0))
    return QueryResult("matrix", labels.take(order), times, empty, empty.astype(np.bool_), stats, samples)
