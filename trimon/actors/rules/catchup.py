"""After a start: the missed iterations of one rule group, evaluated and stored before its first one."""

from __future__ import annotations

from typing import Final

import trio

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.rules.seams import RuleSeams
from trimon.errors import OperatingError, UserError
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.rules.catchup import CaughtUp, catch_up
from trimon.rules.spec import GroupSpec

# The first iteration may begin late by this share of an interval, and catching up takes no longer.
LATE_SHARE: Final = 0.5


class CatchUp:
    """The missed iterations of one group. Used once, by its actor."""

    def __init__(self, group: GroupSpec, offset_ms: int, until_ms: int, seams: RuleSeams) -> None:
        """`until_ms` is the first slot that is not missed."""
        self._group = group
        self._offset_ms = offset_ms
        self._until_ms = until_ms
        self._seams = seams

    async def run(self) -> CaughtUp:
        """Evaluates and stores, when there is a place; what cannot be is told. Ends before the first slot is too late."""
        seams = self._seams
        late_s = self._group.interval_ms * LATE_SHARE / 1000
        until_s = trio.current_time() + (self._until_ms - seams.clock.now_ms()) / 1000 + late_s
        done, problem = CaughtUp(), ""
        seams.catch_ups.groups += 1
        try:
            with trio.move_on_at(until_s) as patience:
                async with seams.catch_ups.places:
                    done, problem = await self._catch_up(until_s)
            if patience.cancelled_caught:
                problem = "there was not enough time before the first iteration"
        finally:
            seams.catch_ups.groups -= 1
            self._tell(done, problem)
        return done

    async def _catch_up(self, until_s: float) -> tuple[CaughtUp, str]:
        seams, problem = self._seams, ""
        try:
            done = await self._evaluate(until_s - trio.current_time())
            for batch in done.batches:
                (answer,) = await seams.writer.append(batch)
                problem = problem or answer.error
        except (UserError, QueryError, OperatingError, MailboxFull, ActorGone, AskTimeout) as error:
            return CaughtUp(), str(error) or type(error).__name__
        return done, problem

    async def _evaluate(self, patience_s: float) -> CaughtUp:
        seams, group = self._seams, self._group
        options = seams.options().with_(timeout_s=patience_s)
        most_ms = seams.catch_ups.most_ms

        def work(snapshot: Snapshot, budget: Budget) -> CaughtUp:
            return catch_up(snapshot, group, self._offset_ms, most_ms, self._until_ms, options, budget)

        return await seams.queries.run(f"catch up {group.name}", options, work)

    def _tell(self, done: CaughtUp, problem: str) -> None:
        """Adds to the summary, which the last group that catches up tells."""
        all_, log = self._seams.catch_ups, self._seams.log
        all_.caught_up += done.iterations > 0
        all_.iterations += done.iterations
        all_.skipped += done.skipped
        if problem:
            all_.failed += 1
            all_.problem = all_.problem or f"{self._group.name}: {problem}"
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
                err=all_.problem,
            )
        all_.caught_up = all_.iterations = all_.skipped = all_.failed = 0
        all_.problem = ""
