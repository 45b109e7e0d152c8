"""Batches whose samples are all in order, which is what senders send: judged and sorted by series in one pass.

What is not, in whole or in part, is judged sample by sample (`arrivals.py`), which says what becomes of each.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from trimon.compiled.library import ADDRESS, INT64, function
from trimon.model.knownseries import KnownSeries
from trimon.model.rows import SampleBatch
from trimon.storage.head.acceptance import TimeBounds
from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.head.index import SeriesIndex
from trimon.storage.head.loose import LooseBuffer

_take = function(
    "trimon_loose_take",
    INT64,
    (ADDRESS, ADDRESS, INT64, *[ADDRESS] * 3, INT64, ADDRESS, ADDRESS, *[INT64] * 4, *[ADDRESS] * 6),
)
_note = function(
    "trimon_loose_newest", INT64, (ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS, INT64, ADDRESS)
)

# What samples take beside cells of a row, 0.1 µs each: those of series that are known, of any, and sealing what waits.
_KNOWN_COST: Final = 2
_SAMPLE_COST: Final = 20
_SEALING_COST: Final = 500_000


def cost_of(batch: SampleBatch, index: SeriesIndex, loose: LooseBuffer) -> int:
    """About how long a batch takes to store, as so many cells of a row: its samples, new series, and sealing."""
    samples = len(batch.values)
    if not loose.has_room(samples):
        return _SEALING_COST + samples
    known = isinstance(batch.series, KnownSeries) and index.knows(batch.series)
    return samples * (_KNOWN_COST if known else _SAMPLE_COST)


class InOrder(NamedTuple):
    """Samples by series, ascending in time in each; and of all series of their batch the newest sample there was before."""

    series: Int32s
    times: Int64s
    values: Floats
    listed: Int32s
    old_times: Int64s
    old_values: Floats


def take_in_order(
    batch: SampleBatch,
    numbers: Int32s,
    last_times: Int64s,
    last_values: Floats,
    bounds: TimeBounds,
    older_max_ms: int,
) -> InOrder | None:
    """The samples of a batch of distinct series, if each is later than all that its series has.

    `numbers[i]` is the series of `batch.series[i]`; their newest samples in `last_times` (ms) and `last_values` are brought
    up to date. None where any sample needs a closer look, or there is no compiled loop: then nothing is changed.
    """
    samples = len(batch.values)
    if _take is None or batch.histograms or not samples or not len(numbers):
        return None
    whose, times, values = batch.series_index, batch.timestamps_ms, batch.values
    if whose.dtype != np.int32 or times.dtype != np.int64 or values.dtype != np.float64:
        return None
    numbers = np.ascontiguousarray(numbers, np.int32)
    whose, times, values = map(np.ascontiguousarray, (whose, times, values))
    ascends = bool((numbers[1:] > numbers[:-1]).all())
    order = np.arange(len(numbers)) if ascends else np.argsort(numbers, kind="stable")
    begins = np.empty(len(numbers) + 1, np.int64)
    old_times, old_values = np.empty(len(numbers), np.int64), np.empty(len(numbers))
    out = np.empty(samples, np.int32), np.empty(samples, np.int64), np.empty(samples)
    refused = _take(
        numbers.ctypes.data,
        order.ctypes.data,
        len(numbers),
        whose.ctypes.data,
        times.ctypes.data,
        values.ctypes.data,
        samples,
        last_times.ctypes.data,
        last_values.ctypes.data,
        len(last_times),
        bounds.lowest_ms,
        bounds.highest_ms,
        older_max_ms,
        *(each.ctypes.data for each in (begins, old_times, old_values, *out)),
    )
    return None if refused else InOrder(*out, numbers, old_times, old_values)


def note_newest(
    series: Int32s, times: Int64s, values: Floats, last_times: Int64s, last_values: Floats
) -> tuple[int, int]:
    """The earliest and the latest time of some samples in any order, by which the newest of each series is brought up to date.

    Of several of a series at one time the first counts.
    """
    if _note is None:
        return note_newest_plainly(series, times, values, last_times, last_values)
    series, span = np.ascontiguousarray(series, np.int32), np.empty(2, np.int64)
    times, values = np.ascontiguousarray(times, np.int64), np.ascontiguousarray(values, np.float64)
    told = (*(each.ctypes.data for each in (series, times, values)), len(series))
    known = (last_times.ctypes.data, last_values.ctypes.data, len(last_times))
    if _note(*told, *known, span.ctypes.data):
        raise IndexError("a sample of a series that is none")
    return int(span[0]), int(span[1])


def note_newest_plainly(
    series: Int32s, times: Int64s, values: Floats, last_times: Int64s, last_values: Floats
) -> tuple[int, int]:
    """As `note_newest`."""
    # Of equal times those that came later are written first, so that the first one stays.
    order = len(times) - 1 - np.argsort(times[::-1], kind="stable")
    newer = order[times[order] > last_times[series[order]]]
    last_times[series[newer]] = times[newer]
    last_values[series[newer]] = values[newer]
    return int(times.min()), int(times.max())
