"""Maintenance that is due in a store, as jobs."""

from __future__ import annotations

from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.state import StoreCore, StoreState
from trimon.storage.upkeep.changes import StoreChanges
from trimon.storage.upkeep.jobs import CutJob, DropJob, MaintenanceJob, MergeJob
from trimon.storage.upkeep.planning import (
    DiskUsage,
    HeadState,
    PlannedCut,
    PlannedDrop,
    PlannedMerge,
    plan_actions,
    plan_cuts,
)
from trimon.storage.wal.lazy import LoadJob, LoggedHead
from trimon.storage.wal.log import list_segments, segment_bytes


class MaintenancePlanner:
    """Plans the jobs of a store."""

    def __init__(self, core: StoreCore, changes: StoreChanges) -> None:
        self._core = core
        self._changes = changes

    def plan(self, now_ms: int, progress: Progress = no_progress) -> list[MaintenanceJob]:
        """Jobs that are due, to be done in this order; ask again afterwards."""
        core = self._core
        state = core.state
        core.measure_heads()
        heads = _head_states(state)
        metas = [block.meta for block in state.blocks]
        is_held = core.is_held
        held = {meta.ulid for meta in metas if is_held is not None and is_held(meta, now_ms)}
        actions = plan_actions(metas, heads, core.newest_ms, now_ms, core.options, self.usage(), held)
        jobs: list[MaintenanceJob] = [
            LoadJob(live.head)
            for live in state.heads
            if isinstance(live.head, LoggedHead) and (live.head.waiting or live.head.unsealed)
        ]
        for action in actions:
            match action:
                case PlannedCut():
                    jobs.append(CutJob(self._changes, action, progress))
                case PlannedMerge():
                    jobs.append(MergeJob(self._changes, action, progress))
                case PlannedDrop():
                    jobs.append(DropJob(self._changes, action))
        return jobs

    def is_cut_due(self, now_ms: int) -> bool:
        """Whether a window is over; microseconds."""
        core = self._core
        return bool(plan_cuts(_head_states(core.state), core.newest_ms, now_ms, core.options))

    def usage(self) -> DiskUsage:
        """Bytes of the log, and of the file system."""
        core = self._core
        try:
            segments = list_segments(core.files, core.wal_path)
            wal_bytes = sum(segment_bytes(core.files, core.wal_path, name) or 0 for name in segments)
            disk_bytes = core.files.disk_bytes(core.path)[0] if core.options.retention_percentage else 0
        except OSError:
            return DiskUsage()
        return DiskUsage(wal_bytes, disk_bytes)


def _head_states(state: StoreState) -> list[HeadState]:
    return [
        HeadState(live.head.start_ms, live.head.end_ms, live.head.samples, live.last_append_ms)
        for live in state.heads
    ]
