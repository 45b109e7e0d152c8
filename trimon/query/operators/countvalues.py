"""`count_values`: how many samples of each group have each value, step by step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trimon.gotext.floats import format_plain
from trimon.gotext.strings import go_quote
from trimon.model.histogramtext import histogram_text
from trimon.model.labels import valid_label_name
from trimon.query.execution.budget import Budget
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import Groups, drop_names, group, with_column
from trimon.query.execution.names import merge_equal
from trimon.query.execution.operator import Operator
from trimon.query.execution.tiling import step_blocks
from trimon.query.execution.values import Index, Mask, Matrix, TextValue, Value, Vector
from trimon.query.language.errors import QueryError
from trimon.query.operators.aggregate import grouping_table

# A count, the same as a float, and whether it is there; some are copied.
_CELL_BYTES = 25


class CountValuesOperator(Operator):
    """`count_values("label", v)`: a series per group and distinct value."""

    leading = -1

    def __init__(
        self, vector: Operator, label: Operator, grouping: tuple[str, ...], *, without: bool
    ) -> None:
        self.children = (label, vector)
        self.grouping = grouping
        self.without = without

    def describe(self) -> str:
        """One line for the plan."""
        return "aggregate count_values"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of counts."""
        name, vector = inputs
        assert isinstance(name, TextValue)
        assert isinstance(vector, Vector)
        label = name.value
        if not valid_label_name(label):
            raise QueryError(f"invalid label name {go_quote(label)}")
        if vector.rows == 0:
            return Vector.empty(vector.steps)
        shown = not (self.without and label in self.grouping)
        table = grouping_table(vector.labels, self.grouping, without=self.without)
        table = drop_names(table, (label,))
        groups = group(table)
        counting = _Counting(context.budget, vector, groups, by_value=shown)
        counts, owners, codes = counting.counts()
        labels = table.take(groups.first[owners])
        if shown:
            labels = with_column(labels, label, (codes + 1).astype(np.int32), ["", *counting.texts()])
        drop = None
        if vector.drop_name is not None:
            drop = _group_any(groups, vector.drop_name)[owners]
        return merge_equal(Vector(labels, counts, counts > 0, drop))


class _CountedRows(NamedTuple):
    """The counts of some steps: a row for each group and value of it, in the order of both."""

    steps: slice
    owners: Index
    values: npt.NDArray[np.float64]
    # Index of a text that is no number's, or -1.
    special: Index
    counts: npt.NDArray[np.int64]


class _Counting:
    """Counts block by block of steps, then lays them out under the values of all."""

    def __init__(self, budget: Budget, vector: Vector, groups: Groups, *, by_value: bool) -> None:
        self._budget = budget
        self._vector = vector
        self._groups = groups
        self._by_value = by_value
        # Texts of values that are no ordinary numbers; 0 has another text below it.
        self._special: dict[str, int] = {}
        self._parts = [self._part(steps) for steps in step_blocks(budget, vector.rows, vector.steps)]
        found = [part.values[part.special < 0] for part in self._parts]
        self._numbers = np.unique(np.concatenate(found)) if found else np.zeros(0)

    def _admit(self, series: int) -> None:
        self._budget.take_bytes(series * self._vector.steps * _CELL_BYTES, "the result of count_values")

    def _part(self, steps: slice) -> _CountedRows:
        row, step = np.nonzero(self._vector.present[:, steps])
        width = steps.stop - steps.start
        numbers, codes, special = self._distinct(row, step, steps)
        keys = self._groups.codes[row] * max(len(numbers), 1) + codes
        series, position = np.unique(keys, return_inverse=True)
        self._admit(len(series))
        counts = np.bincount(position * width + step, minlength=len(series) * width)
        owners, own = np.divmod(series, max(len(numbers), 1))
        return _CountedRows(steps, owners, numbers[own], special[own], counts.reshape(len(series), width))

    def _distinct(self, row: Index, step: Index, steps: slice) -> tuple[Matrix, Index, Index]:
        """Distinct values of some samples with their places among special texts, and which each sample has."""
        values = self._vector.values[:, steps][row, step]
        if not self._by_value:
            return np.zeros(1), np.zeros(len(row), np.intp), np.full(1, -1, np.intp)
        cells = self._vector.histograms
        native = self._vector.are_histograms()[:, steps][row, step] if cells is not None else None
        odd = (values == 0) & np.signbit(values)  # equal to 0, but not as text
        if native is not None:
            odd |= native
        numbers, codes = np.unique(np.where(odd, 0.0, values), return_inverse=True)
        special = np.full(len(numbers), -1, np.intp)
        if not odd.any():
            return numbers, codes, special
        places = []
        for at in np.flatnonzero(odd).tolist():
            text = "-0"
            if native is not None and native[at] and cells is not None:
                text = histogram_text(cells[row[at], steps.start + step[at]])
            places.append(self._special.setdefault(text, len(self._special)))
        seen, again = np.unique(np.array(places, np.intp), return_inverse=True)
        codes = codes.copy()
        codes[odd] = len(numbers) + again
        return np.concatenate([numbers, np.zeros(len(seen))]), codes, np.concatenate([special, seen])

    def counts(self) -> tuple[Matrix, Index, Index]:
        """float64[series, steps], and for each series its group and the place of its value among `texts`."""
        width = len(self._numbers) + len(self._special)
        keys = []
        for part in self._parts:
            codes = np.searchsorted(self._numbers, part.values)
            codes = np.where(part.special < 0, codes, len(self._numbers) + part.special)
            keys.append(part.owners * max(width, 1) + codes)
        series = np.unique(np.concatenate(keys)) if keys else np.zeros(0, np.intp)
        self._admit(len(series))
        out = np.zeros((len(series), self._vector.steps))
        for part, own in zip(self._parts, keys, strict=True):
            self._budget.check()
            out[np.searchsorted(series, own), part.steps] = part.counts
        owners, codes = np.divmod(series, max(width, 1))
        return out, owners, codes

    def texts(self) -> list[str]:
        """The distinct values as text: numbers in ascending order, then the others."""
        numbers = [format_plain(value) for value in self._budget.watch(self._numbers.tolist())]
        return [*numbers, *self._special]


def _group_any(groups: Groups, marks: Mask) -> Mask:
    out = np.zeros(groups.count, np.bool_)
    out[groups.codes[marks]] = True
    return out
