"""Aggregations that keep some of their input: `topk`, `bottomk`, `limitk`, `limit_ratio`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from trimon.gotext.floats import format_g
from trimon.query.execution.budget import Budget
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import group, sort_order
from trimon.query.execution.labelhash import label_hashes
from trimon.query.execution.operator import Operator
from trimon.query.execution.tiling import step_blocks
from trimon.query.execution.values import Index, Mask, Matrix, Scalar, Value, Vector
from trimon.query.language.errors import QueryError
from trimon.query.operators.aggregate import grouping_table
from trimon.query.operators.grouped import Sorted
from trimon.query.operators.histogramaggregate import ignore_histograms

_INT64_MAX = float(2**63)


class KeepOperator(Operator):
    """Per group and step, some of the samples with all their labels. Inputs: the parameter, the vector."""

    working = 4
    replaces = True
    columns = True

    leading = -1

    def __init__(
        self,
        op: str,
        vector: Operator,
        param: Operator,
        grouping: tuple[str, ...],
        *,
        without: bool,
        param_start: int,
        start: int = 0,
    ) -> None:
        self.op = op
        self.grouping = grouping
        self.without = without
        self.children = (param, vector)
        self._param_start = param_start
        self._start = start

    def describe(self) -> str:
        """One line for the plan."""
        return f"keep {self.op}"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of some of the input's rows."""
        param, vector = inputs
        assert isinstance(param, Scalar)
        assert isinstance(vector, Vector)
        if self.op == "limit_ratio":
            return self._ratio(context, param.values, vector)
        limits = _limits(param.values)
        if self.op != "limitk" and vector.has_histograms:
            vector = ignore_histograms(context, self.op, vector, self._start)
        if vector.rows == 0 or not (limits >= 1).any():
            return Vector.empty(vector.steps)
        rows = self._groups(vector)
        if self.op == "limitk":
            keep = _first(rows, limits)
            kept = replace(vector, present=_unsorted(keep, rows.order))
            return kept.take(rows.order).compact() if vector.steps == 1 else kept.compact()
        descending = self.op == "topk"
        # Of a single step it is quicker to look first whether any are equal.
        ranks = _label_ranks(vector, rows) if vector.steps > 1 else np.arange(vector.rows)
        keep, ranking = _best(context.budget, rows, limits, ranks, descending=descending)
        if vector.steps == 1 and _any_equal(rows.values[rows.present], rows.values[ranking, 0]):
            ranks = _label_ranks(vector, rows)
            keep, ranking = _best(context.budget, rows, limits, ranks, descending=descending)
        kept = replace(vector, present=_unsorted(keep, rows.order))
        if vector.steps == 1:
            return kept.take(rows.order[ranking])
        return kept.compact()

    def _ratio(self, context: QueryContext, ratios: Matrix, vector: Vector) -> Vector:
        if np.isnan(ratios).any():
            raise QueryError("Ratio value is NaN")
        capped = np.clip(ratios, -1.0, 1.0)
        for value in np.unique(ratios[ratios != capped]).tolist():
            context.annotations.warn(
                f"ratio value should be between -1 and 1, got {format_g(value)}, "
                f"capping to {format_g(math.copysign(1, value))}",
                self._param_start,
            )
        if vector.rows == 0:
            return vector
        offsets = label_hashes(context.budget, vector.labels)[:, None] / 2.0**64
        keep = np.where(capped >= 0, offsets < capped, offsets >= 1 + capped)
        kept = replace(vector, present=vector.present & keep & (capped != 0))
        return kept.take(self._groups(vector).order).compact() if vector.steps == 1 else kept.compact()

    def _groups(self, vector: Vector) -> Sorted:
        table = grouping_table(vector.labels, self.grouping, without=self.without)
        return Sorted.of(vector, group(table).by_first_row())


def _limits(values: Matrix) -> Index:
    if np.isnan(values).any():
        raise QueryError("Parameter value is NaN")
    for value in values[np.abs(values) >= _INT64_MAX].tolist():
        if value != -_INT64_MAX:
            direction = "overflows" if value > 0 else "underflows"
            raise QueryError(f"Scalar value {format_g(value)} {direction} int64")
    return np.clip(np.trunc(values), 0, 2.0**40).astype(np.intp)


def _unsorted(keep: Mask, order: Index) -> Mask:
    out = np.empty_like(keep)
    out[order] = keep
    return out


def _first(rows: Sorted, limits: Index) -> Mask:
    seen = np.cumsum(rows.present, axis=0)
    before = np.zeros((len(rows.bounds), seen.shape[1]), seen.dtype)
    before[1:] = seen[rows.bounds[1:] - 1]
    return rows.present & (seen - np.repeat(before, rows.sizes, axis=0) <= limits)


def _label_ranks(vector: Vector, rows: Sorted) -> Index:
    """The place of every sorted row in the order of labels."""
    ranks = np.empty(vector.rows, np.intp)
    ranks[sort_order(vector.labels)] = np.arange(vector.rows)
    return ranks[rows.order]


def _any_equal(values: np.ndarray, kept: np.ndarray) -> bool:
    """Whether among the values of a step there may be two that are equal, and one of them is kept."""
    if np.isnan(kept).any() or len(np.unique(kept)) < len(kept):
        return True
    return int(np.count_nonzero(np.isin(values, kept))) > len(kept)


def _best(
    budget: Budget, rows: Sorted, limits: Index, ranks: Index, *, descending: bool
) -> tuple[Mask, Index]:
    """The kept cells, and for a single step the kept sorted rows, best first within each group.

    Of equal samples the one in the row with the lowest of `ranks` is better.
    """
    keep = np.zeros(rows.present.shape, np.bool_)
    rankings: list[tuple[Index, Index]] = []
    steps = rows.values.shape[1]
    for chosen, unordered, inside in rows.blocks():
        by_rank = np.argsort(np.where(inside, ranks[unordered], len(ranks)), axis=1)
        positions = np.take_along_axis(unordered, by_rank, axis=1)
        for part in step_blocks(budget, positions.size, steps):
            valid = rows.present[:, part][positions] & inside[:, :, None]
            winners, taken = _ranked(
                rows.values[:, part][positions], valid, positions, limits[part], descending
            )
            columns = np.broadcast_to(np.arange(part.start, part.stop), winners.shape)
            keep[winners[taken], columns[taken]] = True
            if steps == 1:
                groups = np.broadcast_to(chosen[:, None, None], winners.shape)
                rankings.append((groups[taken], winners[taken]))
    if steps != 1:
        return keep, np.zeros(0, np.intp)
    groups = np.concatenate([part for part, _ in rankings])
    winners = np.concatenate([part for _, part in rankings])
    return keep, winners[np.argsort(groups, kind="stable")]


def _ranked(
    values: Matrix,
    valid: Mask,
    positions: Index,
    limits: Index,
    descending: bool,
) -> tuple[Index, Mask]:
    """Sorted-row numbers [groups, width, steps] from the best on, and which of them are kept."""
    key = np.where(valid, -values if descending else values, np.nan)
    missing = valid & np.isnan(values)
    if missing.any():
        order = np.lexsort((key, np.where(valid, missing, 2).astype(np.int8)), axis=1)
    else:
        order = np.argsort(key, axis=1, kind="stable")
    taken = np.arange(order.shape[1])[None, :, None] < np.minimum(limits, valid.sum(axis=1))[:, None, :]
    at = np.broadcast_to(positions[:, :, None], order.shape)
    return np.take_along_axis(at, order, axis=1), taken
