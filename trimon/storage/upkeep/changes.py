"""What maintenance may change in a store: heads that give way to blocks, blocks that give way to others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.appender import Appender
from trimon.storage.block.blockset import SET_ASIDE, remove_block, set_aside
from trimon.storage.block.meta import BlockNames
from trimon.storage.block.reader import Block
from trimon.storage.metadata import MetadataBook
from trimon.storage.read.deletions import HeadDeletions
from trimon.storage.state import LiveHead, StoreCore, StoreState
from trimon.storage.statistics import chunk_count, distinct_series
from trimon.storage.wal.log import list_segments


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
        self._doomed: list[str] = []

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
    def keeps_blocks(self) -> bool:
        """Whether a window that is over becomes blocks."""
        return self._core.options.keeps_blocks

    @property
    def names(self) -> BlockNames:
        """Where the names of new blocks come from."""
        return self._core.names

    def blocks_named(self, ulids: Collection[str]) -> list[Block]:
        """The open blocks of these names."""
        return [block for block in self._core.state.blocks if block.meta.ulid in ulids]

    def open_block(self, ulid: str) -> Block:
        """A block that was just written; not visible yet."""
        core = self._core
        return Block(core.files, core.path / ulid, core.cache, core.damaged_block)

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

    def series_only_in(self, lives: Sequence[LiveHead]) -> int:
        """How many series of some heads, which are appended to no more, are in no other head. Long; beside appends."""
        views = [live.head.view for live in self._core.state.heads]
        going = [live.head.view for live in lives]
        return distinct_series(views) - distinct_series(
            [view for view in views if all(view is not other for other in going)]
        )

    def install_cut(
        self,
        lives: Sequence[LiveHead],
        deletions: Sequence[HeadDeletions],
        blocks: Sequence[Block],
        series_gone: int = 0,
    ) -> None:
        """Put blocks in the place of heads and remove the logs.

        `deletions` are those that the blocks were written without, a tuple a head; `series_gone` are in no other head. Raises
        ChangedMeanwhile when there are other deletions now, OperatingError when the disk fails.
        """
        core = self._core
        with core.writing:
            if [live.head.deletions for live in lives] != list(deletions):
                raise ChangedMeanwhile("series were deleted while the head was cut: it is cut again")
            epochs = {epoch for live in lives for epoch in live.epochs}
            added = list(blocks)
            try:
                self._book.save(core.files, core.path / "metadata")
                core.name_log()
                if added:
                    # Only now that all of the window is on disk does a block say that these logs are done with.
                    meta = replace(added[-1].meta, log=core.log_id, epochs=tuple(sorted(epochs)))
                    added[-1] = added[-1].noted(core.files, meta)
                self._appender.carry_over(lives)
                heads = tuple(live for live in core.state.heads if live not in lives)
                core.state = StoreState(_sorted((*core.state.blocks, *added)), heads)
                core.lost = (*core.lost, *(loss for live in lives for loss in live.head.damage.all_losses()))
                self._appender.link_older_heads()
                self._appender.keep_deletions(epochs)
                core.save_ends(without=epochs | self._appender.open_epochs)
                core.kept_log.retire(epochs)
            except OSError as error:
                raise OperatingError(f"WAL: {error}") from error
            core.counts["cuts"] += 1
            core.counts["series_removed"] += series_gone
            core.counts["chunks_removed"] += sum(chunk_count(live.head.view) for live in lives)
            core.counts["compactions"] += len(added)

    def replace_blocks(self, gone: Sequence[Block], added: Sequence[Block]) -> None:
        """Swap blocks, then remove the files of those that are gone; one that could not be read in whole is set aside.

        Raises ChangedMeanwhile when one that should go is not in the store any more, OperatingError when the disk fails.
        """
        core = self._core
        with core.writing:
            if not all(any(block is other for other in core.state.blocks) for block in gone):
                raise ChangedMeanwhile("blocks were changed while they were merged: they are merged again")
            kept = [block for block in core.state.blocks if block not in gone]
            core.state = StoreState(_sorted((*kept, *added)), core.state.heads)
            core.counts["compactions"] += len(added)
            damaged = [block for block in gone if block.damage.losses]
            core.lost = (*core.lost, *(loss for block in damaged for loss in block.damage.losses))
        self.discard(block.meta.ulid for block in gone if block not in damaged)
        for block in damaged:
            self._set_aside(block)

    def _set_aside(self, block: Block) -> None:
        """Keep a block that another one has what could be read of. Raises OperatingError."""
        core, name = self._core, block.meta.ulid
        try:
            aside = set_aside(core.files, block.path, block.damage.losses)
        except OSError as error:
            raise OperatingError(f"block {name} cannot be set aside: {error}") from error
        lost = len(block.damage.losses)
        core.problem(
            "blocks",
            name,
            f"block {name} was merged without {lost} damaged parts and is kept as {aside.name}",
        )

    def discard(self, ulids: Iterable[str] = ()) -> None:
        """Remove the files of blocks, but of those in use; those that could not be removed before too. Raises OperatingError.

        One that stayed would be taken for a block at the next start, and bring back what was deleted meanwhile.
        """
        core = self._core
        used = {block.meta.ulid for block in core.state.blocks}
        self._doomed += [ulid for ulid in ulids if ulid not in used]
        for ulid in list(self._doomed):
            path = core.path / ulid
            try:
                if core.files.is_directory(path):
                    remove_block(core.files, path)
            except OSError as error:
                raise OperatingError(f"block {ulid} cannot be removed: {error}") from error
            self._doomed.remove(ulid)

    def drop_blocks(self, ulids: Collection[str], reason: str) -> None:
        """Remove blocks beyond a retention. Raises OperatingError."""
        core = self._core
        with core.writing:
            gone = self.blocks_named(ulids)
            kept = tuple(block for block in core.state.blocks if block not in gone)
            core.state = StoreState(kept, core.state.heads)
            core.counts[f"{reason}_retentions"] += len(ulids)
        self.discard(block.meta.ulid for block in gone)
        self._forget_aside(max((block.meta.max_ms for block in gone), default=0))

    def _forget_aside(self, until_ms: int) -> None:
        """Remove blocks that were set aside and of which nothing is missing after a time that is beyond a retention."""
        core = self._core
        lasts_ms = {
            name: max(loss.end_ms for loss in core.lost if loss.block == name)
            for name in {loss.block for loss in core.lost}
        }
        old = {name for name, last_ms in lasts_ms.items() if last_ms < until_ms}
        self.discard(name + SET_ASIDE for name in sorted(old))
        core.lost = tuple(loss for loss in core.lost if loss.block not in old)


def _sorted(blocks: Sequence[Block]) -> tuple[Block, ...]:
    return tuple(sorted(blocks, key=lambda block: (block.meta.min_ms, block.meta.ulid)))
