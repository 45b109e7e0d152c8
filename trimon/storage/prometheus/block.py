"""A Prometheus block as a source: it can be read, dumped, and written as one of our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.model.components import COMPONENT_LABEL, unmarked
from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.openfiles import ReadFile
from trimon.storage.block.damage import Loss
from trimon.storage.block.meta import BlockMeta
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s, ragged_positions
from trimon.storage.head.matching import codes_matching
from trimon.storage.prometheus import xor, xor2
from trimon.storage.prometheus.crc import crc32c_many
from trimon.storage.prometheus.histogramchunks import (
    ENCODINGS,
    ChunkLayout,
    HistogramChunk,
    decode_histograms,
    layouts,
)
from trimon.storage.prometheus.histogramseries import BlockComponents
from trimon.storage.prometheus.index import Bytes, read_index
from trimon.storage.prometheus.tombstones import read_tombstones
from trimon.storage.prometheus.varint import FormatError, read_at
from trimon.storage.read.partialframe import PartialFrame

SEGMENT_MAGIC: Final = 0x85BD40DD
# Encodings of chunks of floats, with their decoders.
_FLOAT_DECODERS: Final = {1: xor.decode_chunks, 4: xor2.decode_chunks}
_BATCH_CHUNKS: Final = 1 << 15
# An index is read as a whole, of a chunk file so much at once; the length before a chunk has at most so many bytes.
INDEX_BYTES_MAX: Final = 1 << 36
_WINDOW_BYTES: Final = 32 << 20
_LENGTH_BYTES_MAX: Final = 10
_VERIFY_SERIES: Final = 1024


class PrometheusBlock:
    """An open block of Prometheus. It reads as if chunks of unknown encodings were not there; `left_out` counts those."""

    def __init__(self, files: Files, path: Path) -> None:
        """Read the whole index; raises OperatingError if there is no such block or it is damaged."""
        self.path = path
        try:
            self.meta = BlockMeta.from_json(files.read(path / "meta.json"), foreign=True)
            self.index = read_index(memoryview(files.read(path / "index", INDEX_BYTES_MAX)), path / "index")
            names = [name for name in files.names(path / "chunks") if name.isdecimal()]
            self._segments = [files.open(path / "chunks" / name) for name in names]
            self._tombstones = read_tombstones(files, path).placed(self.index.refs)
        except OSError as error:
            raise OperatingError(f"block {path.name}: {error}") from error
        for name, segment in zip(names, self._segments, strict=True):
            if int.from_bytes(self._bytes(segment, 0, 4), "big") != SEGMENT_MAGIC:
                raise FormatError(f"{path / 'chunks' / name}: no chunk file")
        self._own_labels = self._make_table()

    @cached_property
    def _components(self) -> BlockComponents:
        """The components of native histograms, by the heads of all chunks."""
        chunks = np.arange(len(self.index.chunk_ref))
        owners = np.searchsorted(self.index.chunk_offsets, chunks, side="right") - 1
        found: set[tuple[int, ChunkLayout]] = set()
        for raw, offsets, mine in self._by_window(chunks):
            lengths, begins = read_at(raw, offsets)
            native = np.flatnonzero(np.isin(raw[begins], list(ENCODINGS)))
            encodings = raw[begins[native]].tolist()
            listed = layouts(raw, begins[native] + 1, lengths[native].astype(np.int64), encodings)
            found.update(zip(owners[mine[native]].tolist(), listed, strict=True))
        return BlockComponents(self.index.series, found)

    @cached_property
    def _labels(self) -> LabelTable:
        """The labels of all series, and of components behind them."""
        own, components = self._own_labels, self._components
        if not len(components.view):
            return own
        every = own.take(np.concatenate((np.arange(own.rows), components.view.owner)))
        texts = np.concatenate((np.zeros(own.rows, np.int32), components.codes))
        names = (COMPONENT_LABEL, *every.names)
        return LabelTable(every.rows, names, (texts, *every.columns), (components.texts, *every.values))

    def _make_table(self) -> LabelTable:
        """All labels; every dictionary holds the whole list of symbols."""
        index = self.index
        names = index.symbols
        values = names if names[:1] == [""] else ["", *names]
        shift = 0 if values is names else 1
        used = np.unique(index.pairs[:, 0]).tolist()
        rows = np.repeat(np.arange(index.series), np.diff(index.pair_offsets))
        ordered = sorted(used, key=names.__getitem__)
        columns: list[Int32s] = []
        for number in ordered:
            mine = index.pairs[:, 0] == number
            column = np.zeros(index.series, np.int32)
            column[rows[mine]] = index.pairs[mine, 1] + shift
            columns.append(column)
        texts = tuple(names[number] for number in ordered)
        return LabelTable(index.series, texts, tuple(columns), (values,) * len(ordered))

    def losses(self, series: Int32s | None, start_ms: int, end_ms: int) -> tuple[Loss, ...]:
        """Nothing: what is damaged is not in it, or an error."""
        del series, start_ms, end_ms
        return ()

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether any sample may lie in the closed interval."""
        return self.meta.min_ms <= end_ms and self.meta.max_ms > start_ms

    def select(self, matchers: Sequence[Matcher]) -> Int32s:
        """Series that satisfy every matcher, ascending."""
        keep = np.ones(self._labels.rows, np.bool_)
        for matcher in matchers:
            codes, values = self._labels.column(matcher.name)
            keep &= codes_matching(matcher, codes, values)
        return np.flatnonzero(keep).astype(np.int32)

    @property
    def has_components(self) -> bool:
        """Whether any series is a component of a histogram."""
        return len(self._components.view) > 0

    def without_components(self, series: Int32s) -> Int32s:
        """Those of some series that are no components of histograms."""
        return self._components.view.without(series)

    def components_of(self, series: Int32s) -> tuple[Int32s, Int64s]:
        """The components of some series (ascending), ascending, and the place in `series` of the series of each."""
        return self._components.view.of(series)

    def component_texts(self, components: Int32s) -> tuple[Int32s, Sequence[str]]:
        """The texts of some components: codes, and what they stand for."""
        return self._components.codes[components - self.index.series], self._components.texts

    def table(self, series: Int32s) -> LabelTable:
        """Their labels."""
        return self._labels.take(series.astype(np.intp))

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series may have samples in the closed interval: those with a chunk that touches it."""
        alive = np.zeros(len(series), np.bool_)
        alive[self._chunks_of(self._owners(series), start_ms, end_ms)[1]] = True
        return alive

    def _owners(self, series: Int32s) -> Int32s:
        """The series in whose chunks some series and components are."""
        owners = self._components.view.owners_of(series)
        return np.where(owners < 0, series, owners)

    def estimate(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """At most how many samples lie in the closed interval."""
        chunks, _ = self._chunks_of(self._owners(series), start_ms, end_ms)
        return 120 * len(chunks) if self.meta.samples == 0 else min(240 * len(chunks), self.meta.samples)

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """Samples of ascending series, whole chunks that touch the closed interval."""
        found = self._float_frames(series[series < self.index.series], start_ms, end_ms)
        if self.has_components:
            owners = np.unique(self._owners(series))
            chunks, rows = self._chunks_of(owners, start_ms, end_ms)
            native = self._components.frame(series, self._read_histograms(chunks, owners[rows]))
            found += [native] if native is not None else []
        return self._tombstones.applied(found, series) if found else []

    def _float_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        chunks, rows = self._chunks_of(series, start_ms, end_ms)
        times, values, counts = [], [], []
        for begin in range(0, len(chunks), _BATCH_CHUNKS):
            part = self._read_chunks(chunks[begin : begin + _BATCH_CHUNKS])
            times.append(part[0])
            values.append(part[1])
            counts.append(part[2])
        if not chunks.size:
            return []
        totals = np.bincount(rows, weights=np.concatenate(counts), minlength=len(series)).astype(np.int64)
        offsets = np.concatenate(([0], np.cumsum(totals)))
        floats = unmarked(np.concatenate(values))
        return [PartialFrame.private(np.arange(len(series)), offsets, np.concatenate(times), floats)]

    def _read_histograms(self, chunks: Int64s, owners: Int32s) -> list[tuple[int, HistogramChunk]]:
        """The chunks that hold histograms, in the given order, each with its series."""
        found: dict[int, HistogramChunk] = {}
        for raw, offsets, mine in self._by_window(chunks):
            begins, lengths = self._checked(raw, offsets)
            native = np.flatnonzero(np.isin(raw[begins], list(ENCODINGS)))
            encodings = raw[begins[native]].tolist()
            decoded = decode_histograms(raw, begins[native] + 1, lengths[native], encodings)
            found.update(zip(mine[native].tolist(), decoded, strict=True))
        return [(int(owners[place]), found[place]) for place in sorted(found)]

    def left_out(self) -> Counter[str]:
        """What the block holds that cannot be read, in words, and how much of it: by the heads of all chunks."""
        found: Counter[str] = Counter()
        for raw, offsets, _ in self._by_window(np.arange(len(self.index.chunk_ref))):
            _, begins = read_at(raw, offsets)
            encodings = raw[begins]
            for encoding in np.unique(encodings).tolist():
                mine = encodings == encoding
                if encoding not in _FLOAT_DECODERS and encoding not in ENCODINGS:
                    found[f"chunks of unknown encoding {encoding}"] += int(mine.sum())
        return found

    def verify(self) -> list[str]:
        """Every batch of series whose chunks do not pass their checksums or cannot be decoded, a line each."""
        problems: list[str] = []
        everyone = np.arange(self.index.series, dtype=np.int32)
        for begin in range(0, len(everyone), _VERIFY_SERIES):
            try:
                self.partial_frames(
                    everyone[begin : begin + _VERIFY_SERIES], self.meta.min_ms, self.meta.max_ms
                )
            except OperatingError as error:
                problems.append(str(error))
        return problems

    def label_names(self) -> list[str]:
        """All label names, in any order."""
        return list(self._own_labels.names)

    def label_values(self, name: str) -> list[str]:
        """All values of a label, in any order."""
        codes, values = self._own_labels.column(name)
        return [values[code] for code in np.unique(codes).tolist() if code]

    def _chunks_of(self, series: Int32s, start_ms: int, end_ms: int) -> tuple[Int64s, Int64s]:
        """Chunks of series that touch the closed interval, and the row of each."""
        starts = self.index.chunk_offsets[series]
        counts = self.index.chunk_offsets[series.astype(np.int64) + 1] - starts
        chunks = ragged_positions(starts, counts)
        rows = np.repeat(np.arange(len(series)), counts)
        touching = (self.index.chunk_min[chunks] <= end_ms) & (self.index.chunk_max[chunks] >= start_ms)
        return chunks[touching], rows[touching]

    def _by_window(self, chunks: Int64s) -> Iterator[tuple[Bytes, Int64s, Int64s]]:
        """Parts of chunk files: the bytes, where chunks begin in them, and their places among those asked for."""
        for file, offsets, mine in self._by_segment(chunks):
            order = np.argsort(offsets, kind="stable")
            ordered = offsets[order]
            begin = 0
            while begin < len(ordered):
                first = int(ordered[begin])
                end = int(np.searchsorted(ordered, first + _WINDOW_BYTES))
                last = int(ordered[end - 1])
                head = np.frombuffer(self._bytes(file, last, _LENGTH_BYTES_MAX), np.uint8)
                lengths, begins = read_at(head, np.zeros(1, np.int64))
                stop = last + int(begins[0]) + 1 + int(lengths[0]) + 4
                if stop > file.size_bytes:
                    raise FormatError(f"{self.path}: a chunk runs past the end of its file")
                raw = np.frombuffer(self._bytes(file, first, stop - first), np.uint8)
                yield raw, ordered[begin:end] - first, mine[order[begin:end]]
                begin = end

    def _bytes(self, file: ReadFile, offset: int, size_bytes: int) -> bytes:
        try:
            return file.read(offset, size_bytes)
        except OSError as error:
            raise OperatingError(f"block {self.path.name}: chunks: {error}") from error

    def _by_segment(self, chunks: Int64s) -> Iterator[tuple[ReadFile, Int64s, Int64s]]:
        """Chunk file by chunk file: the file, where chunks begin in it, and their places among those asked for."""
        refs = self.index.chunk_ref[chunks]
        numbers, offsets = refs >> 32, refs & 0xFFFFFFFF
        for number in np.unique(numbers).tolist():
            if number >= len(self._segments):
                raise FormatError(f"{self.path}: chunk file {number + 1} is missing")
            mine = np.flatnonzero(numbers == number)
            yield self._segments[number], offsets[mine], mine

    def _read_chunks(self, chunks: Int64s) -> tuple[Int64s, Floats, Int64s]:
        """Times, values and sample counts of chunks, in the given order."""
        counts = np.zeros(len(chunks), np.int64)
        decoded: list[tuple[Int64s, Floats, Int64s]] = []
        for raw, offsets, mine in self._by_window(chunks):
            for times, values, found, part in self._decode(raw, offsets):
                counts[mine[part]] = found
                decoded.append((times, values, mine[part]))
        return *_interleaved(decoded, counts), counts

    def _decode(self, raw: Bytes, offsets: Int64s) -> Iterator[tuple[Int64s, Floats, Int64s, Int64s]]:
        """Encoding by encoding: times, values, sample counts, and the places of these chunks among the offsets."""
        begins, lengths = self._checked(raw, offsets)
        for encoding, decode in _FLOAT_DECODERS.items():
            mine = np.flatnonzero(raw[begins] == encoding)
            if len(mine):
                yield *decode(raw, begins[mine] + 1, lengths[mine]), mine

    def _checked(self, raw: Bytes, offsets: Int64s) -> tuple[Int64s, Int64s]:
        """Where the encodings of chunks are, and the lengths of what follows. Raises FormatError."""
        lengths_found, begins = read_at(raw, offsets)
        lengths = lengths_found.astype(np.int64)
        ends = begins + 1 + lengths
        if len(ends) and int(ends.max()) + 4 > len(raw):
            raise FormatError(f"{self.path}: a chunk runs past the end of its file")
        stored = np.zeros(len(ends), np.uint32)
        for place in range(4):
            stored = stored << np.uint32(8) | raw[ends + place]
        if (crc32c_many(raw, begins, lengths + 1) != stored).any():
            raise FormatError(f"{self.path}: a chunk does not pass its checksum")
        return begins, lengths


def _interleaved(decoded: Sequence[tuple[Int64s, Floats, Int64s]], counts: Int64s) -> tuple[Int64s, Floats]:
    """Times and values in the order of all chunks, whose sample counts are given, from parts that name their chunks."""
    if len(decoded) == 1:
        return decoded[0][0], decoded[0][1]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    all_times, all_values = np.empty(total, np.int64), np.empty(total)
    for times, values, mine in decoded:
        target = ragged_positions((ends - counts)[mine], counts[mine])
        all_times[target], all_values[target] = times, values
    return all_times, all_values
