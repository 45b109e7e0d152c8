"""The storage actor: the single writer.

Senders put rows in its mailbox and get columns back. All that waits is appended in one go: one log write, one
answer each, so that batches grow by themselves when the disk is slow.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio

from trimon.actors.kernel.mailbox import Mailbox, MailboxClosed
from trimon.actors.storage.messages import Append, Message, Perform, StorageMessage
from trimon.errors import OperatingError
from trimon.log import Log
from trimon.model.rows import Appended, Row, SampleBatch
from trimon.model.snapshot import Snapshot
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.storage.problems import LIMIT, MEMORY, Problem
from trimon.storage.protocols import WrittenStore
from trimon.storage.upkeep.changes import ChangedMeanwhile

BATCH_MESSAGES_MAX: Final = 512
SYNC_INTERVAL_S: Final = 1.0
DIRECTORY_INTERVAL_S: Final = 10.0
APPEND_FAILED: Final = "append failed"
DISK_FAULT: Final = "fault in the data directory"
# What the log says of problems that are none of the directory.
_OTHER_FAULTS: Final = {MEMORY: "memory is short", LIMIT: "a limit is reached"}
PROBLEMS_INTERVAL_S: Final = 2.0
# What is said again says how often it happened meanwhile.
REPEATED_INTERVAL_S: Final = 60.0
# Trouble is over when it has not been for so long.
CALM_S: Final = 2.0
# Up to here an append runs on the loop: about 2 ms.
INLINE_CELLS_MAX: Final = 20_000
INLINE_SERIES_MAX: Final = 200
# An append on the loop that took longer than this met a disk that stalls: threads for the next seconds, and each time that
# it does so again soon for four times as long, up to a minute. The rush of a start looks like a stall and is over soon.
STALL_S: Final = 0.01
STALLED_FIRST_S: Final = 2.0
STALLED_S: Final = 60.0
_OF_THREAD: Final[int | None] = getattr(resource, "RUSAGE_THREAD", None)


class NotReady(OperatingError):
    """Storage still replays its log."""


def _is_small(messages: Sequence[Message], cost_of: Callable[[SampleBatch], int]) -> bool:
    """Whether appending takes well under a few milliseconds; `cost_of` tells of a batch what it takes, in cells."""
    cells = new_series = 0
    for message in messages:
        if isinstance(message, Row):
            cells += len(message.values)
            new_series += len(message.new_series)
        elif isinstance(message, SampleBatch):
            cells += cost_of(message)
    return cells <= INLINE_CELLS_MAX and new_series <= INLINE_SERIES_MAX


def _waits() -> int:
    """How often this thread has given the processor away to wait for something; -1 where the system does not tell."""
    return -1 if _OF_THREAD is None else resource.getrusage(_OF_THREAD).ru_nvcsw


def _new_series(append: Append) -> int:
    return sum(len(message.new_series) for message in append.messages if isinstance(message, Row))


@dataclass(slots=True)
class _Trouble:
    """A failure that goes on: how often it was since it was logged, and until when it is not logged again."""

    count: int = 0
    quiet_until_s: float = 0.0
    last_s: float = 0.0
    """When it was last."""


def _nobody() -> None:
    """Nobody wants to know."""


class StorageActor:
    """The single writer of samples.

    Owns: the store, its log and its head.
    Receives: Append, Perform.
    Sends: answers only.
    Crashes when: the store has a bug; trouble with the disk is answered to the sender instead.
    On restart: there is none. If the writer falls the process ends, and the next start replays the log.
    """

    def __init__(
        self, store: WrittenStore, mailbox: Mailbox[StorageMessage], offload: Offload, log: Log
    ) -> None:
        self.store = store
        self.replayed = trio.Event()
        self._mailbox = mailbox
        self._offload = offload
        self._log = log
        self._appends = 0
        self._batches = 0
        self._failures = 0
        self._stalls = 0
        self.replay_s = 0.0
        """How long reading the log took; 0 while it is read."""
        self.fsyncs = 0
        self.fsync_s = 0.0
        self.append_failures = 0
        self.on_append: Callable[[], None] = _nobody
        """Called after every append."""
        self._threads_until_s = 0.0
        self._pause_s = STALLED_FIRST_S
        self._last_error = ""
        self._troubles: dict[str, _Trouble] = {}

    async def run(self) -> None:
        """Appends what waits until the mailbox is closed and empty; replays the log meanwhile."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._replay)
                nursery.start_soon(self._sync)
                nursery.start_soon(self._tell_problems)
                nursery.start_soon(self._check_directory)
                await self._serve()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self._offload.run(self.store.close)

    async def _serve(self) -> None:
        while True:
            try:
                batch = await self._mailbox.receive_batch(BATCH_MESSAGES_MAX)
            except MailboxClosed:
                return
            await self._handle(batch)

    async def _replay(self) -> None:
        began_s = trio.current_time()
        report = await self._offload.run(self.store.replay)
        self.replay_s = trio.current_time() - began_s
        self.replayed.set()
        for line in report.lines()[len(report.problems) :]:  # the problems are told with all others
            self._log.warning("write-ahead log", detail=line)
        self._log.info("storage is ready", **report.fields())

    async def _sync(self) -> None:
        if self.store.options.fsync != "interval":
            return
        while True:
            await trio.sleep(SYNC_INTERVAL_S)
            began_s = trio.current_time()
            try:
                await self._offload.run(self.store.sync)
                self.fsyncs += 1
                self.fsync_s += trio.current_time() - began_s
            except OperatingError as error:
                self._trouble("fsync of the write-ahead log failed", error)

    async def _check_directory(self) -> None:
        """Notices when the data directory is removed or replaced."""
        while True:
            await trio.sleep(DIRECTORY_INTERVAL_S)
            await self._offload.run(self.store.check_directory)

    async def _tell_problems(self) -> None:
        """Logs each cause of faults that the store found and survived, and once a minute that it goes on."""
        told: dict[tuple[str, str], tuple[Problem, float]] = {}
        seen: tuple[Problem, ...] = ()
        while True:
            faults, now_s = self.store.faults, trio.current_time()
            if faults is not seen:
                for problem in faults:
                    known = told.get((problem.kind, problem.subject))
                    if known is None or (
                        problem.count > known[0].count and now_s >= known[1] + REPEATED_INTERVAL_S
                    ):
                        what = _OTHER_FAULTS.get(problem.kind, DISK_FAULT)
                        self._log.error(what, detail=problem.line())
                        told[problem.kind, problem.subject] = (problem, now_s)
                pending = any(p.count > told[p.kind, p.subject][0].count for p in faults)
                seen = () if pending else faults
            await trio.sleep(PROBLEMS_INTERVAL_S)

    async def _handle(self, batch: Sequence[StorageMessage]) -> None:
        appends: list[Append] = []
        for message in batch:
            match message:
                case Append():
                    appends.append(message)
                case Perform():
                    await self._append(appends)
                    appends = []
                    await self._perform(message)
        await self._append(appends)

    async def _append(self, appends: list[Append]) -> None:
        """Stores what waits, known series first: rows of many new series, each for itself, keep nobody else waiting."""
        quick = [append for append in appends if _new_series(append) <= INLINE_SERIES_MAX]
        if quick:
            await self._append_together(quick)
        if len(quick) < len(appends):
            for append in appends:
                if _new_series(append) > INLINE_SERIES_MAX:
                    await self._append_together([append])

    async def _append_together(self, appends: list[Append]) -> None:
        flat = [message for append in appends for message in append.messages]
        self._appends += len(flat)
        self._batches += 1
        try:
            answers = await self._store(flat)
        except OperatingError as error:
            self.append_failures += 1
            self._trouble(APPEND_FAILED, error)
            for append in appends:
                append.reply.fail(error)
            return
        self._over(APPEND_FAILED)
        self.on_append()
        position = 0
        for append in appends:
            end = position + len(append.messages)
            append.reply.send(tuple(answers[position:end]))
            position = end

    async def _store(self, messages: list[Message]) -> list[Appended]:
        """Small appends on the loop, where they cost a tenth of a millisecond; others in a thread.

        A disk that stalls once moves all appends to threads for a while, so that it cannot stall the loop again.
        """
        now_s = trio.current_time()
        if now_s < self._threads_until_s or not _is_small(messages, self.store.cost_of):
            return await self._offload.run(lambda: self.store.append(messages))
        began_s, waits = trio.current_time(), _waits()
        answers = self.store.append(messages)
        # A busy machine takes the processor away from us, and a thread would have it no sooner.
        if trio.current_time() - began_s > STALL_S and (waits < 0 or _waits() > waits):
            self._stalls += 1
            is_again = self._stalls > 1 and now_s < self._threads_until_s + STALLED_S
            self._pause_s = min(4 * self._pause_s, STALLED_S) if is_again else STALLED_FIRST_S
            self._threads_until_s = now_s + self._pause_s
        return answers

    async def _perform(self, message: Perform) -> None:
        try:
            result = await self._offload.run(message.work)
        except OperatingError as error:
            if not isinstance(error, ChangedMeanwhile):  # which is no trouble: its sender does it again
                self._trouble(f"{message.what} failed", error)
            message.reply.fail(error)
            return
        message.reply.send(result)

    def _trouble(self, what: str, error: OperatingError) -> None:
        """Counts a failure and logs it; one that goes on once a minute, with how often it was."""
        self._failures += 1
        self._last_error = f"{what}: {error}"
        trouble = self._troubles.setdefault(what, _Trouble())
        trouble.count += 1
        now_s = trouble.last_s = trio.current_time()
        if now_s >= trouble.quiet_until_s:
            self._log.error(what, err=str(error), count=trouble.count)
            trouble.quiet_until_s = now_s + REPEATED_INTERVAL_S
            trouble.count = 0

    def _over(self, what: str) -> None:
        """What failed does not any more; told when it has not for a moment: around a full disk it comes and goes."""
        if not self._troubles:
            return
        trouble = self._troubles.get(what)
        if trouble is not None and trio.current_time() - trouble.last_s >= CALM_S:
            del self._troubles[what]
            self._log.info(f"{what}, and does so no more", count=trouble.count)

    def snapshot(self) -> Snapshot:
        """All data of this moment, for readers. Raises NotReady while the log is replayed."""
        if not self.replayed.is_set():
            raise NotReady("TSDB not ready")
        return self.store.snapshot()

    def inspect(self) -> Mapping[str, object]:
        """Counts of appends, and the last trouble."""
        done, total = self.store.replay_progress
        return {
            "replayed": self.replayed.is_set(),
            "replay_segments_done": done,
            "replay_segments": total,
            "appends": self._appends,
            "batches": self._batches,
            "stalls": self._stalls,
            "failures": self._failures,
            "last_error": self._last_error,
        }
