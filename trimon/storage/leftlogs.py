"""The logs that earlier runs left: read again when a store is opened, and removed once blocks have what is in them."""

from __future__ import annotations

from functools import partial
from typing import Any

from trimon.errors import OperatingError
from trimon.storage.appender import Appender
from trimon.storage.exemplars import ExemplarStore, from_rows
from trimon.storage.metadata import MetadataBook
from trimon.storage.state import LiveHead, StoreCore, StoreState
from trimon.storage.wal.ends import InspectedLog
from trimon.storage.wal.recovery import Recovery, latest_window
from trimon.storage.wal.replay import ReplayReport
from trimon.storage.wal.sections import EXEMPLARS, METADATA


class LeftLogs:
    """The segments that were there when a data directory was opened.

    `replay` goes on in a thread, beside the writer's appends; what it tells (`replayed`, `progress`) any thread may read.
    """

    def __init__(
        self, core: StoreCore, book: MetadataBook, exemplars: ExemplarStore, log: InspectedLog
    ) -> None:
        self.replayed = False
        self.progress = (0, 0)
        """How many segments have been replayed, of how many."""
        self._core = core
        self._book = book
        self._exemplars = exemplars
        self._log = log
        self._to_replay = [name for name in log.segments if name.epoch not in log.done]
        self._done_epochs = {name.epoch for name in log.segments} & log.done

    def latest_ms(self) -> int | None:
        """See `latest_window`, of the segments that are to be replayed."""
        return latest_window(self._core.files, self._core.wal_path, self._to_replay)

    def replay(self, appender: Appender) -> ReplayReport:
        """Read them all; their samples appear when it is done. Once, beside appends to the heads of `appender`."""
        core = self._core
        recovery = Recovery(
            core.files,
            core.wal_path,
            self._to_replay,
            self._on_progress,
            self._on_note,
            closed=self._log.closed,
            cache=core.pages,
            tell=core.damaged_log,
        )
        windows = recovery.run()
        recovery.report.miss(self._log.gone)
        self._sync_replayed()
        now_ms = core.clock.now_ms()
        recovered = [
            LiveHead(head, None, frozenset(epochs), now_ms, recovery.deletions_in(epochs))
            for head, epochs in windows
        ]
        kept = [live for live in recovered if live.head.samples]
        core.count_recovered(kept)
        with core.writing:
            core.recount(kept)
            core.state = StoreState(core.state.blocks, (*kept, *core.state.heads))
            core.newest_ms = max([core.newest_ms, *(live.head.max_ms for live in kept)])
            empty = {epoch for live in recovered if not live.head.samples for epoch in live.epochs}
            for (kind, subject), (text, count) in recovery.report.causes.items():
                core.problem(kind, subject, text, count)
            core.counts["log_corruptions"] += recovery.report.corruptions
            appender.link_older_heads()
            self.replayed = True
        done = self._done_epochs if recovery.report.problems else empty | self._done_epochs
        self._remove_logs(done, appender)
        return recovery.report

    def _sync_replayed(self) -> None:
        """What a process that was killed had not synced yet lasts from here on, as the policy promises."""
        core = self._core
        if core.options.fsync == "never":
            return
        files, wal = core.files, core.wal_path
        works = [partial(files.sync, wal / str(name)) for name in self._to_replay]
        for work in (*works, partial(files.sync_directory, wal)):
            try:
                work()
            except OSError as error:
                core.problem("log", "fsync", f"the log of the last run cannot be synced: {error}")

    def _remove_logs(self, epochs: set[int], appender: Appender) -> None:
        core, kept = self._core, appender.open_epochs
        try:
            if epochs:
                self._book.save(core.files, core.path / "metadata")
                with core.writing:
                    appender.keep_deletions(epochs)
            core.save_ends(without=epochs | kept)
            core.kept_log.retire(epochs)
        except (OSError, OperatingError) as error:
            core.problem("files", "wal", f"WAL segments of finished runs cannot be removed or noted: {error}")

    def _on_progress(self, done: int, total: int) -> None:
        self.progress = (done, total)

    def _on_note(self, numbers: list[Any]) -> None:
        """A section of the log that is about more than samples."""
        if numbers[0] == METADATA:
            self._book.restore(numbers[1])
        elif numbers[0] == EXEMPLARS:
            self._exemplars.append(from_rows(numbers[1]))
