"""Pieces put together to one frame in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from trimon.model.frame import SampleFrame
from trimon.model.sample import holds_absent, is_absent, stale_places
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s, ragged_positions
from trimon.storage.read.partialframe import PartialFrame, distinct_arrays, without_rows
from trimon.storage.symbols import mix


def assemble(rows: int, pieces: Sequence[PartialFrame], *, grouped: bool = False) -> SampleFrame:
    """One frame of all pieces; of samples of one row at one time the one of the earlier piece wins.

    The frame is dense, or `grouped` by timestamp arrays.
    """
    pieces = [piece for piece in pieces if len(piece.values)]
    if not pieces:
        return SampleFrame.empty(rows)
    segments = _RowSegments.of(pieces)
    overlapping = segments.overlapping_rows()
    if len(overlapping):
        pieces = segments.untangle(pieces, overlapping)
        segments = _RowSegments.of(pieces)
        if not len(segments.row):
            return SampleFrame.empty(rows)
    lengths = np.bincount(segments.row, segments.length, rows).astype(np.int64)
    times, time_offsets, time_of_row = segments.share_times(rows)
    # rows whose samples came in different pieces may still have the same times in all
    distinct = distinct_arrays(times, time_offsets)
    if distinct is not None:
        chosen, place = distinct
        counts = np.diff(time_offsets)[chosen]
        times = times[ragged_positions(time_offsets[:-1][chosen], counts)]
        time_offsets = np.concatenate(([0], np.cumsum(counts)))
        time_of_row = place[time_of_row]
    empty = lengths == 0
    if empty.any():
        time_of_row[empty] = len(time_offsets) - 1
        time_offsets = np.append(time_offsets, time_offsets[-1])
    order = np.argsort(time_of_row, kind="stable") if grouped else None
    offsets = _offsets(lengths, order)
    if segments.plain and order is None:
        values = pieces[0].values if len(pieces) == 1 else np.concatenate([piece.values for piece in pieces])
    else:
        values = np.empty(int(offsets[-1]))
        segments.copy_values(pieces, offsets, values)
    parts = _FrameParts(values, offsets, times, time_offsets, time_of_row, order)
    if any(piece.absent for piece in pieces) and holds_absent(values):
        return parts.without(is_absent(values)).frame()
    if any(piece.stale is not None for piece in pieces):
        return parts.frame(_stale_rows(rows, pieces))
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


def _stale_rows(rows: int, pieces: Sequence[PartialFrame]) -> Bools:
    """Rows that hold staleness markers, of which some pieces know."""
    has_stale = np.zeros(rows, np.bool_)
    for piece in pieces:
        if piece.stale is not None:
            has_stale[piece.rows[piece.stale]] = True
            continue
        stale = stale_places(piece.values)
        has_stale[piece.rows[np.searchsorted(piece.offsets, stale, side="right") - 1]] = True
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
        """The frame; which rows are stale is looked up if it is not told."""
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
        """All but the ABSENT cells; rows that had some get a private timestamp array."""
        values, offsets, times, time_offsets, time_of_row, order = self
        present = ~absent
        kept = np.concatenate(([0], np.cumsum(present)))
        lengths = np.diff(time_offsets)[time_of_row]
        left = kept[offsets[:-1] + lengths] - kept[offsets[:-1]]
        changed = np.flatnonzero(left != lengths)
        private_at = ragged_positions(time_offsets[time_of_row[changed]], lengths[changed])
        private_times = times[private_at][present[ragged_positions(offsets[changed], lengths[changed])]]
        private_ends = np.cumsum(left[changed]) + len(times)
        time_of_row = time_of_row.copy()
        time_of_row[changed] = np.arange(len(time_offsets) - 1, len(time_offsets) - 1 + len(changed))
        return _FrameParts(
            values[present],
            kept[offsets],
            np.concatenate((times, private_times)),
            np.concatenate((time_offsets, private_ends)),
            time_of_row,
            order,
        )


@dataclass(slots=True)
class _RowSegments:
    """Every (row, piece) that has samples, sorted by row and first time.

    `plain` says that the pieces one after the other are already in order, each row in one of them at most.
    """

    row: Int64s
    piece: Int64s
    source: Int64s
    length: Int64s
    time: Int64s
    times: Int64s
    time_offsets: Int64s
    plain: bool

    @classmethod
    def of(cls, pieces: Sequence[PartialFrame]) -> _RowSegments:
        time_counts = np.array([len(piece.time_offsets) - 1 for piece in pieces])
        time_firsts = np.cumsum(time_counts) - time_counts
        sizes = np.array([len(piece.times) for piece in pieces])
        shifts = np.cumsum(sizes) - sizes
        times = pieces[0].times if len(pieces) == 1 else np.concatenate([piece.times for piece in pieces])
        time_offsets = np.concatenate(
            [piece.time_offsets[:-1] + shift for piece, shift in zip(pieces, shifts.tolist(), strict=True)]
            + [np.array([len(times)])]
        )
        row = np.concatenate([piece.rows for piece in pieces])
        length = np.concatenate([piece.lengths for piece in pieces])
        source = np.concatenate([piece.offsets[:-1] for piece in pieces])
        number = np.repeat(np.arange(len(pieces)), [len(piece.rows) for piece in pieces])
        time = np.concatenate(
            [piece.time_of_row + first for piece, first in zip(pieces, time_firsts.tolist(), strict=True)]
        ).astype(np.int64)
        plain = bool((row[1:] > row[:-1]).all()) and all(piece.dense for piece in pieces)
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

    def untangle(self, pieces: Sequence[PartialFrame], rows: Int64s) -> list[PartialFrame]:
        """The pieces without the given rows, and one piece in which these are merged."""
        chosen = np.flatnonzero(np.isin(self.row, rows))
        lengths = self.length[chosen]
        flat_times = self.times[ragged_positions(self.time_offsets[self.time[chosen]], lengths)]
        flat_rows = np.repeat(self.row[chosen], lengths)
        flat_pieces = np.repeat(self.piece[chosen], lengths)
        flat_values = np.empty(len(flat_rows))
        flat_source = ragged_positions(self.source[chosen], lengths)
        for number, piece in enumerate(pieces):
            mine = flat_pieces == number
            flat_values[mine] = piece.values[flat_source[mine]]
        present = np.flatnonzero(~is_absent(flat_values))
        order = present[np.lexsort((flat_pieces[present], flat_times[present], flat_rows[present]))]
        flat_rows, flat_times, flat_values = flat_rows[order], flat_times[order], flat_values[order]
        fresh = np.ones(len(order), np.bool_)
        fresh[1:] = (flat_rows[1:] != flat_rows[:-1]) | (flat_times[1:] != flat_times[:-1])
        flat_rows, flat_times, flat_values = flat_rows[fresh], flat_times[fresh], flat_values[fresh]
        offsets = np.searchsorted(flat_rows, np.append(rows, rows[-1] + 1))
        merged = PartialFrame.private(rows, offsets, flat_times, flat_values)
        return [*(without_rows(piece, rows) for piece in pieces), merged]

    def copy_values(self, pieces: Sequence[PartialFrame], offsets: Int64s, out: Floats) -> None:
        """Write every segment to its place in the frame."""
        ends = np.cumsum(self.length)
        first_of_row = np.concatenate(([True], self.row[1:] != self.row[:-1]))
        row_start = np.repeat(
            (ends - self.length)[first_of_row],
            np.diff(np.append(np.flatnonzero(first_of_row), len(self.row))),
        )
        target = offsets[self.row] + (ends - self.length) - row_start
        by_piece = np.argsort(self.piece, kind="stable")
        bounds = np.searchsorted(self.piece[by_piece], np.arange(len(pieces) + 1)).tolist()
        for number, piece in enumerate(pieces):
            mine = by_piece[bounds[number] : bounds[number + 1]]
            if len(mine):
                _copy_runs(piece.values, self.source[mine], self.length[mine], out, target[mine])

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
            times = self.times[ragged_positions(starts, counts)]
            return times, np.concatenate(([0], np.cumsum(counts))), time_of_row
        first = np.flatnonzero(np.concatenate(([True], self.row[1:] != self.row[:-1])))
        counts = np.diff(np.append(first, len(self.row)))
        place = np.arange(len(self.row)) - np.repeat(first, counts)
        marks = mix(self.time.astype(np.uint64) * np.uint64(1 << 20) + place.astype(np.uint64))
        _, chosen, inverse = np.unique(np.add.reduceat(marks, first), return_index=True, return_inverse=True)
        time_of_row[self.row[first]] = inverse
        segments = ragged_positions(first[chosen], counts[chosen])
        lengths = self.length[segments]
        times = self.times[ragged_positions(self.time_offsets[self.time[segments]], lengths)]
        totals = np.add.reduceat(lengths, np.cumsum(counts[chosen]) - counts[chosen])
        return times, np.concatenate(([0], np.cumsum(totals))), time_of_row


def _compact(numbers: Int64s, limit: int) -> tuple[Int64s, Int64s]:
    """The distinct numbers below `limit`, ascending, and the place of each in them."""
    used = np.zeros(limit, np.bool_)
    used[numbers] = True
    distinct = np.flatnonzero(used)
    place = np.cumsum(used) - 1
    return distinct, place[numbers]


def _copy_runs(values: Floats, source: Int64s, length: Int64s, out: Floats, target: Int64s) -> None:
    """Copy runs; those of one length that lie at steady distances are copied as one matrix."""
    if not (target[1:] >= target[:-1]).all():
        order = np.argsort(target)
        source, length, target = source[order], length[order], target[order]
    count = len(source)
    gaps_in, gaps_out = np.diff(source), np.diff(target)
    turns = np.flatnonzero((gaps_in[1:] != gaps_in[:-1]) | (gaps_out[1:] != gaps_out[:-1])) + 2
    resized = np.flatnonzero(length[1:] != length[:-1]) + 1
    if len(turns) + len(resized) > 8 + count // 4:
        out[ragged_positions(target, length)] = values[ragged_positions(source, length)]
        return
    begins = [0]
    for place, free in sorted([(p, True) for p in turns.tolist()] + [(p, False) for p in resized.tolist()]):
        # the first distance within a matrix may be any
        if place != begins[-1] and not (free and place == begins[-1] + 1):
            begins.append(place)
    for begin, end in pairwise([*begins, count]):
        rows, run = end - begin, int(length[begin])
        strides = [8 * int(at[begin + 1] - at[begin]) if rows > 1 else 8 * run for at in (source, target)]
        blocks = [
            np.lib.stride_tricks.as_strided(flat[int(at[begin]) :], (rows, run), (stride, 8))
            for flat, at, stride in zip((values, out), (source, target), strides, strict=True)
        ]
        np.copyto(blocks[1], blocks[0])
