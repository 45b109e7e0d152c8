"""Label tables of several sources as one: which row of which source is the same series."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trimon.model.table import Codes, LabelTable
from trimon.storage.head.arena import Int64s, UInt64s
from trimon.storage.symbols import mix


def merge_tables(tables: Sequence[LabelTable]) -> tuple[LabelTable, list[Int64s]]:
    """One row per distinct label set, in order of first appearance, and the row of every row of the sources."""
    if len(tables) == 1:
        return tables[0], [np.arange(tables[0].rows)]
    names = tuple(sorted({name for table in tables for name in table.names}))
    total = sum(table.rows for table in tables)
    if not names:
        return LabelTable(min(total, 1), (), (), ()), [np.zeros(table.rows, np.int64) for table in tables]
    columns: list[Codes] = []
    values: list[Sequence[str]] = []
    for name in names:
        codes, dictionary = merge_column([table.column(name) for table in tables])
        columns.append(codes)
        values.append(dictionary)
    chosen, rows = _distinct(columns, total)
    merged = LabelTable(len(chosen), names, tuple(column[chosen] for column in columns), tuple(values))
    bounds = np.cumsum([0, *(table.rows for table in tables)]).tolist()
    return merged, [rows[begin:end] for begin, end in pairwise(bounds)]


def merge_column(parts: Sequence[tuple[Codes, Sequence[str]]]) -> tuple[Codes, Sequence[str]]:
    """Codes of all parts, one after the other, in one dictionary of the values in use."""
    first = parts[0][1]
    if all(dictionary is first for _, dictionary in parts):
        return np.concatenate([codes for codes, _ in parts]), first
    known: dict[str, int] = {"": 0}
    translated: list[Codes] = []
    for codes, dictionary in parts:
        if len(codes) == 0:
            continue
        used = np.zeros(int(codes.max()) + 1, np.bool_)
        used[codes] = True
        distinct = np.flatnonzero(used)
        table = np.zeros(len(used), np.int32)
        table[distinct] = [known.setdefault(dictionary[code], len(known)) for code in distinct.tolist()]
        translated.append(table[codes])
    return np.concatenate(translated) if translated else np.zeros(0, np.int32), list(known)


def _distinct(columns: Sequence[Codes], total: int) -> tuple[Int64s, Int64s]:
    """First row of every distinct tuple of codes, and for every row which of these it equals."""
    hashes: UInt64s = np.zeros(total, np.uint64)
    for number, codes in enumerate(columns):
        hashes += mix(codes.astype(np.uint64) | np.uint64(number << 32))
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    representative = first[inverse]
    if not all(bool((codes == codes[representative]).all()) for codes in columns):
        _, first, inverse = np.unique(np.stack(columns), axis=1, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
    order = np.argsort(first)
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    return first[order], place[inverse]
