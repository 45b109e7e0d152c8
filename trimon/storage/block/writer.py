"""Making a block from any sources: select, sort, write pages, write the index, appear at once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trimon.errors import OperatingError
from trimon.files import AppendFile, Files
from trimon.model.components import COMPONENT_LABEL
from trimon.model.frame import SampleFrame
from trimon.model.labels import METRIC_NAME
from trimon.model.table import LabelTable
from trimon.records import dataclass
from trimon.storage.block.bands import PageRows, pack_page
from trimon.storage.block.cache import scanning
from trimon.storage.block.container import ContainerWriter
from trimon.storage.block.dictionary import pack_values
from trimon.storage.block.meta import BlockMeta
from trimon.storage.block.timetable import TimetableBuilder
from trimon.storage.codec.bands import SLICE_SAMPLES, plan_bands
from trimon.storage.codec.matrix import LEVEL_FAST, LEVEL_SMALL
from trimon.storage.head.arena import Int64s
from trimon.storage.head.runs import taken_runs
from trimon.storage.read.snapshot import StoreSelection

DATA_MAGIC: Final = b"TRIMDAT1"
STRIPE_SERIES: Final = 1 << 14
UNFINISHED: Final = ".tmp-for-creation"
# Samples in memory while a block is written, as an upper bound from the estimate.
_BATCH_SAMPLES: Final = 2_000_000
_BATCH_SERIES: Final = 1 << 14


@dataclass(slots=True)
class _Pages:
    """The directory of pages, column by column."""

    band: list[int]
    slice: list[int]
    offset: list[int]
    length: list[int]
    checksum: list[int]
    first_ms: list[int]
    last_ms: list[int]
    samples: list[int]


def give_up(files: Files, beside: Path) -> None:
    """Remove what was written beside something that does not come to be; if that fails, the next start does it."""
    try:
        files.remove_tree(beside)
    except OSError:
        return


class BlockWriter:
    """Writes one block from selections; rows without samples are left out."""

    def __init__(self, files: Files, directory: Path, meta: BlockMeta) -> None:
        self._files = files
        self._directory = directory
        self._meta = meta
        self._level = LEVEL_FAST if meta.level == 1 else LEVEL_SMALL
        self._pages = _Pages([], [], [], [], [], [], [], [])
        self._bands = 0
        self._chunks = 0
        self._series_band: list[Int64s] = []
        self._series_place: list[Int64s] = []
        self._slice_ms = 0
        self._timetables: list[TimetableBuilder] = []

    def write(
        self, selection: StoreSelection, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> BlockMeta | None:
        """Write the block beside, then rename it; None if there are no samples. Raises OperatingError."""
        beside = self._directory / (self._meta.ulid + UNFINISHED)
        try:
            self._files.remove_tree(beside)
            self._files.make_directory(beside)
            with scanning():
                meta = self._write_files(beside, selection, progress)
            if meta is None:
                self._files.remove_tree(beside)
                return None
            self._files.write_atomic(beside / "meta.json", meta.to_json())
            self._files.sync_directory(beside)
            self._files.rename(beside, self._directory / meta.ulid)
            self._files.sync_directory(self._directory)
        except OSError as error:
            give_up(self._files, beside)
            raise OperatingError(f"block {self._meta.ulid}: {error}") from error
        except BaseException:
            give_up(self._files, beside)
            raise
        return meta

    def _write_files(
        self, beside: Path, selection: StoreSelection, progress: Callable[[int, int], None]
    ) -> BlockMeta | None:
        labels = selection.labels
        order = sorted_rows(labels)
        data = self._files.create(beside / "data")
        kept: list[Int64s] = []
        # A histogram is one sample of its series, whatever its components are.
        shown = labels.column(COMPONENT_LABEL)[0] == 0
        samples = 0
        try:
            data.write(DATA_MAGIC)
            for rows in self._batches(selection, order):
                frame = selection.subset(rows).frame(self._meta.min_ms, self._meta.max_ms - 1)
                lengths = np.diff(frame.offsets)
                filled = np.flatnonzero(lengths)
                if len(filled):
                    kept.append(rows[filled])
                    samples += int(lengths[shown[rows]].sum())
                    self._write_batch(data, frame, filled)
                progress(int(sum(map(len, kept))), len(order))
            if not kept:
                return None
            timetable = self._write_timetables(data)
            data.sync()
            data_bytes = data.size_bytes
        finally:
            data.close()
        rows = np.concatenate(kept)
        series = int(shown[rows].sum())
        meta = replace(self._meta, samples=samples, series=series, chunks=self._chunks)
        index = self._files.create(beside / "index")
        try:
            self._write_index(index, labels.take(rows), timetable, data_bytes, meta)
            index.sync()
        finally:
            index.close()
        return meta

    def _batches(self, selection: StoreSelection, order: Int64s) -> Sequence[Int64s]:
        estimate = selection.estimate(self._meta.min_ms, self._meta.max_ms - 1)
        each = max(1, estimate.samples // max(1, estimate.series))
        size = max(1, min(_BATCH_SERIES, _BATCH_SAMPLES // each))
        return [order[begin : begin + size] for begin in range(0, len(order), size)]

    # ---- samples

    def _write_batch(self, data: AppendFile, frame: SampleFrame, rows: Int64s) -> None:
        lengths = np.diff(frame.offsets)[rows]
        if not self._timetables:
            slices = max(1, -(-int(lengths.max()) // SLICE_SAMPLES))
            self._slice_ms = -(-(self._meta.max_ms - self._meta.min_ms) // slices)
            self._timetables = [TimetableBuilder() for _ in range(slices)]
        bands = np.empty(len(rows), np.int64)
        places = np.empty(len(rows), np.int64)
        cuts = self._cuts(frame)
        spots = [
            timetable.place(frame.times, cuts[number], cuts[number + 1])
            for number, timetable in enumerate(self._timetables)
        ]
        for members in plan_bands(lengths):
            bands[members] = self._bands
            places[members] = np.arange(len(members))
            for number in range(len(self._timetables)):
                self._write_page(data, frame, rows[members], number, cuts, spots[number])
            self._bands += 1
        self._series_band.append(bands)
        self._series_place.append(places)

    def _cuts(self, frame: SampleFrame) -> list[Int64s]:
        """Where every slice begins in every time array, as places in `frame.times`; one more for the end."""
        cuts = [frame.time_offsets[:-1]]
        for number in range(1, len(self._timetables)):
            edge = self._meta.min_ms + number * self._slice_ms
            before = np.concatenate(([0], np.cumsum(frame.times < edge)))
            cuts.append(
                frame.time_offsets[:-1] + before[frame.time_offsets[1:]] - before[frame.time_offsets[:-1]]
            )
        return [*cuts, frame.time_offsets[1:]]

    def _write_page(
        self,
        data: AppendFile,
        frame: SampleFrame,
        rows: Int64s,
        number: int,
        cuts: list[Int64s],
        spots: tuple[Int64s, Int64s],
    ) -> None:
        arrays = frame.time_of_row[rows]
        first, last = cuts[number][arrays], cuts[number + 1][arrays]
        lengths = last - first
        if not lengths.any():
            return
        sources = frame.offsets[rows] + first - frame.time_offsets[arrays]
        values = taken_runs(frame.values, sources, lengths)
        page = pack_page(PageRows(values, lengths, spots[0][arrays], spots[1][arrays]), self._level)
        filled = lengths > 0
        directory = self._pages
        directory.band.append(self._bands)
        directory.slice.append(number)
        directory.offset.append(data.size_bytes)
        directory.length.append(len(page))
        directory.checksum.append(zlib.crc32(page))
        directory.first_ms.append(int(frame.times[first[filled]].min()))
        directory.last_ms.append(int(frame.times[last[filled] - 1].max()))
        directory.samples.append(int(lengths.max()))
        data.write(page)
        self._chunks += int(filled.sum())

    def _write_timetables(self, data: AppendFile) -> npt.NDArray[np.int64]:
        """Columns slice, first entry, offset, length, checksum of the timetable's pages."""
        listed: list[tuple[int, int, int, int, int]] = []
        for number, timetable in enumerate(self._timetables):
            for first, page in timetable.pages(self._level):
                listed.append((number, first, data.size_bytes, len(page), zlib.crc32(page)))
                data.write(page)
        return np.array(listed, np.int64).T

    # ---- index

    def _write_index(
        self,
        file: AppendFile,
        labels: LabelTable,
        timetable: npt.NDArray[np.int64],
        data_bytes: int,
        meta: BlockMeta,
    ) -> None:
        used = [position for position, column in enumerate(labels.columns) if column.any()]
        about: dict[str, Any] = {
            "series": labels.rows,
            "names": [labels.names[position] for position in used],
            "slices": len(self._timetables),
            "data_bytes": data_bytes,
            "meta": meta.to_json(),
        }
        out = ContainerWriter(file, about)
        for number, position in enumerate(used):
            codes, values = _compacted(labels.columns[position], labels.values[position])
            out.add(f"dictionary/{number}", pack_values(values))
            if labels.names[position] == METRIC_NAME:
                out.add_numbers("metrics", np.searchsorted(codes, np.arange(len(values) + 2)))
            for stripe, begin in enumerate(range(0, labels.rows, STRIPE_SERIES)):
                part = codes[begin : begin + STRIPE_SERIES]
                if part.any():
                    out.add_numbers(f"codes/{number}/{stripe}", part)
        components, owners = component_owners(labels)
        if len(components):
            out.add_numbers("components/series", components)
            out.add_numbers("components/owner", owners)
        out.add_numbers("series/band", np.concatenate(self._series_band))
        out.add_numbers("series/place", np.concatenate(self._series_place))
        for name in _Pages.__slots__:
            out.add_numbers(f"page/{name}", np.array(getattr(self._pages, name), np.int64))
        for name, numbers in zip(("slice", "first", "offset", "length", "checksum"), timetable, strict=True):
            out.add_numbers(f"times/{name}", numbers)
        out.finish()


