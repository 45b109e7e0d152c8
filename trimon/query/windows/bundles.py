"""Native histograms as rectangles: the numbers of rows that share their times, laid at the samples of their rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from trimon.model.components import MarkerFlags, Part, is_marker, marker_flags
from trimon.model.frame import HistogramColumns, SampleFrame, Times
from trimon.model.sample import is_stale
from trimon.query.execution.values import Index, Mask, Matrix
from trimon.query.histograms.placed import places_within, times_of
from trimon.query.windows.windowmatrix import WindowMatrix, block_of
from trimon.records import dataclass

# Numbers of one bundle: what is made of them stays in the cache.
CELLS_MAX: Final = 1 << 18
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rows of a frame with equal times, without staleness markers, and the windows of all steps.

    `values[component, n]` are the numbers of components `first` and following of the columns, 0 where a sample lacks one
    or is of another layout; those of `rows[i]` are `bounds[i]:bounds[i + 1]`. `kinds[row, n]` are the layouts of samples, -1
    for floats. `stored` tells where numbers are there, without it they are wherever a sample is of their layout. `follows[n]`
    tells whether nothing lies between a sample and the one before. The window of step `k` is `lo[k]:hi[k]`.
    """

    rows: Index
    times: Times
    lo: Index
    hi: Index
    follows: Mask
    first: int
    bounds: Index
    part: npt.NDArray[np.int8]
    layout: npt.NDArray[np.int32]
    values: Matrix
    stored: Mask | None
    kinds: npt.NDArray[np.int32]
    gauges: Mask

    @property
    def steps(self) -> int:
        """Number of windows."""
        return len(self.lo)

    @property
    def counts(self) -> Index:
        """How many samples each window has."""
        return self.hi - self.lo

    @property
    def uniform(self) -> bool:
        """Whether all samples of each row are histograms of one layout."""
        return bool((self.kinds == self.kinds[:, :1]).all() and (self.kinds[:, 0] >= 0).all())

    def windows(self) -> WindowMatrix:
        """The numbers as if each were a series of floats."""
        return WindowMatrix(np.arange(len(self.values)), self.times, self.values, self.lo, self.hi)

    def any_of(self, numbers: Mask, *, counts_only: bool = True) -> Mask:
        """For each row whether any of its components has the mark."""
        if counts_only:
            numbers = numbers & (self.part != Part.SUM)[:, None]
        sizes = np.diff(self.bounds)
        if len(sizes) and (sizes == sizes[0]).all():
            found: Mask = np.logical_or.reduce(numbers.reshape(len(sizes), int(sizes[0]), -1), axis=1)
            return found
        return np.asarray(np.logical_or.reduceat(numbers, self.bounds[:-1], axis=0))

    def spread(self, of_rows: npt.NDArray[_T]) -> npt.NDArray[_T]:
        """A line for each component from one for each row."""
        return np.repeat(of_rows, np.diff(self.bounds), axis=0)

    def figure(self, part: Part, columns: Index) -> Matrix:
        """One of the figures of all rows at some samples."""
        places = np.flatnonzero(self.part == part)
        row = np.searchsorted(self.bounds, places, side="right") - 1
        found = self.values[places].take(columns, axis=1)
        if len(row) == len(self.rows) and (np.diff(row) == 1).all():
            return found
        out = np.zeros((len(self.rows), len(columns)))
        np.add.at(out, row, found)
        return out


