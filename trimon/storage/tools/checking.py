"""`tsdb verify` and `tsdb repair`: find what is damaged, and keep what is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.block.blockset import SET_ASIDE, losses_aside, remove_block, set_aside
from trimon.storage.block.cache import ArrayCache
from trimon.storage.block.damage import LOSSES, Loss, pack_losses
from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.block.meta import is_ulid, next_ulid
from trimon.storage.block.reader import Block
from trimon.storage.block.writer import BlockWriter
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.tools.offline import open_offline
from trimon.storage.wal.ends import inspect_log
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
        problems = [problem for problem in block.verify() if problem not in opened.problems]
        yield from ((False, problem) for problem in problems)
        if not problems:
            yield True, f"block {block.meta.ulid}: {block.meta.series} series, {block.meta.samples} samples"
    for name in files.names(path):
        if name.endswith(SET_ASIDE) and is_ulid(name.removesuffix(SET_ASIDE)):
            yield _verify_aside(files, path / name)
    report = opened.replay
    lines = report.lines()
    yield from ((False, f"log: {line}") for line in lines)
    if not lines:
        yield True, f"log: {report.segments} segments, {report.samples} samples"


def _verify_aside(files: Files, path: Path) -> tuple[bool, str]:
    """About a block that is set aside: whether what can be read of it is in other blocks."""
    name = path.name
    try:
        if LOSSES in files.names(path):
            lost = "; ".join(loss.line() for loss in losses_aside(files, path))
            return True, f"block {name} is set aside, what could be read is in other blocks. {lost}"
        block = Block(files, path, ArrayCache())
    except (OSError, OperatingError) as error:
        return (
            False,
            f"block {name} is set aside and nothing of it can be read (remove it to accept that): {error}",
        )
    what = "; ".join(block.verify()[:3]) or "it is in order"
    return False, f"block {name} is set aside, repair brings it back as far as it can be read: {what}"


def repair(files: Files, path: Path, progress: Progress = no_progress) -> Iterator[str]:
    """Write what can be read of damaged blocks as new ones, set the old ones aside, cut torn tails of the log.

    So it is with blocks that were set aside before, unless what could be read of them is in other blocks already.
    Raises OperatingError if nothing can be written, or while a server has the directory.
    """
    if not files.is_directory(path):
        raise OperatingError(f"{path}: no such directory")
    # A lock file that stays tells the next start that the last server was killed.
    was_killed = "lock" in files.names(path)
    lock = files.lock(path / "lock")
    try:
        yield from _repair(files, path, progress)
    finally:
        if was_killed:
            lock.abandon()
        else:
            lock.release()


def _repair(files: Files, path: Path, progress: Progress) -> Iterator[str]:
    cache = ArrayCache()
    for name in files.names(path):
        aside = name.endswith(SET_ASIDE) and is_ulid(name.removesuffix(SET_ASIDE))
        if not (aside or is_ulid(name)) or files.is_directory(path / name / "chunks"):
            continue
        if aside and LOSSES in files.names(path / name):
            continue
        try:
            block = Block(files, path / name, cache)
        except OperatingError as error:
            yield (
                f"block {name}: nothing can be read: {error}"
                if aside
                else _set_aside(files, path / name, str(error))
            )
            continue
        if aside or block.verify():
            yield from _rewrite(files, path, block, progress)
    yield from _repair_log(files, path)


def _repair_log(files: Files, path: Path) -> Iterator[str]:
    try:
        found = inspect_log(files, path, lambda _log_id: ())
        segments = found.segments
    except OSError as error:
        yield f"log: it cannot be read: {error}"
        return
    yield from (f"log: {text}" for _, text in found.problems)
    recovery = Recovery(files, path / "wal", segments, no_progress, lambda _numbers: None)
    recovery.run()
    recovery.report.miss(found.gone)
    yield from (f"log: {line}" for line in recovery.report.lines())
    yield f"log: {recovery.report.samples} samples can be read"


def _rewrite(files: Files, path: Path, block: Block, progress: Progress) -> Iterator[str]:
    """What can be read of a block as a new one. It tells of no log: much may have happened since the block was in use."""
    name = block.damage.block
    meta = replace(block.meta, ulid=next_ulid(name), tombstones=0, parents=(), log="", epochs=())
    selection = StoreSnapshot([block]).select_stored((), *_EVER)
    written = BlockWriter(files, path, meta).write(selection, progress)
    losses = block.damage.losses
    kept = written.samples if written is not None else 0
    new = f", they are in {written.ulid}" if written is not None else ""
    told = "; ".join(loss.line() for loss in losses) or "nothing is lost"
    if losses:
        yield _set_aside(files, block.path, f"{kept} samples could be read{new}. {told}", losses)
        return
    try:
        remove_block(files, block.path)
    except OSError as error:
        raise OperatingError(f"block {block.path.name} cannot be removed: {error}") from error
    yield f"block {block.path.name} is written anew: {kept} samples could be read{new}. {told}"


def _set_aside(files: Files, path: Path, why: str, losses: Sequence[Loss] | None = None) -> str:
    try:
        if path.name.endswith(SET_ASIDE):
            if losses is not None:
                files.write_atomic(path / LOSSES, pack_losses(losses))
            return f"block {path.name}: {why}"
        aside = set_aside(files, path, losses)
    except OSError as error:
        raise OperatingError(f"block {path.name} cannot be set aside: {error}") from error
    return f"block {path.name} is set aside as {aside.name}: {why}"
