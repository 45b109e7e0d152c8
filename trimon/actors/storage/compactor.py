"""The compactor: cuts the head into blocks, merges blocks, drops old ones, off the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import trio
import trio.lowlevel

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.log import Log
from trimon.memory.allocator import give_back
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.storage.protocols import MaintainedStore
from trimon.storage.upkeep.changes import ChangedMeanwhile
from trimon.storage.upkeep.jobs import CutJob, MaintenanceJob

# How often everything that may be due is looked for: merges, retention, what failed before.
INTERVAL_S: Final = 60.0
# How often the heads are looked at, which costs microseconds: samples that catch up end a window every few seconds,
# and reading them gets cheaper when they are in a block.
LOOK_S: Final = 1.0
BACKOFF_FIRST_S: Final = 1.0
# Deletions that come while blocks are rewritten are rare; who deletes without end is told.
CLEAN_TRIES_MAX: Final = 20


@dataclass(slots=True)
class CompactionCounts:
    """What the compactor has done since the start."""

    rounds: int = 0
    failures: int = 0
    run_failures: int = 0
    """Jobs that could not write their blocks."""
    installs: int = 0
    """How often the list of blocks, or what of the head is in them, was made another one."""
    install_failures: int = 0
    truncations: int = 0
    """Windows that left the head and its log for a block."""
    truncation_failures: int = 0
    truncation_s: float = 0.0
    """How long taking them out took."""


class Compactor:
    """Asks the store what is due, once a minute and when a window is over, and does it, one job at a time.

    Owns: the job at work.
    Receives: nothing.
    Sends: Perform to storage: the short part of a job, when its blocks are written.
    Crashes when: a job has a bug. Trouble with the disk is logged, counted, and tried again later.
    On restart: asks the store what is due; a half-written block was never visible.
    """

    def __init__(
        self,
        store: MaintainedStore,
        writer: Writer,
        replayed: trio.Event,
        clock: Clock,
        offload: Offload,
        log: Log,
        release: Callable[[], object] = give_back,
        compaction_s: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._compaction_s = compaction_s
        self._store = store
        self._writer = writer
        self._replayed = replayed
        self._clock = clock
        self._offload = offload
        self._log = log
        self._release = release
        self._job = ""
        self._done = 0
        self._turn = trio.Lock()
        self.settled = trio.Event()
        """The first round is over: what a replay left in the log is unpacked."""
        self.counts = CompactionCounts()
        self._last_error = ""

    async def run(self) -> None:
        """Works when there is something due, else sleeps; begins when the log is replayed."""
        await self._replayed.wait()
        backoff_s = BACKOFF_FIRST_S
        busy = False
        while True:
            worked = await self._round()
            self.settled.set()
            if busy and not worked:
                # heads that were cut leave holes between those that were filled meanwhile
                await self._offload.run(self._release)
            busy = worked
            if worked:
                backoff_s = BACKOFF_FIRST_S
                await trio.lowlevel.checkpoint()
            elif self._last_error:
                await trio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, INTERVAL_S)
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Returns when a window is to be cut, at the latest after a minute."""
        with trio.move_on_after(INTERVAL_S):
            while True:
                await trio.sleep(LOOK_S)
                if self._store.is_cut_due(self._clock.now_ms()):
                    return

    async def _round(self) -> bool:
        """Does what is due; whether anything was done."""
        async with self._turn:
            return await self._do_what_is_due()

    async def _do_what_is_due(self) -> bool:
        self._last_error = ""
        self.counts.rounds += 1
        try:
            jobs = await self._offload.run(lambda: self._store.plan(self._clock.now_ms()))
            for job in jobs:
                self._job = job.what
                await self._do(job)
        except ChangedMeanwhile as error:
            self._log.info("compaction job is done again", job=self._job, reason=str(error))
        except (OperatingError, ActorGone, AskTimeout) as error:
            self.counts.failures += 1
            self._last_error = f"{self._job}: {error}"
            self._log.error("compaction failed, it will be tried again", job=self._job, err=str(error))
            return False
        finally:
            self._job = ""
        return bool(jobs)

    async def clean_tombstones(self) -> None:
        """Rewrites every block that has deletions, between the rounds.

        A block that changes meanwhile is rewritten again, for so many times. Raises OperatingError when all others are
        done: that of the first block that could not be.
        """
        tries = 0
        failed: dict[str, OperatingError] = {}
        while True:
            async with self._turn:
                job = await self._offload.run(lambda: self._store.clean_job(failed))
                if job is None:
                    break
                try:
                    await self._do(job)
                except ChangedMeanwhile:
                    tries += 1
                    if tries >= CLEAN_TRIES_MAX:
                        raise
                except OperatingError as error:
                    failed[job.action.blocks[0].ulid] = error
        for first in failed.values():
            raise first

    async def _do(self, job: MaintenanceJob) -> None:
        counts, is_cut = self.counts, isinstance(job, CutJob)
        started_s = trio.current_time()
        try:
            await self._offload.run(job.run)
        except OperatingError:
            counts.run_failures += 1
            raise
        written_s = trio.current_time()
        try:
            await self._writer.perform(job.what, job.install)
        except ChangedMeanwhile:
            raise
        except (OperatingError, ActorGone, AskTimeout):
            counts.install_failures += 1
            counts.truncation_failures += is_cut
            raise
        now_s = trio.current_time()
        self._done += 1
        counts.installs += 1
        self._compaction_s(now_s - started_s)
        if is_cut:
            counts.truncations += 1
            counts.truncation_s += now_s - written_s
        self._log.info("compaction job is done", job=job.what, took_s=round(now_s - started_s, 3))

    def inspect(self) -> Mapping[str, object]:
        """The job at work, and counts."""
        return {
            "job": self._job,
            "rounds": self.counts.rounds,
            "done": self._done,
            "failures": self.counts.failures,
            "last_error": self._last_error,
        }
