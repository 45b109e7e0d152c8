"""Samples that fit no row: out of order, irregular, or of a series that is placed in another group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

import numpy as np

from trimon.storage.block.cache import ArrayCache
from trimon.storage.codec.bands import plan_bands
from trimon.storage.codec.matrix import decode, encode
from trimon.storage.head.arena import Arena, Bools, Floats, Int32s, Int64s
from trimon.storage.head.runs import taken_runs
from trimon.storage.read.partialframe import PartialFrame, shared_arrays

# Raw samples take 20 bytes each and are searched one by one; sealing this many takes some 50 ms.
SEAL_SAMPLES: Final = 1 << 17
# Fewer series of equal times than this are stored with times of their own.
ALIKE_MIN: Final = 4
# More are decoded in portions of this many: what one series costs to read, and what many cost.
ALIKE_MAX: Final = 1024
_KEY_MAX: Final = 1 << 62


class _Tile(NamedTuple):
    """Some series of a page. `values` is a matrix, a row a series.

    Series of equal times share `common`; for the others `times` is a matrix beside the values, both padded at the end, and
    `lengths` says how many samples each has.
    """

    values: bytes
    common: Int64s | None
    times: bytes
    lengths: Int64s


class SealedSamples(Protocol):
    """Some loose samples that stay as they are. Readers may be in any thread."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        ...

    @property
    def min_ms(self) -> int:
        """The earliest time."""
        ...

    @property
    def max_ms(self) -> int:
        """The latest time."""
        ...

    @property
    def series(self) -> Int32s:
        """Whose samples there are; they ascend."""
        ...

    @property
    def lengths(self) -> Int32s:
        """How many samples each has."""
        ...

    @property
    def runs(self) -> int:
        """At most how many series there are; what is not read for it is not counted."""
        ...

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        ...

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series (ascending) have samples in the closed interval."""
        ...

    def read(self, series: Int32s) -> Iterator[PartialFrame]:
        """All samples of some series (ascending); row `i` is `series[i]`."""
        ...


class LoosePage:
    """Sealed loose samples: `series` ascend, samples of a series ascend in time."""

    __slots__ = (
        "_cache",
        "lengths",
        "max_ms",
        "min_ms",
        "number",
        "samples",
        "series",
        "tile_of",
        "tile_row",
        "tiles",
    )

    def __init__(self, series: Int32s, times: Int64s, values: Floats, cache: ArrayCache) -> None:
        self._cache = cache
        order = _in_order(series, times)
        series, times, values = series[order], times[order], values[order]
        self.samples = len(series)
        self.min_ms, self.max_ms = int(times.min()), int(times.max())
        first = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
        self.series, lengths = series[first], np.diff(first, append=len(series))
        self.lengths: Int32s = lengths.astype(np.int32)
        self.tile_of: Int32s = np.full(len(self.series), -1, np.int32)
        self.tile_row: Int32s = np.empty(len(self.series), np.int32)
        self.number = cache.next_number()
        tiles: list[_Tile] = []
        offsets = np.append(first, len(series))
        for members, common in _alike(times, offsets):
            matrix = taken_runs(values, first[members], lengths[members]).reshape(len(members), len(common))
            self._add(tiles, members, _Tile(encode(matrix), common, b"", lengths[:0]))
        alone = np.flatnonzero(self.tile_of < 0)
        for band in plan_bands(lengths[alone]) if len(alone) else ():
            members = alone[band]
            mine = lengths[members]
            place = np.minimum(np.arange(int(mine.max())), mine[:, None] - 1) + first[members][:, None]
            stamps = encode(times[place].astype(np.float64))
            self._add(tiles, members, _Tile(encode(values[place]), None, stamps, mine))
        self.tiles = tuple(tiles)

    @property
    def runs(self) -> int:
        """How many series there are."""
        return len(self.series)

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series (ascending) have samples in the closed interval."""
        alive = np.zeros(len(series), np.bool_)
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        rows = np.flatnonzero(self.series[place] == series)
        place = place[rows]
        tiles = self.tile_of[place]
        for number in np.unique(tiles).tolist():
            mine = np.flatnonzero(tiles == number)
            tile = self.tiles[number]
            if tile.common is not None:
                alive[rows[mine]] = bool(((tile.common >= start_ms) & (tile.common <= end_ms)).any())
                continue
            inside = self.tile_row[place[mine]].astype(np.int64)
            # What pads the times of a series at the end is its last time again.
            times = decode(tile.times, inside)
            alive[rows[mine]] = ((times >= start_ms) & (times <= end_ms)).any(axis=1)
        return alive

    def _add(self, tiles: list[_Tile], members: Int64s, tile: _Tile) -> None:
        self.tile_of[members] = len(tiles)
        self.tile_row[members] = np.arange(len(members))
        tiles.append(tile)

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        tiles = sum(
            len(tile.times) + len(tile.values) + tile.lengths.nbytes + 300
            if tile.common is None
            else len(tile.values) + tile.common.nbytes + 300
            for tile in self.tiles
        )
        return tiles + self.series.nbytes * 2 + self.tile_of.nbytes + self.tile_row.nbytes + 200

    def read(self, series: Int32s) -> Iterator[PartialFrame]:
        """All samples of some series (ascending); row `i` is `series[i]`."""
        place = np.minimum(np.searchsorted(self.series, series), len(self.series) - 1)
        rows = np.flatnonzero(self.series[place] == series)
        place = place[rows]
        tiles = self.tile_of[place]
        for number in np.unique(tiles).tolist():
            mine = np.flatnonzero(tiles == number)
            tile = self.tiles[number]
            inside = self.tile_row[place[mine]].astype(np.int64)
            values = self._cache.get((self.number, number), partial(decode, tile.values))
            if len(inside) < len(values) or (inside[1:] < inside[:-1]).any():
                values = values[inside]
            if tile.common is not None:
                yield PartialFrame.matrix(rows[mine], tile.common, values, absent=False)
                continue
            lengths = tile.lengths[inside]
            times = decode(tile.times, inside)
            starts = np.arange(len(mine)) * times.shape[1]
            offsets = np.concatenate(([0], np.cumsum(lengths)))
            flat = taken_runs(times.reshape(-1), starts, lengths).astype(np.int64)
            yield PartialFrame.private(
                rows[mine], offsets, flat, taken_runs(values.reshape(-1), starts, lengths)
            )


