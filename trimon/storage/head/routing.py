"""Which head takes which samples of a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trimon.model.rows import SampleBatch
from trimon.storage.head.acceptance import TimeBounds
from trimon.storage.head.components import markers_in_batch
from trimon.storage.head.head import Head


def split_batch(
    batch: SampleBatch, bounds: TimeBounds, newest: Head, head_at: Callable[[int], Head]
) -> list[tuple[Head, SampleBatch]]:
    """Parts of a batch by head, oldest window first; mostly there is one.

    Samples of series that have newer ones stay with the newest head, which knows that they are late: of several for
    one time the first counts, and newer heads come after older ones. So do those out of bounds.
    """
    times = batch.timestamps_ms
    if len(times) and int(times.min()) >= newest.start_ms and int(times.max()) < newest.end_ms:
        return [(newest, batch)]
    inside = (times >= bounds.lowest_ms) & (times <= bounds.highest_ms)
    elsewhere = inside & ((times < newest.start_ms) | (times >= newest.end_ms))
    if not elsewhere.any():
        return [(newest, batch)]
    earlier = np.flatnonzero(elsewhere & (times < newest.start_ms))
    if len(earlier):
        numbers = newest.index.find(batch.series)
        newest_times, _ = newest.newest_samples(batch.series, numbers, int(times[earlier].min()))
        elsewhere[earlier] = newest_times[batch.series_index[earlier]] < times[earlier]
        if batch.histograms:
            markers = markers_in_batch(batch.series, batch.series_index, times)
            elsewhere = np.where(markers >= 0, elsewhere[markers], elsewhere)
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
            batch.series,
            batch.series_index[mine],
            times[mine],
            batch.values[mine],
            batch.atomic,
            batch.histograms,
            batch.told,
        )
        parts.append((head, part))
    return parts
