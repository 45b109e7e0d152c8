"""Running queries: how many at once, who waits, who is refused, and who has gone away."""

from __future__ import annotations

import itertools
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from itertools import islice
from typing import Final, TypeVar

import trio

from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.querying.activequeries import ActiveFile
from trimon.actors.querying.costs import QueryCosts
from trimon.actors.querying.pastcosts import PastCosts, question_of
from trimon.actors.querying.pastqueries import PastQueries
from trimon.actors.querying.places import NOBODY, Asker
from trimon.actors.querying.query import ActiveQuery, Phase
from trimon.actors.querying.querylog import QueryLog, QueryRecord
from trimon.actors.querying.queryqueue import HEAVY_MAX, HEAVY_S, WAITING_MAX, QueryQueue
from trimon.actors.querying.quickruns import QuickRuns
from trimon.actors.querying.waitingroom import WaitingRoom
from trimon.actors.remoteread.reader import RemoteReader
from trimon.actors.remoteread.reading import fetch_missing
from trimon.clock import Clock
from trimon.errors import TrimonError
from trimon.memory.queries import FREE_BYTES, MemoryShort, QueryMemory, Reservation
from trimon.model.snapshot import NotFetched, Snapshot
from trimon.offload import Offload
from trimon.query.execution.budget import QUEUE, Budget
from trimon.query.execution.turnstile import Turns, Turnstile
from trimon.query.language.errors import MemoryExceeded, MemoryFull, QueryError
from trimon.query.language.options import QueryOptions
from trimon.tracing.tracer import TRACER

T = TypeVar("T")

NO_MEMORY: Final = (
    "query needs more memory than the system gives to this process now; where that is less than it should be, "
    "--storage.memory-max says how much there is"
)
# Of those at work.
LISTED_MAX: Final = 50