def _compacted(codes: npt.NDArray[np.int32], values: Sequence[str]) -> tuple[Int64s, list[str]]:
    """Codes into the sorted list of the values in use; 0 stays the empty string."""
    used = np.flatnonzero(np.bincount(codes)[1:]) + 1
    texts = [values[code] for code in used.tolist()]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    table = np.zeros(int(codes.max()) + 1, np.int64)
    table[used[np.array(order, np.int64)]] = np.arange(1, len(texts) + 1)
    return table[codes], [texts[place] for place in order]


def sorted_rows(labels: LabelTable) -> Int64s:
    """Rows by metric name, then by the other labels in order of their names; components of histograms behind their series."""
    if labels.rows == 0:
        return np.zeros(0, np.int64)
    keys: list[Int64s] = []
    first: list[Int64s] = []
    last: list[Int64s] = []
    places = {METRIC_NAME: first, COMPONENT_LABEL: last}
    for name, column, values in zip(labels.names, labels.columns, labels.values, strict=True):
        if column.any():
            places.get(name, keys).append(_compacted(column, values)[0])
    listed = [*last, *reversed(keys), *first]
    return np.lexsort(listed) if listed else np.arange(labels.rows)


def component_owners(labels: LabelTable) -> tuple[Int64s, Int64s]:
    """The rows of a sorted table that are components, and the row of the series of each, -1 where there is none."""
    of_component = labels.column(COMPONENT_LABEL)[0] > 0
    components = np.flatnonzero(of_component)
    if not len(components):
        return components, components
    before = np.maximum.accumulate(np.where(of_component, -1, np.arange(labels.rows)))[components]
    same = before >= 0
    for name, column in zip(labels.names, labels.columns, strict=True):
        if name != COMPONENT_LABEL:
            same &= column[components] == column[before]
    return components, np.where(same, before, -1)
