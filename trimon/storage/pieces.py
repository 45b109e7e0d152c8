"""Samples of the same rows from several places, put together to one frame in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimon.model.frame import SampleFrame
from trimon.model.sample import is_absent, is_stale
from trimon.storage.arena import Floats, Int32s, Int64s, ragged_positions
from trimon.storage.symbols import mix


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Samples of some rows of a selection, from one place.

    Row `rows[i]` has `values[offsets[i]:offsets[i + 1]]` at the times of array `time_of_row[i]`, as in a
    SampleFrame. Rows are distinct. `absent` says that values may hold ABSENT.
    """

    rows: Int64s
    values: Floats
    offsets: Int64s
    times: Int64s
    time_offsets: Int64s
    time_of_row: Int32s
    absent: bool = False

    @classmethod
    def matrix(cls, rows: Int64s, times: Int64s, values: Floats, *, absent: bool) -> Piece:
        """A piece of rows that share one timestamp array; `values[row, time]`."""
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
    def private(cls, rows: Int64s, offsets: Int64s, times: Int64s, values: Floats) -> Piece:
        """A piece of rows whose `times` run beside `values`; rows of equal times are made to share them."""
        distinct = distinct_arrays(times, offsets)
        if distinct is None:
            return cls(rows, values, offsets, times, offsets, np.arange(len(rows), dtype=np.int32))
        chosen, time_of_row = distinct
        lengths = np.diff(offsets)[chosen]
        shared = times[ragged_positions(offsets[:-1][chosen], lengths)]
        return cls(rows, values, offsets, shared, np.concatenate(([0], np.cumsum(lengths))), time_of_row)

    def clipped(self, start_ms: int, end_ms: int) -> Piece:
        """What lies in the closed interval; rows stay, perhaps empty."""
        if len(self.times) == 0 or (self.times.min() >= start_ms and self.times.max() <= end_ms):
            return self
        if len(self.time_offsets) == 2:
            return self._clipped_matrix(start_ms, end_ms)
        inside = np.concatenate(([0], np.cumsum((self.times >= start_ms) & (self.times <= end_ms))))
        before = np.concatenate(([0], np.cumsum(self.times < start_ms)))
        time_starts, time_ends = self.time_offsets[:-1], self.time_offsets[1:]
        counts = inside[time_ends] - inside[time_starts]
        skips = before[time_ends] - before[time_starts]
        lengths = counts[self.time_of_row]
        picked = ragged_positions(self.offsets[:-1] + skips[self.time_of_row], lengths)
        return Piece(
            self.rows,
            self.values[picked],
            np.concatenate(([0], np.cumsum(lengths))),
            self.times[ragged_positions(time_starts + skips, counts)],
            np.concatenate(([0], np.cumsum(counts))),
            self.time_of_row,
            self.absent,
        )

    def _clipped_matrix(self, start_ms: int, end_ms: int) -> Piece:
        """As `clipped`, where all rows share one timestamp array."""
        first = int(np.searchsorted(self.times, start_ms))
        last = max(first, int(np.searchsorted(self.times, end_ms, side="right")))
        values = self.values.reshape(len(self.rows), len(self.times))[:, first:last]
        return Piece.matrix(self.rows, self.times[first:last], values, absent=self.absent)


def distinct_arrays(times: Int64s, offsets: Int64s) -> tuple[Int64s, Int32s] | None:
    """Of many timestamp arrays the distinct ones, and which each is; None when most of them differ."""
    count = len(offsets) - 1
    if count < 2 or int(np.diff(offsets).min()) == 0:
        return None
    digests = np.add.reduceat(mix(times.view(np.uint64)), offsets[:-1])
    _, chosen, inverse = np.unique(digests, return_index=True, return_inverse=True)
    if 2 * len(chosen) > count:
        return None
    lengths = np.diff(offsets)
    if (lengths[chosen][inverse] != lengths).any():
        return None
    # the digest only proposes: what is shared is compared
    twins = times[ragged_positions(offsets[:-1][chosen][inverse], lengths)]
    if not np.array_equal(twins, times):
        return None
    return chosen, inverse.astype(np.int32)