def _alike(times: Int64s, offsets: Int64s) -> Iterator[tuple[Int64s, Int64s]]:
    """Series of equal times, at most ALIKE_MAX at once, and these times; series that are like few others are left out."""
    shared, begins, which = shared_arrays(times, offsets)
    if len(begins) == len(offsets):
        return
    for number in range(len(begins) - 1):
        members = np.flatnonzero(which == number)
        if len(members) < ALIKE_MIN:
            continue
        common = shared[begins[number] : begins[number + 1]].copy()
        for begin in range(0, len(members), ALIKE_MAX):
            yield members[begin : begin + ALIKE_MAX], common


def _in_order(series: Int32s, times: Int64s) -> Int64s:
    """The places of samples by series and time; of several of a series at one time the first that came."""
    earliest_ms = int(times.min())
    span_ms = int(times.max()) - earliest_ms + 1
    if (int(series.max()) + 1) * span_ms >= _KEY_MAX:
        order: Int64s = np.lexsort((times, series))
        return order[_first_of_each(series[order], times[order])]
    # One number for both: samples of a series come one after the other, and a stable sort makes use of such runs.
    keys = series.astype(np.int64) * span_ms + (times - earliest_ms)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    fresh = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=fresh[1:])
    return order if fresh.all() else order[fresh]


def _first_of_each(series: Int32s | Int64s, times: Int64s) -> Bools:
    """Of sorted samples the first of each series and time."""
    fresh = np.ones(len(series), np.bool_)
    fresh[1:] = (series[1:] != series[:-1]) | (times[1:] != times[:-1])
    return fresh


