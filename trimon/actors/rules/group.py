"""One rule group: the actor that evaluates it once an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import trio

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.loop.schedule import Schedule
from trimon.actors.querying.querylog import QueryRecord
from trimon.actors.remoteread.reader import LOCAL_ONLY
from trimon.actors.rules.catchup import CatchUp
from trimon.actors.rules.history import RuleChanges
from trimon.actors.rules.seams import RuleSeams
from trimon.errors import OperatingError, UserError
from trimon.model.rows import Appended, Row
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.records import dataclass
from trimon.rules.alert import Alert
from trimon.rules.alertsession import AlertingSession
from trimon.rules.dependencies import Batch
from trimon.rules.group import RuleGroup
from trimon.rules.history import RuleName
from trimon.rules.reading import RuleReading
from trimon.rules.session import Evaluation, RuleSession
from trimon.rules.spec import GroupSpec
from trimon.tracing.tracer import TRACER

# Evaluations before the alerts of before a restart are looked for: their series are scraped again by then.
RESTORED_AFTER: Final = 2
# So many samples of several rules are stored in one go: others are to have their turn.
CELLS_AT_ONCE: Final = 10_000


def _rule_name(group: GroupSpec, session: AlertingSession) -> RuleName:
    """What the history calls a rule."""
    return RuleName(group.file, group.name, session.spec.alert, session.group.rpartition("/")[2])


def tell_standing(
    seams: RuleSeams, group: GroupSpec, session: AlertingSession, at_ms: int, alerts: Sequence[Alert]
) -> None:
    """Tells the history all alerts that a rule has now; none when it is removed."""
    seams.alerting.changed(RuleChanges(_rule_name(group, session), at_ms, alerts=alerts, complete=True))


async def end_series(seams: RuleSeams, group: RuleGroup, gone: Iterable[RuleSession], stamp_ms: int) -> bool:
    """Ends rules, and stores what ends series of the group's; whether nothing is left to be offered again."""
    for session in gone:
        if isinstance(session, AlertingSession):
            tell_standing(seams, group.spec, session, stamp_ms, ())
        row = session.end(stamp_ms)
        if row is not None:
            group.ends.append(row)
    if not group.ends:
        return True
    try:
        await seams.writer.append(*group.ends)
    except (OperatingError, ActorGone, AskTimeout) as error:
        seams.log.error("ending the series of removed rules failed", group=group.spec.key, err=str(error))
        return False
    group.ends = []
    return True


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """What an evaluation came to: a row to be stored, nothing, or a failure."""

    session: RuleSession
    row: Row | None
    failure: str


