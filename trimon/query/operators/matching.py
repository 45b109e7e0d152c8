"""Vector matching: which series of two vectors meet, and what the result is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from trimon.model.labels import METRIC_NAME, format_label_set
from trimon.model.table import LabelTable
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import (
    concat,
    drop_metric,
    drop_names,
    select_names,
    shared_groups,
    with_column,
)
from trimon.query.execution.names import SAME_LABELS, merge_equal
from trimon.query.execution.operator import Operator
from trimon.query.execution.tiling import is_wide, row_blocks
from trimon.query.execution.values import Cells, Index, Mask, Matrix, Value, Vector, holds
from trimon.query.histograms.columnarithmetic import added, divided, scaled
from trimon.query.histograms.matrix import HistogramMatrix, overlaid
from trimon.query.language.errors import QueryError
from trimon.query.language.nodes import MatchCardinality, Matching
from trimon.query.language.tokens import TRIMS
from trimon.query.operators.arithmetic import ARITHMETIC, COMPARISON
from trimon.query.operators.histogrambinary import announce, combine
from trimon.records import dataclass

_MANY_TO_MANY = "many-to-many matching not allowed: matching labels must be unique on one side"
_MANY_TO_ONE = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
_GROUPING = "multiple matches for labels: grouping labels must ensure unique matches"


def signature_table(labels: LabelTable, matching: Matching) -> LabelTable:
    """The labels by which series match."""
    if matching.on:
        return select_names(labels, matching.labels)
    return drop_names(labels, (*matching.labels, METRIC_NAME))


def any_present(codes: Index, count: int, present: Mask) -> Mask:
    """For every signature and step whether any of its rows has a sample, bool[count, steps]."""
    out = np.zeros((count, present.shape[1]), np.bool_)
    if len(codes) == 0:
        return out
    sizes = np.bincount(codes, minlength=count)
    if sizes.max() <= 1:
        out[codes] = present
        return out
    order = np.argsort(codes, kind="stable")
    used = np.flatnonzero(sizes)
    bounds = np.concatenate([[0], np.cumsum(sizes[used])[:-1]])
    out[used] = np.logical_or.reduceat(present[order], bounds, axis=0)
    return out


@dataclass(frozen=True, slots=True)
class RowPairs:
    """Rows of both sides that meet. -1 stands for a filled-in side; `code` is the match group."""

    left: Index
    right: Index
    code: Index


# The result, and which cells are paired.
_CELL_BYTES: Final = 12


class MatchOperator(Operator):
    """`vector op vector` for arithmetic and comparisons."""

    columns = True

    def __init__(
        self,
        op: str,
        left: Operator,
        right: Operator,
        matching: Matching,
        *,
        return_bool: bool,
        start: int = 0,
    ) -> None:
        self.leading = None if matching.fills else 0
        self._start = start
        self.op = op
        self.matching = matching
        self.return_bool = return_bool
        self.children = (left, right)

    def describe(self) -> str:
        """One line for the plan."""
        how = "on" if self.matching.on else "ignoring"
        return f"match {self.op} {self.matching.cardinality.value} {how} ({', '.join(self.matching.labels)})"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector."""
        left, right = inputs
        assert isinstance(left, Vector)
        assert isinstance(right, Vector)
        steps = left.steps
        if (left.rows == 0 or right.rows == 0) and not self.matching.fills:
            return Vector.empty(steps)
        mine, theirs, count = shared_groups(
            signature_table(left.labels, self.matching), signature_table(right.labels, self.matching)
        )
        self._one_side_is_unique(left, right, mine, theirs, count)
        pairs = matching_pairs(mine, theirs, count)
        pairs, present = self._with_fills(pairs, left, right, mine, theirs, count)
        context.budget.take_bytes(len(pairs.left) * steps * _CELL_BYTES, "matched series")
        if len(pairs.left) == 0:
            return Vector.empty(steps)
        if left.has_histograms or right.has_histograms or self.op in TRIMS:
            return self._with_histograms(context, left, right, pairs, present, count)
        self._check_one_to_one(pairs, present, count)
        values, kept = self._values(context, left, right, pairs, present)
        return self._labelled(context, left, right, pairs, values, present, kept)

    def _one_side_is_unique(
        self, left: Vector, right: Vector, mine: Index, theirs: Index, count: int
    ) -> None:
        """QueryError where the one side has two samples of a match group at a step where both sides live."""
        swapped = self.matching.cardinality is MatchCardinality.ONE_TO_MANY
        one, codes = (left, mine) if swapped else (right, theirs)
        if len(codes) == 0 or np.bincount(codes, minlength=count).max() <= 1:
            return
        order = np.argsort(codes, kind="stable")
        used, bounds = np.unique(codes[order], return_index=True)
        counts = np.add.reduceat(one.present[order], bounds, axis=0, dtype=np.int32)
        clash = counts > 1
        if not self.matching.fills:
            alive: Mask = np.logical_or.reduce(left.present, axis=0)
            clash &= (alive & right.present.any(axis=0))[None, :]
        if not clash.any():
            return
        step = int(np.flatnonzero(clash.any(axis=0))[0])
        code = used[np.flatnonzero(clash[:, step])[0]]
        rows = np.flatnonzero((codes == code) & one.present[:, step])[:2].tolist()
        shown = sorted(format_label_set(one.labels.labels(row)) for row in rows)
        group = format_label_set(signature_table(one.labels, self.matching).labels(rows[0]))
        raise QueryError(
            f"found duplicate series for the match group {group} on the {'left' if swapped else 'right'} "
            f"hand-side of the operation: [{shown[0]}, {shown[1]}];{_MANY_TO_MANY}"
        )

    def _with_fills(
        self, pairs: RowPairs, left: Vector, right: Vector, mine: Index, theirs: Index, count: int
    ) -> tuple[RowPairs, Mask]:
        present = left.present[pairs.left] & right.present[pairs.right]
        matching = self.matching
        parts = [(pairs, present)]
        fill_left, fill_right = _fills(matching)
        if fill_right is not None and left.rows:
            alone = left.present & ~any_present(theirs, count, right.present)[mine]
            rows = np.flatnonzero(alone.any(axis=1))
            parts.append((RowPairs(rows, np.full(len(rows), -1), mine[rows]), alone[rows]))
        if fill_left is not None and right.rows:
            alone = right.present & ~any_present(mine, count, left.present)[theirs]
            rows = np.flatnonzero(alone.any(axis=1))
            parts.append((RowPairs(np.full(len(rows), -1), rows, theirs[rows]), alone[rows]))
        if len(parts) == 1:
            return parts[0]
        return (
            RowPairs(
                np.concatenate([part.left for part, _ in parts]),
                np.concatenate([part.right for part, _ in parts]),
                np.concatenate([part.code for part, _ in parts]),
            ),
            np.concatenate([shown for _, shown in parts]),
        )

    def _check_one_to_one(self, pairs: RowPairs, present: Mask, count: int) -> None:
        """QueryError where two pairs of a match group are present at a step, and no side is said to have many."""
        if (
            self.matching.cardinality is not MatchCardinality.ONE_TO_ONE
            or np.bincount(pairs.code, minlength=count).max() <= 1
        ):
            return
        order = np.argsort(pairs.code, kind="stable")
        _, bounds = np.unique(pairs.code[order], return_index=True)
        if (np.add.reduceat(present[order], bounds, axis=0, dtype=np.int32) > 1).any():
            raise QueryError(_MANY_TO_ONE)

    def _values(
        self, context: QueryContext, left: Vector, right: Vector, pairs: RowPairs, present: Mask
    ) -> tuple[Matrix, Mask]:
        if not is_wide(*present.shape):
            return self._block(left, right, pairs, present)
        values, kept = np.empty(present.shape), np.empty(present.shape, np.bool_)
        for rows in row_blocks(context.budget, *present.shape):
            part = RowPairs(pairs.left[rows], pairs.right[rows], pairs.code[rows])
            values[rows], kept[rows] = self._block(left, right, part, present[rows])
        return values, kept

    def _block(self, left: Vector, right: Vector, pairs: RowPairs, present: Mask) -> tuple[Matrix, Mask]:
        fill_left, fill_right = _fills(self.matching)
        a = _side(left, pairs.left, fill_left)
        b = _side(right, pairs.right, fill_right)
        if self.op not in COMPARISON:
            return ARITHMETIC[self.op](a, b), present
        true = COMPARISON[self.op](a, b)
        if self.return_bool:
            return true.astype(np.float64), present
        return a, present & true

    def _with_histograms(
        self,
        context: QueryContext,
        left: Vector,
        right: Vector,
        pairs: RowPairs,
        present: Mask,
        count: int,
    ) -> Vector:
        """The result where a side has histograms: columns where they can, objects for the rest."""
        columns = self._columns(left, right, pairs, present)
        easy = np.zeros(present.shape, np.bool_) if columns is None else columns.kinds >= 0
        a = _cells(left, pairs.left, present & ~easy)
        b = _cells(right, pairs.right, present & ~easy)
        fill_left, fill_right = _fills(self.matching)
        sides = (_side(left, pairs.left, fill_left), a), (_side(right, pairs.right, fill_right), b)
        wanted = present & ~easy & (holds(a) | holds(b) | (self.op in TRIMS))
        values, kept = np.zeros(present.shape), np.zeros(present.shape, np.bool_)
        if self.op not in TRIMS:
            values, kept = self._values(context, left, right, pairs, present)
            kept = kept & ~wanted
        outcome = combine(self.op, sides[0], sides[1], wanted, return_bool=self.return_bool)
        announce(context.annotations, outcome, self._start)
        present = present & ~outcome.void
        self._check_one_to_one(pairs, present, count)
        values = np.where(wanted, outcome.values, values)
        found: HistogramMatrix | Cells = outcome.cells
        if columns is not None:
            found = overlaid([columns, HistogramMatrix.of(outcome.cells)])
        return self._labelled(context, left, right, pairs, values, present, kept | outcome.kept, found)

    def _columns(self, left: Vector, right: Vector, pairs: RowPairs, present: Mask) -> HistogramMatrix | None:
        """The histograms that columns make; None where the operator or the vectors are not for them."""
        if self.op not in ("+", "-", "*", "/") or (pairs.left < 0).any() or (pairs.right < 0).any():
            return None
        mine = None if left.native is None else left.native.take(pairs.left).only(present)
        theirs = None if right.native is None else right.native.take(pairs.right).only(present)
        if mine is not None and theirs is not None:
            return added(mine, theirs, subtract=self.op == "-") if self.op in ("+", "-") else None
        if mine is not None and self.op in ("*", "/") and right.histograms is None:
            return (scaled if self.op == "*" else divided)(mine, right.values[pairs.right])
        if theirs is not None and self.op == "*" and left.histograms is None:
            return scaled(theirs, left.values[pairs.left])
        return None

    def _labelled(
        self,
        context: QueryContext,
        left: Vector,
        right: Vector,
        pairs: RowPairs,
        values: Matrix,
        present: Mask,
        kept: Mask,
        histograms: HistogramMatrix | Cells | None = None,
    ) -> Vector:
        columns = histograms if isinstance(histograms, HistogramMatrix) else None
        cells = histograms if isinstance(histograms, np.ndarray) else None
        matching = self.matching
        swapped = matching.cardinality is MatchCardinality.ONE_TO_MANY
        many, one = (right, left) if swapped else (left, right)
        many_rows, one_rows = (pairs.right, pairs.left) if swapped else (pairs.left, pairs.right)
        # Arithmetic has no name at once; comparisons with bool lose theirs later, an included one too.
        nameless = self.op not in COMPARISON and self.op not in TRIMS
        base = drop_metric(many.labels) if nameless else many.labels
        if matching.cardinality is MatchCardinality.ONE_TO_ONE:
            base = select_names(base, matching.labels) if matching.on else drop_names(base, matching.labels)
        real = many_rows >= 0
        drop: Mask | None = None
        if not nameless and many.drop_name is not None and many.rows:
            drop = np.where(real, many.drop_name[np.maximum(many_rows, 0)], False)
        if real.all():
            labels = base.take(many_rows)
        else:
            filled = signature_table(one.labels, matching).take(one_rows[~real])
            stacked = concat(base.take(many_rows[real]), filled)
            place = np.empty(len(real), np.intp)
            place[np.flatnonzero(real)] = np.arange(int(real.sum()))
            place[np.flatnonzero(~real)] = np.arange(int(real.sum()), len(real))
            labels = stacked.take(place)
        for name in matching.include:
            labels = _included(labels, name, one.labels, one_rows)
        if self.return_bool and context.delayed_names:
            drop = np.ones(labels.rows, np.bool_)
        elif self.return_bool:
            labels, drop = drop_metric(labels), None
        grouped = matching.cardinality is not MatchCardinality.ONE_TO_ONE
        message = _GROUPING if grouped else SAME_LABELS
        checked = merge_equal(Vector(labels, values, present, drop, cells, columns), message)
        if kept is present:
            return checked.compact()
        if checked.rows == labels.rows:
            return replace(checked, present=kept).compact()
        return merge_equal(Vector(labels, values, kept, drop, cells, columns), message).compact()


