"""Work on label tables by integer codes: dropping, grouping, joining, ordering. No label string is built."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.labels import METRIC_NAME, TYPE_LABEL, UNIT_LABEL
from trimon.model.ordering import sorted_by_text
from trimon.model.table import NOTED_ROWS_MAX, Codes, LabelTable
from trimon.records import dataclass

KeyCodes = npt.NDArray[np.int64]
METADATA: Final = frozenset({METRIC_NAME, TYPE_LABEL, UNIT_LABEL})
_KEY_MAX: Final = 1 << 62
_ORDER: Final = "order"
_SORTED: Final = "sorted"


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by equal labels: `codes[row]` is the group, `first[group]` its first row."""

    codes: npt.NDArray[np.intp]
    count: int
    first: npt.NDArray[np.intp]

    def by_first_row(self) -> Groups:
        """The same groups, numbered in the order in which their first rows come."""
        if self.count < 2 or (self.first[1:] > self.first[:-1]).all():
            return self
        order = np.argsort(self.first)
        numbers = np.empty_like(order)
        numbers[order] = np.arange(self.count)
        return Groups(numbers[self.codes], self.count, self.first[order])


def select_names(table: LabelTable, names: Iterable[str]) -> LabelTable:
    """Only the named labels."""
    wanted = set(names)
    return _filtered(table, [name in wanted for name in table.names])


def drop_names(table: LabelTable, names: Iterable[str]) -> LabelTable:
    """All labels but the named ones."""
    unwanted = set(names)
    if unwanted.isdisjoint(table.names):
        return table
    return _filtered(table, [name not in unwanted for name in table.names])


def drop_metric(table: LabelTable) -> LabelTable:
    """Without the metric name and the labels of its metadata."""
    return drop_names(table, METADATA)


def _filtered(table: LabelTable, keep: list[bool]) -> LabelTable:
    return LabelTable(
        table.rows,
        tuple(n for n, k in zip(table.names, keep, strict=True) if k),
        tuple(c for c, k in zip(table.columns, keep, strict=True) if k),
        tuple(v for v, k in zip(table.values, keep, strict=True) if k),
    )


def with_column(table: LabelTable, name: str, codes: Codes, values: Sequence[str]) -> LabelTable:
    """The table with one label set; code 0 must be the empty string."""
    columns = dict(zip(table.names, zip(table.columns, table.values, strict=True), strict=True))
    columns[name] = (codes, values)
    names = tuple(sorted(columns))
    return LabelTable(
        table.rows, names, tuple(columns[n][0] for n in names), tuple(columns[n][1] for n in names)
    )


def pack(columns: Sequence[Codes], rows: int) -> tuple[KeyCodes, int]:
    """One integer per row that is equal exactly for rows with equal codes, and a bound above all keys."""
    keys = np.zeros(rows, np.int64)
    bound = 1
    if rows == 0:
        return keys, bound
    for column in columns:
        size = int(column.max()) + 1
        if size == 1:
            continue
        if bound * size >= _KEY_MAX:
            distinct, keys = np.unique(keys, return_inverse=True)
            keys = keys.astype(np.int64)
            bound = len(distinct)
        keys = keys * size + column if bound > 1 else column.astype(np.int64)
        bound *= size
    return keys, bound


def factorize(keys: KeyCodes, bound: int) -> Groups:
    """Groups of equal keys, in the order of the keys."""
    rows = len(keys)
    if rows == 0:
        return Groups(np.zeros(0, np.intp), 0, np.zeros(0, np.intp))
    if bound == 1:
        return Groups(np.zeros(rows, np.intp), 1, np.zeros(1, np.intp))
    if bound <= 4 * rows + 1024:
        first_of_key = np.full(bound, -1, np.intp)
        first_of_key[keys[::-1]] = np.arange(rows - 1, -1, -1, dtype=np.intp)
        used = np.flatnonzero(first_of_key >= 0)
        lookup = np.zeros(bound, np.intp)
        lookup[used] = np.arange(len(used), dtype=np.intp)
        return Groups(lookup[keys], len(used), first_of_key[used])
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    return Groups(codes.astype(np.intp), len(first), first.astype(np.intp))


