"""The store: the one door to everything kept on disk and in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal

from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.files import DirectoryLock, Files, is_full
from trimon.model.matcher import Matcher
from trimon.model.rows import Appended, Exemplars, Metadata, RefusedSample, Row, SampleBatch
from trimon.openfiles import OddFileError
from trimon.random import SYSTEM_RANDOMNESS, Randomness
from trimon.storage.appender import Appender
from trimon.storage.block.blockset import open_blocks
from trimon.storage.block.headblocks import Progress, no_progress
from trimon.storage.block.meta import BlockMeta
from trimon.storage.exemplars import (
    OUT_OF_ORDER,
    ExemplarStore,
    StoredExemplar,
    to_rows,
    wholly_late,
)
from trimon.storage.figures import StoreFigures, figures_of, held_by
from trimon.storage.growth import SeriesGrowth, growth
from trimon.storage.leftlogs import LeftLogs
from trimon.storage.metadata import MetadataBook
from trimon.storage.options import StoreLimits, StoreOptions
from trimon.storage.problems import Problem
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.state import StoreCore, StoreState
from trimon.storage.statistics import HeadCardinality, cardinality
from trimon.storage.upkeep.admin import StoreAdmin
from trimon.storage.upkeep.changes import StoreChanges
from trimon.storage.upkeep.directory import DataDirectory
from trimon.storage.upkeep.jobs import MaintenanceJob, MergeJob
from trimon.storage.upkeep.maintenance import MaintenancePlanner
from trimon.storage.wal.ends import FILE, IDENTITY, inspect_log, new_identity
from trimon.storage.wal.kept import KeptLog, RunExtent
from trimon.storage.wal.log import list_segments
from trimon.storage.wal.replay import ReplayReport
from trimon.storage.wal.sections import EXEMPLARS


class Store:
    """A data directory that is open: its log, heads, blocks, metadata and exemplars.

    `append`, `delete_series` and the `install` of jobs are the writer's: one thread at a time. `replay`,
    `sync`, `snapshot`, the reading of snapshots and the `run` of jobs may go on in other threads meanwhile.
    """

    def __init__(
        self,
        options: StoreOptions,
        files: Files,
        clock: Clock,
        lock: DirectoryLock | None,
        randomness: Randomness,
    ) -> None:
        self.options = options
        self.clean_start: Literal[-1, 0, 1] = -1
        """1: the last process that had the directory stopped in order; 0: it did not; -1: nobody can tell."""
        self._core = core = StoreCore(options, files, clock, randomness)
        self._book = MetadataBook()
        self.exemplars = ExemplarStore(options.exemplars_max, options.out_of_order_window_ms)
        opened = open_blocks(files, options.path, core.cache, core.damaged_block)
        for block, problem in opened.problems:
            core.problem("blocks", block, problem)
        core.names.follow(block.meta.ulid for block in opened.blocks)
        core.lost = tuple(opened.losses)
        core.state = StoreState(tuple(opened.blocks), ())
        log = inspect_log(files, options.path, core.epochs_in_blocks)
        for subject, text in log.problems:
            core.problem("files" if subject in (IDENTITY, FILE) else "log", subject, text)
        core.log_id = log.log_id or new_identity(randomness)
        core.is_named = bool(log.log_id) and not log.is_unnamed
        self._left = LeftLogs(core, self._book, self.exemplars, log)
        self._appender = Appender(core, self._book, log.last_epoch + 1, self._left.latest_ms())
        changes = StoreChanges(core, self._appender, self._book)
        self._maintenance = MaintenancePlanner(core, changes)
        self._admin = StoreAdmin(core, self._appender, changes)
        self._directory = DataDirectory(core, self._appender, lock)

    @classmethod
    def open(
        cls, options: StoreOptions, files: Files, clock: Clock, randomness: Randomness = SYSTEM_RANDOMNESS
    ) -> Store:
        """Open a data directory, making it if need be; does not replay.

        Raises OperatingError if it cannot be written to or is in use by another process.
        """
        lock: DirectoryLock | None = None
        try:
            _make_directories(files, options.path)
            clean_start: Literal[-1, 0, 1] = -1
            if options.lockfile:
                # Who stops in order removes the file; one that is there and not held is of a process that was killed.
                clean_start = 0 if "lock" in files.names(options.path) else 1
                lock = files.lock(options.path / "lock")
            store = cls(options, files, clock, lock, randomness)
            store.clean_start = clean_start
            store._name_log()
            store._appender.open_first_head(clock.now_ms())
            store._load_metadata()
            store._admin.remove_unfinished()
        except OSError as error:
            if lock is not None:
                lock.release()
            advice = ": move it away" if isinstance(error, OddFileError) else ""
            raise OperatingError(f"data directory {options.path}: {error}{advice}") from error
        except OperatingError:
            if lock is not None:
                lock.release()
            raise
        return store

    def _name_log(self) -> None:
        """Write the name of the log. Raises OSError; without room on the disk that is done later."""
        try:
            self._core.name_log()
        except OSError as error:
            if not is_full(error):
                raise
            self._core.disk_is_full(error)

    def _load_metadata(self) -> None:
        core = self._core
        try:
            self._book.load(core.files, core.path / "metadata")
        except OperatingError as error:
            core.problem("files", "metadata", str(error))

    def close(self) -> None:
        """Sync and close the logs and give the lock back."""
        with self._core.writing:
            try:
                self._appender.close()
                if not self._core.refusal:
                    self._note_ends()
            finally:
                self._directory.release()

    def _note_ends(self) -> None:
        try:
            self._core.save_ends()
        except OSError as error:
            self._core.problem("files", FILE, f"{FILE} cannot be written: {error}")

    def configure(self, limits: StoreLimits) -> None:
        """Take over other limits; they hold from the next append and the next plan on. Any thread may call it."""
        changed = {each.name: getattr(limits, each.name) for each in dataclasses.fields(limits)}
        self.options = self._core.options = dataclasses.replace(self.options, **changed)
        self.exemplars.configure(limits.exemplars_max, limits.out_of_order_window_ms)

    # ---- reading

    def snapshot(self) -> StoreSnapshot:
        """All data as of the last complete append. Cheap; from any thread."""
        return self._core.snapshot()

    @property
    def problems(self) -> list[str]:
        """Faults of the data directory since the start, a line for each cause."""
        return self._core.problems.lines()

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The same as entries; another tuple after every fault."""
        return self._core.problems.entries

    @property
    def metadata(self) -> dict[str, tuple[str, str, str]]:
        """(type, help, unit) by metric family; a new dict after every change."""
        return self._book.families

    def blocks(self) -> list[tuple[BlockMeta, Path]]:
        """What is known of the open blocks, oldest first."""
        return [(block.meta, block.path) for block in self._core.state.blocks]

    def statistics(self, limit: int = 10) -> HeadCardinality:
        """The cardinality of the heads. It takes tens of milliseconds for a million series; the caller caches it."""
        return cardinality([live.head.view for live in self._core.state.heads], limit)

    def growth(self, window_ms: int, limit: int = 10) -> SeriesGrowth:
        """Which series came in the last so many ms. It takes tens of milliseconds for a million series; from any thread."""
        heads = [(live.head.view, live.marks) for live in self._core.state.heads]
        return growth(heads, self._core.clock.now_ms() - window_ms, limit)

    def figures(self) -> StoreFigures:
        """Gauges and counters for the self metrics. Cheap."""
        return figures_of(self._core, self._maintenance.usage().wal_bytes)

    def block_snapshot(self, ulid: str) -> StoreSnapshot | None:
        """The samples of one block; None when it is gone."""
        found = [block for block in self._core.state.blocks if block.meta.ulid == ulid]
        return StoreSnapshot(found) if found else None

    def hold_blocks(self, is_held: Callable[[BlockMeta, int], bool] | None) -> None:
        """Which blocks are not merged at a time in ms, since somebody else waits for them; None: all are."""
        self._core.is_held = is_held

    # ---- bounds

    @property
    def head_series(self) -> int:
        """Series of the largest head."""
        return max((len(live.head.index) for live in self._core.state.heads), default=0)

    def group_series(self, group: str) -> int:
        """How many series a sender has, or had, in the newest head that knows it."""
        heads = (live.head for live in reversed(self._core.state.heads))
        return next((head.group(group).width for head in heads if head.has_group(group)), 0)

    @property
    def cache_bytes(self) -> int:
        """What all caches hold."""
        return self._core.caches_bytes

    def held(self) -> dict[str, int]:
        """Bytes in memory by what they are for. Cheap."""
        return held_by(self._core)

    @property
    def mapped_bytes(self) -> int:
        """What of it is in mappings of its own, beside the heap."""
        return self._core.measured_heads().mapped_bytes

    def limit_series(self, series_max: int) -> None:
        """Memory allows no more series in the head; 0 for any number. It holds from the next append on."""
        self._core.memory_series_max = series_max

    def limit_caches(self, size_bytes: int) -> None:
        """All caches together hold no more than this."""
        self._core.limit_caches(size_bytes)

    def shed_caches(self) -> None:
        """Forget what caches hold."""
        self._core.shed_caches()

    def forget_unused(self) -> int:
        """Have caches forget what was not used since the call before the last one; the bytes it held."""
        return self._core.forget_unused()

    def note_problem(self, kind: str, subject: str, text: str, count: int = 1) -> None:
        """Note a fault with those of the data directory."""
        self._core.problem(kind, subject, text, count)

    # ---- the log as others read it

    @property
    def log_id(self) -> str:
        """The name of this directory's log."""
        return self._core.log_id

    @property
    def kept_log(self) -> KeptLog:
        """Runs of the log that are in blocks and that somebody still sends from."""
        return self._core.kept_log

    def log_extents(self) -> list[RunExtent]:
        """How far each run of the log goes now, oldest first. What a later run has, and an earlier one lacks, was written after
        it. Lists directories: for a thread."""
        core = self._core
        listed = {name.epoch for name in core.kept_log.segments()}
        listed |= {name.epoch for name in list_segments(core.files, core.wal_path)}
        # The newest first: of an older run there may then be more, but never less, than what came before.
        written = [
            (live.log.epoch, live.log.written) for live in reversed(self._appender.open_heads) if live.log
        ]
        return core.kept_log.extents(listed, dict(written))

    # ---- replay

    @property
    def ready(self) -> bool:
        """Whether the replay has ended."""
        return self._left.replayed

    @property
    def replay_progress(self) -> tuple[int, int]:
        """How many segments have been replayed, of how many."""
        return self._left.progress

    def replay(self) -> ReplayReport:
        """Read the logs that earlier runs left; their samples appear when it is done. Once, beside appends."""
        return self._left.replay(self._appender)

    # ---- writing

    def append(self, messages: Sequence[Row | SampleBatch | Metadata | Exemplars]) -> list[Appended]:
        """Judge, log and store messages in order; one answer each. Exemplars come after all others.

        Raises OperatingError when the log cannot be written: then none of the messages is stored.
        """
        samples = [message for message in messages if not isinstance(message, Exemplars)]
        answers = iter(self._appender.append(samples))
        return [
            self._append_exemplars(message) if isinstance(message, Exemplars) else next(answers)
            for message in messages
        ]

    def cost_of(self, batch: SampleBatch) -> int:
        """About how long a batch takes to append, as so many cells of a row. Cheap; the writer's turn."""
        return self._appender.cost_of(batch)

    def _append_exemplars(self, message: Exemplars) -> Appended:
        exemplars = [StoredExemplar(*fields) for fields in message.exemplars]
        late = [verdict == OUT_OF_ORDER for verdict in self.exemplars.check(exemplars)]
        verdicts = self.append_exemplars(exemplars)
        reasons = [reason for reason in verdicts if reason]
        return Appended(
            appended=len(exemplars) - len(reasons),
            out_of_order=wholly_late(exemplars, verdicts) if reasons else 0,
            error=reasons[0] if reasons else "",
            told=tuple(
                RefusedSample(each.series, each.timestamp_ms, OUT_OF_ORDER, False)
                for each, is_late in zip(exemplars, late, strict=True)
                if is_late
            ),
        )

    def append_exemplars(self, exemplars: Sequence[StoredExemplar]) -> list[str]:
        """Log and store exemplars; for each the reason why it was refused, or the empty string.

        The writer's turn. Raises OperatingError when the log cannot be written: then none is stored.
        """
        with self._core.writing:
            verdicts = self.exemplars.check(exemplars)
            kept = [e for e, verdict in zip(exemplars, verdicts, strict=True) if verdict == ""]
            if kept:
                self._appender.note([EXEMPLARS, to_rows(kept)])
            return self.exemplars.append(exemplars)

    def sync(self) -> None:
        """Wait until the medium holds everything appended. From any thread. Raises OperatingError."""
        for live in self._core.state.heads:
            log = live.log
            if log is not None:
                log.sync()

    def check_directory(self) -> None:
        """Look whether somebody has removed or replaced the data directory, and go on as well as can be. In another thread."""
        self._directory.check()

    # ---- maintenance

    def plan(self, now_ms: int, progress: Progress = no_progress) -> list[MaintenanceJob]:
        """Maintenance that is due, to be done in this order: `run` in a worker thread, `install` by the writer.

        Ask again when all are done; empty when nothing is due, and before the replay has ended.
        """
        return self._maintenance.plan(now_ms, progress) if self.ready and not self._core.refusal else []

    def is_cut_due(self, now_ms: int) -> bool:
        """Whether `plan` would cut a window now; microseconds, from any thread. False before the replay has ended."""
        return self.ready and not self._core.refusal and self._maintenance.is_cut_due(now_ms)

    def delete_series(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> int:
        """Delete the samples of matching series in the closed interval; how many series that hit.

        Raises OperatingError; also before the replay has ended.
        """
        if not self.ready:
            raise OperatingError("TSDB not ready")
        self._core.require_directory()
        return self._admin.delete_series(matchers, start_ms, end_ms)

    def clean_job(self, skipped: Collection[str] = (), progress: Progress = no_progress) -> MergeJob | None:
        """The job that rewrites the next block with deletions, but those named; None if there is none. Not beside others."""
        self._core.require_directory()
        return self._admin.clean_job(skipped, progress)

    def write_snapshot(self, *, skip_head: bool = False, progress: Progress = no_progress) -> str:
        """A copy of all data under `snapshots/`, blocks as hard links; its name. Long. Raises OperatingError."""
        self._core.require_directory()
        return self._admin.write_snapshot(skip_head=skip_head, progress=progress)


def _make_directories(files: Files, path: Path) -> None:
    """The data directory and the log's. Raises OSError, but not where only the log's has no room on the disk."""
    files.make_directory(path)
    try:
        files.make_directory(path / "wal")
    except OSError as error:
        if not is_full(error):
            raise