def _fills(matching: Matching) -> tuple[float | None, float | None]:
    """What stands in for a missing left and right side. With `group_right` Prometheus turns them round:
    `fill_left` fills in the many side, which is written on the right.
    """
    if matching.cardinality is MatchCardinality.ONE_TO_MANY:
        return matching.fill_right, matching.fill_left
    return matching.fill_left, matching.fill_right


def _cells(vector: Vector, rows: Index, wanted: Mask) -> Cells:
    """The histograms of some rows, of columns only those that are wanted."""
    if not vector.has_histograms or vector.rows == 0:
        return np.full((len(rows), vector.steps), None, np.object_)
    real = np.maximum(rows, 0)
    if vector.native is not None:
        some = np.flatnonzero(wanted.any(axis=1) & (rows >= 0))
        cells = np.full((len(rows), vector.steps), None, np.object_)
        cells[some] = vector.native.take(real[some]).only(wanted[some]).cells()
        return cells
    assert vector.histograms is not None
    taken = vector.histograms[real]
    taken[rows < 0] = None
    return taken


def _side(vector: Vector, rows: Index, fill: float | None) -> Matrix:
    if fill is None:
        return vector.values[rows]
    if vector.rows == 0:
        return np.full((len(rows), vector.steps), fill)
    return np.where((rows >= 0)[:, None], vector.values[np.maximum(rows, 0)], fill)


def _included(labels: LabelTable, name: str, source: LabelTable, rows: Index) -> LabelTable:
    codes, values = source.column(name)
    taken = np.where(rows >= 0, codes[np.maximum(rows, 0)] if len(codes) else 0, 0).astype(np.int32)
    if name not in labels.names and not taken.any():
        return labels
    return with_column(labels, name, taken, values)


def matching_pairs(mine: Index, theirs: Index, count: int) -> RowPairs:
    """Every two rows of both sides with the same signature, in the order of the left side."""
    sizes = np.bincount(theirs, minlength=count)
    if len(theirs) == 0 or sizes.max() <= 1:
        where = np.full(count, -1, np.intp)
        where[theirs] = np.arange(len(theirs))
        partner = where[mine]
        met = np.flatnonzero(partner >= 0)
        return RowPairs(met, partner[met], mine[met])
    order = np.argsort(theirs, kind="stable").astype(np.intp)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    matches = sizes[mine]
    left = np.repeat(np.arange(len(mine)), matches)
    within = np.arange(len(left)) - np.repeat(np.cumsum(matches) - matches, matches)
    return RowPairs(left, order[np.repeat(starts[mine], matches) + within], mine[left])
