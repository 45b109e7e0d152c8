"""The block directories of a store: opened at start, set aside when damaged, removed when superseded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.container import DamagedError
from trimon.storage.block.meta import ForeignBlockError, is_ulid
from trimon.storage.block.reader import Block
from trimon.storage.block.writer import UNFINISHED

DOOMED: Final = ".tmp-for-deletion"
SET_ASIDE: Final = ".damaged"
_LEFTOVERS: Final = (UNFINISHED, DOOMED, ".tmp")


@dataclass(slots=True)
class OpenedBlocks:
    """The blocks found in a directory, and what was wrong with others."""

    blocks: list[Block] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def open_blocks(files: Files, directory: Path, cache: ArrayCache) -> OpenedBlocks:
    """Open every block; remove leftovers of a crash; set aside what is damaged. Never raises for a block."""
    opened = OpenedBlocks()
    for name in files.names(directory):
        if name.endswith(_LEFTOVERS):
            _remove(files, directory / name, opened)
        elif is_ulid(name) and files.is_directory(directory / name):
            _open_one(files, directory / name, cache, opened)
    parents = {ulid for block in opened.blocks for ulid, _, _ in block.meta.parents}
    for block in [block for block in opened.blocks if block.meta.ulid in parents]:
        opened.blocks.remove(block)
        try:
            remove_block(files, block.path)
        except OSError as error:
            opened.problems.append(f"block {block.meta.ulid} is superseded but cannot be removed: {error}")
    opened.blocks.sort(key=lambda block: (block.meta.min_ms, block.meta.ulid))
    return opened


def _remove(files: Files, path: Path, opened: OpenedBlocks) -> None:
    try:
        if files.is_directory(path):
            files.remove_tree(path)
        else:
            files.remove(path)
    except OSError as error:
        opened.problems.append(f"left over from a crash and cannot be removed: {path.name}: {error}")


def _open_one(files: Files, path: Path, cache: ArrayCache, opened: OpenedBlocks) -> None:
    try:
        opened.blocks.append(Block(files, path, cache))
    except ForeignBlockError:
        opened.problems.append(f"{path.name} is a block of Prometheus: it is left alone, import it to use it")
    except DamagedError as error:
        try:
            files.rename(path, path.with_name(path.name + SET_ASIDE))
            opened.problems.append(f"block {path.name} is set aside as {path.name}{SET_ASIDE}: {error}")
        except OSError:
            opened.problems.append(f"block {path.name} is left out: {error}")
    except OperatingError as error:
        # It may be in order: the disk fails, too many files are open, or a newer version has written it.
        opened.problems.append(f"block {path.name} is left out until the next start: {error}")


def remove_block(files: Files, path: Path) -> None:
    """Make a block disappear at once, then remove its files. Raises OSError."""
    doomed = path.with_name(path.name + DOOMED)
    files.rename(path, doomed)
    files.remove_tree(doomed)
