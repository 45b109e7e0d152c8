"""Samples as rectangles: the shape in which window functions see a frame.

Rows that share a timestamp array become a matrix whose windows are looked up once for all of them. Rows with
timestamps of their own are padded into matrices of neighbouring lengths, with windows per row.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame, Times
from trimon.model.sample import is_stale
from trimon.query.execution.values import Cells, Index, Mask, Matrix
from trimon.query.windows.resetfree import RESET_FREE
from trimon.records import dataclass

# Cells of one window matrix: what is made of them stays in the cache, and the cost of numpy's calls is hidden.
CELLS_MAX: Final = 1 << 19
_COPIED_MIN: Final = 64
# A window matrix costs some 40 us besides its cells, a cell of rows with times of their own about 30 ns more than another.
_ARRAYS_MANY: Final = 8
# A row of more samples is not copied to be padded.
_ALONE_MIN: Final = 1 << 16
_CELLS_MIN: Final = 1200
_T = TypeVar("_T", bound=np.generic)
_FAR: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class WindowMatrix:
    """`values` is float64[rows, n]; `times` is int64[n], or int64[rows, n] padded with a far future.

    The window of step `k` is `lo[k]:hi[k]` (or `lo[row, k]:hi[row, k]`). `rows` are the rows of the frame.
    `ragged` tells which of the two shapes it is. `rising`, where known, tells the rows that never fall.
    """

    rows: Index
    times: Times
    values: Matrix
    lo: Index
    hi: Index
    starts: Times | None = None
    histograms: Cells | None = None
    rising: Mask | None = None

    @property
    def ragged(self) -> bool:
        """Whether every row has timestamps and windows of its own."""
        return self.times.ndim == 2

    @property
    def target(self) -> slice | Index:
        """Where results of this window matrix go: a slice when its rows are neighbours in their order."""
        rows = self.rows
        if not self.ragged and len(rows) == rows[-1] - rows[0] + 1:
            return slice(int(rows[0]), int(rows[-1]) + 1)
        return rows

    def pick(self, matrix: npt.NDArray[np.float64], index: Index) -> Matrix:
        """`matrix[row, index]` for every row and step; `index` is shaped like `lo`."""
        if index.ndim == 1:
            return matrix.take(index, axis=1, mode="clip")
        return np.take_along_axis(matrix, np.clip(index, 0, matrix.shape[1] - 1), axis=1)

    def pick_int(self, matrix: npt.NDArray[np.int64], index: Index) -> npt.NDArray[np.int64]:
        """As `pick`, for integers."""
        if index.ndim == 1:
            return matrix.take(index, axis=1, mode="clip")
        return np.take_along_axis(matrix, np.clip(index, 0, matrix.shape[1] - 1), axis=1)

    def pick_cells(self, index: Index) -> Cells | None:
        """The native histograms at `index`, if there are any."""
        if self.histograms is None:
            return None
        clipped = np.clip(index, 0, self.histograms.shape[1] - 1)
        if index.ndim == 1:
            return self.histograms[:, clipped]
        return np.take_along_axis(self.histograms, clipped, axis=1)

    def pick_times(self, index: Index) -> Times:
        """The timestamps at `index`, shaped like `index`."""
        last = self.times.shape[-1] - 1
        clipped = np.clip(index, 0, last)
        if self.times.ndim == 1:
            return self.times[clipped]
        return np.take_along_axis(self.times, clipped, axis=1)


def window_matrices(
    frame: SampleFrame, refs_ms: Times, range_ms: int, *, drop_stale: bool, ends_only: bool = False
) -> Iterator[WindowMatrix]:
    """The frame as window_matrices with the windows `(ref - range, ref]`; rows without samples are left out.

    With `drop_stale` staleness markers are taken out, otherwise they are samples. With `ends_only` nobody looks at
    more than the first and the last sample of a window: window_matrices may be higher.
    """
    if frame.rows == 0 or len(refs_ms) == 0:
        return
    skips, lengths = _inside(frame, int(refs_ms[0]) - range_ms, int(refs_ms[-1]))
    apart = lengths == 0
    if drop_stale:
        apart |= frame.has_stale
    for rows in _by_times(frame, apart, lengths + len(refs_ms)):
        yield from _shared(frame, refs_ms, range_ms, rows, ends_only=ends_only)
    ragged = np.flatnonzero(apart & (lengths > 0))
    if len(ragged):
        runs = _GridRuns(frame, ragged, skips[ragged], lengths[ragged])
        yield from _ragged(runs, refs_ms, range_ms, drop_stale=drop_stale)


def _inside(frame: SampleFrame, after_ms: int, until_ms: int) -> tuple[Index, Index]:
    """For every row how many samples lie at or before `after_ms`, and how many later up to `until_ms`."""
    offsets, arrays = frame.time_offsets, frame.time_of_row
    counts = []
    for edge_ms in (after_ms, until_ms):
        before = np.zeros(len(frame.times) + 1, np.int64)
        np.cumsum(frame.times <= edge_ms, out=before[1:])
        counts.append(before[offsets[1:]] - before[offsets[:-1]])
    return counts[0][arrays], (counts[1] - counts[0])[arrays]


def _by_times(frame: SampleFrame, apart: Mask, cells: Index) -> list[Index]:
    """The rows that share a timestamp array, array by array; too few of a kind are marked in `apart` instead.

    `cells` is what each row takes in a window matrix.
    """
    arrays = frame.time_of_row
    order = np.arange(frame.rows, dtype=np.intp)
    changes = int(np.count_nonzero(arrays[1:] != arrays[:-1]))
    if changes >= len(frame.time_offsets) - 1:
        # Storage sorts by labels: the series of one target are not neighbours.
        order = np.argsort(arrays, kind="stable").astype(np.intp)
        arrays = arrays[order]
    edges = np.flatnonzero(arrays[1:] != arrays[:-1]) + 1
    bounds = [0, *edges.tolist(), frame.rows]
    many = len(edges) > _ARRAYS_MANY
    out = []
    for begin, end in pairwise(bounds):
        rows = order[begin:end]
        if many and (end - begin) * int(cells[rows[0]]) < _CELLS_MIN:
            apart[rows] = True
            continue
        rows = rows[~apart[rows]]
        if len(rows):
            out.append(rows)
    return out


def _shared(
    frame: SampleFrame, refs_ms: Times, range_ms: int, rows: Index, *, ends_only: bool
) -> Iterator[WindowMatrix]:
    array = int(frame.time_of_row[rows[0]])
    times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
    lo = np.searchsorted(times, refs_ms - range_ms, side="right")
    hi = np.searchsorted(times, refs_ms, side="right")
    # Nothing outside the windows is looked at: cut it off, so that a shared wide frame costs no more.
    left, right = int(lo[0]), int(hi[-1])
    if right <= left:
        return
    count = len(times)
    lo, hi, times = lo - left, hi - left, times[left:right]
    seen = 2 * len(refs_ms) if ends_only else right - left
    chunk = max(1, CELLS_MAX // max(seen, len(refs_ms)))
    rising = None if frame.facts is None else frame.facts.get(RESET_FREE)
    for at in range(0, len(rows), chunk):
        picked = rows[at : at + chunk]
        yield WindowMatrix(
            picked,
            times,
            block_of(frame.values, frame.offsets[picked], count, left, right),
            lo,
            hi,
            None
            if frame.starts is None
            else block_of(frame.starts, frame.offsets[picked], count, left, right),
            None
            if frame.histograms is None
            else block_of(frame.histograms, frame.offsets[picked], count, left, right),
            None if rising is None else rising[picked],
        )


def block_of(
    flat: npt.NDArray[_T], offsets: npt.NDArray[np.int64], count: int, left: int, right: int
) -> npt.NDArray[_T]:
    """The samples `left:right` of rows that have `count` each, as a matrix; neighbours are not copied."""
    first, last = int(offsets[0]), int(offsets[-1])
    block: npt.NDArray[_T]
    if last - first == (len(offsets) - 1) * count:
        block = flat[first : last + count].reshape(len(offsets), count)[:, left:right]
        return block
    width = right - left
    if width < _COPIED_MIN:
        block = flat[offsets[:, None] + np.arange(left, right)]
        return block
    # A slice and a copy for each row is several times faster than an index for each sample.
    starts = (offsets + left).tolist()
    block = np.concatenate([flat[start : start + width] for start in starts])
    return block.reshape(len(offsets), width)


class _GridRuns(NamedTuple):
    """Samples of some rows: `lengths[i]` of them after the first `skips[i]` of row `rows[i]`."""

    frame: SampleFrame
    rows: Index
    skips: Index
    lengths: Index

    def take(self, places: slice | Index) -> _GridRuns:
        return _GridRuns(self.frame, self.rows[places], self.skips[places], self.lengths[places])


def _ragged(runs: _GridRuns, refs_ms: Times, range_ms: int, *, drop_stale: bool) -> Iterator[WindowMatrix]:
    runs = runs.take(np.argsort(runs.lengths, kind="stable"))
    lengths = runs.lengths
    at = 0
    while at < len(lengths):
        widest = max(int(lengths[at]) * 2, 64)
        stop = int(np.searchsorted(lengths, widest, side="right"))
        width = max(widest, len(refs_ms))
        stop = min(stop, at + max(1, CELLS_MAX // width))
        made = _alone if stop - at == 1 and lengths[at] >= _ALONE_MIN else _padded
        windows = made(runs.take(slice(at, stop)), refs_ms, range_ms, drop_stale=drop_stale)
        if windows is not None:
            yield windows
        at = stop


def _alone(runs: _GridRuns, refs_ms: Times, range_ms: int, *, drop_stale: bool) -> WindowMatrix | None:
    """The only row, whose times are those of its window matrix: nothing is copied but where there are stale markers."""
    frame, row, skip, length = runs.frame, int(runs.rows[0]), int(runs.skips[0]), int(runs.lengths[0])
    first = int(frame.time_offsets[frame.time_of_row[row]]) + skip
    times, begin = frame.times[first : first + length], int(frame.offsets[row]) + skip
    taken: slice | Index = slice(begin, begin + length)
    if drop_stale and frame.has_stale[row]:
        kept = np.flatnonzero(~is_stale(frame.values[taken]))
        times, taken = times[kept], kept + begin
    if not len(times):
        return None
    return WindowMatrix(
        runs.rows,
        times,
        frame.values[taken][None, :],
        np.searchsorted(times, refs_ms - range_ms, side="right"),
        np.searchsorted(times, refs_ms, side="right"),
        None if frame.starts is None else frame.starts[taken][None, :],
        None if frame.histograms is None else frame.histograms[taken][None, :],
    )


def _padded(runs: _GridRuns, refs_ms: Times, range_ms: int, *, drop_stale: bool) -> WindowMatrix | None:
    frame, rows, skips, lengths = runs
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    within = np.arange(total) - np.repeat(ends - lengths, lengths)
    row_of = np.repeat(np.arange(len(rows)), lengths)
    at = np.repeat(frame.offsets[rows] + skips, lengths) + within
    values = frame.values[at]
    times = frame.times[np.repeat(frame.time_offsets[frame.time_of_row[rows]] + skips, lengths) + within]
    starts = None if frame.starts is None else frame.starts[at]
    cells = None if frame.histograms is None else frame.histograms[at]
    if drop_stale:
        keep = ~is_stale(values)
        if not keep.all():
            values, times, row_of = values[keep], times[keep], row_of[keep]
            starts = None if starts is None else starts[keep]
            cells = None if cells is None else cells[keep]
            lengths = np.bincount(row_of, minlength=len(rows)).astype(np.int64)
            ends = np.cumsum(lengths)
            within = np.arange(len(values)) - np.repeat(ends - lengths, lengths)
    width = int(lengths.max(initial=0))
    if width == 0:
        return None
    shape = (len(rows), width)
    padded_values = np.full(shape, np.nan)
    padded_times = np.full(shape, _FAR)
    padded_values[row_of, within] = values
    padded_times[row_of, within] = times
    padded_starts = None
    if starts is not None:
        padded_starts = np.zeros(shape, np.int64)
        padded_starts[row_of, within] = starts
    padded_cells = None
    if cells is not None:
        padded_cells = np.full(shape, None, np.object_)
        padded_cells[row_of, within] = cells
    hi = _counts(times, row_of, len(rows), refs_ms)
    lo = _counts(times + range_ms, row_of, len(rows), refs_ms)
    return WindowMatrix(rows, padded_times, padded_values, lo, hi, padded_starts, padded_cells)


def _counts(times: Times, row_of: Index, rows: int, refs_ms: Times) -> Index:
    """How many times of each row are at or before each reference; on a regular grid that is a division."""
    steps = len(refs_ms)
    step = int(refs_ms[1] - refs_ms[0]) if steps > 1 else 0
    if step == 0:
        counts = np.bincount(row_of[times <= refs_ms[0]], minlength=rows)
        return np.broadcast_to(counts[:, None], (rows, steps)).astype(np.intp)
    index = np.clip(-((refs_ms[0] - times) // step), 0, steps)
    counts = np.bincount(row_of * (steps + 1) + index, minlength=rows * (steps + 1))
    return np.cumsum(counts.reshape(rows, steps + 1), axis=1)[:, :steps].astype(np.intp)
