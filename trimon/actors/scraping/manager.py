"""The scrape manager: from discovered label sets to running targets, one pool a job."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import trio

from trimon.actors.discovery.discovered import Discovered
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import Mailbox
from trimon.actors.kernel.pool import Pool
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.kernel.report import CrashReports
from trimon.actors.kernel.restarts import RestartPolicy
from trimon.actors.kernel.spec import ChildSpec, Restart
from trimon.actors.logfiles import LineFiles
from trimon.actors.loop.alarms import Alarms
from trimon.actors.memory import ProcessMemory
from trimon.actors.scraping.scrapepool import JobConfig, PoolCounts, ScrapePool, ScrapeTimes
from trimon.actors.scraping.target import CRASHED, TargetActor
from trimon.actors.scraping.targetbuilding import BuiltTargets
from trimon.actors.scraping.turns import Turns, head_start
from trimon.actors.storage.writer import Writer
from trimon.clock import Clock
from trimon.errors import OperatingError
from trimon.gotext.times import format_go_duration
from trimon.log import Log
from trimon.memory.bodies import BodyMemory
from trimon.model.labels import INSTANCE_LABEL
from trimon.model.rows import Row, SampleBatch
from trimon.offload import Offload
from trimon.records import dataclass
from trimon.redaction import masked_url
from trimon.scrape.outcome import ScrapeCounts
from trimon.scrape.session import ScrapeSession
from trimon.scrape.target import Target
from trimon.selfmetrics import SelfMetrics

# A pool of more discovered targets than this is built in a thread.
BUILD_INLINE_MAX: Final = 200


@dataclass(slots=True)
class _LeavingTargets:
    """A session without an actor: its series end when nobody takes it over until `due_s`.

    While its target is wanted, the actor is only down: then a failed scrape is stored once an interval instead.
    """

    session: ScrapeSession
    stale_ms: int
    due_s: float
    ends: Sequence[Row | SampleBatch] | None = None
    """What ends the series, once it was due: offered again while storage refuses it."""


def target_policy() -> RestartPolicy:
    """A target that crashes eleven times in five minutes is quarantined, and tried again after minutes, ever more slowly."""
    return RestartPolicy(retry_first_s=120.0)


class ScrapeManager:
    """Keeps one pool of targets a job in line with what is configured and discovered.

    Owns: the jobs, their target lists, and the sessions of targets that went away.
    Receives: Discovered, the latest of each job.
    Sends: Append to storage, when the series of a vanished target end.
    Crashes when: building targets has a bug; a target that cannot be built is an entry in `errors`.
    On restart: jobs and pools stay, they belong to the tree.
    """

    def __init__(
        self,
        pools: Pool[str],
        mailbox: Mailbox[Discovered],
        writer: Writer,
        clock: Clock,
        offload: Offload,
        log: Log,
        *,
        seed: int,
        reports: CrashReports,
        lines: LineFiles | None = None,
        times: ScrapeTimes | None = None,
        memory: ProcessMemory | None = None,
        settled: trio.Event | None = None,
    ) -> None:
        self._settled = settled
        self.scrape_pools: dict[str, ScrapePool] = {}
        self.pool_counts = PoolCounts()
        self._times = times if times is not None else ScrapeTimes(SelfMetrics(clock))
        self.stopping = False
        self._memory = memory
        self._bodies = memory.bodies if memory is not None else BodyMemory(sys.maxsize)
        self._pools = pools
        self._mailbox = mailbox
        self._writer = writer
        self._clock = clock
        self._offload = offload
        self._log = log
        self._seed = seed
        self._reports = reports
        self._lines = lines
        self._leaving: dict[str, _LeavingTargets] = {}
        self._gone = ScrapeCounts()
        # pools of a new configuration whose targets are built in a thread
        self._to_build: dict[str, None] = {}
        self._sleep = trio.CancelScope()
        self._turns = Turns()
        self._alarms = Alarms()

    def configure(self, configs: Sequence[JobConfig]) -> None:
        """The jobs of a new configuration: new ones start empty, changed ones restart, the others go on."""
        jobs: dict[str, ScrapePool] = {}
        for config in configs:
            name = config.options.job
            job = self.scrape_pools.get(name)
            if job is None:
                job = ScrapePool(config, Pool(name, reports=self._reports))
                self.pool_counts.created += 1
            jobs[name] = job
        for name in self.scrape_pools.keys() - jobs.keys():
            self._times.sync_s.remove(name)
        self.scrape_pools = jobs
        for config in configs:
            job = jobs[config.options.job]
            changed = job.config.version != config.version
            job.config = config
            self.pool_counts.reloads += changed
            if changed and len(job.label_sets) > BUILD_INLINE_MAX:
                self._to_build[config.options.job] = None
                self._sleep.cancel()
            elif changed and job.label_sets:
                self._take_over(job, self._build(job, job.label_sets))
        self._pools.reconcile({name: self._pool_spec(name, job) for name, job in jobs.items()})

    def _pool_spec(self, name: str, job: ScrapePool) -> ChildSpec:
        return ChildSpec(name, lambda: job.pool, restart=Restart.ALWAYS, drain_s=30.0, version=id(job.pool))

    async def run(self) -> None:
        """Takes over what discovery sends, ends the series of targets that stay away, and lets targets begin in turns."""
        await head_start(self._settled)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._turns.run)
            await self._take_messages()

    async def _take_messages(self) -> None:
        while True:
            message = None
            with trio.move_on_after(0 if self._to_build else self._patience_s()) as self._sleep:
                message = await self._mailbox.receive()
            if message is not None:
                await self._discovered(message.consumer, message.label_sets)
                self._mailbox.done()
            while self._to_build:
                name = next(iter(self._to_build))
                del self._to_build[name]
                if name in self.scrape_pools:
                    await self._discovered(name, self.scrape_pools[name].label_sets)
            await self._end_due()

    def _patience_s(self) -> float:
        if not self._leaving:
            return math.inf
        return max(0.0, min(leaving.due_s for leaving in self._leaving.values()) - trio.current_time())

    async def _discovered(self, name: str, label_sets: tuple[Mapping[str, str], ...]) -> None:
        """Brings the targets of a job in line with what was found for it."""
        job = self.scrape_pools.get(name)
        if job is None:
            return
        began_s = trio.current_time()
        config = job.config
        if len(label_sets) <= BUILD_INLINE_MAX:
            built = self._build(job, label_sets)
        else:
            built = await self._offload.run(lambda: self._build(job, label_sets))
        if self.scrape_pools.get(name) is not job:
            return
        job.label_sets = label_sets
        if job.config is config:
            self._take_over(job, built)
        else:
            self._to_build[name] = None
        self._times.sync_s.labels(name).observe(trio.current_time() - began_s)

    def _build(self, job: ScrapePool, label_sets: Sequence[Mapping[str, str]]) -> BuiltTargets:
        """What label sets give under the job's configuration; any thread."""
        config = job.config
        return job.builder.build(
            label_sets, config.options, lambda target, forced: self._target_spec(job, config, target, forced)
        )

    def _take_over(self, job: ScrapePool, built: BuiltTargets) -> None:
        options = job.config.options
        keep = options.keep_dropped_targets or len(built.dropped)
        job.targets, job.dropped, job.dropped_count = built.targets, built.dropped[:keep], len(built.dropped)
        for error in built.errors:
            if error not in job.errors:
                self._log.error("Creating target failed", job=options.job, err=error)
        job.errors = built.errors
        job.sync_failures += len(built.errors)
        job.exceeds_target_limit = bool(built.forced)
        self._count_sync(job)
        job.pool.reconcile(built.specs)

    def _count_sync(self, job: ScrapePool) -> None:
        job.syncs += 1
        self.pool_counts.target_limit_exceeded += job.exceeds_target_limit

    def confirm(self, changed: Collection[str]) -> None:
        """Counts a sync of each job that is not among those: discovery said that its targets are as they were."""
        for name, job in self.scrape_pools.items():
            if name not in changed and job.syncs:
                self._count_sync(job)

    def _target_spec(self, job: ScrapePool, config: JobConfig, target: Target, forced: str) -> ChildSpec:
        instance = dict(target.labels).get(INSTANCE_LABEL, "")
        return ChildSpec(
            f"{masked_url(instance)}#{target.key[:8]}",
            lambda: self._make(job, config, target, forced),
            restart=Restart.ALWAYS,
            drain_s=target.timeout_ms / 1000,
            policy=target_policy(),
            version=(target, config.version, forced),
        )

    def _make(self, job: ScrapePool, config: JobConfig, target: Target, forced: str) -> TargetActor:
        memory = self._memory
        session = ScrapeSession(target, config.options, forced, memory.series if memory is not None else None)
        predecessor = self._leaving.pop(target.group, None)
        if predecessor is not None:
            session.inherit(predecessor.session)
        job.sessions[target.key] = session
        return TargetActor(
            session,
            config.fetch(),
            self._writer,
            self._clock,
            self._offload,
            self._log,
            seed=self._seed,
            ended=lambda ended: self._left(job, ended),
            failed=self._failure_logger(config, target),
            interval_s=self._times.interval_s.labels(format_go_duration(target.interval_ms)).observe,
            turns=self._turns,
            alarms=self._alarms,
            bodies=self._bodies,
            kept=memory.kept if memory is not None else None,
        )

    def _failure_logger(self, config: JobConfig, target: Target) -> Callable[[str], None] | None:
        """What a target tells its failed scrapes; None without a file for them."""
        lines, path = self._lines, config.failure_log
        if lines is None or not path:
            return None
        fields = {"job_name": config.options.job, "target": target.shown_url}
        return lambda error: lines.write(path, "ERROR", error, fields)

    def scrape_now(self, session: ScrapeSession) -> trio.Event | None:
        """Has the target of a session scraped beside its slots: what is set then; None when it has no actor now."""
        job = self.scrape_pools.get(session.target.job)
        for child in job.pool.children() if job is not None else ():
            if isinstance(child.actor, TargetActor) and child.actor.session is session:
                return child.actor.scrape_now()
        return None

    def sessions(self) -> list[ScrapeSession]:
        """The sessions of all targets."""
        return [session for job in self.scrape_pools.values() for session in job.sessions.values()]

    def _left(self, job: ScrapePool, session: ScrapeSession) -> None:
        """A target's actor ended: keep its session for a successor, or for its last row."""
        if self.stopping:
            return
        target = session.target
        wanted = self._is_wanted(session)
        if not wanted and job.sessions.get(target.key) is session:
            del job.sessions[target.key]
        if wanted:
            job.sessions[target.key] = session
        interval_ms = target.interval_ms
        now_ms = self._clock.now_ms()
        # as Prometheus: the marker gets the time of the first scrape that did not happen, and is written two
        # intervals later, so that a target that only moved keeps its series
        stale_ms = max(session.state.last_scrape_ms + interval_ms, now_ms)
        patience_ms = interval_ms if wanted else 2 * interval_ms + interval_ms / 10
        due_s = trio.current_time() + patience_ms / 1000
        self._leaving[target.group] = _LeavingTargets(session, stale_ms, due_s)
        self._sleep.deadline = min(self._sleep.deadline, due_s)

    def _is_wanted(self, session: ScrapeSession) -> bool:
        """Whether a target is to be scraped, and not only on its way out."""
        job = self.scrape_pools.get(session.target.job)
        return job is not None and job.targets.get(session.target.key) == session.target

    async def _end_due(self) -> None:
        now_s = trio.current_time()
        due = [group for group, leaving in self._leaving.items() if leaving.due_s <= now_s]
        for group in due:
            # while this one waited for the writer, an actor may have taken over
            leaving = self._leaving.get(group)
            if leaving is None:
                continue
            try:
                if self._is_wanted(leaving.session):
                    await self._stay_down(leaving)
                else:
                    del self._leaving[group]
                    await self._end(group, leaving)
            except (OperatingError, ActorGone, AskTimeout) as error:
                self._log.error("ending the series of a vanished target failed", group=group, err=str(error))

    async def _stay_down(self, leaving: _LeavingTargets) -> None:
        """Stores a failed scrape of a target whose actor crashed too often."""
        session = leaving.session
        interval_ms, now_ms = session.target.interval_ms, self._clock.now_ms()
        leaving.due_s += interval_ms / 1000
        leaving.stale_ms = now_ms + interval_ms
        outcome = session.fail(OperatingError(CRASHED), now_ms, 0.0)
        try:
            session.settle(outcome, await self._writer.append(*outcome.messages()), now_ms)
        except (OperatingError, ActorGone, AskTimeout) as error:
            session.lost(f"storage: {error}")
            raise

    async def _end(self, group: str, leaving: _LeavingTargets) -> None:
        """Forgets a target and ends its series; those that storage refuses to end are offered again in an interval."""
        session = leaving.session
        if leaving.ends is None:
            self._forget(session)
            leaving.ends = session.end(leaving.stale_ms)
        if not leaving.ends:
            return
        try:
            await self._writer.append(*leaving.ends)
        except (OperatingError, ActorGone, AskTimeout):
            if not self._has_actor(group, session):
                leaving.due_s = trio.current_time() + session.target.interval_ms / 1000
                self._leaving[group] = leaving
            raise

    def _forget(self, session: ScrapeSession) -> None:
        """What is shown and kept of a target that is gone, unless another session has its place."""
        job, key = self.scrape_pools.get(session.target.job), session.target.key
        if job is not None and job.sessions.get(key) is session:
            del job.sessions[key]
        if self._memory is not None and (job is None or key not in job.sessions):
            self._memory.kept.forget(key)
        self._gone.add([session.counts])

    def _has_actor(self, group: str, session: ScrapeSession) -> bool:
        """Whether the series of a group have gone over to another session, or wait for the end of one."""
        job = self.scrape_pools.get(session.target.job)
        return group in self._leaving or (
            job is not None and any(each.target.group == group for each in job.sessions.values())
        )

    def counts(self) -> ScrapeCounts:
        """The counts of all targets there are and were."""
        # One that stays down is in both.
        sessions = {session for job in self.scrape_pools.values() for session in job.sessions.values()}
        sessions.update(leaving.session for leaving in self._leaving.values())
        total = ScrapeCounts()
        total.add([self._gone, *(session.counts for session in sessions)])
        return total

    def inspect(self) -> Mapping[str, object]:
        """Jobs with their targets, and how many vanished targets wait for their end."""
        return {
            "jobs": {
                name: {"targets": len(job.targets), "dropped": job.dropped_count, "errors": len(job.errors)}
                for name, job in self.scrape_pools.items()
            },
            "leaving": len(self._leaving),
            "waited_for_a_turn": self._turns.waited,
        }
