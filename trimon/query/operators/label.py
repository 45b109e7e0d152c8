"""`label_replace` and `label_join`: work on distinct values, never on series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import re2

from trimon.errors import UserError
from trimon.gotext.replacement import Replacement
from trimon.model.labels import METRIC_NAME, valid_label_name
from trimon.model.matcher import anchored, compile_regexp, full_match
from trimon.model.table import LabelTable
from trimon.query.execution.budget import Budget
from trimon.query.execution.context import QueryContext
from trimon.query.execution.labelcodes import factorize, pack, with_column
from trimon.query.execution.names import merge_equal
from trimon.query.execution.operator import Operator
from trimon.query.execution.values import TextValue, Value, Vector
from trimon.query.language.errors import QueryError

# A new value is encoded, sorted and written.
_COPIES: Final = 8
# No regular expression has more groups than numbers of so many digits.


class LabelReplaceOperator(Operator):
    """Set a label from the match of another. Inputs: the vector, then four strings."""

    replaces = True
    columns = True

    leading = 0

    def __init__(self, vector: Operator, texts: Sequence[Operator]) -> None:
        self.children = (vector, *texts)

    def describe(self) -> str:
        """One line for the plan."""
        return "label_replace"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same samples."""
        vector = inputs[0]
        assert isinstance(vector, Vector)
        target, replacement, source, pattern = (v.value for v in inputs[1:] if isinstance(v, TextValue))
        try:
            compiled = compile_regexp(anchored(pattern))
        except UserError:
            raise QueryError(f"invalid regular expression in label_replace(): {pattern}") from None
        if not valid_label_name(target):
            raise QueryError(f"invalid destination label name in label_replace(): {target}")
        return _replaced(context.budget, vector, target, Replacement(replacement), source, compiled)


class _Texts:
    """Distinct new values of a label, in the order they come; they must fit the budget, and take no longer than it has."""

    def __init__(self, budget: Budget, known: Sequence[str]) -> None:
        self.values = list(known)
        self._position = {value: index for index, value in enumerate(known)}
        self._budget = budget
        self._size_bytes = 0

    def place(self, text: str) -> int:
        """The position of a value."""
        found = self._position.setdefault(text, len(self.values))
        if found == len(self.values):
            self._size_bytes += _COPIES * len(text)
            self._budget.take_bytes(self._size_bytes, "values of a label")
            self.values.append(text)
        return found


def _replaced(
    budget: Budget, vector: Vector, target: str, template: Replacement, source: str, compiled: re2._Regexp
) -> Vector:
    codes, values = vector.labels.column(source)
    old, old_values = vector.labels.column(target)
    texts = _Texts(budget, old_values)
    used = np.unique(codes)
    lookup = np.full(int(used[-1]) + 1 if len(used) else 1, -1, np.int32)
    for code in used.tolist():
        budget.check()
        match = full_match(compiled, values[code])
        if match is not None:
            lookup[code] = texts.place(template.expand(match))
    new = lookup[codes]
    hit = new >= 0
    if not hit.any():
        return vector
    labels = with_column(vector.labels, target, np.where(hit, new, old).astype(np.int32), texts.values)
    drop = vector.drop_name
    if target == METRIC_NAME and drop is not None:
        drop = drop & ~hit
    return merge_equal(replace(vector, labels=labels, drop_name=drop))


class LabelJoinOperator(Operator):
    """Set a label to others joined. Inputs: the vector, the target, the separator, the sources."""

    replaces = True
    columns = True

    leading = 0

    def __init__(self, vector: Operator, texts: Sequence[Operator]) -> None:
        self.children = (vector, *texts)

    def describe(self) -> str:
        """One line for the plan."""
        return "label_join"

    def compute(self, context: QueryContext, inputs: list[Value]) -> Value:
        """A Vector of the same samples."""
        vector = inputs[0]
        assert isinstance(vector, Vector)
        target, separator, *sources = (v.value for v in inputs[1:] if isinstance(v, TextValue))
        for name in sources:
            if not valid_label_name(name):
                raise QueryError(f"invalid source label name in label_join(): {name}")
        if not valid_label_name(target):
            raise QueryError(f"invalid destination label name in label_join(): {target}")
        if vector.rows == 0:
            return vector
        labels = _joined(context.budget, vector.labels, target, separator, sources)
        drop = vector.drop_name
        if target == METRIC_NAME and drop is not None:
            drop = np.zeros_like(drop)
        return merge_equal(replace(vector, labels=labels, drop_name=drop))


def _joined(
    budget: Budget, labels: LabelTable, target: str, separator: str, sources: Sequence[str]
) -> LabelTable:
    columns = [labels.column(name) for name in sources]
    groups = factorize(*pack([codes for codes, _ in columns], labels.rows))
    texts = _Texts(budget, [""])
    lookup = np.zeros(groups.count, np.int32)
    for index, row in enumerate(groups.first.tolist()):
        budget.check()
        lookup[index] = texts.place(separator.join(values[codes[row]] for codes, values in columns))
    return with_column(labels, target, lookup[groups.codes], texts.values)
