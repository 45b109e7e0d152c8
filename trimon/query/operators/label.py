"""`label_replace` and `label_join`: work on distinct values, never on series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import re2

from trimon.errors import UserError
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import compile_regexp, full_match
from trimon.model.table import LabelTable
from trimon.query.context import Context, Operator
from trimon.query.errors import QueryError
from trimon.query.labelcodes import factorize, pack, with_column
from trimon.query.operators.aggregate import valid_label_name
from trimon.query.operators.names import merge_equal
from trimon.query.values import Text, Value, Vector

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


class LabelReplaceOperator(Operator):
    """Set a label from the match of another. Inputs: the vector, then four strings."""

    def __init__(self, vector: Operator, texts: Sequence[Operator]) -> None:
        self.children = (vector, *texts)

    def describe(self) -> str:
        """One line for the plan."""
        return "label_replace"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """A Vector of the same samples."""
        del context
        vector = inputs[0]
        assert isinstance(vector, Vector)
        target, replacement, source, pattern = (v.value for v in inputs[1:] if isinstance(v, Text))
        try:
            compiled = compile_regexp(f"^(?s:{pattern})$")
        except UserError:
            raise QueryError(f"invalid regular expression in label_replace(): {pattern}") from None
        if not valid_label_name(target):
            raise QueryError(f"invalid destination label name in label_replace(): {target}")
        return _replaced(vector, target, replacement, source, compiled)


def _replaced(vector: Vector, target: str, replacement: str, source: str, compiled: re2._Regexp) -> Vector:
    codes, values = vector.labels.column(source)
    old, old_values = vector.labels.column(target)
    dictionary = list(old_values)
    position = {value: index for index, value in enumerate(dictionary)}
    used = np.unique(codes)
    lookup = np.full(int(used[-1]) + 1 if len(used) else 1, -1, np.int32)
    for code in used.tolist():
        match = full_match(compiled, values[code])
        if match is None:
            continue
        text = expand(replacement, match)
        index = position.setdefault(text, len(dictionary))
        if index == len(dictionary):
            dictionary.append(text)
        lookup[code] = index
    new = lookup[codes]
    hit = new >= 0
    if not hit.any():
        return vector
    labels = with_column(vector.labels, target, np.where(hit, new, old).astype(np.int32), dictionary)
    drop = vector.drop_name
    if target == METRIC_NAME and drop is not None:
        drop = drop & ~hit
    return merge_equal(replace(vector, labels=labels, drop_name=drop))


def expand(template: str, match: re2._Match) -> str:
    """Go's template expansion: `$1`, `${1}`, `$name`, `$$`; an unknown reference is empty."""

    def one(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError, re2.error):
            return ""

    return _REFERENCE.sub(one, template)


class LabelJoinOperator(Operator):
    """Set a label to others joined. Inputs: the vector, the target, the separator, the sources."""

    def __init__(self, vector: Operator, texts: Sequence[Operator]) -> None:
        self.children = (vector, *texts)

    def describe(self) -> str:
        """One line for the plan."""
        return "label_join"

    def compute(self, context: Context, inputs: list[Value]) -> Value:
        """A Vector of the same samples."""
        del context
        vector = inputs[0]
        assert isinstance(vector, Vector)
        target, separator, *sources = (v.value for v in inputs[1:] if isinstance(v, Text))
        for name in sources:
            if not valid_label_name(name):
                raise QueryError(f"invalid source label name in label_join(): {name}")
        if not valid_label_name(target):
            raise QueryError(f"invalid destination label name in label_join(): {target}")
        if vector.rows == 0:
            return vector
        labels = _joined(vector.labels, target, separator, sources)
        drop = vector.drop_name
        if target == METRIC_NAME and drop is not None:
            drop = np.zeros_like(drop)
        return merge_equal(replace(vector, labels=labels, drop_name=drop))


def _joined(labels: LabelTable, target: str, separator: str, sources: Sequence[str]) -> LabelTable:
    columns = [labels.column(name) for name in sources]
    groups = factorize(*pack([codes for codes, _ in columns], labels.rows))
    texts = [""]
    position = {"": 0}
    lookup = np.zeros(groups.count, np.int32)
    for index, row in enumerate(groups.first.tolist()):
        text = separator.join(values[codes[row]] for codes, values in columns)
        found = position.setdefault(text, len(texts))
        if found == len(texts):
            texts.append(text)
        lookup[index] = found
    return with_column(labels, target, lookup[groups.codes], texts)
