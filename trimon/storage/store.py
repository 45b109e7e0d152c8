"""The store: the one door to everything kept on disk and in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.files import DirectoryLock, Files
from trimon.limits import FUTURE_MS_MAX
from trimon.model.rows import Appended, Metadata, Row, SampleBatch
from trimon.storage.accept import Bounds
from trimon.storage.group import NEVER_MS, ScrapeGroup
from trimon.storage.head import Head
from trimon.storage.options import StoreOptions
from trimon.storage.reading import Source, StoreSnapshot
from trimon.storage.routing import split_batch
from trimon.storage.wal.log import HeadLog, list_segments, remove_segments
from trimon.storage.wal.recovery import Recovery
from trimon.storage.wal.replay import ReplayReport


@dataclass(slots=True, eq=False)
class LiveHead:
    """A head and the logs that can rebuild it; `log` is None once nothing more is appended."""

    head: Head
    log: HeadLog | None
    epochs: frozenset[int]


class _State(NamedTuple):
    """Everything readers see, replaced as a whole."""

    heads: tuple[LiveHead, ...]


class Store:
    """Samples, from the WAL to blocks.

    `append` is called by one thread at a time; `replay`, `sync`, `snapshot` and the reading of snapshots may
    go on in other threads meanwhile.
    """

    def __init__(self, options: StoreOptions, files: Files, clock: Clock, lock: DirectoryLock | None) -> None:
        self.options = options
        self.ready = False
        self.replay_progress = (0, 0)
        self._files = files
        self._clock = clock
        self._lock = lock
        self._writing = threading.RLock()
        self._wal_path = options.path / "wal"
        self._open_heads: list[LiveHead] = []
        self._state = _State(())
        self._registry: dict[str, tuple[Head, ScrapeGroup]] = {}
        self._max_ms = NEVER_MS
        segments = list_segments(files, self._wal_path)
        self._to_replay = segments
        self._next_epoch = segments[-1].epoch + 1 if segments else 0

    @classmethod
    def open(cls, options: StoreOptions, files: Files, clock: Clock) -> Store:
        """Open a data directory, making it if need be; does not replay.

        Raises OperatingError if it cannot be written to or is in use by another process.
        """
        lock: DirectoryLock | None = None
        try:
            files.make_directory(options.path / "wal")
            if options.lockfile:
                lock = files.lock(options.path / "lock")
            store = cls(options, files, clock, lock)
            store._open_head(clock.now_ms())
        except OSError as error:
            if lock is not None:
                lock.release()
            raise OperatingError(f"data directory {options.path}: {error}") from error
        return store

    def close(self) -> None:
        """Sync and close the logs and give the lock back."""
        with self._writing:
            try:
                for live in self._open_heads:
                    if live.log is not None:
                        live.log.close()
            finally:
                self._open_heads = []
                if self._lock is not None:
                    self._lock.release()
                    self._lock = None

    # ---- reading

    def snapshot(self) -> StoreSnapshot:
        """All data as of the last complete append. Cheap; from any thread."""
        state = self._state
        sources: list[Source] = [live.head.view for live in state.heads]
        return StoreSnapshot(sources)

    # ---- replay

    def replay(self) -> ReplayReport:
        """Read the logs that earlier runs left; their samples appear when it is done. Once, beside appends."""
        recovery = Recovery(self._files, self._wal_path, self._to_replay, self._on_progress, self._on_note)
        windows = recovery.run()
        with self._writing:
            recovered = [LiveHead(head, None, frozenset(epochs)) for head, epochs in windows]
            kept = [live for live in recovered if live.head.samples]
            self._state = _State((*kept, *self._state.heads))
            self._max_ms = max([self._max_ms, *(live.head.max_ms for live in kept)])
            empty = {epoch for live in recovered if not live.head.samples for epoch in live.epochs}
            remove_segments(self._files, self._wal_path, empty)
            self.ready = True
        return recovery.report

    def _on_progress(self, done: int, total: int) -> None:
        self.replay_progress = (done, total)

    def _on_note(self, numbers: list[Any]) -> None:
        """A section of the log that is about more than samples."""

    # ---- writing

    def append(self, messages: Sequence[Row | SampleBatch | Metadata]) -> list[Appended]:
        """Judge, log and store messages in order; one answer each. One thread at a time.

        Raises OperatingError when the log cannot be written: then none of the messages is stored.
        """
        with self._writing:
            try:
                answers = [self._append_one(message) for message in messages]
                for live in self._open_heads:
                    if live.log is not None:
                        live.log.commit(live.head.index, live.head.groups)
            except BaseException:
                for live in self._open_heads:
                    live.head.rollback()
                    if live.log is not None:
                        live.log.discard()
                raise
            for live in self._open_heads:
                if live.head.publish_if_changed():
                    self._max_ms = max(self._max_ms, live.head.max_ms)
            return answers

    def sync(self) -> None:
        """Wait until the medium holds everything appended. From any thread. Raises OperatingError."""
        for live in self._state.heads:
            if live.log is not None:
                live.log.sync()

    def _append_one(self, message: Row | SampleBatch | Metadata) -> Appended:
        bounds = self._bounds()
        series_max = self.options.series_max
        match message:
            case Row():
                head = self._head_for_row(message, bounds)
                answer = head.append_row(message, bounds, series_max)
                if message.group not in self._registry or self._registry[message.group][0] is not head:
                    self._registry[message.group] = (head, head.group(message.group))
                return answer
            case SampleBatch():
                return self._append_batch(message, bounds)
            case Metadata():
                return Appended()

    def _bounds(self) -> Bounds:
        window_ms = self.options.out_of_order_window_ms
        highest_ms = self._clock.now_ms() + FUTURE_MS_MAX
        if self._max_ms == NEVER_MS:
            return Bounds(NEVER_MS, highest_ms, NEVER_MS if window_ms else None)
        late_ms = self._max_ms - window_ms if window_ms else None
        return Bounds(self._max_ms - self.options.min_block_ms // 2, highest_ms, late_ms)

    def _append_batch(self, batch: SampleBatch, bounds: Bounds) -> Appended:
        parts = split_batch(batch, bounds, self._newest(), self._head_at)
        series_max = self.options.series_max
        if batch.atomic:
            for head, part in parts:
                refused = head.refusal_of(part, bounds, series_max)
                if refused is not None:
                    return refused
        answers = [head.append_batch(part, bounds, series_max) for head, part in parts]
        return answers[0] if len(answers) == 1 else _sum(answers)

    # ---- heads

    def _newest(self) -> Head:
        return self._open_heads[-1].head

    def _head_for_row(self, row: Row, bounds: Bounds) -> Head:
        name, time_ms = row.group, row.timestamp_ms
        newest = self._newest()
        if bounds.lowest_ms <= time_ms <= bounds.highest_ms and (
            time_ms >= newest.end_ms or (time_ms < newest.start_ms and not newest.has_group(name))
        ):
            newest = self._head_at(time_ms)
        if not newest.has_group(name) and name in self._registry:
            newest.inherit(*self._registry[name])
        return newest

    def _head_at(self, time_ms: int) -> Head:
        """The open head for a time; the newest one takes what is too late for the others."""
        newest = self._newest()
        if newest.samples == 0 and not newest.groups and not newest.start_ms <= time_ms < newest.end_ms:
            self._drop_newest()
            return self._open_head(time_ms)
        if time_ms >= newest.end_ms:
            return self._open_head(time_ms)
        for live in self._open_heads:
            if live.head.start_ms <= time_ms < live.head.end_ms:
                return live.head
        return newest

    def _open_head(self, time_ms: int) -> Head:
        """A new head for the window of a time, with a log of its own."""
        start_ms = time_ms // self.options.min_block_ms * self.options.min_block_ms
        window = (start_ms, start_ms + self.options.min_block_ms)
        epoch = self._next_epoch
        log = HeadLog(
            self._files, self._wal_path, epoch, window, self.options.wal_segment_bytes, self.options.fsync
        )
        try:
            log.open()
        except OSError as error:
            raise OperatingError(f"WAL: {error}") from error
        self._next_epoch += 1
        live = LiveHead(Head(*window, log), log, frozenset({epoch}))
        self._open_heads.append(live)
        self._state = _State((*self._state.heads, live))
        return live.head

    def _drop_newest(self) -> None:
        live = self._open_heads.pop()
        self._state = _State(tuple(other for other in self._state.heads if other is not live))
        if live.log is not None:
            live.log.remove()


def _sum(answers: Sequence[Appended]) -> Appended:
    return Appended(
        appended=sum(a.appended for a in answers),
        series_created=sum(a.series_created for a in answers),
        out_of_order=sum(a.out_of_order for a in answers),
        duplicate=sum(a.duplicate for a in answers),
        out_of_bounds=sum(a.out_of_bounds for a in answers),
        too_old=sum(a.too_old for a in answers),
        series_refused=sum(a.series_refused for a in answers),
        error=next((a.error for a in answers if a.error), ""),
    )
