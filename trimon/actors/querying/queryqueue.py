"""The queue before the engine: how many queries compute, how many wait, and how many of them are heavy."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import trio

from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.querying.places import KEPT_FROM, Asker, Places
from trimon.actors.querying.query import ActiveQuery, Phase
from trimon.query.execution.budget import QUEUE

# Queries that may wait for a place; more are refused at once: they would time out anyway. One client has at most a share,
# which is more than it has connections, unless --web.max-connections is raised.
WAITING_MAX: Final = 1024
WAITING_SHARE: Final = 0.75
RETRY_AFTER_S: Final = 2.0
# A query that took more of a core than this is heavy. More heavy ones at once than there are cores fight for the
# interpreter and for the caches, and all of them end later.
HEAVY_S: Final = 0.005
HEAVY_MAX: Final = min(max(2, os.cpu_count() or 1), 8)
# After so long a heavy one starts all the same: those before it may take minutes.
PATIENCE_S: Final = 0.25


class QueryQueue:
    """Places for so many queries, and who waits for one. Only on the loop's thread.

    Places are given to clients in turn. A heavy query takes a turn first and then a place: it waits until few other heavy
    ones compute, but not for ever. `check_room` comes before anything that waits.
    """

    def __init__(self, concurrency_max: int, waiting_max: int = WAITING_MAX) -> None:
        self.places = Places(concurrency_max, keeps_one=concurrency_max >= KEPT_FROM)
        self.heavy = Places(HEAVY_MAX)
        self.waiting = 0
        self._waiting_max = waiting_max
        self._waiting_of: Counter[str] = Counter()

    def check_room(self, asker: Asker) -> None:
        """Raises MailboxFull when too many wait, or too many of one client."""
        if self.waiting >= self._waiting_max:
            raise MailboxFull("queries", self.waiting, self._waiting_max, RETRY_AFTER_S)
        waiting, most = self._waiting_of[asker.key], max(1, int(self._waiting_max * WAITING_SHARE))
        if asker.key and waiting >= most:
            raise MailboxFull(f"queries of {asker.key}", waiting, most, RETRY_AFTER_S)

    @contextmanager
    def _waits(self, query: ActiveQuery, phase: Phase) -> Iterator[None]:
        """Counts a query as one that waits."""
        key = query.asker.key
        query.phase = phase
        self.waiting += 1
        self._waiting_of[key] += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self._waiting_of[key] -= 1
            if not self._waiting_of[key]:
                del self._waiting_of[key]

    async def take_turn(self, query: ActiveQuery) -> bool:
        """Waits until fewer heavy queries compute, but not for ever; whether it is one of them."""
        if self.heavy.try_enter(query.asker.key):
            return True
        with (
            self._waits(query, Phase.WAITS_FOR_TURN),
            trio.move_on_after(min(PATIENCE_S, query.budget.timeout_s)) as patience,
        ):
            await self.heavy.enter(query.asker.key)
        return not patience.cancelled_caught

    def end_turn(self, query: ActiveQuery) -> None:
        """Lets the next heavy query compute."""
        self.heavy.leave(query.asker.key)

    async def enter(self, query: ActiveQuery) -> None:
        """Waits for a place. Raises QueryError when the query's time is up before."""
        if self.places.try_enter(query.asker.key):
            return
        budget = query.budget
        with (
            self._waits(query, Phase.WAITS_FOR_PLACE),
            trio.move_on_at(trio.current_time() + budget.timeout_s - budget.elapsed_s) as queue,
        ):
            await self.places.enter(query.asker.key)
        if queue.cancelled_caught:
            budget.check(QUEUE)

    def leave(self, query: ActiveQuery) -> None:
        """Gives a query's place to the next one."""
        self.places.leave(query.asker.key)

    def inspect(self) -> Mapping[str, object]:
        """How many have places, wait, and are heavy."""
        return {
            "running": self.places.taken,
            "running_max": self.places.places_max,
            "waiting": self.waiting,
            "waiting_max": self._waiting_max,
            "heavy": self.heavy.taken,
            "heavy_max": HEAVY_MAX,
        }
