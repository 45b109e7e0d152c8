"""What the rest of the program sees of a store, by who asks; `store.Store` is all of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, Protocol

from trimon.model.matcher import Matcher
from trimon.model.rows import Appended, Exemplars, Metadata, Row, SampleBatch
from trimon.model.snapshot import Snapshot
from trimon.storage.block.meta import BlockMeta
from trimon.storage.exemplars import ExemplarStore
from trimon.storage.figures import StoreFigures
from trimon.storage.growth import SeriesGrowth
from trimon.storage.options import StoreOptions
from trimon.storage.problems import Problem
from trimon.storage.statistics import HeadCardinality
from trimon.storage.upkeep.jobs import MaintenanceJob, MergeJob
from trimon.storage.wal.replay import ReplayReport


class WrittenStore(Protocol):
    """A store as its single writer sees it."""

    @property
    def options(self) -> StoreOptions:
        """The options that hold now."""
        ...

    @property
    def problems(self) -> list[str]:
        """Faults of the data directory since the start, a line for each cause."""
        ...

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The same as entries; another tuple after every fault."""
        ...

    @property
    def replay_progress(self) -> tuple[int, int]:
        """Segments of the log that have been read, and all there are."""
        ...

    def replay(self) -> ReplayReport:
        """Read the logs that earlier runs left. Once, in another thread, beside appends."""
        ...

    def append(self, messages: Sequence[Row | SampleBatch | Metadata | Exemplars]) -> list[Appended]:
        """Judge, log and store messages in order; one answer each. Raises OperatingError: nothing is stored."""
        ...

    def cost_of(self, batch: SampleBatch) -> int:
        """About how long a batch takes to append, as so many cells of a row. Cheap; the writer's turn."""
        ...

    def sync(self) -> None:
        """Wait until the medium holds everything appended. From any thread. Raises OperatingError."""
        ...

    def check_directory(self) -> None:
        """Look whether somebody has removed or replaced the data directory. In another thread."""
        ...

    def snapshot(self) -> Snapshot:
        """All data as of the last complete append. Cheap; from any thread."""
        ...

    def close(self) -> None:
        """Sync and close the logs."""
        ...


class MaintainedStore(Protocol):
    """A store as the compactor sees it."""

    def is_cut_due(self, now_ms: int) -> bool:
        """Whether `plan` would cut a window now; microseconds."""
        ...

    def plan(self, now_ms: int) -> list[MaintenanceJob]:
        """Maintenance that is due, to be done in this order."""
        ...

    def clean_job(self, skipped: Collection[str]) -> MergeJob | None:
        """The job that rewrites the next block with deletions, but those named; None if there is none."""
        ...


class BoundedStore(Protocol):
    """A store as seen by whoever watches over the memory of the process. Any thread may call it."""

    @property
    def head_series(self) -> int:
        """Series of the largest head."""
        ...

    @property
    def cache_bytes(self) -> int:
        """What all caches hold."""
        ...

    def figures(self) -> StoreFigures:
        """Gauges and counters. Cheap."""
        ...

    def growth(self, window_ms: int, limit: int) -> SeriesGrowth:
        """Which series came in the last so many ms; tens of milliseconds for a million series."""
        ...

    def limit_series(self, series_max: int) -> None:
        """Memory allows no more series in the head; 0 for any number."""
        ...

    def limit_caches(self, size_bytes: int) -> None:
        """All caches together hold no more than this."""
        ...

    def shed_caches(self) -> None:
        """Forget what caches hold."""
        ...

    def forget_unused(self) -> int:
        """Have caches forget what was not used since the call before the last one; the bytes it held."""
        ...

    def note_problem(self, kind: str, subject: str, text: str, count: int = 1) -> None:
        """Note a fault with those of the data directory."""
        ...


class MeasuredStore(Protocol):
    """A store as the metrics about it see it."""

    @property
    def options(self) -> StoreOptions:
        """The options that hold now."""
        ...

    @property
    def exemplars(self) -> ExemplarStore:
        """The exemplars."""
        ...

    @property
    def clean_start(self) -> Literal[-1, 0, 1]:
        """1: the last process that had the directory stopped in order; 0: it did not; -1: nobody can tell."""
        ...

    def figures(self) -> StoreFigures:
        """Gauges and counters. Cheap."""
        ...


class ServedStore(Protocol):
    """A store as the HTTP API sees it, beside the snapshots that queries read."""

    @property
    def exemplars(self) -> ExemplarStore:
        """The exemplars."""
        ...

    @property
    def problems(self) -> list[str]:
        """Faults of the data directory since the start."""
        ...

    @property
    def replay_progress(self) -> tuple[int, int]:
        """Segments of the log that have been read, and all there are."""
        ...

    def blocks(self) -> list[tuple[BlockMeta, Path]]:
        """What is known of the open blocks, oldest first."""
        ...

    def growth(self, window_ms: int, limit: int) -> SeriesGrowth:
        """Which series came in the last so many ms; tens of milliseconds for a million series."""
        ...

    def statistics(self, limit: int) -> HeadCardinality:
        """Cardinality of the heads. Tens of milliseconds per million series."""
        ...

    def figures(self) -> StoreFigures:
        """Gauges and counters. Cheap."""
        ...

    def delete_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """Delete samples in the closed interval. The writer's turn. Raises OperatingError."""
        ...

    def write_snapshot(self, *, skip_head: bool) -> str:
        """A copy of all data; its name. Long. Raises OperatingError."""
        ...
