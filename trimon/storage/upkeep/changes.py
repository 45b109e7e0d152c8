"""What maintenance may change in a store: heads that give way to blocks, blocks that give way to others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.appender import Appender
from trimon.storage.block.blockset import remove_block
from trimon.storage.block.meta import BlockNames
from trimon.storage.block.reader import Block
from trimon.storage.metadata import MetadataBook
from trimon.storage.read.deletions import HeadDeletions
from trimon.storage.state import LiveHead, StoreCore, StoreState
from trimon.storage.wal.log import list_segments, remove_segments


class ChangedMeanwhile(OperatingError):
    """What a job worked on is not what is in the store now: the job is to be done again."""


class StoreChanges:
    """Reads and changes the state on behalf of jobs.

    A job works for seconds beside appends and deletions. Whether what it read is still what the store has is
    therefore looked at and acted upon in one turn, under the store's lock: a deletion that came meanwhile is either in what
    the job wrote, or the change is refused. Who changes blocks or heads without this check loses an acknowledged deletion.
    """

    def __init__(self, core: StoreCore, appender: Appender, book: MetadataBook) -> None:
        self._core = core
        self._appender = appender
        self._book = book

    @property
    def files(self) -> Files:
        """The disk."""
        return self._core.files

    @property
    def path(self) -> Path:
        """The data directory."""
        return self._core.path

    @property
    def min_block_ms(self) -> int:
        """The shortest block range."""
        return self._core.options.min_block_ms

    @property
    def names(self) -> BlockNames:
        """Where the names of new blocks come from."""
        return self._core.names

    def blocks_named(self, ulids: Collection[str]) -> list[Block]:
        """The open blocks of these names."""
        return [block for block in self._core.state.blocks if block.meta.ulid in ulids]

    def open_block(self, ulid: str) -> Block:
        """A block that was just written; not visible yet."""
        return Block(self._core.files, self._core.path / ulid, self._core.cache)

    @property
    def log_id(self) -> str:
        """The name of this directory's log."""
        return self._core.log_id

    def epochs_on_disk(self) -> set[int]:
        """Runs of the log that have segments."""
        return {name.epoch for name in list_segments(self._core.files, self._core.wal_path)}

    def freeze(self, start_ms: int, end_ms: int) -> list[LiveHead]:
        """The heads of a window, to which nothing more is appended."""
        with self._core.writing:
            window = (start_ms, end_ms)
            lives = [
                live for live in self._core.state.heads if (live.head.start_ms, live.head.end_ms) == window
            ]
            self._appender.freeze(lives)
            return lives

    def install_cut(
        self, lives: Sequence[LiveHead], deletions: Sequence[HeadDeletions], blocks: Sequence[Block]
    ) -> None:
        """Put blocks in the place of heads and remove the logs.

        `deletions` are those that the blocks were written without, a tuple a head. Raises ChangedMeanwhile when
        there are others now, OperatingError when the disk fails.
        """
        core = self._core
        with core.writing:
            if [live.head.deletions for live in lives] != list(deletions):
                raise ChangedMeanwhile("series were deleted while the head was cut: it is cut again")
            epochs = {epoch for live in lives for epoch in live.epochs}
            added = list(blocks)
            try:
                self._book.save(core.files, core.path / "metadata")
                if added:
                    # Only now that all of the window is on disk does a block say that these logs are done with.
                    meta = replace(added[-1].meta, log=core.log_id, epochs=tuple(sorted(epochs)))
                    added[-1] = added[-1].noted(core.files, meta)
                self._appender.carry_over(lives)
                heads = tuple(live for live in core.state.heads if live not in lives)
                core.state = StoreState(_sorted((*core.state.blocks, *added)), heads)
                self._appender.link_older_heads()
                remove_segments(core.files, core.wal_path, epochs)
            except OSError as error:
                raise OperatingError(f"WAL: {error}") from error
            core.counts["cuts"] += 1
            core.counts["compactions"] += len(added)

    def replace_blocks(self, gone: Sequence[Block], added: Sequence[Block]) -> None:
        """Swap blocks, then remove the files of those that are gone.

        Raises ChangedMeanwhile when one that should go is not in the store any more, OperatingError when the disk fails.
        """
        core = self._core
        with core.writing:
            if not all(any(block is other for other in core.state.blocks) for block in gone):
                raise ChangedMeanwhile("blocks were changed while they were merged: they are merged again")
            kept = [block for block in core.state.blocks if block not in gone]
            core.state = StoreState(_sorted((*kept, *added)), core.state.heads)
            core.counts["compactions"] += len(added)
        self.discard(gone)

    def discard(self, blocks: Sequence[Block]) -> None:
        """Remove the files of blocks that are not in use. Raises OperatingError."""
        for block in blocks:
            try:
                remove_block(self._core.files, block.path)
            except OSError as error:
                raise OperatingError(f"block {block.meta.ulid} cannot be removed: {error}") from error

    def mark_failed(self, block: Block) -> None:
        """Note that a block could not be merged, so that it is not tried for ever."""
        core = self._core
        core.problem(f"block {block.meta.ulid} cannot be merged")
        with core.writing:
            blocks = tuple(
                other.noted(core.files, replace(other.meta, failed=True))
                if other.meta.ulid == block.meta.ulid
                else other
                for other in core.state.blocks
            )
            core.state = StoreState(blocks, core.state.heads)

    def drop_blocks(self, ulids: Collection[str], reason: str) -> None:
        """Remove blocks beyond a retention. Raises OperatingError."""
        with self._core.writing:
            self.replace_blocks(self.blocks_named(ulids), [])
            self._core.counts[f"{reason}_retentions"] += len(ulids)


def _sorted(blocks: Sequence[Block]) -> tuple[Block, ...]:
    return tuple(sorted(blocks, key=lambda block: (block.meta.min_ms, block.meta.ulid)))
