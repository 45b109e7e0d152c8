"""Running queries: how many at once, who waits, who is refused, and who has gone away."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import trio

from trimon.actors.activefile import ActiveFile
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.querylog import QueryLog, QueryRecord
from trimon.clock import Clock
from trimon.model.snapshot import Snapshot
from trimon.offload import Offload
from trimon.query.budget import QUEUE, Budget
from trimon.query.options import QueryOptions

T = TypeVar("T")

# Queries that may wait for a place; more are refused at once: they would time out anyway.
WAITING_MAX: Final = 256
RETRY_AFTER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class ActiveQuery:
    """A query at work or waiting."""

    text: str
    started_ms: int
    budget: Budget


class Queries:
    """The gate through which every query goes. Only on the loop's thread; queries themselves run in workers.

    A caller that is cancelled (its client went away) cancels its query, which stops at its next check.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        offload: Offload,
        clock: Clock,
        *,
        concurrency_max: int,
        waiting_max: int = WAITING_MAX,
        journal: ActiveFile | None = None,
        query_log: QueryLog | None = None,
    ) -> None:
        self.concurrency_max = concurrency_max
        self.active: dict[int, ActiveQuery] = {}
        self.served = 0
        self.refused = 0
        self._snapshot = snapshot
        self._offload = offload
        self._clock = clock
        self._gate = trio.CapacityLimiter(concurrency_max)
        self._waiting_max = waiting_max
        self._journal = journal
        self._query_log = query_log
        self._numbers = itertools.count()
        self._waiting = 0

    async def run(
        self,
        text: str,
        options: QueryOptions,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None = None,
    ) -> T:
        """`work(snapshot, budget)` in a worker thread; with a `record` the query log hears of it.

        Raises MailboxFull when too many wait already, QueryError when time is up before there is a place,
        NotReady, and whatever `work` raises.
        """
        if self._waiting >= self._waiting_max:
            self.refused += 1
            raise MailboxFull("queries", self._waiting_max, self._waiting_max, RETRY_AFTER_S)
        budget = Budget(options)
        number = next(self._numbers)
        self.active[number] = ActiveQuery(text, self._clock.now_ms(), budget)
        try:
            await self._place(number, budget)
            try:
                return await self._run(text, work, budget, record)
            finally:
                self._gate.release_on_behalf_of(number)
        finally:
            self.served += 1
            del self.active[number]

    def run_now(
        self,
        options: QueryOptions,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None = None,
    ) -> T:
        """`work(snapshot, budget)` at once, on the loop: only for what is known to take well under a millisecond.

        It waits for no place and takes none. Raises NotReady and whatever `work` raises.
        """
        snapshot, budget = self._snapshot(), Budget(options)
        try:
            result = work(snapshot, budget)
        except Exception as error:
            self._note(record, str(error))
            raise
        finally:
            self.served += 1
        self._note(record)
        return result

    async def _place(self, number: int, budget: Budget) -> None:
        """Waits for a place, at most as long as the query may take."""
        try:
            self._gate.acquire_on_behalf_of_nowait(number)
        except trio.WouldBlock:
            self._waiting += 1
            try:
                with trio.move_on_after(budget.timeout_s) as queue:
                    await self._gate.acquire_on_behalf_of(number)
            finally:
                self._waiting -= 1
            if queue.cancelled_caught:
                budget.check(QUEUE)

    async def _run(
        self,
        text: str,
        work: Callable[[Snapshot, Budget], T],
        budget: Budget,
        record: QueryRecord | None,
    ) -> T:
        journal = self._journal
        slot = journal.begin(text, self._clock.now_ms() // 1000) if journal is not None else -1
        try:
            todo = partial(work, self._snapshot(), budget)
            try:
                result = await self._offload.run(todo, budget.cancel)
            except Exception as error:
                self._note(record, str(error))
                raise
        finally:
            if journal is not None:
                journal.end(slot)
        self._note(record)
        return result

    def _note(self, record: QueryRecord | None, error: str = "") -> None:
        if record is not None and self._query_log is not None:
            self._query_log.add(record, error)

    def inspect(self) -> Mapping[str, object]:
        """How many run and wait, and what they are."""
        statistics = self._gate.statistics()
        now_ms = self._clock.now_ms()
        return {
            "running": statistics.borrowed_tokens,
            "running_max": self.concurrency_max,
            "waiting": self._waiting,
            "waiting_max": self._waiting_max,
            "served": self.served,
            "refused": self.refused,
            "active": [
                {
                    "query": query.text,
                    "age_s": (now_ms - query.started_ms) / 1000,
                    "samples": query.budget.read,
                }
                for query in list(self.active.values())[:50]
            ],
        }