def group(table: LabelTable) -> Groups:
    """Rows with equal label sets."""
    return factorize(*pack(table.columns, table.rows))


def distinct(table: LabelTable) -> bool:
    """Whether no two rows have the same label set."""
    return table.rows < 2 or group(table).count == table.rows


def shared_groups(
    left: LabelTable, right: LabelTable
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
    """Group codes in common for the rows of two tables: equal codes for equal label sets."""
    stacked = concat(left, right)
    groups = group(stacked)
    return groups.codes[: left.rows], groups.codes[left.rows :], groups.count


def concat(upper: LabelTable, lower: LabelTable) -> LabelTable:
    """The rows of one table under those of another."""
    if lower.rows == 0:
        return upper
    if upper.rows == 0:
        return lower
    names = tuple(sorted({*upper.names, *lower.names}))
    columns: list[Codes] = []
    values: list[Sequence[str]] = []
    for name in names:
        top, top_values = upper.column(name)
        bottom, bottom_values = lower.column(name)
        merged, bottom = merge_dictionaries(top_values, bottom_values, bottom)
        columns.append(np.concatenate([top, bottom]))
        values.append(merged)
    return LabelTable(upper.rows + lower.rows, names, tuple(columns), tuple(values))


def merge_dictionaries(
    target: Sequence[str], source: Sequence[str], codes: Codes
) -> tuple[Sequence[str], Codes]:
    """A dictionary that begins with `target`, and `codes` of `source` translated to it."""
    if source is target or len(source) == 1:
        return target, codes
    if len(target) == 1:
        return source, codes
    position = {value: index for index, value in enumerate(target)}
    merged = list(target)
    used = np.unique(codes) if len(source) > len(codes) else np.arange(len(source))
    lookup = np.zeros(len(source), np.int32)
    for code in used.tolist():
        value = source[code]
        index = position.get(value)
        if index is None:
            index = len(merged)
            merged.append(value)
        lookup[code] = index
    return (merged if len(merged) > len(target) else target), lookup[codes]


def sort_order(table: LabelTable) -> npt.NDArray[np.intp]:
    """The order of rows by label set, as Prometheus sorts series: by (name, value) pairs, shorter first. Not to be changed."""
    if table.rows > NOTED_ROWS_MAX:
        return _sort_order(table)
    noted: npt.NDArray[np.intp] | None = table.notes.get(_ORDER)
    if noted is None:
        noted = table.notes[_ORDER] = _sort_order(table)
    return noted


def sorted_table(table: LabelTable) -> LabelTable:
    """The table in that order; a short one is the same object each time, with what is noted of it."""
    if table.rows > NOTED_ROWS_MAX:
        return table.take(sort_order(table))
    noted: LabelTable | None = table.notes.get(_SORTED)
    if noted is None:
        noted = table.notes[_SORTED] = table.take(sort_order(table))
    return noted


def _sort_order(table: LabelTable) -> npt.NDArray[np.intp]:
    rows = table.rows
    if rows < 2:
        return np.arange(rows, dtype=np.intp)
    later = np.zeros(rows, np.bool_)
    keys: list[npt.NDArray[np.int64]] = []
    for column, values in zip(reversed(table.columns), reversed(table.values), strict=True):
        ranks = value_ranks(column, values)
        missing = column == 0
        keys.append(np.where(missing, np.where(later, np.iinfo(np.int64).max, -1), ranks))
        later |= ~missing
    if not keys:
        return np.arange(rows, dtype=np.intp)
    return np.lexsort(keys).astype(np.intp)


def value_ranks(column: Codes, values: Sequence[str]) -> npt.NDArray[np.int64]:
    """For every row the rank of its value among the values that rows use, in byte order."""
    used = np.unique(column)
    texts = [values[code] for code in used.tolist()]
    order = sorted_by_text(range(len(texts)), texts.__getitem__)
    lookup = np.zeros(int(used[-1]) + 1 if len(used) else 1, np.int64)
    lookup[used[order]] = np.arange(len(used))
    return lookup[column]
