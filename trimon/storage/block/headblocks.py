"""Heads written as blocks, one for every aligned range they have samples in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trimon.files import Files
from trimon.storage.block.meta import FROM_OUT_OF_ORDER, BlockMeta, BlockNames
from trimon.storage.block.writer import BlockWriter
from trimon.storage.head.view import HeadView
from trimon.storage.read.snapshot import StoreSnapshot

Progress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """The progress callback where nobody watches."""


def write_heads(
    files: Files,
    directory: Path,
    views: Sequence[HeadView],
    length_ms: int,
    names: BlockNames,
    own_ms: int | None,
    progress: Progress,
) -> Iterator[BlockMeta]:
    """Write a block for every aligned range with samples, oldest first; a range that does not begin at `own_ms` came late.

    Raises OperatingError.
    """
    filled = [view for view in views if view.samples]
    if not filled:
        return
    snapshot = StoreSnapshot(filled)
    first = min(view.min_ms for view in filled) // length_ms
    last = max(view.max_ms for view in filled) // length_ms
    for start_ms in range(first * length_ms, (last + 1) * length_ms, length_ms):
        end_ms = start_ms + length_ms
        if not any(view.overlaps(start_ms, end_ms - 1) for view in filled):
            continue
        hints = () if own_ms is None or start_ms == own_ms else (FROM_OUT_OF_ORDER,)
        meta = BlockMeta(names.new(), start_ms, end_ms, hints=hints)
        selection = snapshot.select_stored((), start_ms, end_ms - 1)
        result = BlockWriter(files, directory, meta).write(selection, progress)
        if result is not None:
            yield result
