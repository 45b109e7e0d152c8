"""Label sets as JSON, written by columns: a value is quoted once, however many series have it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Final

import numpy as np
import orjson

from trimon.model.table import NOTED_ROWS_MAX, LabelTable

# Series of which the labels are looked at to know how long they are.
_LOOKED_AT: Final = 32
_NOTE: Final = "json"


def json_quoted(text: str) -> str:
    """A JSON string; bytes that are no UTF-8 become replacement characters."""
    try:
        return orjson.dumps(text).decode()
    except orjson.JSONEncodeError:
        raw = text.encode("utf-8", "surrogateescape")
        return orjson.dumps(raw.decode("utf-8", "replace")).decode()


def label_bytes(labels: LabelTable) -> int:
    """The size of all label sets as text, about: as some of them are."""
    if labels.rows <= NOTED_ROWS_MAX:
        return sum(map(len, format_label_sets(labels)))
    rows = range(0, labels.rows, max(1, labels.rows // _LOOKED_AT))
    seen = sum(len(name) + len(value) + 6 for row in rows for name, value in labels.labels(row))
    return seen * labels.rows // max(len(rows), 1)


def format_label_sets(labels: LabelTable) -> list[str]:
    """Every label set as a JSON object, labels ascending by name. Of a short table they are made once; not to be changed."""
    if labels.rows > NOTED_ROWS_MAX:
        return _label_sets(labels)
    noted: list[str] | None = labels.notes.get(_NOTE)
    if noted is None:
        noted = labels.notes[_NOTE] = _label_sets(labels)
    return noted


def _label_sets(labels: LabelTable) -> list[str]:
    columns = _label_columns(labels)
    if columns is not None:
        return columns[0] if len(columns) == 1 else list(map("".join, zip(*columns, strict=True)))
    if not labels.names or not labels.rows:
        return ["{}"] * labels.rows
    # some series lack the first label: theirs begins with a comma that is not wanted
    rows = zip(*(_pieces(labels, index) for index in range(len(labels.names))), strict=True)
    return ["{" + "".join(row)[1:] + "}" for row in rows]


def _label_columns(labels: LabelTable) -> list[list[str]] | None:
    """Lists of pieces, which row by row put together are the label sets.

    None when there is no label that every series has as its first.
    """
    if not labels.names or not labels.rows or not labels.columns[0].all():
        return None
    columns: list[list[str]] = []
    # what all series share is written once, into the pieces of the next label
    shared, cut = "{", 1
    for index, codes in enumerate(labels.columns):
        code = codes[0]
        if (codes == code).all():
            shared += _piece(labels, index, int(code))[cut:]
        else:
            columns.append(_pieces(labels, index, shared, cut))
            shared = ""
        cut = 0
    shared += "}"
    if not columns:
        return [[shared] * labels.rows]
    columns.append(list(repeat(shared, labels.rows)))
    return columns


def _piece(labels: LabelTable, index: int, code: int) -> str:
    """`,"name":"value"` of one label, nothing when the series lack it."""
    return f",{json_quoted(labels.names[index])}:{json_quoted(labels.values[index][code])}" if code else ""


def _pieces(labels: LabelTable, index: int, before: str = "", cut: int = 0) -> list[str]:
    """For every series `before` and `,"name":"value"` without its first `cut` characters."""
    codes, values = labels.columns[index], labels.values[index]
    if len(values) <= 2 * labels.rows:
        seen = np.zeros(len(values), np.bool_)
        seen[codes] = True
        used = np.flatnonzero(seen)
        ranks = codes if len(used) == len(values) else (np.cumsum(seen) - 1)[codes]
    else:
        used, ranks = np.unique(codes, return_inverse=True)
    head = before + f",{json_quoted(labels.names[index])}:"[cut:]
    wanted = used.tolist()
    texts = _all_quoted([values[code] for code in wanted])
    pieces = [head + text for text in texts]
    if wanted[0] == 0:
        pieces[0] = before
    return list(map(pieces.__getitem__, ranks.tolist()))


def _all_quoted(texts: Sequence[str]) -> list[str]:
    try:
        whole = orjson.dumps(texts).decode()
    except orjson.JSONEncodeError:
        return [json_quoted(text) for text in texts]
    if '\\"' in whole:  # an inner quote may look like the end of a string
        return [json_quoted(text) for text in texts]
    return [f'"{text}"' for text in whole[2:-2].split('","')]
