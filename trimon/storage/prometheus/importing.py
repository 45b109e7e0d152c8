"""Blocks of our own from a Prometheus data directory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Final

import numpy as np

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.model.components import unmarked
from trimon.model.labels import METRIC_NAME
from trimon.model.spans import HistogramError
from trimon.records import dataclass
from trimon.storage.block.headblocks import Progress, no_progress, write_heads
from trimon.storage.block.meta import BlockMeta, BlockNames, is_ulid
from trimon.storage.block.writer import BlockWriter
from trimon.storage.head.acceptance import RefusalTally
from trimon.storage.head.arena import Int32s, Int64s, UInt64s
from trimon.storage.head.head import Head
from trimon.storage.metadata import MetadataBook
from trimon.storage.options import HOUR_MS
from trimon.storage.prometheus.block import PrometheusBlock
from trimon.storage.prometheus.headchunks import histogram_chunk_starts
from trimon.storage.prometheus.loghistograms import LogHistograms
from trimon.storage.prometheus.wal import WalReport, read_log
from trimon.storage.prometheus.walrecords import (
    WalExemplars,
    WalHistograms,
    WalMetadata,
    WalSamples,
    WalSeries,
    WalTombstones,
)
from trimon.storage.read.snapshot import StoreSnapshot

_EVER = (-(1 << 62), 1 << 62)
_SUFFIXES: Final = {
    "histogram": ("_bucket", "_count", "_sum"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum"),
}


@dataclass(slots=True)
class ImportReport:
    """What was imported, what was not and how much of it, in words, and what could not be read."""

    blocks: list[BlockMeta] = field(default_factory=list)
    samples: int = 0
    families: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything was imported."""
        return not self.problems and not self.left_out.total()


def import_directory(
    files: Files, source: Path, target: Path, names: BlockNames, progress: Progress = no_progress
) -> Iterator[tuple[str, ImportReport]]:
    """Import all blocks and the log of a Prometheus data directory into ours; a line after each step.

    Neither server may run. A block that cannot be read is reported and left out. Raises OperatingError if
    nothing can be written, or if the directory has neither blocks nor a log.
    """
    report = ImportReport()
    found = [name for name in files.names(source) if is_ulid(name)]
    if not found and not files.names(source / "wal"):
        raise OperatingError(
            f"{source} is no data directory of Prometheus: there are neither blocks nor a log"
        )
    files.make_directory(target)
    newest_ms = _EVER[0]
    for name in found:
        try:
            block = PrometheusBlock(files, source / name)
            left_out = block.left_out()
            meta = import_block(files, block, target, names, progress)
        except OperatingError as error:
            report.problems.append(f"block {name}: {error}")
            yield f"block {name} is left out: {error}", report
            continue
        newest_ms = max(newest_ms, block.meta.max_ms)
        report.left_out += left_out
        if meta is None:
            yield (
                f"block {name} holds nothing that can be read" if left_out else f"block {name} is empty",
                report,
            )
            continue
        report.blocks.append(meta)
        report.samples += meta.samples
        yield f"block {name}: {meta.series} series, {meta.samples} samples as {meta.ulid}", report
    written = 0
    for meta in LogImport(files, source, target, newest_ms, report).write(names, progress):
        written += 1
        report.blocks.append(meta)
        report.samples += meta.samples
        yield f"log: {meta.series} series, {meta.samples} samples as {meta.ulid}", report
    if written == 0:
        yield "log: no samples that are not in blocks", report
    if report.families:
        yield f"log: type, help or unit of {report.families} metric families", report


def import_block(
    files: Files, block: PrometheusBlock, target: Path, names: BlockNames, progress: Progress = no_progress
) -> BlockMeta | None:
    """One block as one of ours; None if it holds no samples. Raises OperatingError."""
    selection = StoreSnapshot([block]).select_stored((), *_EVER)
    meta = BlockMeta(
        names.new(), block.meta.min_ms, block.meta.max_ms, level=block.meta.level, hints=block.meta.hints
    )
    return BlockWriter(files, target, meta).write(selection, progress)


