"""`tsdb verify` and `tsdb repair`: find what is damaged, and keep what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.block.blockset import SET_ASIDE
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.block.meta import is_ulid, next_ulid
from trimon.storage.block.reader import Block
from trimon.storage.block.writer import BlockWriter
from trimon.storage.head.arena import Int32s
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.tools.offline import open_offline
from trimon.storage.wal.log import list_segments
from trimon.storage.wal.recovery import Recovery

_EVER: Final = (-(1 << 62), 1 << 62)


def verify(files: Files, path: Path) -> Iterator[tuple[bool, str]]:
    """A line for every block and for the log, and whether it is in order. Changes nothing.

    Raises OperatingError if there is no such directory.
    """
    opened = open_offline(files, path)
    log_problems = set(opened.replay.problems)
    for problem in opened.problems:
        if problem not in log_problems:
            yield False, problem
    for block in opened.blocks:
        problems = block.verify()
        yield from ((False, problem) for problem in problems)
        if not problems:
            yield True, f"block {block.meta.ulid}: {block.meta.series} series, {block.meta.samples} samples"
    report = opened.replay
    lines = report.lines()
    yield from ((False, f"log: {line}") for line in lines)
    if not lines:
        yield True, f"log: {report.segments} segments, {report.samples} samples"


class _Salvage:
    """A damaged block as a source of what can still be read of it."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self.lost_series: set[int] = set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._block, name)

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """Samples of the series that can be read; the others are noted, found by halving."""
        try:
            return self._block.partial_frames(series, start_ms, end_ms)
        except OperatingError:
            if len(series) == 1:
                self.lost_series.add(int(series[0]))
                return []
        middle = len(series) // 2
        first = self.partial_frames(series[:middle], start_ms, end_ms)
        second = self.partial_frames(series[middle:], start_ms, end_ms)
        return [*first, *(replace(partial, rows=partial.rows + middle) for partial in second)]


def repair(files: Files, path: Path, progress: Progress = no_progress) -> Iterator[str]:
    """Write what can be read of damaged blocks as new ones, set the old ones aside, cut torn tails of the log.

    The server must not run. Raises OperatingError if nothing can be written.
    """
    cache = ArrayCache()
    for name in files.names(path):
        if not is_ulid(name) or files.is_directory(path / name / "chunks"):
            continue
        try:
            block = Block(files, path / name, cache)
            problems: Sequence[str] = block.verify()
        except OperatingError as error:
            yield _set_aside(files, path / name, str(error))
            continue
        if problems:
            yield from _rewrite(files, path, block, progress)
    segments = list_segments(files, path / "wal")
    recovery = Recovery(files, path / "wal", segments, no_progress, lambda _numbers: None)
    recovery.run()
    yield from (f"log: {line}" for line in recovery.report.lines())
    yield f"log: {recovery.report.samples} samples can be read"


def _rewrite(files: Files, path: Path, block: Block, progress: Progress) -> Iterator[str]:
    source = _Salvage(block)
    meta = replace(block.meta, ulid=next_ulid(block.meta.ulid), tombstones=0)
    try:
        selection = StoreSnapshot([source]).select((), *_EVER)  # type: ignore[list-item] # by __getattr__
        written = BlockWriter(files, path, meta).write(selection, progress)
    except OperatingError as error:
        yield _set_aside(files, block.path, str(error))
        return
    lost = len(source.lost_series)
    kept = written.samples if written is not None else 0
    new = f", the rest is in {written.ulid}" if written is not None else ""
    yield _set_aside(files, block.path, f"{lost} series could not be read, {kept} samples could{new}")


def _set_aside(files: Files, path: Path, why: str) -> str:
    try:
        files.rename(path, path.with_name(path.name + SET_ASIDE))
    except OSError as error:
        raise OperatingError(f"block {path.name} cannot be set aside: {error}") from error
    return f"block {path.name} is set aside as {path.name}{SET_ASIDE}: {why}"
