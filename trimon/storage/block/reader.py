"""An open block: its directory in memory, everything else read from the map when it is needed."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.model.labels import METRIC_NAME
from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.storage.block.bands import PageRows, unpack_page
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.container import Container, DamagedError
from trimon.storage.block.dictionary import Dictionary
from trimon.storage.block.meta import BlockMeta
from trimon.storage.block.timetable import ENTRIES_PER_PAGE, unpack_times
from trimon.storage.block.writer import DATA_MAGIC, STRIPE_SERIES
from trimon.storage.head.arena import Bools, Int32s, Int64s, ragged_positions
from trimon.storage.head.matching import codes_matching
from trimon.storage.read.deletions import (
    Deletion,
    Deletions,
    pack_deletions,
    unpack_deletions,
    without_deleted,
)
from trimon.storage.read.partialframe import PartialFrame

TOMBSTONES: Final = "tombstones"


class Block:
    """One block, readable from any thread. Reading raises OperatingError where bytes are damaged."""

    def __init__(self, files: Files, path: Path, cache: ArrayCache) -> None:
        """Open the directory of a block.

        Raises DamagedError if files are missing or broken, OperatingError if they cannot be read now or are not ours.
        """
        self.path = path
        try:
            self.meta = BlockMeta.from_json(files.read(path / "meta.json"))
            self._index = Container(files.map(path / "index"), path / "index")
            self._data = files.map(path / "data")
            index_bytes = files.size(path / "index")
        except FileNotFoundError as error:
            raise DamagedError(f"block {path.name}: {error}") from error
        except OSError as error:
            raise OperatingError(f"block {path.name}: {error}") from error
        about = self._index.about
        self.series: int = about["series"]
        self.names: list[str] = about["names"]
        if len(self._data) != about["data_bytes"] or bytes(self._data[: len(DATA_MAGIC)]) != DATA_MAGIC:
            raise DamagedError(f"{path / 'data'}: {len(self._data)} bytes instead of {about['data_bytes']}")
        self.size_bytes = index_bytes + len(self._data)
        self.meta = replace(self.meta, size_bytes=self.size_bytes)
        self._cache = cache
        self.deletions = self._read_deletions(files)

    def _read_deletions(self, files: Files) -> Deletions:
        if TOMBSTONES not in files.names(self.path):
            return ()
        try:
            return unpack_deletions(files.read(self.path / TOMBSTONES))
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: {error}") from error

    def delete(self, files: Files, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Block | None:
        """The block without the matching samples in the closed interval; None if there are none.

        The tombstones file is written before this returns. Raises OperatingError.
        """
        if not self.overlaps(start_ms, end_ms):
            return None
        series = self.select(matchers)
        if len(series) == 0:
            return None
        changed = copy.copy(self)
        changed.deletions = (*self.deletions, Deletion(series, start_ms, end_ms))
        count = len(np.unique(np.concatenate([deletion.series for deletion in changed.deletions])))
        changed.meta = self.meta.with_tombstones(count)
        try:
            files.write_atomic(self.path / TOMBSTONES, pack_deletions(changed.deletions))
            files.write_atomic(self.path / "meta.json", changed.meta.to_json())
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: {error}") from error
        return changed

    def noted(self, files: Files, meta: BlockMeta) -> Block:
        """The block with another meta.json, written before this returns. Raises OperatingError."""
        try:
            files.write_atomic(self.path / "meta.json", meta.to_json())
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: {error}") from error
        changed = copy.copy(self)
        changed.meta = replace(meta, size_bytes=self.size_bytes)
        return changed

    # ---- labels

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether any sample may lie in the closed interval."""
        return self.meta.min_ms <= end_ms and self.meta.max_ms > start_ms

    def dictionary(self, number: int) -> Dictionary:
        """The values of a label by the label's number."""
        key = (self.meta.ulid, "dictionary", number)
        return self._cache.get(key, lambda: Dictionary(self._index.read(f"dictionary/{number}")))

    def _stripe(self, number: int, stripe: int) -> Int32s | None:
        """Codes of a label in one stripe of series; None if no series has it."""
        name = f"codes/{number}/{stripe}"
        if name not in self._index:
            return None
        return self._cache.get((self.meta.ulid, name), lambda: self._index.numbers(name).astype(np.int32))

    def codes(self, number: int, series: Int32s) -> Int32s:
        """Codes of a label for ascending series."""
        out = np.zeros(len(series), np.int32)
        stripes = series // STRIPE_SERIES
        if len(series) == 0:
            return out
        edges = np.flatnonzero(np.diff(stripes, prepend=-1, append=-1)).tolist()
        for begin, end in pairwise(edges):
            stripe = int(stripes[begin])
            codes = self._stripe(number, stripe)
            if codes is not None:
                out[begin:end] = codes[series[begin:end] - stripe * STRIPE_SERIES]
        return out

    def select(self, matchers: Sequence[Matcher]) -> Int32s:
        """Series that satisfy every matcher, ascending."""
        rest = list(matchers)
        found = np.arange(self.series, dtype=np.int32)
        for matcher in matchers:
            literals = (
                matcher.literals() if matcher.name == METRIC_NAME and not matcher.matches_empty else None
            )
            if literals is not None and METRIC_NAME in self.names:
                found = self._with_metrics(literals)
                rest.remove(matcher)
                break
        for matcher in rest:
            if len(found) == 0:
                break
            found = found[self._matching(matcher, found)]
        return found

    def _with_metrics(self, names: Sequence[str]) -> Int32s:
        dictionary = self.dictionary(self.names.index(METRIC_NAME))
        codes = sorted(code for code in map(dictionary.code, names) if code > 0)
        starts = self._metrics
        runs = [np.arange(starts[code], starts[code + 1], dtype=np.int32) for code in codes]
        return np.concatenate(runs) if runs else np.zeros(0, np.int32)

    @cached_property
    def _metrics(self) -> Int64s:
        """First series of every code of the metric name, and one more for the end."""
        return self._index.numbers("metrics")

    def _matching(self, matcher: Matcher, series: Int32s) -> Bools:
        if matcher.name not in self.names:
            return np.full(len(series), matcher.matches_empty, np.bool_)
        number = self.names.index(matcher.name)
        literals = matcher.literals()
        dictionary = self.dictionary(number)
        if literals is not None:
            wanted = [dictionary.code(value) for value in literals]
            if max(wanted) < 0:
                return np.zeros(len(series), np.bool_)
            codes = self.codes(number, series)
            return np.isin(codes, wanted) if len(wanted) > 1 else codes == wanted[0]
        return codes_matching(matcher, self.codes(number, series), dictionary)

    def table(self, series: Int32s) -> LabelTable:
        """The labels of ascending series."""
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        names: list[str] = []
        columns: list[Int32s] = []
        values: list[Sequence[str]] = []
        for number in order:
            codes = self.codes(number, series)
            if codes.any():
                names.append(self.names[number])
                columns.append(codes)
                values.append(self.dictionary(number))
        return LabelTable(len(series), tuple(names), tuple(columns), tuple(values))

    def label_names(self) -> list[str]:
        """All label names, in any order."""
        return self.names

    def label_values(self, name: str) -> list[str]:
        """All values of a label, in any order."""
        return self.dictionary(self.names.index(name))[1:] if name in self.names else []

    # ---- samples

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

    @property
    def identity(self) -> Hashable:
        """Stands for this block and its deletions: another value after a deletion."""
        return self.meta.ulid, len(self.deletions)

    @property
    def newest_ms(self) -> int:
        """A time that no sample of the block is after."""
        return self.meta.max_ms - 1

    @property
    def version(self) -> Hashable:
        """Another one whenever anything of the block changes."""
        return self.identity

    @property
    def labels_version(self) -> Hashable:
        """Stands for the series of the block, which never change."""
        return self.meta.ulid

    def mark(self, series: Int32s, before: object, *, whole: bool) -> object:
        """How far the block is settled, which is all of it."""
        del series, before, whole
        return self.identity

    def follows(self, series: Int32s, before: object, now: object) -> bool:
        """Whether what was read before still holds, which is always so."""
        del series
        return before == now

    def settled_frames(
        self, series: Int32s, start_ms: int, end_ms: int, before: object, now: object
    ) -> list[PartialFrame]:
        """As `partial_frames` the first time, nothing after it: all of a block is settled at once."""
        del now
        return self.partial_frames(series, start_ms, end_ms) if before is None else []

    def fresh_frames(self, series: Int32s, start_ms: int, end_ms: int, now: object) -> list[PartialFrame]:
        """Nothing: all of a block is settled."""
        del series, start_ms, end_ms, now
        return []

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """Samples of ascending series, whole pages that touch the closed interval."""
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
                    read = self._page(page, places, whole=4 * len(places) >= band_sizes[ordered[begin]])
                    found.setdefault(int(pages["slice"][page]), []).append((rows, read))
        read_pieces = [self._piece(number, found[number]) for number in sorted(found)]
        return without_deleted(read_pieces, series, self.deletions) if self.deletions else read_pieces

    def _page(self, page: int, places: Int64s, *, whole: bool) -> PageRows:
        """Rows of a page. A page that is read as a whole, or nearly, is kept decoded."""
        key = (self.meta.ulid, "page", page)
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
        data = self._data[offset : offset + length]
        if len(data) != length or zlib.crc32(data) != int(directory["checksum"][page]):
            raise DamagedError(f"{self.path / 'data'}: the page at byte {offset} does not pass its checksum")
        return data

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
        return np.concatenate(flats)[ragged_positions(sources, lengths)] if flats else np.zeros(0, np.int64)

    def _timetable_page(self, number: int, place: int) -> tuple[Int64s, Int64s]:
        times = self._times
        page = int(np.searchsorted(times["slice"], number)) + place
        return self._cache.get(
            (self.meta.ulid, "times", page), lambda: unpack_times(self._checked(times, page))
        )

    def verify(self) -> list[str]:
        """Every section and page that does not pass its checksum or cannot be decoded, a line each."""
        problems: list[str] = []
        for name in self._index.names():
            try:
                self._index.read(name)
            except OperatingError as error:
                problems.append(str(error))
        if problems:
            return problems
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
        return problems
