"""Which series of a head satisfy matchers, and their labels as a table of codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.storage.head.arena import Bools, Int32s
from trimon.storage.head.index import IndexView


def select(view: IndexView, matchers: Sequence[Matcher]) -> Int32s:
    """The series that satisfy every matcher, ascending.

    A positive matcher on the metric name whose values can be listed narrows the candidates; the others are
    evaluated once per distinct value on what is left.
    """
    candidates, rest = _candidates(view, matchers)
    if not rest or (candidates is not None and len(candidates) == 0):
        return candidates if candidates is not None else np.arange(view.series, dtype=np.int32)
    if candidates is None:
        flat, series = view.flat[: view.offsets[view.series]], view.series
        lengths = np.diff(view.offsets[: series + 1])
    else:
        flat, lengths = view.pairs_of(candidates)
        series = len(candidates)
    rows = np.repeat(np.arange(series, dtype=np.int32), lengths)
    names = view.pair_name[flat]
    keep = np.ones(series, np.bool_)
    for matcher in rest:
        keep &= _rows_matching(view, matcher, flat, names, rows, series)
        if not keep.any():
            break
    return np.flatnonzero(keep).astype(np.int32) if candidates is None else candidates[keep]


def _candidates(view: IndexView, matchers: Sequence[Matcher]) -> tuple[Int32s | None, list[Matcher]]:
    """Series with one of the listed metric names (None: all), and the matchers still to be tested."""
    for position, matcher in enumerate(matchers):
        literals = matcher.literals() if matcher.name == METRIC_NAME and not matcher.matches_empty else None
        if literals is None:
            continue
        ids = [view.symbols.pair_id(METRIC_NAME, value) for value in literals]
        listed = [view.metric(pair_id) for pair_id in ids if pair_id >= 0]
        found = np.concatenate(listed) if listed else np.zeros(0, np.int32)
        if len(listed) > 1:
            found.sort()
        return found, [*matchers[:position], *matchers[position + 1 :]]
    return None, list(matchers)


def _rows_matching(
    view: IndexView, matcher: Matcher, flat: Int32s, names: Int32s, rows: Int32s, series: int
) -> Bools:
    """Rows that satisfy one matcher; a row without the label has the empty string."""
    keep = np.full(series, matcher.matches_empty, np.bool_)
    name_id = view.symbols.name_id(matcher.name)
    if name_id < 0:
        return keep
    having = np.flatnonzero(names == name_id)
    codes = view.pair_code[flat[having]]
    keep[rows[having]] = codes_matching(matcher, codes, view.symbols.values[name_id])
    return keep


def codes_matching(matcher: Matcher, codes: Int32s, values: Sequence[str]) -> Bools:
    """Which of `codes` stand for a value that satisfies the matcher, evaluated once per distinct code."""
    if len(codes) == 0:
        return np.zeros(0, np.bool_)
    lowest = int(codes.min())
    used = np.zeros(int(codes.max()) - lowest + 1, np.bool_)
    used[codes - lowest] = True
    distinct = np.flatnonzero(used) + lowest
    used[distinct - lowest] = matcher.matching(map(values.__getitem__, distinct.tolist()), len(distinct))
    return used[codes - lowest]


def table(view: IndexView, series: Int32s) -> LabelTable:
    """The labels of the given series; dictionaries are those of the head."""
    if len(series) == 0:
        return LabelTable.empty()
    flat, lengths = view.pairs_of(series)
    names = view.pair_name[flat]
    symbols = view.symbols
    used = np.flatnonzero(np.bincount(names, minlength=1))
    used = np.array(sorted(used.tolist(), key=symbols.names.__getitem__), np.int64)
    position = np.zeros(int(used.max()) + 1, np.int64)
    position[used] = np.arange(len(used))
    columns = np.zeros((len(used), len(series)), np.int32)
    rows = np.repeat(np.arange(len(series)), lengths)
    columns[position[names], rows] = view.pair_code[flat]
    return LabelTable(
        len(series),
        tuple(symbols.names[i] for i in used),
        tuple(columns),
        tuple(symbols.values[i] for i in used),
    )
