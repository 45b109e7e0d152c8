"""A data directory read without a server, without changing anything."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Any

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.records import dataclass
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.meta import BlockMeta, is_ulid
from trimon.storage.block.reader import Block
from trimon.storage.head.view import HeadView
from trimon.storage.prometheus.block import PrometheusBlock
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.wal.ends import inspect_log
from trimon.storage.wal.recovery import Recovery
from trimon.storage.wal.replay import ReplayReport


@dataclass(slots=True)
class OfflineDirectory:
    """The blocks of a directory (ours and Prometheus'), what its log holds, and what could not be read.

    `problems` tells of damage, `left_out` of what is in order but nothing that trimon reads.
    """

    blocks: list[Block | PrometheusBlock] = field(default_factory=list)
    heads: list[HeadView] = field(default_factory=list)
    replay: ReplayReport = field(default_factory=ReplayReport)
    has_log: bool = False
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def is_data_directory(self) -> bool:
        """Whether there is a block or a log, be it damaged."""
        return bool(self.blocks or self.problems or self.has_log)

    def snapshot(self) -> StoreSnapshot:
        """All that could be read."""
        return StoreSnapshot([*self.blocks, *self.heads])

    def missing(self) -> list[str]:
        """What could not be read of the blocks, a line each; known when everything has been read."""
        losses = [loss for block in self.blocks if isinstance(block, Block) for loss in block.damage.losses]
        losses += [loss for head in self.heads for loss in head.damage.all_losses()]
        return [loss.line() for loss in losses]

    def epochs_in_blocks(self, log_id: str) -> set[int]:
        """The runs of a log whose samples are in blocks."""
        return {epoch for meta in self.metas() if meta.log == log_id for epoch in meta.epochs}

    def metas(self) -> list[BlockMeta]:
        """The blocks' metas, oldest first."""
        return [block.meta for block in self.blocks]


def open_offline(files: Files, path: Path, *, log: bool = True) -> OfflineDirectory:
    """Open a directory for reading; damaged blocks are named in `problems`. Raises OperatingError."""
    if not files.is_directory(path):
        raise OperatingError(f"{path}: no such directory")
    opened = OfflineDirectory(has_log=files.is_directory(path / "wal"))
    cache = ArrayCache()
    for name in files.names(path):
        if not is_ulid(name):
            continue
        try:
            block = _open_block(files, path / name, cache)
            if isinstance(block, Block) and block.meta_fault:
                opened.problems.append(f"block {name}: {block.meta_fault}")
            opened.blocks.append(block)
            if isinstance(block, PrometheusBlock):
                counts = block.left_out().items()
                opened.left_out.extend(f"block {name}: {count} {what} are left out" for what, count in counts)
        except OperatingError as error:
            opened.problems.append(str(error))
    opened.blocks.sort(key=lambda block: (block.meta.min_ms, block.meta.ulid))
    if log:
        try:
            found = inspect_log(files, path, opened.epochs_in_blocks)
        except OSError as error:
            opened.problems.append(f"the log cannot be read: {error}")
            return opened
        opened.problems.extend(text for _, text in found.problems)
        segments = [name for name in found.segments if name.epoch not in found.done]
        recovery = Recovery(files, path / "wal", segments, _nothing, _no_note, mend=False)
        opened.heads = [head.view for head, _ in recovery.run() if head.samples]
        recovery.report.miss(found.gone)
        opened.replay = recovery.report
        opened.problems.extend(recovery.report.problems)
    return opened


def _open_block(files: Files, path: Path, cache: ArrayCache) -> Block | PrometheusBlock:
    if files.is_directory(path / "chunks"):
        return PrometheusBlock(files, path)
    return Block(files, path, cache)


def _nothing(_done: int, _total: int) -> None:
    return


def _no_note(_numbers: list[Any]) -> None:
    return