class RuleGroupActor:
    """One group, evaluated once an interval at its own phase, its rules one after the other, or as they depend on another.

    Owns: the group's sessions.
    Receives: nothing.
    Sends: Append to storage: one for all rules that do not read one another, before others read what they recorded.
    Crashes when: a session has a bug. A rule that fails is a health field and a counter.
    On restart: the sessions offer their series anew, in the same columns.
    """

    def __init__(self, group: RuleGroup, seams: RuleSeams, ended: Callable[[RuleGroup], None]) -> None:
        self.group = group
        self._seams = seams
        self._ended = ended
        self._at_work = ""
        # A method of this actor would make a cycle of the two.
        self._schedule = Schedule(
            seams.clock, group.spec.interval_ms, group.offset_ms, group.miss, seams.alarms
        )

    async def run(self) -> None:
        """Evaluates until drained; begins when storage can be read."""
        schedule = self._schedule
        try:
            with schedule.interruptible():
                await self._seams.replayed.wait()
            await self._catch_up()
            while (slot_ms := await schedule.wait()) is not None:
                await self._iterate(slot_ms)
        finally:
            self._ended(self.group)

    async def _catch_up(self) -> None:
        """After a start, before the first iteration: what was missed, while it is not too late for the first."""
        group, seams = self.group, self._seams
        wanted, group.catches_up = group.catches_up and seams.catch_ups.most_ms > 0, False
        if not wanted or self._schedule.draining:
            return
        catch_up = CatchUp(group.spec, group.offset_ms, seams)
        with self._schedule.interruptible():
            self._at_work = "catching up"
            await catch_up.run()
            self._at_work = ""
        group.caught_up += catch_up.iterations
        # What is caught up with ends before this slot, so that it must not be left out when catching up took past it.
        self._schedule.begin_at(catch_up.next_ms)

    def drain(self) -> None:
        """Stops waiting; an iteration is seen through."""
        self._schedule.drain()

    async def _iterate(self, slot_ms: int) -> None:
        group = self.group
        began_s = trio.current_time()
        stamp_ms = slot_ms - group.spec.query_offset_ms
        gone, group.leftovers = group.leftovers, {}
        await end_series(self._seams, group, gone.values(), stamp_ms)
        if self._seams.at_once is None:
            for _, members in groupby(zip(group.readings, group.rules, strict=True), itemgetter(0)):
                reading = RuleReading()
                evaluated = [
                    await self._evaluate(session, slot_ms, stamp_ms, reading) for _, session in members
                ]
                await self._conclude(evaluated, slot_ms)
        else:
            for batch in group.batches:
                evaluated = await self._evaluate_batch(batch, slot_ms, stamp_ms, self._seams.at_once)
                await self._conclude(evaluated, slot_ms)
        self._at_work = ""
        group.last_evaluation_ms = slot_ms
        group.duration_s = trio.current_time() - began_s
        self._seams.on_group(group.duration_s)
        group.iterations += 1
        if group.restores and group.iterations >= RESTORED_AFTER:
            await self._restore()

    async def _evaluate_batch(
        self, batch: Batch, slot_ms: int, stamp_ms: int, at_once: trio.CapacityLimiter
    ) -> list[_Evaluated]:
        reading, evaluated = RuleReading(), []

        async def evaluate(session: RuleSession) -> None:
            async with at_once:
                evaluated.append(await self._evaluate(session, slot_ms, stamp_ms, reading))

        async with trio.open_nursery() as nursery:
            for place in batch:
                nursery.start_soon(evaluate, self.group.rules[place])
        return evaluated

    async def _evaluate(
        self, session: RuleSession, slot_ms: int, stamp_ms: int, reading: RuleReading
    ) -> _Evaluated:
        group, seams = self.group, self._seams
        self._at_work = session.spec.name
        began_s = trio.current_time()
        options = seams.options()
        origin = {"ruleGroup": {"file": group.spec.file, "name": group.spec.name}}
        record = QueryRecord(session.query, stamp_ms, stamp_ms, 0, origin)

        def work(snapshot: Snapshot, budget: Budget) -> Row | None:
            evaluation = Evaluation(slot_ms, stamp_ms, options, budget, group.spec.limit)
            row, record.stats = session.evaluate(reading.of(snapshot), evaluation)
            return row

        row, failure = None, ""
        about = {"rule": session.spec.name, "group": group.spec.name, "file": group.spec.file}
        with TRACER.span("rule", about) as span:
            try:
                row = await seams.queries.run(session.query, options, work, record)
            except (UserError, QueryError, OperatingError, MailboxFull) as error:
                failure = str(error) or type(error).__name__
            if span is not None:
                span.error = failure
        if isinstance(session, AlertingSession):
            self._tell_changes(session, slot_ms)
            if not failure:
                self._count_templates(session)
                self._notify(session, slot_ms)
        session.duration_s = trio.current_time() - began_s
        return _Evaluated(session, row, failure)

    async def _conclude(self, evaluated: Sequence[_Evaluated], slot_ms: int) -> None:
        """Stores what rules have found that do not read one another, in one go, and keeps their health."""
        group, seams = self.group, self._seams
        await self._store([each for each in evaluated if not each.failure])
        for each in evaluated:
            session = each.session
            if each.failure:
                session.failed(each.failure)
                group.failures += 1
            session.last_evaluation_ms = slot_ms
            seams.on_rule(session.duration_s)
            group.evaluations += 1
            self._tell_dead(session, slot_ms)
            if session.health == "err":
                seams.log.warning(
                    "evaluating a rule failed",
                    file=group.spec.file,
                    group=group.spec.name,
                    rule=session.spec.name,
                    err=session.last_error,
                )

    async def _store(self, evaluated: Sequence[_Evaluated]) -> None:
        some: list[tuple[RuleSession, Row]] = []
        cells = 0
        for each in evaluated:
            if each.row is None:
                each.session.granted(Appended())
                continue
            some.append((each.session, each.row))
            cells += len(each.row.values) + len(each.row.new_values)
            if cells >= CELLS_AT_ONCE:
                await self._append(some)
                some, cells = [], 0
        if some:
            await self._append(some)

    async def _append(self, some: Sequence[tuple[RuleSession, Row]]) -> None:
        try:
            answers = await self._seams.writer.append(*(row for _, row in some))
        except (OperatingError, ActorGone, AskTimeout) as error:
            for session, _ in some:
                session.lost(f"storage: {error}", certain=isinstance(error, OperatingError))
        else:
            for (session, _), answer in zip(some, answers, strict=True):
                session.granted(answer)

    def _tell_changes(self, session: AlertingSession, slot_ms: int) -> None:
        """Tells the history what an evaluation changed; before alerts are restored nobody knows what is new."""
        events = session.take_changes()
        if events and session.restored:
            self._seams.alerting.changed(RuleChanges(_rule_name(self.group.spec, session), slot_ms, events))

    def _tell_dead(self, session: RuleSession, slot_ms: int) -> None:
        """Says once of a rule that it can never give anything, and when it can after all."""
        watch = session.selectors
        dead = watch.dead(slot_ms)
        if bool(dead) == watch.told:
            return
        watch.told = bool(dead)
        group = self.group.spec
        fields = {"file": group.file, "group": group.name, "rule": session.spec.name}
        if dead:
            texts = ", ".join(use.selector.text for use in dead)
            self._seams.log.warning(
                "a rule reads what has never matched any series", **fields, selectors=texts
            )
        else:
            self._seams.log.info("a rule reads what has matched for the first time", **fields)

    def _count_templates(self, session: AlertingSession) -> None:
        seams = self._seams
        counts, errors = seams.alerting.templates, session.template_errors
        counts.expansions += session.expansions
        counts.failures += len(errors)
        if errors:
            seams.log.warning(
                "Expanding alert template failed",
                file=self.group.spec.file,
                group=self.group.spec.name,
                alert=session.spec.alert,
                count=len(errors),
                err=str(errors[0]),
            )

    def _notify(self, session: AlertingSession, slot_ms: int) -> None:
        alerting = self._seams.alerting
        due = session.take_due(slot_ms, self.group.spec.interval_ms, alerting.resend_delay_ms)
        if due:
            alerting.notify(due, session.query)

    async def _restore(self) -> None:
        """After two evaluations: alerts that were active before a restart go on from then."""
        group, seams = self.group, self._seams
        options = seams.options()
        bounds = seams.alerting.outage_tolerance_ms, seams.alerting.grace_period_ms
        now_ms = seams.clock.now_ms()
        group.restores = False
        for session in group.alerting:

            def work(snapshot: Snapshot, _: Budget, session: AlertingSession = session) -> int:
                return session.restore(snapshot, now_ms, *bounds)

            try:
                await seams.queries.run(f"restore {session.spec.name}", options, work, hops=LOCAL_ONLY)
            except (UserError, QueryError, OperatingError, MailboxFull) as error:
                seams.log.error(
                    "restoring the state of an alert failed",
                    group=group.spec.name,
                    rule=session.spec.name,
                    err=str(error),
                )
            every = tuple(session.alerts.values())
            tell_standing(seams, group.spec, session, group.last_evaluation_ms, every)

    def inspect(self) -> Mapping[str, object]:
        """The last iteration, and which rules fail."""
        group = self.group
        return {
            "rules": len(group.rules),
            "interval_s": group.spec.interval_ms / 1000,
            "at_work": self._at_work,
            "next_slot_ms": self._schedule.slot_ms,
            "last_evaluation_ms": group.last_evaluation_ms,
            "last_duration_s": group.duration_s,
            "iterations": group.iterations,
            "missed": group.missed,
            "evaluations": group.evaluations,
            "failures": group.failures,
            "failing": {s.spec.name: s.last_error for s in group.rules if s.health == "err"},
            "alerts": sum(len(session.alerts) for session in group.alerting),
        }
