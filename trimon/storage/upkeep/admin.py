"""Requests of an administrator to a store: deletions and snapshots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from trimon.errors import OperatingError
from trimon.gotext.times import rfc3339
from trimon.model.matcher import Matcher
from trimon.storage.appender import Appender
from trimon.storage.block.headblocks import Progress, no_progress, write_heads
from trimon.storage.block.writer import UNFINISHED, give_up
from trimon.storage.state import StoreCore, StoreState
from trimon.storage.upkeep.changes import StoreChanges
from trimon.storage.upkeep.jobs import MergeJob
from trimon.storage.upkeep.planning import PlannedMerge
from trimon.storage.wal import sections

SNAPSHOTS: Final = "snapshots"


class StoreAdmin:
    """Deletions take effect at once for readers; the samples leave the disk when blocks are next written."""

    def __init__(self, core: StoreCore, appender: Appender, changes: StoreChanges) -> None:
        self._core = core
        self._appender = appender
        self._changes = changes

    def delete_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """Delete the samples of matching series in the closed interval; how many series that hit.

        The writer's turn. Raises OperatingError.
        """
        core = self._core
        hit = 0
        with core.writing:
            blocks = []
            for block in core.state.blocks:
                changed = block.delete(core.files, matchers, start_ms, end_ms)
                hit += len(changed.deletions[-1].series) if changed is not None else 0
                blocks.append(changed or block)
            core.state = StoreState(tuple(blocks), core.state.heads)
            listed = [[matcher.name, matcher.type.value, matcher.value] for matcher in matchers]
            for live in core.state.heads:
                hit_here = live.head.delete(matchers, start_ms, end_ms)
                if hit_here:
                    live.head.publish()
                    numbers = [sections.DELETE, start_ms, end_ms, listed, sorted(live.epochs)]
                    self._appender.note_deletion(live, numbers)
                hit += hit_here
        return hit

    def clean_job(self, skipped: Collection[str], progress: Progress = no_progress) -> MergeJob | None:
        """The job that rewrites the next block with deletions, but those named; None if there is none."""
        for block in self._core.state.blocks:
            if block.deletions and block.meta.ulid not in skipped:
                return MergeJob(self._changes, PlannedMerge((block.meta,), "tombstones"), progress)
        return None

    def write_snapshot(self, *, skip_head: bool, progress: Progress = no_progress) -> str:
        """A copy of all data under `snapshots/`, blocks as hard links; its name. Raises OperatingError.

        It is made beside and gets its name when it is whole: what has the name of a snapshot is one.
        """
        core = self._core
        now = rfc3339(core.clock.now_ms()).replace("-", "").replace(":", "")
        name = f"{now.partition('.')[0]}Z-{core.randomness.token(8).hex()}"
        whole = core.path / SNAPSHOTS / name
        directory = whole.with_name(name + UNFINISHED)
        state = core.state
        try:
            core.files.make_directory(directory)
            for block in state.blocks:
                target = directory / block.path.name
                core.files.make_directory(target)
                for file in core.files.names(block.path):
                    core.files.link(block.path / file, target / file)
                core.files.sync_directory(target)
            if not skip_head:
                views = [live.head.view for live in state.heads]
                length_ms = core.options.min_block_ms
                for _ in write_heads(core.files, directory, views, length_ms, core.names, None, progress):
                    pass
            core.files.sync_directory(directory)
            core.files.rename(directory, whole)
            core.files.sync_directory(whole.parent)
        except OSError as error:
            give_up(core.files, directory)
            raise OperatingError(f"snapshot {name}: {error}") from error
        except BaseException:
            give_up(core.files, directory)
            raise
        return name

    def remove_unfinished(self) -> None:
        """Remove what a process that was killed left of a snapshot; not beside one that is written."""
        core = self._core
        for name in core.files.names(core.path / SNAPSHOTS):
            if not name.endswith(UNFINISHED):
                continue
            try:
                core.files.remove_tree(core.path / SNAPSHOTS / name)
            except OSError as error:
                core.problem(
                    "files", SNAPSHOTS, f"left over from a crash and cannot be removed: {name}: {error}"
                )