class LogImport:
    """The import of the log: `wal`, from a time on, since what is older is in blocks, and all of `wbl`.

    `wbl` holds samples that came out of order and are not in blocks yet; its series are those of `wal`. A deletion hides
    what is in its interval, whenever it came, as it does when Prometheus reads its log.
    """

    def __init__(self, files: Files, source: Path, target: Path, start_ms: int, report: ImportReport) -> None:
        self._files = files
        self._source = source
        self._target = target
        self._start_ms = start_ms
        self._report = report
        self._head = Head(0, 0)
        self._numbers = _Numbers()
        starts = histogram_chunk_starts(files, source / "chunks_head")
        self._histograms = LogHistograms(self._head, starts)
        self._tombstones: dict[tuple[int, int], list[Int32s]] = {}
        self._families: dict[str, tuple[str, str, str]] = {}

    def write(self, names: BlockNames, progress: Progress) -> Iterator[BlockMeta]:
        """Two-hour blocks, and metadata beside them. Raises OperatingError."""
        self._read(self._source / "wal", self._start_ms)
        self._read(self._source / "wbl", _EVER[0], late=True)
        self._histograms.finish()
        for (first_ms, last_ms), series in self._tombstones.items():
            self._head.delete_numbered(np.unique(np.concatenate(series)), first_ms, last_ms)
        self._head.publish()
        self._save_metadata()
        yield from write_heads(
            self._files, self._target, [self._head.view], 2 * HOUR_MS, names, None, progress
        )

    def _read(self, path: Path, start_ms: int, *, late: bool = False) -> None:
        told = WalReport()
        for part in read_log(self._files, path, told):
            match part:
                case WalSeries():
                    self._numbers.note(part.refs, self._head.create(part.labels, RefusalTally()))
                case WalSamples():
                    series, place = self._accepted(part.refs, part.times, start_ms)
                    if len(place):
                        self._head.restore_loose(series, part.times[place], unmarked(part.values[place]))
                case WalHistograms():
                    accepted = self._accepted(part.refs, part.times, start_ms)
                    self._take_histograms(part, *accepted, late=late)
                case WalTombstones():
                    self._note_tombstones(part)
                case WalMetadata():
                    self._note_metadata(part)
                case WalExemplars():
                    self._leave_out("exemplars", part.count)
        for kind, count in told.unknown_records.items():
            self._leave_out(f"log records of unknown type {kind}", count)
        self._report.problems.extend(told.problems)

    def _take_histograms(self, part: WalHistograms, series: Int32s, place: Int64s, *, late: bool) -> None:
        times, refs = part.times.tolist(), part.refs.tolist()
        for number, at in zip(series.tolist(), place.tolist(), strict=True):
            sample = times[at], part.histograms[at]
            try:
                if late:
                    self._histograms.take_late(number, *sample, resets=part.resets[at])
                else:
                    self._histograms.take(refs[at], number, *sample, resets=part.resets[at])
            except HistogramError as error:
                self._leave_out(f"histograms that contradict themselves ({error})", 1)
        self._histograms.flush()

    def _leave_out(self, what: str, count: int) -> None:
        if count:
            self._report.left_out[what] += count

    def _accepted(self, refs: UInt64s, times: Int64s, start_ms: int) -> tuple[Int32s, Int64s]:
        """Series and places of the samples to be imported; those of series that no record names are counted."""
        series = self._numbers.find(refs)
        current = times >= start_ms
        self._leave_out("samples of series that the log does not name", int(((series < 0) & current).sum()))
        place = np.flatnonzero((series >= 0) & current)
        return series[place], place

    def _note_tombstones(self, part: WalTombstones) -> None:
        series = self._numbers.find(part.refs)
        for number, first_ms, last_ms in zip(
            series.tolist(), part.starts.tolist(), part.ends.tolist(), strict=True
        ):
            if number >= 0:
                one = np.array([number], np.int32)
                self._tombstones.setdefault((first_ms, last_ms), []).append(one)

    def _note_metadata(self, part: WalMetadata) -> None:
        index = self._head.index.view()
        for number, about in zip(self._numbers.find(part.refs).tolist(), part.about, strict=True):
            if number >= 0:
                name = dict(index.labels(number)).get(METRIC_NAME, "")
                self._families[_family(name, about[0])] = about

    def _save_metadata(self) -> None:
        """Add the metadata to what the target has; what the target has already counts."""
        book = MetadataBook()
        path = self._target / "metadata"
        book.load(self._files, path)
        added = [(name, *about) for name, about in self._families.items() if name not in book.families]
        self._report.families = len(added)
        if added:
            book.restore(added)
            try:
                book.save(self._files, path)
            except OSError as error:
                raise OperatingError(f"{path}: {error}") from error


def _family(name: str, kind: str) -> str:
    """The metric family of a series with this name."""
    for suffix in _SUFFIXES.get(kind, ()):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


class _Numbers:
    """Series numbers by Prometheus' references, which may be any 64-bit numbers."""

    def __init__(self) -> None:
        self._refs = np.zeros(0, np.uint64)
        self._series: Int32s = np.zeros(0, np.int32)

    def note(self, refs: UInt64s, series: Int32s) -> None:
        """Add references; a later word on one replaces the earlier."""
        refs = np.concatenate((refs[::-1], self._refs))
        series = np.concatenate((series[::-1], self._series))
        self._refs, first = np.unique(refs, return_index=True)
        self._series = series[first]

    def find(self, refs: UInt64s) -> Int32s:
        """Series numbers, -1 for unknown references."""
        if len(self._refs) == 0:
            return np.full(len(refs), -1, np.int32)
        place = np.minimum(np.searchsorted(self._refs, refs), len(self._refs) - 1)
        return np.where(self._refs[place] == refs, self._series[place], np.int32(-1))
