"""`sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`: the order of an instant result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from trimon.query.execution.budget import Budget
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import sort_order
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import Index, TextValue, Value, Vector

_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)
_NO_EFFECT: Final = "sort is ineffective for range queries since results are always ordered by labels"


class SortOperator(Operator):
    """Orders the series of one time. Inputs: vector, label names.

    `ineffective` says that it is evaluated at several times, and gives a warning.
    """

    leading = 0
    columns = True

    def __init__(
        self, function: str, vector: Operator, labels: Sequence[Operator], start: int, *, ineffective: bool
    ) -> None:
        self.function = function
        self.children = (vector, *labels)
        self._start = start
        self._ineffective = ineffective

    def describe(self) -> str:
        """One line for the plan."""
        return self.function

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same series."""
        vector = inputs[0]
        assert isinstance(vector, Vector)
        if self._ineffective:
            context.annotations.warn(_NO_EFFECT, self._start)
        if "label" not in self.function:
            vector = vector.floats()
        if vector.steps != 1 or vector.rows < 2:
            return vector
        descending = self.function.endswith("_desc")
        if "label" in self.function:
            names = [value.value for value in inputs[1:] if isinstance(value, TextValue)]
            return vector.take(_by_labels(context.budget, vector, names, descending=descending))
        values = vector.values[:, 0]
        return vector.take(np.argsort(-values if descending else values, kind="stable"))


def _by_labels(budget: Budget, vector: Vector, names: Sequence[str], *, descending: bool) -> Index:
    keys = []
    for name in names:
        codes, values = vector.labels.column(name)
        used = np.unique(codes)
        natural = {code: natural_key(values[code]) for code in budget.watch(used.tolist())}
        ordered = sorted(natural, key=natural.__getitem__)
        ranks = np.zeros(int(used[-1]) + 1, np.int64)
        ranks[ordered] = np.arange(len(ordered))
        keys.append(ranks[codes])
    full = np.empty(vector.rows, np.intp)
    full[sort_order(vector.labels)] = np.arange(vector.rows)
    order = np.lexsort([full, *reversed(keys)])
    return order[::-1] if descending else order


def natural_key(text: str) -> list[tuple[int, int, str, str]]:
    """A key by which runs of digits compare as numbers, however long they are, and with others by their first character."""
    key = []
    for index, part in enumerate(_DIGITS.split(text)):
        if index % 2:
            number = part.lstrip("0")
            key.append((0, len(number), number, part))
        elif part:
            key.append((-1 if part < "0" else 1, 0, part, ""))
    return key
