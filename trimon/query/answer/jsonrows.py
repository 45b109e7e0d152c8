"""Series with their samples as JSON: each number is made text by columns, and all of it is put together by a compiled loop.

The twin in Python says what is written; it puts lists of strings together, which takes five times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from trimon.compiled.library import ADDRESS, BYTES, INT32, INT64, function
from trimon.query.answer.jsonnumbers import format_values
from trimon.query.execution.values import Matrix

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]

_JSON_ROWS: Final = function(
    "trimon_json_rows",
    INT64,
    (
        *(BYTES, INT64, ADDRESS, INT64),
        *(BYTES, INT64, ADDRESS, INT64, ADDRESS),
        *(BYTES, INT64, ADDRESS, ADDRESS, INT64),
        *(INT32, ADDRESS, INT64),
    ),
)
# What stands around a sample and around a series, and what a number may be longer in its new form.
_SAMPLE_BYTES: Final = 32
_SERIES_BYTES: Final = 32


class Stamps:
    """Times as texts, and as one text with the ends of each."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.joined = "".join(texts).encode()
        self.ends: Int64s = np.fromiter(map(len, texts), np.int64, len(texts)).cumsum()
        self.bytes_max = max(map(len, texts), default=0)


class Rows(NamedTuple):
    """Some series: their labels as text, and where the samples of each end among `values`.

    `stamp_of` is the number of each sample's time in `stamps`. With `single` a series has one sample, and is one of an instant.
    """

    sets: Sequence[str]
    values: Matrix
    ends: Sequence[int]
    stamps: Stamps
    stamp_of: Int32s
    single: bool = False


def json_rows(rows: Rows) -> bytes:
    """Series as JSON, joined by commas."""
    return rows_in_python(rows) if _JSON_ROWS is None else _compiled_rows(_JSON_ROWS, rows)


def _compiled_rows(loop: Callable[..., int], rows: Rows) -> bytes:
    sets, stamps = rows.sets, rows.stamps
    values = np.ascontiguousarray(rows.values, np.float64)
    numbers = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    metrics = "".join(sets)
    sizes = map(len, sets) if metrics.isascii() else (len(each.encode()) for each in sets)
    metric_ends = np.fromiter(sizes, np.int64, len(sets)).cumsum()
    joined, row_ends = metrics.encode(), np.array(rows.ends, np.int64)
    codes = np.ascontiguousarray(rows.stamp_of, np.int32)
    size = len(numbers) + len(values) * (stamps.bytes_max + _SAMPLE_BYTES) + len(sets) * _SERIES_BYTES
    room = np.empty(size + (int(metric_ends[-1]) if sets else 0), np.uint8)
    written = loop(
        *(numbers, len(numbers), values.ctypes.data, len(values)),
        *(stamps.joined, len(stamps.joined), stamps.ends.ctypes.data, len(stamps.ends), codes.ctypes.data),
        *(joined, len(joined), metric_ends.ctypes.data, row_ends.ctypes.data, len(sets)),
        *(int(rows.single), room.ctypes.data, len(room)),
    )
    assert written >= 0, "texts and samples that do not fit each other"
    return room[:written].tobytes()


def rows_in_python(rows: Rows) -> bytes:
    """The twin of the compiled loop."""
    sets, values, ends, stamps, stamp_of, single = rows
    texts, times = format_values(values), stamps.texts
    if single:
        shown = zip(sets, stamp_of.tolist(), texts, strict=True)
        return ",".join(
            [f'{{"metric":{m},"value":[{times[at]},"{text}"]}}' for m, at, text in shown]
        ).encode()
    heads = [f'"],[{time},"' for time in times]
    shown_rows: list[str] = []
    low = 0
    for metric, high in zip(sets, ends, strict=True):
        begin = f'{{"metric":{metric},"values":['
        if low == high:
            shown_rows.append(f"{begin}]}}")
            continue
        pieces = [""] * (2 * (high - low))
        pieces[0::2] = [heads[at] for at in stamp_of[low:high].tolist()]
        pieces[1::2] = texts[low:high]
        # Every head begins by closing the value before it: the first closes nothing.
        pieces[0] = begin + pieces[0][3:]
        pieces.append('"]]}')
        shown_rows.append("".join(pieces))
        low = high
    return ",".join(shown_rows).encode()
