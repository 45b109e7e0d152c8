"""The block directories of a store: opened at start, set aside when damaged, removed when superseded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.records import dataclass
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.damage import (
    LOSSES,
    WHOLE,
    DamagedError,
    Loss,
    Tell,
    pack_losses,
    tell_nobody,
    unpack_losses,
)
from trimon.storage.block.meta import BlockMeta, ForeignBlockError, is_ulid
from trimon.storage.block.reader import Block
from trimon.storage.block.writer import UNFINISHED

DOOMED: Final = ".tmp-for-deletion"
SET_ASIDE: Final = ".damaged"
_LEFTOVERS: Final = (UNFINISHED, DOOMED, ".tmp")


@dataclass(slots=True)
class OpenedBlocks:
    """The blocks found in a directory, what others held, and what was wrong, with the block it was found in."""

    blocks: list[Block] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def open_blocks(files: Files, directory: Path, cache: ArrayCache, tell: Tell = tell_nobody) -> OpenedBlocks:
    """Open every block; remove leftovers of a crash; set aside what is damaged. Never raises for a block.

    `tell` hears of damage that is found in an open block later on.
    """
    opened = OpenedBlocks()
    for name in files.names(directory):
        if name.endswith(_LEFTOVERS):
            _remove(files, directory / name, opened)
        elif is_ulid(name) and files.is_directory(directory / name):
            _open_one(files, directory / name, cache, tell, opened)
        elif is_ulid(name):
            opened.problems.append((name, f"block {name} is left out: it is no directory that can be read"))
    parents = {ulid for block in opened.blocks for ulid, _, _ in block.meta.parents}
    for block in [block for block in opened.blocks if block.meta.ulid in parents]:
        opened.blocks.remove(block)
        try:
            # what could not be read of it is not in its successor either
            block.verify()
            if block.damage.losses:
                set_aside(files, block.path, block.damage.losses)
            else:
                remove_block(files, block.path)
        except OSError as error:
            opened.problems.append(
                (block.meta.ulid, f"block {block.meta.ulid} is superseded but cannot be removed: {error}")
            )
    for name in files.names(directory):
        if name.endswith(SET_ASIDE) and is_ulid(name.removesuffix(SET_ASIDE)):
            _count_losses(files, directory / name, opened)
    opened.blocks.sort(key=lambda block: (block.meta.min_ms, block.meta.ulid))
    return opened


def _count_losses(files: Files, path: Path, opened: OpenedBlocks) -> None:
    """What a block that was set aside holds that is nowhere else."""
    name = path.name.removesuffix(SET_ASIDE)
    try:
        losses = losses_aside(files, path)
    except (OSError, OperatingError):
        losses = ()
    opened.losses.extend(losses)
    if not any(name == known for known, _ in opened.problems):
        what = "; ".join(loss.line() for loss in losses[:3]) or "its time is unknown"
        more = f" and {len(losses) - 3} more" if len(losses) > 3 else ""
        opened.problems.append((name, f"block {name} was set aside as {path.name}: {what}{more}"))


def losses_aside(files: Files, path: Path) -> tuple[Loss, ...]:
    """What is missing because a block was set aside, as its file of losses or its meta.json says.

    Raises OSError, DamagedError or OperatingError if neither can be read.
    """
    name = path.name.removesuffix(SET_ASIDE)
    if LOSSES in files.names(path):
        return unpack_losses(name, files.read(path / LOSSES))
    meta = BlockMeta.from_json(files.read(path / "meta.json"))
    return (Loss(name, WHOLE, meta.min_ms, meta.max_ms - 1),)


def set_aside(files: Files, path: Path, losses: Sequence[Loss] | None = None) -> Path:
    """Give a block the name of one that is not used; with the losses that other blocks do not make up for.

    Raises OSError.
    """
    if losses is not None:
        files.write_atomic(path / LOSSES, pack_losses(losses))
    aside = path.with_name(path.name + SET_ASIDE)
    files.rename(path, aside)
    files.sync_directory(path.parent)
    return aside


def _remove(files: Files, path: Path, opened: OpenedBlocks) -> None:
    try:
        if files.is_directory(path):
            files.remove_tree(path)
        else:
            files.remove(path)
    except OSError as error:
        opened.problems.append(
            (path.name, f"left over from a crash and cannot be removed: {path.name}: {error}")
        )


def _open_one(files: Files, path: Path, cache: ArrayCache, tell: Tell, opened: OpenedBlocks) -> None:
    def problem(text: str) -> None:
        opened.problems.append((path.name, text))

    try:
        block = Block(files, path, cache, tell)
    except ForeignBlockError:
        problem(
            f"{path.name} is a block of Prometheus: it is left alone, "
            "`trimon tsdb import-prometheus` brings it into another directory"
        )
    except DamagedError as error:
        try:
            aside = set_aside(files, path)
            problem(f"block {path.name} is set aside as {aside.name}: {error}")
        except OSError:
            problem(f"block {path.name} is left out: {error}")
    except OperatingError as error:
        # It may be in order: the disk fails, too many files are open, or a newer version has written it.
        problem(f"block {path.name} is left out until the next start: {error}")
    else:
        opened.blocks.append(block)
        if block.meta_fault:
            problem(f"block {path.name}: {block.meta_fault}: it is made anew from the index")
            try:
                files.write_atomic(path / "meta.json", block.meta.to_json())
            except OSError as error:
                problem(f"block {path.name}: meta.json cannot be written: {error}")


def remove_block(files: Files, path: Path) -> None:
    """Make a block disappear at once, then remove its files. Raises OSError."""
    doomed = path.with_name(path.name + DOOMED)
    files.rename(path, doomed)
    files.remove_tree(doomed)
