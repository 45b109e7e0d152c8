"""Writing blocks that Prometheus, promtool and Thanos open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from trimon.errors import OperatingError
from trimon.files import AppendFile, Files
from trimon.model.frame import SampleFrame
from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.block.meta import BlockMeta
from trimon.storage.block.writer import UNFINISHED
from trimon.storage.head.arena import Floats, Int64s, ragged_positions
from trimon.storage.head.runs import taken_runs
from trimon.storage.prometheus.crc import crc32c_many
from trimon.storage.prometheus.histogramchunks import FLOATS, INTEGERS
from trimon.storage.prometheus.histogramencoder import encode_histograms
from trimon.storage.prometheus.histogramexport import FloatRun, HistogramRun, runs_of
from trimon.storage.prometheus.indexwriter import ChunkTable, SeriesTable, index_parts
from trimon.storage.prometheus.varint import write_all
from trimon.storage.prometheus.xor import SAMPLES_PER_CHUNK, encode_chunks
from trimon.storage.read.snapshot import StoreSelection

Bytes = npt.NDArray[np.uint8]

SEGMENT_HEAD: Final = bytes.fromhex("85BD40DD01000000")
_SEGMENT_BYTES_MAX: Final = 512 * 2**20
_XOR_ENCODING: Final = 1
_BATCH_SAMPLES: Final = 1_500_000


class _ChunkSegments:
    """The chunk files of a block."""

    def __init__(self, files: Files, directory: Path) -> None:
        self._files = files
        self._directory = directory
        self._file: AppendFile | None = None
        self._number = 0

    def write(self, data: Bytes, sizes: Int64s) -> Int64s:
        """Append chunks; the reference of each."""
        file = self._file
        if file is None or file.size_bytes + len(data) > _SEGMENT_BYTES_MAX:
            self.close()
            self._number += 1
            file = self._file = self._files.create(self._directory / f"{self._number:06d}")
            file.write(SEGMENT_HEAD)
        begin = file.size_bytes
        file.write(data.tobytes())
        return (self._number - 1 << 32) + begin + np.cumsum(sizes) - sizes

    def close(self) -> None:
        """Sync and close the last file."""
        if self._file is not None:
            self._file.sync()
            self._file.close()
            self._file = None


def export_block(
    files: Files,
    directory: Path,
    selection: StoreSelection,
    meta: BlockMeta,
    progress: Progress = no_progress,
) -> BlockMeta | None:
    """Write a selection as a block of Prometheus' format; None if there are no samples.

    `meta` gives the name and the range, of which the block has what there are samples of. Raises OperatingError.
    """
    beside = directory / (meta.ulid + UNFINISHED)
    try:
        files.remove_tree(beside)
        files.make_directory(beside / "chunks")
        written = _write(files, beside, selection, meta, progress)
        if written is None:
            files.remove_tree(beside)
            return None
        files.write_atomic(beside / "meta.json", _meta_json(written))
        files.sync_directory(beside)
        files.rename(beside, directory / meta.ulid)
        files.sync_directory(directory)
    except OSError as error:
        raise OperatingError(f"block {meta.ulid}: {error}") from error
    return written


def _write(
    files: Files, beside: Path, selection: StoreSelection, meta: BlockMeta, progress: Progress
) -> BlockMeta | None:
    table = SeriesTable.of(selection.labels)
    segments = _ChunkSegments(files, beside / "chunks")
    kept: list[Int64s] = []
    chunks: list[ChunkTable] = []
    samples = done = 0
    estimate = selection.estimate(meta.min_ms, meta.max_ms - 1)
    size = max(1, _BATCH_SAMPLES // max(1, estimate.samples // max(1, estimate.series)))
    for begin in range(0, len(table.order), size):
        rows = table.order[begin : begin + size]
        frame = selection.subset(rows).frame(meta.min_ms, meta.max_ms - 1)
        lengths = np.diff(frame.offsets)
        filled = np.flatnonzero(lengths)
        if len(filled):
            chunks.append(_write_chunks(segments, frame, filled, done))
            kept.append(rows[filled])
            samples += int(lengths.sum())
            done += len(filled)
        progress(min(begin + size, len(table.order)), len(table.order))
    segments.close()
    if not kept:
        return None
    rows = np.concatenate(kept)
    listed = ChunkTable.joined(chunks)
    index = files.create(beside / "index")
    try:
        for part in index_parts(table, rows, listed):
            index.write(part)
        index.sync()
    finally:
        index.close()
    # A Prometheus takes no sample that is older than the end of its newest block: one that ended with its window, and not with
    # its last sample, would keep out all that is scraped until the window is over.
    return replace(
        meta,
        min_ms=int(listed.first_ms.min()),
        max_ms=int(listed.last_ms.max()) + 1,
        samples=samples,
        series=len(rows),
        chunks=len(listed.series),
    )


def _write_chunks(
    segments: _ChunkSegments, frame: SampleFrame, rows: Int64s, first_series: int
) -> ChunkTable:
    """Cut the rows of a frame into chunks and write them."""
    lengths = np.diff(frame.offsets)[rows]
    arrays = frame.time_of_row[rows]
    times = taken_runs(frame.times, frame.time_offsets[arrays], lengths)
    values = taken_runs(frame.values, frame.offsets[rows], lengths)
    if frame.native is None:
        return _write_floats(
            segments, np.arange(first_series, first_series + len(rows)), times, values, lengths
        )
    with_native = np.isin(rows, frame.native.row)
    plain = np.repeat(~with_native, lengths)
    series = np.flatnonzero(~with_native) + first_series
    tables = [_write_floats(segments, series, times[plain], values[plain], lengths[~with_native])]
    runs = [
        (first_series + place, run)
        for place in np.flatnonzero(with_native).tolist()
        for run in runs_of(frame, int(rows[place]))
    ]
    tables += _write_runs(segments, runs)
    listed = ChunkTable.joined(tables)
    order = np.lexsort((listed.first_ms, listed.series))
    return ChunkTable(listed.series[order], listed.first_ms[order], listed.last_ms[order], listed.refs[order])


def _write_floats(
    segments: _ChunkSegments, series: Int64s, times: Int64s, values: Floats, lengths: Int64s
) -> ChunkTable:
    """Write the chunks of series of floats; `lengths` are how many samples each has."""
    per_row = -(-lengths // SAMPLES_PER_CHUNK)
    owner = np.repeat(np.arange(len(series)), per_row)
    if not len(owner):
        return ChunkTable(owner, times, times, owner)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    counts = np.minimum(lengths[owner] - place * SAMPLES_PER_CHUNK, SAMPLES_PER_CHUNK)
    data, sizes = encode_chunks(times, values, counts)
    ends = np.cumsum(counts)
    refs = segments.write(*_wrapped(data, sizes, _XOR_ENCODING))
    return ChunkTable(series[owner], times[ends - counts], times[ends - 1], refs)


def _write_runs(
    segments: _ChunkSegments, runs: Sequence[tuple[int, FloatRun | HistogramRun]]
) -> Iterator[ChunkTable]:
    """Write the chunks of series that hold histograms; histograms all at once."""
    natives: list[tuple[int, HistogramRun]] = []
    for series, run in runs:
        if isinstance(run, HistogramRun):
            natives.append((series, run))
            continue
        yield _write_floats(segments, np.array([series]), run.times, run.values, np.array([len(run.times)]))
    if not natives:
        return
    chunks = [run.chunk for _, run in natives]
    data, sizes = encode_histograms(chunks, [run.reset for _, run in natives])
    encodings = np.array([FLOATS if chunk.layout.floats else INTEGERS for chunk in chunks], np.uint8)
    yield ChunkTable(
        np.array([series for series, _ in natives], np.int64),
        np.array([chunk.times[0] for chunk in chunks], np.int64),
        np.array([chunk.times[-1] for chunk in chunks], np.int64),
        segments.write(*_wrapped(data, sizes, encodings)),
    )


def _wrapped(data: Bytes, sizes: Int64s, encoding: int | Bytes) -> tuple[Bytes, Int64s]:
    """Chunks with their length and encoding before and their checksum behind."""
    prefix, prefix_sizes = write_all(sizes.astype(np.uint64))
    totals = prefix_sizes + 1 + sizes + 4
    ends = np.cumsum(totals)
    begins = ends - totals
    out = np.empty(int(ends[-1]), np.uint8)
    out[ragged_positions(begins, prefix_sizes)] = prefix
    out[begins + prefix_sizes] = encoding
    out[ragged_positions(begins + prefix_sizes + 1, sizes)] = data
    sums = crc32c_many(out, begins + prefix_sizes, sizes + 1)
    for place in range(4):
        out[ends - 4 + place] = (sums >> np.uint32(24 - 8 * place)).astype(np.uint8)
    return out, totals


def _meta_json(meta: BlockMeta) -> bytes:
    document: dict[str, Any] = {
        "ulid": meta.ulid,
        "minTime": meta.min_ms,
        "maxTime": meta.max_ms,
        "stats": {"numSamples": meta.samples, "numSeries": meta.series, "numChunks": meta.chunks},
        "compaction": {"level": meta.level, "sources": [meta.ulid]},
        "version": 1,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)
