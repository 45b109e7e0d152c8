"""The expression of a rule at many times: as one range query where that tells the same, else one time after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from trimon.model.snapshot import Snapshot
from trimon.model.table import LabelTable
from trimon.query.answer.result import QueryResult
from trimon.query.engine import instant, parse, range_
from trimon.query.execution.budget import Budget
from trimon.query.execution.grid import Grid
from trimon.query.execution.labelcodes import concat, group
from trimon.query.execution.values import Cells, Index, Mask, Matrix
from trimon.query.language.checker import type_of
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.language.nodes import (
    Aggregation,
    AtModifier,
    Call,
    Duration,
    DurationBinary,
    DurationCall,
    DurationParen,
    DurationUnary,
    Expr,
    MatrixSelector,
    Subquery,
    ValueType,
    VectorSelector,
    nodes_of,
)
from trimon.query.language.options import QueryOptions
from trimon.records import dataclass

NOT_A_VECTOR: Final = "rule result is not a vector or scalar"
HELD: Final = "the results of rules"
# Functions that tell of the query and not of the data.
_OF_THE_QUERY: Final = frozenset(("start", "end", "step", "range"))
# Which series it keeps depends on the order in which storage names them, and that on the time that is read.
_IN_STORED_ORDER: Final = "limitk"

Failures = Mapping[int, str]
"""By the place of a time among all: why there is no result."""


@dataclass(frozen=True, slots=True, eq=False)
class SlotResults:
    """Results at several times: `values[series, time]` where `present`, and why there are none at some times.

    No sample is present where the evaluation failed. A cell of `histograms` that is not None is the sample.
    """

    labels: LabelTable
    values: Matrix
    present: Mask
    histograms: Cells | None
    failures: Failures

    @property
    def size_bytes(self) -> int:
        """The memory it takes, about."""
        cells = 0 if self.histograms is None else self.histograms.nbytes
        return self.values.nbytes + self.present.nbytes + cells

    def joined(self, labels: LabelTable, codes: Index, refusal: str) -> SlotResults:
        """The series under other labels: row `i` becomes row `codes[i]` of `labels`; two at one time fail with `refusal`."""
        shape = (labels.rows, self.values.shape[1])
        counts = np.zeros(shape, np.int32)
        np.add.at(counts, codes, self.present)
        several = (counts > 1).any(axis=0)
        rows, slots = np.nonzero(self.present & ~several)
        values, present = np.zeros(shape), np.zeros(shape, np.bool_)
        values[codes[rows], slots] = self.values[rows, slots]
        present[codes[rows], slots] = True
        cells: Cells | None = None
        if self.histograms is not None:
            cells = np.full(shape, None, np.object_)
            cells[codes[rows], slots] = self.histograms[rows, slots]
        failures = {**dict.fromkeys(np.flatnonzero(several).tolist(), refusal), **self.failures}
        return SlotResults(labels, values, present, cells, failures)

    def without(self, failures: Failures) -> SlotResults:
        """The results without those at some times, which fail."""
        if not failures:
            return self
        present = self.present.copy()
        present[:, list(failures)] = False
        return SlotResults(self.labels, self.values, present, self.histograms, {**failures, **self.failures})


def is_ranged(expr: Expr) -> bool:
    """Whether a range query gives at every step what a query at that time alone gives, errors aside."""
    for each in nodes_of(expr):
        match each:
            case VectorSelector() | Subquery() if each.modifiers.at in (AtModifier.START, AtModifier.END):
                return False
            case Call(function=name) if name in _OF_THE_QUERY:
                return False
            case Aggregation(op=op) if op == _IN_STORED_ORDER:
                return False
        if any(_is_of_the_query(duration) for duration in durations_of(each)):
            return False
    return True


def durations_of(node: Expr) -> Iterator[Duration]:
    """The durations in the text of a node itself."""
    match node:
        case VectorSelector(modifiers=modifiers):
            found = [modifiers.offset]
        case MatrixSelector(range=span):
            found = [span]
        case Subquery(range=span, step=step, modifiers=modifiers):
            found = [span, step, modifiers.offset]
        case _:
            return
    yield from (duration for duration in found if duration is not None)


def _is_of_the_query(duration: Duration) -> bool:
    waiting = [duration]
    while waiting:
        match waiting.pop():
            case DurationCall(name=name, args=args):
                if name in _OF_THE_QUERY:
                    return True
                waiting += args
            case DurationUnary(inner=inner) | DurationParen(inner=inner):
                waiting.append(inner)
            case DurationBinary(lhs=lhs, rhs=rhs):
                waiting += (lhs, rhs)
    return False


def evaluate_slots(
    snapshot: Snapshot, query: str, grid: Grid, options: QueryOptions, budget: Budget, held_bytes: int = 0
) -> SlotResults:
    """A rule's expression at every time of the grid; an error at one time is the failure of that time alone.

    A range query that fails is done again in halves, down to the times that fail. `held_bytes` is what the caller
    keeps meanwhile. Raises ParseError, and QueryError when time or memory is over.
    """
    expr = parse(query, options)
    if type_of(expr) not in (ValueType.VECTOR, ValueType.SCALAR):
        nothing = np.zeros((0, grid.count))
        failures = dict.fromkeys(range(grid.count), NOT_A_VECTOR)
        return SlotResults(LabelTable.empty(), nothing, nothing.astype(np.bool_), None, failures)
    failures = {}
    pieces: list[tuple[int, QueryResult]] = []
    waiting = [(0, grid.count)]
    if not is_ranged(expr):
        waiting = [(place, place + 1) for place in range(grid.count)][::-1]
    while waiting:
        begin, end = waiting.pop()
        budget.keep_only(held_bytes, HELD)
        first_ms, last_ms = (grid.start_ms + place * grid.step_ms for place in (begin, end - 1))
        try:
            if end - begin == 1:
                result = instant(snapshot, expr, first_ms, options, budget)
            else:
                result = range_(snapshot, expr, first_ms, last_ms, grid.step_ms, options, budget)
        except QueryError as error:
            if error.kind is not FailureKind.EXECUTION:
                raise
            if end - begin == 1:
                failures[begin] = str(error)
                continue
            middle = (begin + end) // 2
            waiting += [(middle, end), (begin, middle)]
            continue
        held_bytes += result.size_bytes
        # A result may lack times before and after all of its samples.
        begin += (int(result.times_ms[0]) - first_ms) // grid.step_ms
        pieces.append((begin, result))
    if len(pieces) == 1 and not failures and pieces[0][1].values.shape[1] == grid.count:
        return _alone(pieces[0][1])
    budget.keep_only(held_bytes, HELD)
    return _united(pieces, grid.count, failures, budget)


def _alone(result: QueryResult) -> SlotResults:
    labels = LabelTable(1, (), (), ()) if result.type == "scalar" else result.labels
    return SlotResults(labels, result.values, result.present, result.histograms, {})


def _united(
    pieces: Sequence[tuple[int, QueryResult]], count: int, failures: Failures, budget: Budget
) -> SlotResults:
    """The results of times one after the other, as one."""
    labels, places = _common([_alone(result).labels for _, result in pieces])
    budget.take_bytes(9 * labels.rows * count, HELD)
    values, present = np.zeros((labels.rows, count)), np.zeros((labels.rows, count), np.bool_)
    cells: Cells | None = None
    for (begin, result), rows in zip(pieces, places, strict=True):
        end = begin + result.values.shape[1]
        values[rows, begin:end] = result.values
        present[rows, begin:end] = result.present
        if result.histograms is not None:
            cells = np.full(present.shape, None, np.object_) if cells is None else cells
            cells[rows, begin:end] = result.histograms
    return SlotResults(labels, values, present, cells, failures)


def _common(tables: Sequence[LabelTable]) -> tuple[LabelTable, list[Index]]:
    """The distinct label sets of tables, none of which has one twice, and the place of every row among them."""
    different: list[LabelTable] = []
    # results of times one after the other mostly have the same series
    number_of: list[int] = []
    for table in tables:
        if not different or not _same(different[-1], table):
            different.append(table)
        number_of.append(len(different) - 1)
    stacked = LabelTable.empty()
    begins = [0]
    level = list(different)
    while len(level) > 1:  # in pairs: each row is copied once a level
        level = [
            concat(level[at], level[at + 1]) if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    if level:
        stacked = level[0]
    for table in different:
        begins.append(begins[-1] + table.rows)
    groups = group(stacked)
    places = [
        groups.codes[begin : begin + table.rows] for begin, table in zip(begins, different, strict=False)
    ]
    return stacked.take(groups.first), [places[number] for number in number_of]


def _same(left: LabelTable, right: LabelTable) -> bool:
    return (
        left.rows == right.rows
        and left.names == right.names
        and all(one is other or one == other for one, other in zip(left.values, right.values, strict=True))
        and all(np.array_equal(one, other) for one, other in zip(left.columns, right.columns, strict=True))
    )
