"""Maintenance as jobs: `run` is long and belongs in a worker thread, `install` is short and the writer's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trimon.errors import OperatingError
from trimon.storage.block.headblocks import Progress, no_progress, write_heads
from trimon.storage.block.meta import FROM_OUT_OF_ORDER, BlockMeta, next_ulid
from trimon.storage.block.reader import Block
from trimon.storage.block.writer import BlockWriter
from trimon.storage.head.view import HeadView
from trimon.storage.read.deletions import HeadDeletions
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.state import LiveHead
from trimon.storage.upkeep.changes import ChangedMeanwhile, StoreChanges
from trimon.storage.upkeep.planning import PlannedCut, PlannedDrop, PlannedMerge

_EVER = (-(1 << 62), 1 << 62)


class MaintenanceJob(Protocol):
    """A piece of maintenance. Both parts raise OperatingError; the store then goes on as before."""

    @property
    def what(self) -> str:
        """What the job does, in words."""
        ...

    def run(self) -> None:
        """Do the long part, in any thread, beside appends and queries."""
        ...

    def install(self) -> None:
        """Make the result visible; short."""
        ...


def _must_have_run(what: str, ran: bool) -> None:
    if not ran:
        raise OperatingError(f"{what}: nothing to install, its run did not end well")


class CutJob:
    """Writes the heads of one window as blocks, where there are to be any, then lets go of them and their logs."""

    def __init__(self, store: StoreChanges, action: PlannedCut, progress: Progress = no_progress) -> None:
        self.action = action
        self._store = store
        self._progress = progress
        self._heads: list[LiveHead] = []
        self._ran = False
        self._deletions: list[HeadDeletions] = []
        self._written: list[Block] = []
        self._gone = 0

    @property
    def what(self) -> str:
        """What the job does, in words."""
        return f"cut head {self.action.start_ms}-{self.action.end_ms}"

    def run(self) -> None:
        """Freeze the heads and write a block for every aligned range they have samples in."""
        store = self._store
        store.discard()
        self._heads = store.freeze(self.action.start_ms, self.action.end_ms)
        views = [live.head.view for live in self._heads]
        self._deletions = [view.deletions for view in views]
        if store.keeps_blocks:
            self._write(views)
        self._gone = store.series_only_in(self._heads)
        self._ran = True

    def _write(self, views: Sequence[HeadView]) -> None:
        store = self._store
        start_ms = self.action.start_ms
        names: list[str] = []
        try:
            for meta in write_heads(
                store.files, store.path, views, store.min_block_ms, store.names, start_ms, self._progress
            ):
                names.append(meta.ulid)  # noqa: PERF401 - what was written before an error counts
            self._written = [store.open_block(name) for name in names]
        except OperatingError:
            store.discard(names)
            raise

    def install(self) -> None:
        """Readers see the blocks instead of the heads; the logs are removed."""
        _must_have_run(self.what, self._ran)
        try:
            self._store.install_cut(self._heads, self._deletions, self._written, self._gone)
        except OperatingError:
            self._store.discard(block.meta.ulid for block in self._written)
            raise


class MergeJob:
    """Writes blocks as one, without what was deleted and what cannot be read."""

    def __init__(self, store: StoreChanges, action: PlannedMerge, progress: Progress = no_progress) -> None:
        self.action = action
        self._store = store
        self._progress = progress
        self._ran = False
        self._sources: list[Block] = []
        self._written: Block | None = None

    @property
    def what(self) -> str:
        """What the job does, in words."""
        return f"merge {len(self.action.blocks)} blocks ({self.action.reason})"

    def run(self) -> None:
        """Write the merged block."""
        store = self._store
        store.discard()
        self._sources = store.blocks_named({meta.ulid for meta in self.action.blocks})
        metas = [block.meta for block in self._sources]
        if len(metas) != len(self.action.blocks):
            raise ChangedMeanwhile("blocks were changed before they were merged")
        start_ms, end_ms = min(meta.min_ms for meta in metas), max(meta.max_ms for meta in metas)
        epochs = {epoch for meta in metas if meta.log == store.log_id for epoch in meta.epochs}
        late = all(FROM_OUT_OF_ORDER in meta.hints for meta in metas)
        meta = BlockMeta(
            store.names.new() if len(metas) > 1 else next_ulid(metas[0].ulid),
            start_ms,
            end_ms,
            level=max(meta.level for meta in metas) + 1,
            sources=tuple(sorted({source for meta in metas for source in meta.sources or (meta.ulid,)})),
            parents=tuple((meta.ulid, meta.min_ms, meta.max_ms) for meta in metas),
            hints=(FROM_OUT_OF_ORDER,) if late else (),
            log=store.log_id if epochs else "",
            epochs=tuple(sorted((epochs & store.epochs_on_disk()) | {max(epochs, default=0)}))
            if epochs
            else (),
        )
        selection = StoreSnapshot(self._sources).select_stored((), *_EVER)
        written = BlockWriter(store.files, store.path, meta).write(selection, self._progress)
        try:
            self._written = store.open_block(written.ulid) if written is not None else None
        except OperatingError:
            store.discard([meta.ulid])
            raise
        self._ran = True

    def install(self) -> None:
        """Readers see the merged block; its parents are removed."""
        _must_have_run(self.what, self._ran)
        added = [self._written] if self._written is not None else []
        try:
            self._store.replace_blocks(self._sources, added)
        except OperatingError:
            self._store.discard(block.meta.ulid for block in added)
            raise


class DropJob:
    """Removes blocks beyond the retention."""

    def __init__(self, store: StoreChanges, action: PlannedDrop) -> None:
        self.action = action
        self._store = store

    @property
    def what(self) -> str:
        """What the job does, in words."""
        return f"drop {len(self.action.blocks)} blocks ({self.action.reason} retention)"

    def run(self) -> None:
        """Does nothing: removing blocks is short."""

    def install(self) -> None:
        """Take the blocks from the store; readers that have them open go on."""
        self._store.drop_blocks({meta.ulid for meta in self.action.blocks}, self.action.reason)
