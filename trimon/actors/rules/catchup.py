"""After a start: the missed iterations of one rule group, evaluated and stored before its first one."""

from __future__ import annotations

from typing import Final

import trio

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.loop.schedule import first_slot_ms
from trimon.actors.rules.seams import RuleSeams
from trimon.errors import OperatingError, UserError
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.rules.catchup import CaughtUp, catch_up
from trimon.rules.spec import GroupSpec

LATE_SHARE: Final = 0.5
"""The first iteration may begin late by this share of an interval."""
PATIENCE_S: Final = 15.0
"""Catching up takes no longer than this, or than until its first slot is so late."""


class CatchUp:
    """The missed iterations of one group. Used once, by its actor.

    Slots that pass meanwhile are missed ones, too: passes follow one another until the next slot is not too late.
    The first pass may wait for the log to be read, longer than an interval of a second.
    """

    def __init__(self, group: GroupSpec, offset_ms: int, seams: RuleSeams) -> None:
        self._group = group
        self._offset_ms = offset_ms
        self._seams = seams
        self._late_ms = int(group.interval_ms * LATE_SHARE)
        self.next_ms = self._first_slot_ms()
        """The slot to go on with, which is not missed."""
        self.iterations = 0
        """Iterations that were caught up with."""
        self._skipped = 0
        self._slot_ms: int | None = None

    def _first_slot_ms(self) -> int:
        return first_slot_ms(self._seams.clock.now_ms(), self._offset_ms, self._group.interval_ms)

    async def run(self) -> None:
        """Evaluates and stores, when there is a place; what cannot be is told."""
        seams = self._seams
        late_s = (self.next_ms - seams.clock.now_ms() + self._late_ms) / 1000
        until_s = trio.current_time() + max(late_s, PATIENCE_S)
        problem = ""
        seams.catch_ups.groups += 1
        try:
            with trio.move_on_at(until_s) as patience:
                async with seams.catch_ups.places:
                    problem = await self._catch_up(until_s)
            if patience.cancelled_caught:
                problem = "there was not enough time before the first iteration"
            if self._is_late():
                self.next_ms = self._first_slot_ms()
        finally:
            seams.catch_ups.groups -= 1
            self._tell(problem)

    def _is_late(self) -> bool:
        return self._seams.clock.now_ms() > self.next_ms + self._late_ms

    async def _catch_up(self, until_s: float) -> str:
        """Passes until the next slot is the first that is missing; what went wrong, or nothing."""
        seams, problem = self._seams, ""
        while True:
            try:
                done = await self._evaluate(until_s - trio.current_time())
                for batch in done.batches:
                    (answer,) = await seams.writer.append(batch)
                    problem = problem or answer.error
            except (UserError, QueryError, OperatingError, MailboxFull, ActorGone, AskTimeout) as error:
                return str(error) or type(error).__name__
            self.iterations += done.iterations
            self._skipped += done.skipped
            self._slot_ms = done.slot_ms
            if done.slot_ms is None:
                return problem
            if done.slot_ms + self._group.interval_ms >= self.next_ms:
                if not self._is_late():
                    return problem
                self.next_ms = self._first_slot_ms()

    async def _evaluate(self, patience_s: float) -> CaughtUp:
        seams, group = self._seams, self._group
        options = seams.options().with_(timeout_s=patience_s)
        most_ms, next_ms, slot_ms = seams.catch_ups.most_ms, self.next_ms, self._slot_ms

        def work(snapshot: Snapshot, budget: Budget) -> CaughtUp:
            return catch_up(snapshot, group, self._offset_ms, most_ms, next_ms, options, budget, slot_ms)

        return await seams.queries.run(f"catch up {group.name}", options, work)

    def _tell(self, problem: str) -> None:
        """Adds to the summary, which the last group that catches up tells."""
        all_, log = self._seams.catch_ups, self._seams.log
        all_.caught_up += self.iterations > 0
        all_.iterations += self.iterations
        all_.skipped += self._skipped
        if problem:
            all_.failed += 1
            all_.problem = all_.problem or f"{self._group.name}: {problem}"
            if self._slot_ms is not None:
                all_.left += max(0, (self.next_ms - self._slot_ms) // self._group.interval_ms - 1)
            else:
                all_.unknown += 1
        if all_.groups:
            return
        if all_.caught_up:
            log.info(
                "missed iterations of rules were caught up with",
                groups=all_.caught_up,
                iterations=all_.iterations,
                skipped=all_.skipped,
            )
        if all_.failed:
            log.warning(
                "missed iterations of rules could not all be caught up with",
                groups=all_.failed,
                iterations_left_out=all_.left,
                groups_unknown=all_.unknown,
                err=all_.problem,
            )
        all_.caught_up = all_.iterations = all_.skipped = all_.failed = all_.left = all_.unknown = 0
        all_.problem = ""
