"""A data directory of ours as blocks of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trimon.files import Files
from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.block.meta import BlockMeta, BlockNames
from trimon.storage.head.view import HeadView
from trimon.storage.options import HOUR_MS
from trimon.storage.prometheus.export import export_block
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.tools.offline import open_offline


def export_directory(
    files: Files, source: Path, target: Path, names: BlockNames, progress: Progress = no_progress
) -> Iterator[tuple[str, BlockMeta | None]]:
    """Write every block, and the log as two-hour blocks, for Prometheus to open; a line after each.

    A server may run on the source. What cannot be read is named in a line without a block. Raises
    OperatingError if there is no such directory or nothing can be written.
    """
    opened = open_offline(files, source)
    # promtool looks for a log beside the blocks.
    files.make_directory(target / "wal")
    for problem in (*opened.problems, *opened.left_out):
        yield problem, None
    for block in opened.blocks:
        meta = BlockMeta(names.new(), block.meta.min_ms, block.meta.max_ms, level=block.meta.level)
        selection = StoreSnapshot([block]).select((), block.meta.min_ms, block.meta.max_ms - 1)
        written = export_block(files, target, selection, meta, progress)
        if written is not None:
            yield f"block {block.meta.ulid}: {written.samples} samples as {written.ulid}", written
    for line in opened.missing():
        yield line, None
    for written in _export_heads(files, opened.heads, target, names, progress):
        yield f"log: {written.samples} samples as {written.ulid}", written


def _export_heads(
    files: Files, views: Sequence[HeadView], target: Path, names: BlockNames, progress: Progress
) -> Iterator[BlockMeta]:
    filled = [view for view in views if view.samples]
    if not filled:
        return
    length_ms = 2 * HOUR_MS
    snapshot = StoreSnapshot(filled)
    first = min(view.min_ms for view in filled) // length_ms
    last = max(view.max_ms for view in filled) // length_ms
    for start_ms in range(first * length_ms, (last + 1) * length_ms, length_ms):
        selection = snapshot.select((), start_ms, start_ms + length_ms - 1)
        meta = BlockMeta(names.new(), start_ms, start_ms + length_ms)
        written = export_block(files, target, selection, meta, progress)
        if written is not None:
            yield written
