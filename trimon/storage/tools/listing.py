"""`tsdb list`: the blocks of a directory as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trimon.files import Files
from trimon.gotext import sizes, times
from trimon.storage.block.meta import BlockMeta
from trimon.storage.tools.offline import open_offline

_TITLES = (
    "BLOCK ULID",
    "MIN TIME",
    "MAX TIME",
    "DURATION",
    "NUM SAMPLES",
    "NUM CHUNKS",
    "NUM SERIES",
    "SIZE",
)


def block_table(blocks: Sequence[tuple[BlockMeta, int]], *, human_readable: bool) -> Iterator[str]:
    """The table of blocks and their sizes in bytes, a line each, with a title line."""
    rows = [_TITLES]
    for meta, size_bytes in blocks:
        rows.append(
            (
                meta.ulid,
                times.moment(meta.min_ms) if human_readable else str(meta.min_ms),
                times.moment(meta.max_ms) if human_readable else str(meta.max_ms),
                times.format_go_duration(meta.max_ms - meta.min_ms),
                str(meta.samples),
                str(meta.chunks),
                str(meta.series),
                sizes.descending_size(size_bytes) if human_readable else str(size_bytes),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    for row in rows:
        padded = [cell.ljust(max(width + 2, 13)) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "".join((*padded, row[-1]))


def list_blocks(files: Files, path: Path, *, human_readable: bool = False) -> Iterator[str]:
    """The blocks of a directory. Raises OperatingError."""
    opened = open_offline(files, path, log=False)
    yield from block_table(
        [(block.meta, tree_bytes(files, block.path)) for block in opened.blocks],
        human_readable=human_readable,
    )
    yield from (f"# {problem}" for problem in opened.problems)


def tree_bytes(files: Files, path: Path) -> int:
    """Bytes of all files below a directory."""
    total = 0
    for name in files.names(path):
        inner = path / name
        total += tree_bytes(files, inner) if files.is_directory(inner) else files.size(inner)
    return total