class Queries:
    """The gate through which every query goes. Only on the loop's thread; queries themselves run in workers.

    A query that was heavy the last time waits, for a quarter of a second at most, until few others compute; with
    `takes_turns` those that take long also take turns while they compute. Places are given to clients in turn.
    A caller that is cancelled (its client went away) cancels its query, which stops at its next check.
    With `memory` all queries together hold no more than their share. Of those that find it taken, clients' wait in the
    `room`, without a place or a thread, and begin anew; where there is no room, as for rules, they fail.
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
        costs: QueryCosts | None = None,
        memory: QueryMemory | None = None,
        room: WaitingRoom | None = None,
        takes_turns: bool = False,
        remote: RemoteReader | None = None,
        held_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`held_s` says for how long the tasks of this pass of the loop have been running."""
        self.concurrency_max = concurrency_max
        self.active: dict[int, ActiveQuery] = {}
        self.served = 0
        self.past = PastQueries(clock)
        self.refused = 0
        self._snapshot = snapshot
        self._offload = offload
        self._clock = clock
        self._queue = QueryQueue(concurrency_max, waiting_max)
        self._journal = journal
        self._query_log = query_log
        self._costs = costs
        self._memory = memory
        self._room = room
        self._remote = remote
        self._numbers = itertools.count()
        # Rules take no turns: there are few at once, and nothing is to hold them up.
        self._turnstile = Turnstile(HEAVY_MAX) if takes_turns else None
        self._took = PastCosts()
        self._quick = QuickRuns(snapshot, clock, self._took, held_s, self._reads_elsewhere)

    async def run(
        self,
        text: str,
        options: QueryOptions,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None = None,
        asker: Asker = NOBODY,
        hops: int = 0,
    ) -> T:
        """`work(snapshot, budget)` in a worker thread; with a `record` the query log hears of it.

        Where memory is short, or samples are to be fetched from others, the work may be begun several times. `hops` says how
        many servers stand before this one: with LOCAL_ONLY nobody else is asked. Raises MailboxFull when too many wait already,
        QueryError when time is up before there is a place or memory or it is cancelled, NotReady, and whatever `work` raises.
        """
        try:
            self._queue.check_room(asker)
        except MailboxFull:
            self.refused += 1
            raise
        if self._room is not None:
            self._room.check_open()
        reservation = self._reservation()
        budget = Budget(options, reservation)
        number = next(self._numbers)
        query = ActiveQuery(number, text, self._clock.now_ms(), budget, asker, trio.CancelScope())
        if self._remote is not None and self._reads_elsewhere():
            query.reading = self._remote.begin(self._offload, hops)
        self.active[number] = query
        key = question_of(text, record, query.started_ms)
        try:
            with TRACER.span("promqlExec", {"query": text}), query.scope:
                return await self._run_until_done(query, key, work, record)
            budget.check(QUEUE)  # cancelled while it waited
            raise AssertionError("a query that was cancelled goes on")
        except MemoryFull as error:
            self.refused += 1
            self._note(record, budget, str(error))
            self._tell(error)
            raise
        except MemoryExceeded as error:
            self._tell(error)
            raise
        finally:
            self.served += 1
            del self.active[number]
            if reservation is not None:
                reservation.release()

    def cancel(self, number: int) -> bool:
        """Ends a query with an error; False when there is none of this number, or it has ended."""
        query = self.active.get(number)
        if query is None or query.canceled:
            return False
        query.cancel()
        return True

    def _reads_elsewhere(self) -> bool:
        """Whether samples may have to be fetched from others."""
        return self._remote is not None and bool(self._remote.endpoints)

    async def _run_until_done(
        self,
        query: ActiveQuery,
        key: Hashable,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None,
    ) -> T:
        """Computes, and begins anew whenever others had the memory."""
        budget, reservation = query.budget, query.budget.reservation
        needed_bytes = query.expected_bytes = self._took.of(key).reserved_bytes
        if reservation is not None and needed_bytes and not reservation.raise_to(needed_bytes):
            await self._wait_for_memory(query, needed_bytes)
        while True:
            budget.begin_again()
            try:
                try:
                    if query.reading is not None:
                        query.reading.hold(budget)
                    return await self._compute(query, key, work, record)
                except NotFetched as missing:
                    query.phase = Phase.READS_REMOTE
                    await fetch_missing(missing, budget)
                    continue
            except MemoryShort as short:
                needed_bytes = query.expected_bytes = short.needed_bytes
            await self._wait_for_memory(query, needed_bytes)

    def _tell(self, error: QueryError) -> None:
        if self._room is not None:
            self._room.refuse(str(error))

    def _reservation(self) -> Reservation | None:
        return None if self._memory is None else Reservation(self._memory, for_rules=self._room is None)

    async def _wait_for_memory(self, query: ActiveQuery, needed_bytes: int) -> None:
        """Gives up what is reserved and waits for all that is needed. Raises MemoryFull."""
        budget = query.budget
        assert budget.reservation is not None
        budget.reservation.release()
        if self._room is None:
            raise MemoryFull(
                f"query needs {needed_bytes} bytes of memory, and other queries hold "
                f"{budget.reservation.pool.taken_bytes} of {budget.reservation.most_bytes}"
            )
        query.phase = Phase.WAITS_FOR_MEMORY
        patience_s = budget.timeout_s - budget.elapsed_s
        await self._room.wait(budget.reservation, needed_bytes, patience_s, query.asker.key)

    async def _compute(
        self,
        query: ActiveQuery,
        key: Hashable,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None,
    ) -> T:
        turn = self._took.of(key).core_s > HEAVY_S and await self._queue.take_turn(query)
        try:
            await self._queue.enter(query)
            try:
                return await self._run(key, query, work, record)
            finally:
                self._queue.leave(query)
        finally:
            if turn:
                self._queue.end_turn(query)

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
        about = {"query": record.text} if record is not None else {}
        try:
            with TRACER.span("promqlExec", about):
                result = work(snapshot, budget)
        except MemoryError:
            self._note(record, budget, NO_MEMORY)
            full = MemoryFull(NO_MEMORY)
            self._tell(full)
            raise full from None
        except Exception as error:
            self._note(record, budget, str(error))
            raise
        finally:
            self.served += 1
        self._note(record, budget)
        return result

    def repeat(
        self, options: QueryOptions, again: Callable[[Snapshot], T | None], record: QueryRecord
    ) -> T | None:
        """What `again(snapshot)` knows of an earlier run, counted as a query; None where it has to be computed.

        Raises NotReady.
        """
        if self._reads_elsewhere():
            return None
        found = again(self._snapshot())
        if found is not None:
            with TRACER.span("promqlExec", {"query": record.text}):
                self.served += 1
                self._note(record, Budget(options))
        return found

    def run_quick(
        self,
        text: str,
        options: QueryOptions,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None = None,
    ) -> T | None:
        """`work(snapshot, budget)` at once, on the loop, where it was quick the last times; None where it has to be `run`.

        Raises NotReady and ParseError; whatever else goes wrong goes wrong in `run`, too, and is told there.
        """
        found = self._quick.run(text, options, work, record)
        if found is None:
            return None
        result, budget = found
        self.served += 1
        self._note(record, budget)
        return result

    async def _run(
        self,
        key: Hashable,
        query: ActiveQuery,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None,
    ) -> T:
        text, budget = query.text, query.budget
        query.phase = Phase.COMPUTES
        budget.queue_s = budget.queue_s or budget.elapsed_s
        journal, snapshot = self._journal, self._snapshot()
        if query.reading is not None:
            snapshot = query.reading.over(snapshot)
        took_s: list[float] = []

        turns = budget.turns = Turns(self._turnstile) if self._turnstile is not None else None

        def timed() -> T:
            began_s = time.thread_time()
            if turns is not None:
                turns.begin()
            try:
                return work(snapshot, budget)
            finally:
                if turns is not None:
                    turns.end()
                took_s.append(time.thread_time() - began_s)

        slot = journal.begin(text, self._clock.now_ms() // 1000) if journal is not None else -1
        try:
            with TRACER.span("promqlEval"):
                result = await self._offload.run(timed, budget.cancel)
        except (MemoryShort, NotFetched, TrimonError, MemoryError) as error:
            _let_go(error)
            if isinstance(error, MemoryError):
                raise MemoryFull(NO_MEMORY) from None
            if not isinstance(error, MemoryShort | NotFetched):
                self._note(record, budget, str(error))
            raise
        except Exception as error:
            self._note(record, budget, str(error))
            raise
        finally:
            if journal is not None:
                journal.end(slot)
            if took_s:
                reserved_bytes = budget.reservation.size_bytes if budget.reservation is not None else 0
                self._took.note(key, took_s[0], reserved_bytes if reserved_bytes > FREE_BYTES else 0)
        self._note(record, budget)
        return result

    def _note(self, record: QueryRecord | None, budget: Budget, error: str = "") -> None:
        if record is not None:
            self.past.add(record, budget, error)
        if record is not None and record.stats is not None and self._costs is not None:
            self._costs.add(record.stats)
        if record is not None and self._query_log is not None:
            self._query_log.add(record, error)

    def inspect(self) -> Mapping[str, object]:
        """How many run and wait, and what they are."""
        return {
            **self._queue.inspect(),
            "turns_taken": self._turnstile.taken if self._turnstile is not None else 0,
            "turns_waiting": self._turnstile.waiting if self._turnstile is not None else 0,
            "served": self.served,
            "refused": self.refused,
            **(self._room.inspect() if self._room is not None else {}),
            "active": self.listed(LISTED_MAX),
        }

    def listed(self, most: int) -> list[dict[str, object]]:
        """The oldest queries at work or waiting, as plain data."""
        now_ms = self._clock.now_ms()
        return [query.describe(now_ms) for query in islice(self.active.values(), most)]


def _let_go(error: BaseException) -> None:
    """Empties the frames behind an error and behind those it came of: they hold all that the query had made."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__context__