def assemble(rows: int, pieces: Sequence[Piece]) -> SampleFrame:
    """One frame of all pieces; of samples of one row at one time the one of the earlier piece wins."""
    pieces = [piece for piece in pieces if len(piece.values)]
    if not pieces:
        return SampleFrame.empty(rows)
    segments = _Segments.of(pieces)
    overlapping = segments.overlapping_rows()
    if len(overlapping):
        pieces = segments.untangle(pieces, overlapping)
        segments = _Segments.of(pieces)
    lengths = np.zeros(rows, np.int64)
    np.add.at(lengths, segments.row, segments.length)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    if segments.plain:
        values = pieces[0].values if len(pieces) == 1 else np.concatenate([piece.values for piece in pieces])
    else:
        values = np.empty(int(offsets[-1]))
        segments.copy_values(pieces, offsets, values)
    times, time_offsets, time_of_row = segments.share_times(rows)
    # rows whose samples came in different pieces may still have the same times in all
    distinct = distinct_arrays(times, time_offsets)
    if distinct is not None:
        chosen, place = distinct
        counts = np.diff(time_offsets)[chosen]
        times = times[ragged_positions(time_offsets[:-1][chosen], counts)]
        time_offsets = np.concatenate(([0], np.cumsum(counts)))
        time_of_row = place[time_of_row]
    if any(piece.absent for piece in pieces):
        absent = is_absent(values)
        if absent.any():
            return _without_absent(values, offsets, times, time_offsets, time_of_row)
    return _frame(values, offsets, times, time_offsets, time_of_row)


def _frame(
    values: Floats, offsets: Int64s, times: Int64s, time_offsets: Int64s, time_of_row: Int32s
) -> SampleFrame:
    has_stale = np.zeros(len(time_of_row), np.bool_)
    stale = np.flatnonzero(is_stale(values))
    if len(stale):
        has_stale[np.searchsorted(offsets, stale, side="right") - 1] = True
    for array in (values, offsets, times, time_offsets, time_of_row, has_stale):
        array.flags.writeable = False
    return SampleFrame(values, offsets, times, time_offsets, time_of_row, has_stale)


def _without_absent(
    values: Floats, offsets: Int64s, times: Int64s, time_offsets: Int64s, time_of_row: Int32s
) -> SampleFrame:
    """The frame without ABSENT cells; rows that had some get a private timestamp array."""
    present = ~is_absent(values)
    kept = np.concatenate(([0], np.cumsum(present)))
    new_offsets = kept[offsets]
    lengths = np.diff(offsets)
    changed = np.flatnonzero(np.diff(new_offsets) != lengths)
    private_at = ragged_positions(time_offsets[time_of_row[changed]], lengths[changed])
    private_times = times[private_at][present[ragged_positions(offsets[changed], lengths[changed])]]
    private_ends = np.cumsum(np.diff(new_offsets)[changed]) + len(times)
    time_of_row = time_of_row.copy()
    time_of_row[changed] = np.arange(len(time_offsets) - 1, len(time_offsets) - 1 + len(changed))
    return _frame(
        values[present],
        new_offsets,
        np.concatenate((times, private_times)),
        np.concatenate((time_offsets, private_ends)),
        time_of_row,
    )


@dataclass(slots=True)
class _Segments:
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
    def of(cls, pieces: Sequence[Piece]) -> _Segments:
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
        length = np.concatenate([np.diff(piece.offsets) for piece in pieces])
        source = np.concatenate([piece.offsets[:-1] for piece in pieces])
        number = np.repeat(np.arange(len(pieces)), [len(piece.rows) for piece in pieces])
        time = np.concatenate(
            [piece.time_of_row + first for piece, first in zip(pieces, time_firsts.tolist(), strict=True)]
        ).astype(np.int64)
        plain = bool((row[1:] > row[:-1]).all())
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

    def untangle(self, pieces: Sequence[Piece], rows: Int64s) -> list[Piece]:
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
        merged = Piece.private(rows, offsets, flat_times, flat_values)
        return [*(_without_rows(piece, rows) for piece in pieces), merged]

    def copy_values(self, pieces: Sequence[Piece], offsets: Int64s, out: Floats) -> None:
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


def _without_rows(piece: Piece, rows: Int64s) -> Piece:
    keep = np.flatnonzero(~np.isin(piece.rows, rows))
    if len(keep) == len(piece.rows):
        return piece
    lengths = np.diff(piece.offsets)[keep]
    return Piece(
        piece.rows[keep],
        piece.values[ragged_positions(piece.offsets[:-1][keep], lengths)],
        np.concatenate(([0], np.cumsum(lengths))),
        piece.times,
        piece.time_offsets,
        piece.time_of_row[keep],
        piece.absent,
    )


def _copy_runs(values: Floats, source: Int64s, length: Int64s, out: Floats, target: Int64s) -> None:
    """Copy runs; runs of one length that lie at a steady distance are copied as one matrix."""
    count, run = len(source), int(length[0])
    if (length != run).any():
        out[ragged_positions(target, length)] = values[ragged_positions(source, length)]
        return
    if count > 1:
        steps = np.diff(target)
        step = int(steps[0])
        if step >= run and (steps == step).all() and (np.diff(source) == run).all():
            begin = int(target[0])
            block = values[source[0] : source[0] + count * run].reshape(count, run)
            strided = np.lib.stride_tricks.as_strided(out[begin:], (count, run), (8 * step, 8))
            strided[:] = block
            return
        span = np.arange(run)
        out[target[:, None] + span] = values[source[:, None] + span]
        return
    out[target[0] : target[0] + run] = values[source[0] : source[0] + run]
