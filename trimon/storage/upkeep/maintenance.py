"""Maintenance of a store: what is due, and the steps jobs are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from trimon.errors import OperatingError
from trimon.files import Files
from trimon.storage.appender import Appender
from trimon.storage.block.blockset import remove_block
from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.block.reader import Block
from trimon.storage.metadata import MetadataBook
from trimon.storage.state import Core, LiveHead, State
from trimon.storage.upkeep.jobs import CutJob, DropJob, Job, MergeJob
from trimon.storage.upkeep.planning import Cut, Drop, HeadState, Merge, Usage, plan_actions, plan_cuts
from trimon.storage.wal.lazy import LoadJob, LoggedHead
from trimon.storage.wal.log import list_segments, remove_segments


class Maintenance:
    """Plans jobs and changes the state on their behalf."""

    def __init__(self, core: Core, appender: Appender, book: MetadataBook) -> None:
        self._core = core
        self._appender = appender
        self._book = book

    # ---- what jobs ask for

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
    def blocks(self) -> tuple[Block, ...]:
        """The open blocks."""
        return self._core.state.blocks

    def now_ms(self) -> int:
        """The wall clock."""
        return self._core.clock.now_ms()

    def plan(self, now_ms: int, progress: Progress = no_progress) -> list[Job]:
        """Jobs that are due, to be done in this order; ask again afterwards."""
        core = self._core
        state = core.state
        core.measure_heads()
        heads = _head_states(state)
        metas = [block.meta for block in state.blocks]
        actions = plan_actions(metas, heads, core.newest_ms, now_ms, core.options, self.usage())
        jobs: list[Job] = [
            LoadJob(live.head, core.problem)
            for live in state.heads
            if isinstance(live.head, LoggedHead) and live.head.waiting
        ]
        for action in actions:
            match action:
                case Cut():
                    jobs.append(CutJob(self, action, progress))
                case Merge():
                    jobs.append(MergeJob(self, action, progress))
                case Drop():
                    jobs.append(DropJob(self, action))
        return jobs

    def is_cut_due(self, now_ms: int) -> bool:
        """Whether a window is over; microseconds."""
        core = self._core
        return bool(plan_cuts(_head_states(core.state), core.newest_ms, now_ms, core.options))

    def usage(self) -> Usage:
        """Bytes of the log, and of the file system."""
        core = self._core
        try:
            wal_bytes = sum(core.files.size(core.wal_path / name) for name in core.files.names(core.wal_path))
            disk_bytes = core.files.disk_bytes(core.path)[0] if core.options.retention_percentage else 0
        except OSError:
            return Usage()
        return Usage(wal_bytes, disk_bytes)

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

    # ---- changes

    def freeze(self, start_ms: int, end_ms: int) -> list[LiveHead]:
        """The heads of a window, to which nothing more is appended."""
        with self._core.writing:
            window = (start_ms, end_ms)
            lives = [
                live for live in self._core.state.heads if (live.head.start_ms, live.head.end_ms) == window
            ]
            self._appender.freeze(lives)
            return lives

    def install_cut(self, lives: Sequence[LiveHead], blocks: Sequence[Block]) -> None:
        """Put blocks in the place of heads and remove the logs. Raises OperatingError."""
        core = self._core
        with core.writing:
            epochs = {epoch for live in lives for epoch in live.epochs}
            added = list(blocks)
            try:
                self._book.save(core.files, core.path / "metadata")
                if added:
                    # Only now that all of the window is on disk does a block say that these logs are done with.
                    meta = replace(added[-1].meta, log=core.log_id, epochs=tuple(sorted(epochs)))
                    added[-1] = added[-1].noted(core.files, meta)
                self._appender.let_go(lives)
                heads = tuple(live for live in core.state.heads if live not in lives)
                core.state = State(_sorted((*core.state.blocks, *added)), heads)
                self._appender.follow_elders()
                remove_segments(core.files, core.wal_path, epochs)
            except OSError as error:
                raise OperatingError(f"WAL: {error}") from error
            core.counts["cuts"] += 1
            core.counts["compactions"] += len(added)

    def replace_blocks(self, gone: Sequence[Block], added: Sequence[Block]) -> None:
        """Swap blocks, then remove the files of those that are gone. Raises OperatingError."""
        core = self._core
        with core.writing:
            kept = [block for block in core.state.blocks if block not in gone]
            core.state = State(_sorted((*kept, *added)), core.state.heads)
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
        changed = block.noted(core.files, replace(block.meta, failed=True))
        with core.writing:
            blocks = tuple(changed if other is block else other for other in core.state.blocks)
            core.state = State(blocks, core.state.heads)

    def count_retention(self, reason: str, blocks: int) -> None:
        """Note that blocks were dropped."""
        self._core.counts[f"{reason}_retentions"] += blocks


def _head_states(state: State) -> list[HeadState]:
    return [
        HeadState(live.head.start_ms, live.head.end_ms, live.head.samples, live.last_append_ms)
        for live in state.heads
    ]


def _sorted(blocks: Sequence[Block]) -> tuple[Block, ...]:
    return tuple(sorted(blocks, key=lambda block: (block.meta.min_ms, block.meta.ulid)))