@dataclass(frozen=True, slots=True)
class NativeRows:
    """A frame with histograms as columns, and of which layout each sample is."""

    frame: SampleFrame
    native: HistogramColumns
    kinds: npt.NDArray[np.int32]
    bounds: Index
    _maps: dict[tuple[int, int], Index | None] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: SampleFrame) -> NativeRows:
        """Look at the counts."""
        native = frame.native
        assert native is not None
        bounds = np.searchsorted(native.row, np.arange(frame.rows + 1))
        made = cls(frame, native, np.full(len(frame.values), -1, np.int32), bounds)
        made._find_kinds()
        return made

    @property
    def damaged(self) -> bool:
        """Whether there are markers without numbers."""
        return bool((is_marker(self.frame.values) & (self.kinds < 0)).any())

    def _map(self, own: int, theirs: int) -> Index | None:
        """Where the times of a component's array are in one of a row; None where they are the same."""
        if (own, theirs) not in self._maps:
            mine, others = times_of(self.native.frame, own), times_of(self.frame, theirs)
            same = len(mine) == len(others) and bool((mine == others).all())
            self._maps[own, theirs] = None if same else places_within(mine, others)
        return self._maps[own, theirs]

    def _find_kinds(self) -> None:
        native, frame = self.native, self.frame
        counts = np.flatnonzero(native.part == Part.COUNT)
        rows = native.row[counts]
        arrays = len(frame.time_offsets)
        pairs = native.frame.time_of_row[counts].astype(np.int64) * arrays + frame.time_of_row[rows]
        order = np.argsort(pairs, kind="stable")
        edges = np.flatnonzero(np.diff(pairs[order])) + 1
        for some in np.split(order, edges) if len(order) else ():
            own, theirs = divmod(int(pairs[some[0]]), arrays)
            known = self._map(own, theirs)
            length = len(times_of(native.frame, own))
            within = np.arange(length)
            places = within if known is None else known
            kept = places >= 0
            at = frame.offsets[rows[some]][:, None] + places[kept]
            found = np.broadcast_to(native.layout[counts[some]][:, None], at.shape)
            if native.frame.has_stale[counts[some]].any():
                numbers = native.frame.values[native.frame.offsets[counts[some]][:, None] + within[kept]]
                living = ~is_stale(numbers)
                at, found = at[living], found[living]
            self.kinds[at] = found
        self.kinds[~is_marker(frame.values)] = -1

    def bundles(self, refs_ms: Times, range_ms: int) -> Iterator[Bundle]:
        """The histograms for the windows `(ref - range, ref]`; rows without any of them near a window are left out."""
        frame = self.frame
        groups: dict[tuple[int, bytes], list[int]] = {}
        stale = frame.has_stale
        lengths = frame.lengths
        holding = np.flatnonzero((np.diff(self.bounds) > 0) & (lengths > 0))
        arrays = frame.time_of_row[holding].tolist()
        for row, array, odd in zip(holding.tolist(), arrays, stale[holding].tolist(), strict=True):
            key = b""
            if odd:
                begin = int(frame.offsets[row])
                key = is_stale(frame.values[begin : begin + int(lengths[row])]).tobytes()
            groups.setdefault((array, key), []).append(row)
        for (array, key), rows in groups.items():
            kept = None if not key else np.flatnonzero(~np.frombuffer(key, np.bool_))
            yield from self._group(np.array(rows, np.intp), array, kept, refs_ms, range_ms)

    def _group(
        self, rows: Index, array: int, kept: Index | None, refs_ms: Times, range_ms: int
    ) -> Iterator[Bundle]:
        times = times_of(self.frame, array)
        shown = times if kept is None else times[kept]
        lo = np.searchsorted(shown, refs_ms - range_ms, side="right")
        hi = np.searchsorted(shown, refs_ms, side="right")
        # The sample before the first window tells of a reset.
        left, right = max(int(lo[0]) - 1, 0), int(hi[-1])
        if int(lo[0]) >= right:
            return
        lo, hi = lo - left, hi - left
        columns = np.arange(left, right) if kept is None else kept[left:right]
        follows = np.ones(len(columns), np.bool_)
        follows[1:] = np.diff(columns) == 1
        follows[0] = columns[0] == 0 or (kept is not None and left > 0 and kept[left - 1] == columns[0] - 1)
        sizes_of = np.diff(self.bounds)
        sizes = sizes_of[rows]
        chunk = max(1, CELLS_MAX // max(1, int(sizes.max()) * max(len(columns), len(refs_ms))))
        flags = MarkerFlags.GAUGE
        for at in range(0, len(rows), chunk):
            some = rows[at : at + chunk]
            runs = (
                [some]
                if some[-1] - some[0] == len(some) - 1
                else np.split(some, np.flatnonzero(np.diff(some) != 1) + 1)
            )
            for run in runs:
                places = self.frame.offsets[run][:, None] + columns
                kinds = self.kinds[places]
                if (kinds < 0).all():
                    continue
                gauges = (marker_flags(self.frame.values[places]) & flags) != 0
                first, last = int(self.bounds[run[0]]), int(self.bounds[run[-1] + 1])
                part = slice(first, last)
                values, stored = self._numbers(part, sizes_of[run], array, columns, shown[left:right], kinds)
                yield Bundle(
                    run, shown[left:right], lo, hi, follows, first, self.bounds[run[0] : run[-1] + 2] - first,
                    self.native.part[first:last], self.native.layout[first:last], values, stored, kinds,
                    gauges & (kinds >= 0),
                )  # fmt: skip

    def _numbers(
        self,
        run: slice,
        sizes: Index,
        array: int,
        columns: Index,
        times: Times,
        kinds: npt.NDArray[np.int32],
    ) -> tuple[Matrix, Mask | None]:
        """The numbers of some components at some times, and where they are stored: a view where that can be."""
        layout = self.native.layout[run]
        constant = bool((kinds == kinds[:, :1]).all())
        fitting = constant and bool((layout == np.repeat(kinds[:, 0], sizes)).all())
        values, stored = self._laid(run, array, columns, times)
        if not fitting:
            proper = np.repeat(kinds, sizes, axis=0) == layout[:, None]
            values = np.where(proper, values, 0.0)
            stored = None if stored is None else stored & proper
        return values, stored

    def _laid(self, run: slice, array: int, columns: Index, times: Times) -> tuple[Matrix, Mask | None]:
        """Numbers at some times, and where they are stored: None where they all are."""
        own = self.native.frame
        arrays, place = np.unique(own.time_of_row[run], return_inverse=True)
        begins = np.array([_begin(times_of(own, number), times) for number in arrays.tolist()])
        offsets, width, stale = own.offsets[:-1][run], len(times), own.has_stale[run]
        if (begins >= 0).all() and not stale.any():
            if len(arrays) == 1:
                begin = int(begins[0])
                count = len(times_of(own, int(arrays[0])))
                return block_of(own.values, offsets, count, begin, begin + width), None
            return block_of(own.values, offsets + begins[place], width, 0, width), None
        whole = (begins[place] >= 0) & ~stale
        values, stored = (
            np.zeros((len(whole), width)),
            np.broadcast_to(whole[:, None], (len(whole), width)).copy(),
        )
        if whole.any():
            values[whole] = block_of(own.values, (offsets + begins[place])[whole], width, 0, width)
        self._gather(run.start + np.flatnonzero(~whole), run.start, array, columns, values, stored)
        return values, stored

    def _gather(
        self, components: Index, first: int, array: int, columns: Index, values: Matrix, stored: Mask
    ) -> None:
        """Put the numbers of some components where they belong, one component after the other."""
        own = self.native.frame
        lengths = np.diff(own.time_offsets)[own.time_of_row[components]].tolist()
        offsets, stale = own.offsets[components].tolist(), own.has_stale[components].tolist()
        known: dict[int, tuple[Index | slice, Index | slice]] = {}
        arrays = own.time_of_row[components].tolist()
        for at, mine, begin, length, odd in zip(
            (components - first).tolist(), arrays, offsets, lengths, stale, strict=True
        ):
            if mine not in known:
                places = self._map(mine, array)
                own_places = np.arange(length) if places is None else np.flatnonzero(places >= 0)
                found = places_within(columns, own_places if places is None else places[own_places])
                targets = np.flatnonzero(found >= 0)
                known[mine] = _run(own_places[found[targets]]), _run(targets)
            source, target = known[mine]
            values[at, target] = own.values[begin : begin + length][source]
            stored[at, target] = True
            if odd:
                gone = is_stale(values[at])
                values[at, gone] = 0.0
                stored[at, gone] = False


def _begin(times: Times, wanted: Times) -> int:
    """Where some times are among others, with none between; -1 if they are not."""
    begin = int(np.searchsorted(times, wanted[0]))
    return begin if np.array_equal(times[begin : begin + len(wanted)], wanted) else -1


def _run(places: Index) -> Index | slice:
    """Places that follow on one another as a slice."""
    if len(places) and places[-1] - places[0] == len(places) - 1:
        return slice(int(places[0]), int(places[-1]) + 1)
    return places
