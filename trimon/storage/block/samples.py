"""The samples of a block: pages of values and timetables, checked whenever they are read."""

from __future__ import annotations

import zlib
from functools import cached_property
from pathlib import Path

import numpy as np

from trimon.errors import OperatingError
from trimon.gotext.times import rfc3339
from trimon.openfiles import ReadFile
from trimon.storage.block.bands import PageRows, unpack_page
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.damage import DamagedError, Loss, UnreadableIndexError
from trimon.storage.block.index import BlockIndex
from trimon.storage.block.timetable import ENTRIES_PER_PAGE, unpack_times
from trimon.storage.block.writer import DATA_MAGIC
from trimon.storage.codec.matrix import CodecError
from trimon.storage.head.arena import Bools, Int32s, Int64s
from trimon.storage.head.runs import taken_runs
from trimon.storage.read.partialframe import PartialFrame


class BlockSamples:
    """Reads samples by number of series. Damaged pages are left out and noted in the damage of the index."""

    def __init__(self, index: BlockIndex, file: ReadFile, path: Path, cache: ArrayCache) -> None:
        self._index = index
        self._block = index.damage.block
        self._file = file
        self._path = path
        self._cache = cache

    def begins_right(self) -> bool:
        """Whether the first bytes of the file are those of a block's data."""
        try:
            return self._file.read(0, len(DATA_MAGIC)) == DATA_MAGIC
        except OSError:
            return False

    def lose_end(self, size_bytes: int, whole_bytes: int) -> None:
        """Note that the file is shorter than it was, and which time the pages are of that are gone."""
        what = f"its data has {size_bytes} bytes instead of {whole_bytes}"
        try:
            pages, times = self._pages, self._times
        except UnreadableIndexError:
            return
        cut = pages["offset"] + pages["length"] > size_bytes
        cut |= np.isin(pages["slice"], times["slice"][times["offset"] + times["length"] > size_bytes])
        if not cut.any():
            self._index.damage.survive(what)
            return
        first, last = int(pages["first_ms"][cut].min()), int(pages["last_ms"][cut].max())
        self._index.damage.note(
            f"{what}: of {int(cut.sum())} of {len(cut)} pages, from {rfc3339(first)} to {rfc3339(last)}, "
            "samples cannot be read"
        )

    def bands(self, series: Int32s) -> set[int]:
        """The bands of some series."""
        return set(np.unique(self._series_band[series]).tolist())

    @cached_property
    def _pages(self) -> dict[str, Int64s]:
        columns = ("band", "slice", "offset", "length", "checksum", "first_ms", "last_ms", "samples")
        return {name: self._index.numbers(f"page/{name}") for name in columns}

    @cached_property
    def _times(self) -> dict[str, Int64s]:
        columns = ("slice", "first", "offset", "length", "checksum")
        return {name: self._index.numbers(f"times/{name}") for name in columns}

    @cached_property
    def _series_band(self) -> Int32s:
        return self._index.numbers("series/band").astype(np.int32)

    @cached_property
    def _band_sizes(self) -> Int64s:
        return np.bincount(self._series_band)

    @cached_property
    def _series_place(self) -> Int32s:
        return self._index.numbers("series/place").astype(np.int32)

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series may have samples in the closed interval: those with a page that touches it."""
        pages = self._pages
        touched = np.zeros(len(self._band_sizes), np.bool_)
        touched[pages["band"][(pages["first_ms"] <= end_ms) & (pages["last_ms"] >= start_ms)]] = True
        return touched[self._series_band[series]]

    def estimate(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """At most how many samples lie in the closed interval."""
        bands = np.bincount(self._series_band[series]) if len(series) else np.zeros(1, np.int64)
        pages = self._pages
        touched = (
            (pages["first_ms"] <= end_ms) & (pages["last_ms"] >= start_ms) & (pages["band"] < len(bands))
        )
        spans = np.maximum(1, pages["last_ms"][touched] - pages["first_ms"][touched])
        inside = np.minimum(pages["last_ms"][touched], end_ms) - np.maximum(
            pages["first_ms"][touched], start_ms
        )
        share = np.minimum(pages["samples"][touched], pages["samples"][touched] * inside // spans + 2)
        return int((bands[pages["band"][touched]] * share).sum())

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """Samples of ascending series, whole pages that touch the closed interval; those that are damaged are noted."""
        bands = self._series_band[series]
        order = np.argsort(bands, kind="stable")
        ordered = bands[order]
        pages = self._pages
        found: dict[int, list[tuple[Int64s, PageRows]]] = {}
        band_sizes = self._band_sizes
        edges = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1)).tolist()
        firsts = np.searchsorted(pages["band"], ordered[edges[:-1]]).tolist()
        lasts = np.searchsorted(pages["band"], ordered[edges[:-1]], side="right").tolist()
        for begin, end, first, last in zip(edges[:-1], edges[1:], firsts, lasts, strict=True):
            rows = order[begin:end]
            places = self._series_place[series[rows]].astype(np.int64)
            for page in range(first, last):
                if pages["first_ms"][page] <= end_ms and pages["last_ms"][page] >= start_ms:
                    try:
                        read = self._page(page, places, whole=4 * len(places) >= band_sizes[ordered[begin]])
                    except (DamagedError, CodecError) as error:
                        self._lose_page(page, error)
                        continue
                    found.setdefault(int(pages["slice"][page]), []).append((rows, read))
        return [piece for number in sorted(found) for piece in self._pieces(number, found[number])]

    def _page(self, page: int, places: Int64s, *, whole: bool) -> PageRows:
        """Rows of a page. A page that is read as a whole, or nearly, is kept decoded."""
        key = (self._block, "page", page)
        if whole:
            return self._cache.get(key, lambda: unpack_page(self._checked(self._pages, page), None)).pick(
                places
            )
        kept = self._cache.peek(key)
        if isinstance(kept, PageRows):
            return kept.pick(places)
        return unpack_page(self._checked(self._pages, page), places)

    def _checked(self, directory: dict[str, Int64s], page: int) -> memoryview:
        """The bytes of a page. Raises DamagedError."""
        offset, length = int(directory["offset"][page]), int(directory["length"][page])
        try:
            data = self._file.read(offset, length)
        except OSError as error:
            raise DamagedError(f"{self._path}: the page at byte {offset}: {error}", error.strerror) from error
        if len(data) != length:
            what = f"{self._path}: the page at byte {offset} is cut off, the file is shorter"
            raise DamagedError(what, "cut off")
        if zlib.crc32(data) != int(directory["checksum"][page]):
            raise DamagedError(f"{self._path}: the page at byte {offset} does not pass its checksum")
        return memoryview(data)

    def _lose_page(self, page: int, error: OperatingError) -> None:
        pages = self._pages
        what = f"page at byte {int(pages['offset'][page])} of its data ({_reason(error)})"
        first_ms, last_ms = int(pages["first_ms"][page]), int(pages["last_ms"][page])
        self._index.damage.lose(
            Loss(self._index.damage.block, what, first_ms, last_ms, int(pages["band"][page]))
        )

    def _lose_times(self, number: int, page: int, error: OperatingError) -> None:
        """Note that a page of the timetable of a slice is lost, and with it samples anywhere in the slice."""
        pages = self._pages
        mine = pages["slice"] == number
        what = f"timetable page at byte {int(self._times['offset'][page])} of its data ({_reason(error)})"
        first_ms, last_ms = int(pages["first_ms"][mine].min()), int(pages["last_ms"][mine].max())
        self._index.damage.lose(Loss(self._index.damage.block, what, first_ms, last_ms))

    def _pieces(self, number: int, parts: list[tuple[Int64s, PageRows]]) -> list[PartialFrame]:
        """What was read of one slice, at most one partial frame, without samples whose times are damaged."""
        try:
            return [self._piece(number, parts)]
        except (DamagedError, CodecError) as error:
            if isinstance(error, UnreadableIndexError):
                raise
        wanted = np.unique(np.concatenate([read.entries for _, read in parts]) // ENTRIES_PER_PAGE)
        lost: list[int] = []
        for place in wanted.tolist():
            try:
                self._timetable_page(number, place)
            except (DamagedError, CodecError) as error:
                self._lose_times(number, self._times_page(number, place), error)
                lost.append(place)
        kept: list[tuple[Int64s, PageRows]] = []
        for rows, read in parts:
            fine = np.flatnonzero(~np.isin(read.entries // ENTRIES_PER_PAGE, lost))
            if len(fine):
                kept.append((rows[fine], read.pick(fine)))
        return [self._piece(number, kept)] if kept else []

    def _piece(self, number: int, parts: list[tuple[Int64s, PageRows]]) -> PartialFrame:
        """All that was read of one slice as one partial frame, with every distinct time array once."""
        lengths = np.concatenate([part.lengths for _, part in parts])
        entries = np.concatenate([part.entries for _, part in parts])
        starts = np.concatenate([part.starts for _, part in parts])
        values = parts[0][1].values if len(parts) == 1 else np.concatenate([part.values for _, part in parts])
        key = (entries << 40) | (starts << 20) | np.minimum(lengths, (1 << 20) - 1)
        _, chosen, time_of_row = np.unique(key, return_index=True, return_inverse=True)
        times = self._entries(number, entries[chosen], starts[chosen], lengths[chosen])
        return PartialFrame(
            np.concatenate([rows for rows, _ in parts]),
            values,
            np.concatenate(([0], np.cumsum(lengths))),
            times,
            np.concatenate(([0], np.cumsum(lengths[chosen]))),
            time_of_row.astype(np.int32),
        )

    def _entries(self, number: int, entries: Int64s, starts: Int64s, lengths: Int64s) -> Int64s:
        """The concatenated times of parts of entries of a slice's timetable."""
        wanted = entries // ENTRIES_PER_PAGE
        flats: list[Int64s] = []
        sources = np.zeros(len(entries), np.int64)
        base = 0
        for place in np.unique(wanted).tolist():
            flat, offsets = self._timetable_page(number, place)
            mine = wanted == place
            sources[mine] = base + offsets[entries[mine] - place * ENTRIES_PER_PAGE] + starts[mine]
            flats.append(flat)
            base += len(flat)
        return taken_runs(np.concatenate(flats), sources, lengths) if flats else np.zeros(0, np.int64)

    def _timetable_page(self, number: int, place: int) -> tuple[Int64s, Int64s]:
        page = self._times_page(number, place)
        return self._cache.get(
            (self._block, "times", page), lambda: unpack_times(self._checked(self._times, page))
        )

    def _times_page(self, number: int, place: int) -> int:
        return int(np.searchsorted(self._times["slice"], number)) + place

    def verify(self) -> list[str]:
        """Every page that does not pass its checksum or cannot be decoded, a line each; they are noted, too."""
        problems: list[str] = []
        for directory, is_page in ((self._pages, True), (self._times, False)):
            for page in range(len(directory["offset"])):
                try:
                    data = self._checked(directory, page)
                    if is_page:
                        unpack_page(data, None)
                    else:
                        unpack_times(data)
                except OperatingError as error:
                    problems.append(str(error))
                    if is_page:
                        self._lose_page(page, error)
                    else:
                        self._lose_times(int(directory["slice"][page]), page, error)
        return problems


def _reason(error: OperatingError) -> str:
    return error.reason if isinstance(error, DamagedError) else str(error)
