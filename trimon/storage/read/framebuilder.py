"""One frame out of many partial frames, in order of time.

A selection is read from several places: blocks, sealed pages, raw rows, loose samples. Each gives a `PartialFrame`,
of some of the rows and some of the time. A *segment* is what one partial frame has of one row; the frame is all
segments of a row behind one another, row by row, and nothing is done sample by sample.

```text
             time ->
row 0        [block   ][page    ][raw  ]         three segments, which follow on one another
row 1        [block   ]       [raw  ]
row 2        [page    ]
                  [loose  ]                      two that overlap
```

1. Segments are sorted by row and first time. Where one begins before the one before it has ended, its row is
   *untangled*: samples are sorted by time, and of several at one time that of the earlier partial frame is kept. Few
   rows need it; the others are never looked at.
2. Rows that were scraped together share their timestamp arrays. Rows with the same arrays in all segments, found by a
   hash of these, share one in the frame too; arrays that are equal though they came from different places are found
   by a hash of their times.
3. The place of each segment in the frame is the sum of the lengths before it. Values are copied segment by segment,
   and runs of segments at steady distances as one strided matrix, which is how all rows of a page are copied in one
   go.
4. ABSENT cells, which are the gaps in the rows of a group, are taken out at the end. A row that had some gets a
   timestamp array of its own, or of those with the same gaps.

In a *dense* frame rows are stored in their order. In a *grouped* one those of one timestamp array are neighbours, so
that they reshape to a matrix without a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from trimon.model.frame import SampleFrame
from trimon.model.sample import holds_absent, is_absent, stale_places
from trimon.records import dataclass
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s, ragged_positions
from trimon.storage.head.runs import copy_runs, taken_runs
from trimon.storage.read.partialframe import PartialFrame, shared_arrays, without_rows
from trimon.storage.symbols import mix

# So many runs are copied one by one.
_RUNS_MAX: Final = 1 << 14


def assemble(rows: int, partials: Sequence[PartialFrame], *, grouped: bool = False) -> SampleFrame:
    """One frame of all partial frames; of samples of one row at one time the one of the earlier partial frame wins.

    The frame is dense, or `grouped` by timestamp arrays.
    """
    partials = [partial for partial in partials if len(partial.values)]
    if not partials:
        return SampleFrame.empty(rows)
    segments = _RowSegments.of(partials)
    overlapping = segments.overlapping_rows()
    if len(overlapping):
        partials = segments.untangle(partials, overlapping)
        segments = _RowSegments.of(partials)
        if not len(segments.row):
            return SampleFrame.empty(rows)
    lengths = np.bincount(segments.row, segments.length, rows).astype(np.int64)
    times, time_offsets, time_of_row = segments.share_times(rows)
    # rows whose samples came in different partial frames may still have the same times in all
    times, time_offsets, place = shared_arrays(times, time_offsets)
    time_of_row = place[time_of_row]
    empty = lengths == 0
    if empty.any():
        time_of_row[empty] = len(time_offsets) - 1
        time_offsets = np.append(time_offsets, time_offsets[-1])
    order = np.argsort(time_of_row, kind="stable") if grouped else None
    offsets = _offsets(lengths, order)
    if segments.plain and order is None:
        values = (
            partials[0].values
            if len(partials) == 1
            else np.concatenate([partial.values for partial in partials])
        )
    else:
        values = np.empty(int(offsets[-1]))
        segments.copy_values(partials, offsets, values)
    parts = _FrameParts(values, offsets, times, time_offsets, time_of_row, order)
    if any(partial.absent for partial in partials) and holds_absent(values):
        return parts.without(is_absent(values)).frame()
    if any(partial.stale is not None for partial in partials):
        return parts.frame(_stale_rows(rows, partials))
    return parts.frame()


def _offsets(lengths: Int64s, order: Int64s | None) -> Int64s:
    """Where rows begin when they are stored in this order (None: their own), and the number of all samples."""
    out = np.zeros(len(lengths) + 1, np.int64)
    if order is None:
        np.cumsum(lengths, out=out[1:])
        return out
    ends = np.cumsum(lengths[order])
    out[order] = ends - lengths[order]
    out[-1] = ends[-1] if len(ends) else 0
    return out


def _stale_rows(rows: int, partials: Sequence[PartialFrame]) -> Bools:
    """Rows that hold staleness markers, of which some partial frames know."""
    has_stale = np.zeros(rows, np.bool_)
    for partial in partials:
        if partial.stale is not None:
            has_stale[partial.rows[partial.stale]] = True
            continue
        stale = stale_places(partial.values)
        has_stale[partial.rows[np.searchsorted(partial.offsets, stale, side="right") - 1]] = True
    return has_stale


class _FrameParts(NamedTuple):
    """The arrays of a frame to be; `order` is that in which rows are stored, None their own."""

    values: Floats
    offsets: Int64s
    times: Int64s
    time_offsets: Int64s
    time_of_row: Int32s
    order: Int64s | None

    def frame(self, has_stale: Bools | None = None) -> SampleFrame:
        """The frame of these arrays; which rows hold staleness markers is looked up if it is not given."""
        if has_stale is None:
            has_stale = np.zeros(len(self.time_of_row), np.bool_)
            stale = stale_places(self.values)
            if len(stale):
                has_stale[self._rows_at(stale)] = True
        arrays = (self.values, self.offsets, self.times, self.time_offsets, self.time_of_row, has_stale)
        for array in arrays:
            array.flags.writeable = False
        return SampleFrame(*arrays)

    def _rows_at(self, places: Int64s) -> Int64s:
        """The row of each sample."""
        if self.order is None:
            return np.searchsorted(self.offsets, places, side="right") - 1
        return self.order[np.searchsorted(self.offsets[self.order], places, side="right") - 1]

    def without(self, absent: Bools) -> _FrameParts:
        """All but the ABSENT cells; rows that had some get another timestamp array."""
        values, offsets, times, time_offsets, time_of_row, order = self
        present = ~absent
        # They are few among all, so they are counted by their places, and not cell by cell.
        where = np.flatnonzero(absent)
        lengths = np.diff(time_offsets)[time_of_row]
        gone = where.searchsorted(offsets[:-1] + lengths) - where.searchsorted(offsets[:-1])
        left = lengths - gone
        changed = np.flatnonzero(left != lengths)
        private_at = ragged_positions(time_offsets[time_of_row[changed]], lengths[changed])
        private_times = times[private_at][present[ragged_positions(offsets[changed], lengths[changed])]]
        # Series of one target mostly come and go together, and then have the same gaps.
        private_times, private_offsets, place = shared_arrays(
            private_times, np.concatenate(([0], np.cumsum(left[changed])))
        )
        time_of_row = time_of_row.copy()
        time_of_row[changed] = len(time_offsets) - 1 + place
        return _FrameParts(
            _without_places(values, where),
            offsets - where.searchsorted(offsets),
            np.concatenate((times, private_times)),
            np.concatenate((time_offsets, private_offsets[1:] + len(times))),
            time_of_row,
            order,
        )


def _without_places(values: Floats, where: Int64s) -> Floats:
    """All values but those at some places, ascending; as those are mostly runs, what is between them is copied as runs."""
    cuts = np.flatnonzero(np.diff(where) != 1) + 1
    if len(cuts) >= _RUNS_MAX:
        return np.delete(values, where)
    begins = where[np.concatenate(([0], cuts))].tolist()
    ends = (where[np.concatenate((cuts - 1, [len(where) - 1]))] + 1).tolist()
    return np.concatenate(
        [values[end:begin] for end, begin in zip([0, *ends], [*begins, len(values)], strict=True)]
    )


@dataclass(slots=True)
class _RowSegments:
    """Every (row, partial frame) that has samples, sorted by row and first time.

    `plain` says that the partial frames one after the other are already in order, each row in one of them at most.
    """

    row: Int64s
    partial: Int64s
    source: Int64s
    length: Int64s
    time: Int64s
    times: Int64s
    time_offsets: Int64s
    plain: bool

    @classmethod
    def of(cls, partials: Sequence[PartialFrame]) -> _RowSegments:
        time_counts = np.array([len(partial.time_offsets) - 1 for partial in partials])
        time_firsts = np.cumsum(time_counts) - time_counts
        sizes = np.array([len(partial.times) for partial in partials])
        shifts = np.cumsum(sizes) - sizes
        times = (
            partials[0].times
            if len(partials) == 1
            else np.concatenate([partial.times for partial in partials])
        )
        time_offsets = np.concatenate(
            [
                partial.time_offsets[:-1] + shift
                for partial, shift in zip(partials, shifts.tolist(), strict=True)
            ]
            + [np.array([len(times)])]
        )
        row = np.concatenate([partial.rows for partial in partials])
        length = np.concatenate([partial.lengths for partial in partials])
        source = np.concatenate([partial.offsets[:-1] for partial in partials])
        number = np.repeat(np.arange(len(partials)), [len(partial.rows) for partial in partials])
        time = np.concatenate(
            [
                partial.time_of_row + first
                for partial, first in zip(partials, time_firsts.tolist(), strict=True)
            ]
        ).astype(np.int64)
        plain = bool((row[1:] > row[:-1]).all()) and all(partial.dense for partial in partials)
        if not plain:
            start = times[np.minimum(time_offsets[time], len(times) - 1)]
            order = np.lexsort((number, start, row))
        else:
            order = np.arange(len(row))
        order = order[length[order] > 0]
        sorted_parts = (row[order], number[order], source[order], length[order], time[order])
        return cls(*sorted_parts, times, time_offsets, plain)

    def overlapping_rows(self) -> Int64s:
        """Rows in which a segment does not begin after the end of the one before."""
        if self.plain:
            return np.zeros(0, np.int64)
        first = self.times[self.time_offsets[self.time]]
        last = self.times[self.time_offsets[self.time] + self.length - 1]
        same = self.row[1:] == self.row[:-1]
        return np.unique(self.row[1:][same & (first[1:] <= last[:-1])])

    def untangle(self, partials: Sequence[PartialFrame], rows: Int64s) -> list[PartialFrame]:
        """The partial frames without the given rows, and one partial frame in which these are merged."""
        chosen = np.flatnonzero(np.isin(self.row, rows))
        lengths = self.length[chosen]
        flat_times = taken_runs(self.times, self.time_offsets[self.time[chosen]], lengths)
        flat_rows = np.repeat(self.row[chosen], lengths)
        flat_pieces = np.repeat(self.partial[chosen], lengths)
        flat_values = np.empty(len(flat_rows))
        flat_source = ragged_positions(self.source[chosen], lengths)
        for number, partial in enumerate(partials):
            mine = flat_pieces == number
            flat_values[mine] = partial.values[flat_source[mine]]
        present = np.flatnonzero(~is_absent(flat_values))
        order = present[np.lexsort((flat_pieces[present], flat_times[present], flat_rows[present]))]
        flat_rows, flat_times, flat_values = flat_rows[order], flat_times[order], flat_values[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (flat_rows[1:] != flat_rows[:-1]) | (flat_times[1:] != flat_times[:-1])
        flat_rows, flat_times, flat_values = flat_rows[fresh], flat_times[fresh], flat_values[fresh]
        offsets = np.searchsorted(flat_rows, np.append(rows, rows[-1] + 1))
        merged = PartialFrame.private(rows, offsets, flat_times, flat_values)
        return [*(without_rows(partial, rows) for partial in partials), merged]

    def copy_values(self, partials: Sequence[PartialFrame], offsets: Int64s, out: Floats) -> None:
        """Write every segment to its place in the frame."""
        ends = np.cumsum(self.length)
        first_of_row = np.concatenate(([True], self.row[1:] != self.row[:-1]))
        row_start = np.repeat(
            (ends - self.length)[first_of_row],
            np.diff(np.append(np.flatnonzero(first_of_row), len(self.row))),
        )
        target = offsets[self.row] + (ends - self.length) - row_start
        by_piece = np.argsort(self.partial, kind="stable")
        bounds = np.searchsorted(self.partial[by_piece], np.arange(len(partials) + 1)).tolist()
        for number, partial in enumerate(partials):
            mine = by_piece[bounds[number] : bounds[number + 1]]
            if len(mine):
                copy_runs(partial.values, self.source[mine], self.length[mine], out, target[mine])

    def share_times(self, rows: int) -> tuple[Int64s, Int64s, Int32s]:
        """Distinct timestamp arrays of the rows, and which row has which; 0 for a row without samples."""
        single = self.plain or bool((self.row[1:] != self.row[:-1]).all())
        time_of_row = np.zeros(rows, np.int32)
        if single:
            used, inverse = _compact(self.time, len(self.time_offsets) - 1)
            time_of_row[self.row] = inverse
            if len(used) == len(self.time_offsets) - 1:
                return self.times, self.time_offsets, time_of_row
            starts = self.time_offsets[used]
            counts = self.time_offsets[used + 1] - starts
            times = taken_runs(self.times, starts, counts)
            return times, np.concatenate(([0], np.cumsum(counts))), time_of_row
        first = np.flatnonzero(np.concatenate(([True], self.row[1:] != self.row[:-1])))
        counts = np.diff(np.append(first, len(self.row)))
        place = np.arange(len(self.row)) - np.repeat(first, counts)
        marks = mix(self.time.astype(np.uint64) * np.uint64(1 << 20) + place.astype(np.uint64))
        _, chosen, inverse = np.unique(np.add.reduceat(marks, first), return_index=True, return_inverse=True)
        time_of_row[self.row[first]] = inverse
        segments = ragged_positions(first[chosen], counts[chosen])
        lengths = self.length[segments]
        times = taken_runs(self.times, self.time_offsets[self.time[segments]], lengths)
        totals = np.add.reduceat(lengths, np.cumsum(counts[chosen]) - counts[chosen])
        return times, np.concatenate(([0], np.cumsum(totals))), time_of_row


def _compact(numbers: Int64s, limit: int) -> tuple[Int64s, Int64s]:
    """The distinct numbers below `limit`, ascending, and the place of each in them."""
    used = np.zeros(limit, np.bool_)
    used[numbers] = True
    distinct = np.flatnonzero(used)
    place = np.cumsum(used) - 1
    return distinct, place[numbers]
