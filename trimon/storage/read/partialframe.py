"""Samples of some rows of a selection, from one place: a page, a chunk, a slice of a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimon.model.frame import SampleFrame
from trimon.records import dataclass
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.runs import taken_runs
from trimon.storage.symbols import mix


@dataclass(frozen=True, slots=True, eq=False)
class PartialFrame:
    """Samples of some rows of a selection, from one place.

    Row `rows[i]` begins at `values[offsets[i]]` and has the times of array `time_of_row[i]`, as in a
    SampleFrame. Rows are distinct. `absent` says that values may hold ABSENT, `dense` that rows follow one another
    without gaps. `stale`, where known, tells the rows that may hold staleness markers.
    """

    rows: Int64s
    values: Floats
    offsets: Int64s
    times: Int64s
    time_offsets: Int64s
    time_of_row: Int32s
    absent: bool = False
    dense: bool = True
    stale: Bools | None = None

    @property
    def lengths(self) -> Int64s:
        """Number of samples of every row."""
        return np.diff(self.time_offsets)[self.time_of_row]

    @classmethod
    def of(cls, frame: SampleFrame) -> PartialFrame:
        """A whole frame as one partial frame."""
        return cls(
            np.arange(frame.rows),
            frame.values,
            frame.offsets,
            frame.times,
            frame.time_offsets,
            frame.time_of_row,
            dense=bool((np.diff(frame.offsets) == frame.lengths).all()),
            stale=frame.has_stale,
        )

    @classmethod
    def matrix(cls, rows: Int64s, times: Int64s, values: Floats, *, absent: bool) -> PartialFrame:
        """A partial frame of rows that share one timestamp array; `values[row, time]`."""
        count = len(times)
        return cls(
            rows,
            np.ascontiguousarray(values).reshape(-1),
            np.arange(len(rows) + 1, dtype=np.int64) * count,
            times,
            np.array([0, count], np.int64),
            np.zeros(len(rows), np.int32),
            absent,
        )

    @classmethod
    def private(cls, rows: Int64s, offsets: Int64s, times: Int64s, values: Floats) -> PartialFrame:
        """A partial frame of rows whose `times` run beside `values`; rows of equal times are made to share them."""
        return cls(rows, values, offsets, *shared_arrays(times, offsets))

    def clipped(self, start_ms: int, end_ms: int) -> PartialFrame:
        """What lies in the closed interval; rows stay, perhaps empty."""
        if len(self.times) == 0 or (self.times.min() >= start_ms and self.times.max() <= end_ms):
            return self
        if len(self.time_offsets) == 2 and self.dense:
            return self._clipped_matrix(start_ms, end_ms)
        inside = np.concatenate(([0], np.cumsum((self.times >= start_ms) & (self.times <= end_ms))))
        before = np.concatenate(([0], np.cumsum(self.times < start_ms)))
        time_starts, time_ends = self.time_offsets[:-1], self.time_offsets[1:]
        counts = inside[time_ends] - inside[time_starts]
        skips = before[time_ends] - before[time_starts]
        lengths = counts[self.time_of_row]
        return PartialFrame(
            self.rows,
            taken_runs(self.values, self.offsets[:-1] + skips[self.time_of_row], lengths),
            np.concatenate(([0], np.cumsum(lengths))),
            taken_runs(self.times, time_starts + skips, counts),
            np.concatenate(([0], np.cumsum(counts))),
            self.time_of_row,
            self.absent,
            stale=self.stale,
        )

    def _clipped_matrix(self, start_ms: int, end_ms: int) -> PartialFrame:
        """As `clipped`, where all rows share one timestamp array."""
        first = int(np.searchsorted(self.times, start_ms))
        last = max(first, int(np.searchsorted(self.times, end_ms, side="right")))
        values = self.values.reshape(len(self.rows), len(self.times))[:, first:last]
        partial = PartialFrame.matrix(self.rows, self.times[first:last], values, absent=self.absent)
        return partial if self.stale is None else replace(partial, stale=self.stale)


def combine(partials: Sequence[PartialFrame]) -> PartialFrame:
    """Several dense partial frames, of distinct rows, as one."""
    if len(partials) == 1:
        return partials[0]
    times = np.array([len(partial.times) for partial in partials])
    arrays = np.array([len(partial.time_offsets) - 1 for partial in partials])
    values = np.array([len(partial.values) for partial in partials])
    heights = np.array([len(partial.rows) for partial in partials])
    offsets = np.concatenate([partial.offsets[:-1] for partial in partials])
    offsets += np.repeat(np.cumsum(values) - values, heights)
    time_offsets = np.concatenate([partial.time_offsets[:-1] for partial in partials])
    time_offsets += np.repeat(np.cumsum(times) - times, arrays)
    time_of_row = np.concatenate([partial.time_of_row for partial in partials])
    time_of_row += np.repeat(np.cumsum(arrays) - arrays, heights).astype(np.int32)
    return PartialFrame(
        np.concatenate([partial.rows for partial in partials]),
        np.concatenate([partial.values for partial in partials]),
        np.append(offsets, values.sum()),
        np.concatenate([partial.times for partial in partials]),
        np.append(time_offsets, times.sum()),
        time_of_row,
        any(partial.absent for partial in partials),
    )


def shared_arrays(times: Int64s, offsets: Int64s) -> tuple[Int64s, Int64s, Int32s]:
    """Timestamp arrays of which equal ones are one, where they begin, and which each given one is.

    Nothing is shared when most of them differ.
    """
    count, lengths = len(offsets) - 1, np.diff(offsets)
    alone = times, offsets, np.arange(count, dtype=np.int32)
    filled = np.flatnonzero(lengths)
    if count < 2 or not len(filled):
        return alone
    digests = np.zeros(count, np.uint64)
    digests[filled] = np.add.reduceat(mix(times.view(np.uint64)), offsets[:-1][filled])
    _, chosen, inverse = np.unique(digests, return_index=True, return_inverse=True)
    if 2 * len(chosen) > count or (lengths[chosen][inverse] != lengths).any():
        return alone
    # the digest only proposes: what is shared is compared
    twins = taken_runs(times, offsets[:-1][chosen][inverse], lengths)
    if not np.array_equal(twins, times):
        return alone
    kept = lengths[chosen]
    shared = taken_runs(times, offsets[:-1][chosen], kept)
    return shared, np.concatenate(([0], np.cumsum(kept))), inverse.astype(np.int32)


def without_rows(partial: PartialFrame, rows: Int64s) -> PartialFrame:
    """The partial frame without these rows."""
    keep = np.flatnonzero(~np.isin(partial.rows, rows))
    if len(keep) == len(partial.rows):
        return partial
    lengths = partial.lengths[keep]
    return PartialFrame(
        partial.rows[keep],
        taken_runs(partial.values, partial.offsets[:-1][keep], lengths),
        np.concatenate(([0], np.cumsum(lengths))),
        partial.times,
        partial.time_offsets,
        partial.time_of_row[keep],
        partial.absent,
        stale=None if partial.stale is None else partial.stale[keep],
    )
