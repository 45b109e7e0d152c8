"""After a start: the missed iterations of one rule group, evaluated and stored before its first one."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import trio

from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.actors.ruleseams import RuleSeams
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
        """Evaluates and stores; what cannot be is told and left out. Ends before the first slot is too late."""
        seams = self._seams
        late_s = self._group.interval_ms * LATE_SHARE / 1000
        patience_s = (self._until_ms - seams.clock.now_ms()) / 1000 + late_s
        done, problem = CaughtUp(), ""
        with trio.move_on_after(patience_s) as patience:
            try:
                done = await self._evaluate(patience_s)
                for batch in done.batches:
                    (answer,) = await seams.writer.append(batch)
                    problem = problem or answer.error
            except (UserError, QueryError, OperatingError, MailboxFull, ActorGone, AskTimeout) as error:
                problem = str(error) or type(error).__name__
        if patience.cancelled_caught:
            problem = f"it took longer than {patience_s:.1f} s"
        self._tell(done, problem)
        return done

    async def _evaluate(self, patience_s: float) -> CaughtUp:
        seams, group = self._seams, self._group
        options = seams.options()
        options = replace(options, timeout_s=min(options.timeout_s, patience_s))

        def work(snapshot: Snapshot, budget: Budget) -> CaughtUp:
            return catch_up(
                snapshot, group, self._offset_ms, seams.catch_up_ms, self._until_ms, options, budget
            )

        return await seams.queries.run(f"catch up {group.name}", options, work)

    def _tell(self, done: CaughtUp, problem: str) -> None:
        fields = {"file": self._group.file, "group": self._group.name}
        if done.iterations:
            self._seams.log.info(
                "missed iterations were caught up with",
                **fields,
                iterations=done.iterations,
                skipped=done.skipped,
                failures=done.failures,
            )
        if problem:
            self._seams.log.warning(
                "missed iterations could not all be caught up with", **fields, err=problem
            )
