"""Which head takes which samples of a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trimon.model.rows import SampleBatch
from trimon.storage.accept import Bounds
from trimon.storage.group import NEVER_MS
from trimon.storage.head import Head


def split_batch(
    batch: SampleBatch, bounds: Bounds, newest: Head, head_at: Callable[[int], Head]
) -> list[tuple[Head, SampleBatch]]:
    """Parts of a batch by head, oldest window first; mostly there is one.

    Samples of series that have newer samples in the newest head stay with it, which knows that they are late;
    so do those out of bounds.
    """
    times = batch.timestamps_ms
    inside = (times >= bounds.lowest_ms) & (times <= bounds.highest_ms)
    elsewhere = inside & ((times < newest.start_ms) | (times >= newest.end_ms))
    if not elsewhere.any():
        return [(newest, batch)]
    if newest.samples:
        numbers = newest.index.find(batch.series)
        newest_times = np.full(len(numbers), NEVER_MS, np.int64)
        newest_times[numbers >= 0] = newest.newest_times(numbers[numbers >= 0])
        late = newest_times[batch.series_index] >= times
        elsewhere &= ~late
    width = newest.end_ms - newest.start_ms
    windows = np.where(elsewhere, times // width, newest.start_ms // width)
    parts: list[tuple[Head, SampleBatch]] = []
    for window in np.unique(windows).tolist():
        mine = np.flatnonzero(windows == window)
        if window == newest.start_ms // width and not elsewhere[mine].any():
            head = head_at(newest.start_ms)
        else:
            head = head_at(window * width)
        part = SampleBatch(
            batch.series, batch.series_index[mine], times[mine], batch.values[mine], batch.atomic
        )
        parts.append((head, part))
    return parts
