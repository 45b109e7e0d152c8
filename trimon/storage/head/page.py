"""Sealed rows of a scrape group: compressed, in memory, found by series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np

from trimon.model.sample import ABSENT, is_absent
from trimon.storage.block.cache import ArrayCache
from trimon.storage.codec.matrix import decode, encode
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.read.partialframe import PartialFrame

# Series to a tile: the least that is decoded for one series.
TILE_SERIES: Final = 128

Rows = tuple[Int64s, Floats, Int32s]
"""Times, values[time, column], and the series of every column (-1: none)."""


class SealedPage:
    """Samples of many series at common times. `series` ascend; a series may lack samples at some times."""

    __slots__ = ("_cache", "absent", "number", "series", "tiles", "times")

    def __init__(
        self, times: Int64s, series: Int32s, tiles: tuple[bytes, ...], cache: ArrayCache, *, absent: bool
    ) -> None:
        self._cache = cache
        self.number = cache.next_number()
        self.times = times
        self.series = series
        self.tiles = tiles
        self.absent = absent

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return self.times.nbytes + self.series.nbytes + sum(len(tile) + 48 for tile in self.tiles) + 256

    def holds(self, series: Int32s) -> Bools:
        """Which of some series have samples in the page."""
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        held: Bools = self.series[place] == series
        return held

    def read(self, rows: Int64s, series: Int32s, start_ms: int, end_ms: int) -> Iterator[PartialFrame]:
        """The samples of some series in the closed interval; `rows[i]` is the row of `series[i]`."""
        first = int(np.searchsorted(self.times, start_ms))
        last = int(np.searchsorted(self.times, end_ms, side="right"))
        if first >= last:
            return
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        here = np.flatnonzero(self.series[place] == series)
        if len(here) == 0:
            return
        rows, place = rows[here], place[here]
        tiles = place // TILE_SERIES
        bounds = np.flatnonzero(np.diff(tiles, prepend=-1, append=-1)) if _ascends(tiles) else None
        if bounds is None:
            order = np.argsort(place, kind="stable")
            rows, place, tiles = rows[order], place[order], tiles[order]
            bounds = np.flatnonzero(np.diff(tiles, prepend=-1, append=-1))
        parts: list[Floats] = []
        edges = bounds.tolist()
        for begin, end in pairwise(edges):
            tile = int(tiles[begin])
            inside = place[begin:end] - tile * TILE_SERIES
            matrix = self._cache.get((self.number, tile), partial(decode, self.tiles[tile]))
            parts.append(matrix if end - begin == len(matrix) and _ascends(inside) else matrix[inside])
        values = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if last - first < len(self.times):
            values = values[:, first:last]
        yield PartialFrame.matrix(rows, self.times[first:last], values, absent=self.absent)


def _ascends(numbers: Int64s) -> bool:
    return bool((numbers[1:] >= numbers[:-1]).all())


def _spread(out: Floats, known: Int32s, values: Floats, owners: Int32s) -> None:
    """Put the columns of a chunk to their series' rows.

    A series that was placed elsewhere for a while may have come back in another column of the same chunk: at no
    time have both a sample.
    """
    width = len(known)
    if np.array_equal(owners[:width], known) and (owners[width:] < 0).all():
        out[:] = values[:, :width].T
        return
    columns = np.flatnonzero(owners >= 0)
    places = np.searchsorted(known, owners[columns])
    _, first = np.unique(places, return_index=True)
    out[places[first]] = values[:, columns[first]].T
    for again in np.setdiff1d(np.arange(len(columns)), first, assume_unique=True).tolist():
        column = values[:, columns[again]]
        present = ~is_absent(column)
        out[places[again], present] = column[present]


def _owners(chunks: Sequence[Rows]) -> Int32s:
    """The series of all columns of some chunks, ascending."""
    distinct = [chunks[0][2]]
    # Most chunks have the columns of the one before.
    distinct += [after[2] for before, after in pairwise(chunks) if not np.array_equal(before[2], after[2])]
    known = distinct[0] if len(distinct) == 1 else np.concatenate(distinct)
    known = known[known >= 0]
    return known if bool((known[1:] > known[:-1]).all()) else np.unique(known)


def seal(chunks: Sequence[Rows], cache: ArrayCache) -> SealedPage | None:
    """One page of consecutive rows, decoded into a cache when it is read; None if there is no sample in them."""
    times = np.concatenate([chunk[0] for chunk in chunks])
    known = _owners(chunks)
    values = np.full((len(known), len(times)), ABSENT)
    begin = 0
    for chunk_times, chunk_values, owners in chunks:
        end = begin + len(chunk_times)
        _spread(values[:, begin:end], known, chunk_values, owners)
        begin = end
    missing = is_absent(values)
    kept = ~missing.all(axis=1)
    if not kept.all():
        known, values, missing = known[kept], values[kept], missing[kept]
    if len(known) == 0:
        return None
    tiles = tuple(encode(values[begin : begin + TILE_SERIES]) for begin in range(0, len(known), TILE_SERIES))
    return SealedPage(times, known, tiles, cache, absent=bool(missing.any()))
