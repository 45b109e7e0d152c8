"""Blocks of our own from a Prometheus data directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.block.headblocks import Progress, no_progress, write_heads
from trimon.storage.block.meta import BlockMeta, is_ulid, new_ulid
from trimon.storage.block.writer import BlockWriter
from trimon.storage.head.acceptance import Tally
from trimon.storage.head.arena import Int32s
from trimon.storage.head.head import Head
from trimon.storage.options import HOUR_MS
from trimon.storage.prometheus.block import PrometheusBlock
from trimon.storage.prometheus.wal import WalReport, WalSamples, read_log
from trimon.storage.read.snapshot import StoreSnapshot

_EVER = (-(1 << 62), 1 << 62)


@dataclass(slots=True)
class ImportReport:
    """What was imported, and what could not be."""

    blocks: list[BlockMeta] = field(default_factory=list)
    samples: int = 0
    skipped_chunks: int = 0
    wal: WalReport = field(default_factory=WalReport)
    problems: list[str] = field(default_factory=list)


def import_directory(
    files: Files, source: Path, target: Path, now_ms: int, progress: Progress = no_progress
) -> Iterator[tuple[str, ImportReport]]:
    """Import all blocks and the log of a Prometheus data directory into ours; a line after each step.

    Neither server may run. A block that cannot be read is reported and left out. Raises OperatingError if
    nothing can be written.
    """
    report = ImportReport()
    files.make_directory(target)
    newest_ms = _EVER[0]
    for name in files.names(source):
        if not is_ulid(name):
            continue
        try:
            block = PrometheusBlock(files, source / name)
            meta = import_block(files, block, target, now_ms, progress)
        except OperatingError as error:
            report.problems.append(f"block {name}: {error}")
            yield f"block {name} is left out: {error}", report
            continue
        newest_ms = max(newest_ms, block.meta.max_ms)
        report.skipped_chunks += block.skipped_chunks
        if meta is None:
            yield f"block {name} is empty", report
            continue
        report.blocks.append(meta)
        report.samples += meta.samples
        yield f"block {name}: {meta.series} series, {meta.samples} samples as {meta.ulid}", report
    if files.names(source / "wal"):
        for meta in import_log(files, source / "wal", target, now_ms, newest_ms, report.wal, progress):
            report.blocks.append(meta)
            report.samples += meta.samples
            yield f"log: {meta.series} series, {meta.samples} samples as {meta.ulid}", report
        report.problems.extend(report.wal.problems)


def import_block(
    files: Files, block: PrometheusBlock, target: Path, now_ms: int, progress: Progress = no_progress
) -> BlockMeta | None:
    """One block as one of ours; None if it holds no float samples. Raises OperatingError."""
    selection = StoreSnapshot([block]).select((), *_EVER)
    meta = BlockMeta(
        new_ulid(now_ms), block.meta.min_ms, block.meta.max_ms, level=block.meta.level, hints=block.meta.hints
    )
    return BlockWriter(files, target, meta).write(selection, progress)


def import_log(
    files: Files,
    path: Path,
    target: Path,
    now_ms: int,
    start_ms: int,
    report: WalReport,
    progress: Progress = no_progress,
) -> Iterator[BlockMeta]:
    """The samples of a log from `start_ms` on, as two-hour blocks. Raises OperatingError."""
    head = Head(0, 0)
    numbers = _Numbers()
    for part in read_log(files, path, report):
        if isinstance(part, WalSamples):
            _add_samples(head, numbers, part, start_ms, report)
        else:
            series = head.create([labels for _, labels in part], Tally())
            numbers.note(np.array([ref for ref, _ in part], np.uint64), series)
            report.series += len(part)
    head.publish()
    yield from write_heads(files, target, [head.view], 2 * HOUR_MS, now_ms, None, progress)


def _add_samples(head: Head, numbers: _Numbers, part: WalSamples, start_ms: int, report: WalReport) -> None:
    series = numbers.find(part.refs)
    known = (series >= 0) & (part.times >= start_ms)
    report.unknown_series += int((series < 0).sum())
    report.samples += int(known.sum())
    if known.any():
        head.restore_loose(series[known], part.times[known], part.values[known])


class _Numbers:
    """Series numbers by Prometheus' references, which may be any 64-bit numbers."""

    def __init__(self) -> None:
        self._refs = np.zeros(0, np.uint64)
        self._series: Int32s = np.zeros(0, np.int32)

    def note(self, refs: np.ndarray[tuple[int], np.dtype[np.uint64]], series: Int32s) -> None:
        """Add references; a later word on one replaces the earlier."""
        refs = np.concatenate((refs[::-1], self._refs))
        series = np.concatenate((series[::-1], self._series))
        self._refs, first = np.unique(refs, return_index=True)
        self._series = series[first]

    def find(self, refs: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> Int32s:
        """Series numbers, -1 for unknown references."""
        if len(self._refs) == 0:
            return np.full(len(refs), -1, np.int32)
        place = np.minimum(np.searchsorted(self._refs, refs), len(self._refs) - 1)
        return np.where(self._refs[place] == refs, self._series[place], np.int32(-1))
