"""Samples that fit no row: out of order, irregular, or of a series whose home is another group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trimon.storage.arena import Arena, Floats, Int32s, Int64s
from trimon.storage.pieces import Piece


class LooseView(NamedTuple):
    """What a reader sees of the buffer: samples in order of arrival."""

    series: Int32s
    times: Int64s
    values: Floats


class LooseBuffer:
    """Samples as they come, with their series; sorted when read."""

    def __init__(self) -> None:
        self._series: Arena[np.int32] = Arena(np.int32)
        self._times: Arena[np.int64] = Arena(np.int64)
        self._values: Arena[np.float64] = Arena(np.float64)

    def __len__(self) -> int:
        return len(self._series)

    def append(self, series: Int32s, times: Int64s, values: Floats) -> None:
        """Add samples."""
        self._series.extend(series)
        self._times.extend(times)
        self._values.extend(values)

    def cut(self, used: int) -> None:
        """Undo of appends after the mark `used`."""
        self._series.cut(used)
        self._times.cut(used)
        self._values.cut(used)

    def view(self) -> LooseView:
        """What is there now."""
        return LooseView(self._series.view(), self._times.view(), self._values.view())

    def size_bytes(self) -> int:
        """Memory held."""
        return self._series.size_bytes + self._times.size_bytes + self._values.size_bytes


def read_loose(view: LooseView, series: Int32s, start_ms: int, end_ms: int) -> Piece | None:
    """The samples of the given series (ascending) in the closed interval; row `i` is `series[i]`.

    Of several samples of one series at one time the one that arrived first is kept.
    """
    if len(view.series) == 0 or len(series) == 0:
        return None
    picked = np.flatnonzero((view.times >= start_ms) & (view.times <= end_ms))
    place = np.minimum(np.searchsorted(series, view.series[picked]), len(series) - 1)
    wanted = series[place] == view.series[picked]
    picked, place = picked[wanted], place[wanted]
    if len(picked) == 0:
        return None
    order = np.lexsort((view.times[picked], place))
    picked, place = picked[order], place[order]
    times = view.times[picked]
    fresh = np.ones(len(picked), np.bool_)
    fresh[1:] = (place[1:] != place[:-1]) | (times[1:] != times[:-1])
    picked, place, times = picked[fresh], place[fresh], times[fresh]
    rows, first = np.unique(place, return_index=True)
    return Piece.private(rows, np.append(first, len(place)), times, view.values[picked])