class LooseView(NamedTuple):
    """What a reader sees of the buffer: sealed pages, then samples in order of arrival."""

    pages: tuple[SealedSamples, ...]
    series: Int32s
    times: Int64s
    values: Floats

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series (ascending) have samples in the closed interval."""
        alive = np.zeros(len(series), np.bool_)
        if len(series) == 0:
            return alive
        inside = self.series[(self.times >= start_ms) & (self.times <= end_ms)]
        place = np.minimum(np.searchsorted(series, inside), len(series) - 1)
        alive[place[series[place] == inside]] = True
        for page in self.pages:
            if page.min_ms <= end_ms and page.max_ms >= start_ms and not alive.all():
                alive |= page.living(series, start_ms, end_ms)
        return alive

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.series) + sum(page.samples for page in self.pages)


class LooseBuffer:
    """Samples as they come, with their series; sealed in pages when there are many."""

    def __init__(self, cache: ArrayCache) -> None:
        self._cache = cache
        self._pages: tuple[SealedSamples, ...] = ()
        self._clear()

    def _clear(self) -> None:
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
        """Take back the samples appended after the mark `used`, before anything was sealed or published."""
        self._series.cut(used)
        self._times.cut(used)
        self._values.cut(used)

    def has_room(self, samples: int) -> bool:
        """Whether so many more do not make sealing due."""
        return len(self) + samples < SEAL_SAMPLES

    def seal_if_due(self) -> None:
        """Compress the raw samples if there are enough of them. Only what cannot be undone may be sealed."""
        if len(self) >= SEAL_SAMPLES:
            self.seal()

    def seal(self) -> int:
        """Compress the raw samples; how many pages there are then."""
        if len(self):
            self._pages = (*self._pages, self._sealed())
            self._clear()
        return len(self._pages)

    def _sealed(self) -> SealedSamples:
        """The raw samples, of which there are some, as a page."""
        return LoosePage(self._series.view(), self._times.view(), self._values.view(), self._cache)

    def view(self) -> LooseView:
        """The buffer as it is now, for readers."""
        return LooseView(self._pages, self._series.view(), self._times.view(), self._values.view())

    def size_bytes(self) -> int:
        """Memory held."""
        raw = self._series.size_bytes + self._times.size_bytes + self._values.size_bytes
        return raw + sum(page.size_bytes for page in self._pages)


def count_loose(view: LooseView, series: Int32s, start_ms: int, end_ms: int) -> int:
    """At most how many samples of the given series (ascending) lie in the closed interval."""
    total = 0
    for page in view.pages:
        if page.min_ms <= end_ms and page.max_ms >= start_ms:
            place = np.minimum(np.searchsorted(page.series, series), len(page.series) - 1)
            total += int(page.lengths[place[page.series[place] == series]].sum())
    return total + int(((view.times >= start_ms) & (view.times <= end_ms)).sum())


def read_sealed(
    pages: Sequence[SealedSamples], series: Int32s, start_ms: int, end_ms: int
) -> list[PartialFrame]:
    """The samples that pages have of the given series (ascending) around the closed interval; row `i` is `series[i]`.

    Frames come in order of arrival: of several samples of one series at one time the first counts.
    """
    return [
        frame
        for page in pages
        if page.min_ms <= end_ms and page.max_ms >= start_ms
        for frame in page.read(series)
    ]


def read_raw(view: LooseView, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
    """As `read_sealed`, of samples that are not sealed: at most one frame. `series` is not empty."""
    picked = np.flatnonzero((view.times >= start_ms) & (view.times <= end_ms))
    place = np.minimum(np.searchsorted(series, view.series[picked]), len(series) - 1)
    wanted = series[place] == view.series[picked]
    picked, place = picked[wanted], place[wanted]
    if len(picked) == 0:
        return []
    order = np.lexsort((view.times[picked], place))
    picked, place = picked[order], place[order]
    fresh = _first_of_each(place, view.times[picked])
    picked, place = picked[fresh], place[fresh]
    rows, first = np.unique(place, return_index=True)
    return [PartialFrame.private(rows, np.append(first, len(place)), view.times[picked], view.values[picked])]
