"""Places for queries that wait: each holds a connection all the time, and other parts of the server need some, too.

All runs share the places. While there are no more watchers than places each of them waits as long as Consul lets it; above
that they take turns, with waits so short that each has its turn within the interval of its configuration.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

from trimon.discovery.asking.api import Api
from trimon.discovery.mechanisms.registries.consulquery import ANSWER_S, WAIT_S
from trimon.discovery.plugin import Context
from trimon.fetch.budget import OUTGOING, ConnectionBudget
from trimon.fetch.request import Fetch

CONNECTIONS_MAX: Final = 256
PROMPT_MAX: Final = 32
# Of all connections that may go out.
SHARE: Final = 4
WAIT_S_MIN: Final = 0.01


class PollPlaces:
    """How many queries may wait at once, and how many watchers there are for them."""

    def __init__(self, budget: ConnectionBudget, most: int = CONNECTIONS_MAX) -> None:
        self._budget = budget
        self._most = most
        self.limiter = trio.CapacityLimiter(most)
        self.prompt = trio.CapacityLimiter(PROMPT_MAX)
        self.watchers = 0

    def fit(self) -> None:
        """Follow the number of connections that may go out, which is known once the server runs."""
        places = max(1, min(self._most, self._budget.most // SHARE))
        if places != self.limiter.total_tokens:
            self.limiter.total_tokens = places

    def wait_s(self, interval_s: float) -> float:
        """How long a query may wait now."""
        turns = self.watchers / self.limiter.total_tokens
        return WAIT_S if turns <= 1 else min(WAIT_S, max(WAIT_S_MIN, interval_s / turns))


# Connections belong to the process, so there is one for all runs.
PLACES: Final = PollPlaces(OUTGOING)


class Polls:
    """The clients of one run, each for one query at a time."""

    def __init__(self, context: Context, places: PollPlaces = PLACES) -> None:
        self._context = context
        self._places = places
        self._idle: list[Fetch] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count as a watcher meanwhile."""
        self._places.watchers += 1
        try:
            yield
        finally:
            self._places.watchers -= 1

    @asynccontextmanager
    async def one(self, interval_s: float, *, waits: bool) -> AsyncIterator[tuple[Api, float]]:
        """A client of one's own, and how long its query may wait; waits itself while all places are taken.

        A query that is answered at once, as it has no index, has a place among others of its kind.
        """
        places = self._places
        places.fit()
        async with places.limiter if waits else places.prompt:
            wait_s = places.wait_s(interval_s)
            fetch = self._idle.pop() if self._idle else self._context.further_fetch()
            try:
                yield Api(self._context, wait_s + ANSWER_S, fetch), wait_s
            finally:
                self._idle.append(fetch)

    async def aclose(self) -> None:
        """Close all clients."""
        idle, self._idle = self._idle, []
        with trio.CancelScope(shield=True):
            for fetch in idle:
                if fetch is not self._context.fetch:
                    await fetch.aclose()
