"""How many connections go out at once: each takes a file descriptor, and the process needs some for other things.

Connections that rest between two requests give way: when all are taken the one that rests longest is closed for a new one, so a
server with fewer descriptors than targets still asks all of them, over connections that are opened anew. When all are in
use a request waits a moment for one, and then fails.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakSet

import trio

from trimon.fetch.connection import ClientConnection
from trimon.fetch.request import FetchError

# A scrape takes some milliseconds: who got no connection within this would get none in time.
WAIT_S: Final = 1.0


class NoDescriptor(FetchError):
    """Every connection that may go out is in use."""


class ConnectionBudget:
    """At most so many connections; without a bound until `configure` sets one. Only on the loop's thread."""

    def __init__(self, most: int = sys.maxsize, told: Callable[[], object] = lambda: None) -> None:
        self.most = most
        self.refused = 0
        """Requests that got no connection."""
        self.closed = 0
        """Connections that rested and were closed for others."""
        self._told = told
        # one that was lost without being closed has closed itself
        self._open: WeakSet[ClientConnection] = WeakSet()
        self._resting: dict[ClientConnection, None] = {}
        self._others = 0
        self._waiting = trio.lowlevel.ParkingLot()

    def configure(self, most: int, told: Callable[[], object]) -> None:
        """The bound; `told` is called when a request gets no connection because of it."""
        self.most, self._told = most, told

    def __len__(self) -> int:
        return len(self._open) + self._others

    async def opened(self, open_: Callable[[], Awaitable[ClientConnection]]) -> ClientConnection:
        """A new connection, as `open_` makes it. Raises NoDescriptor, and what `open_` raises."""
        async with self.place():
            connection = await open_()
            self._open.add(connection)
        connection.on_close = self._closed
        return connection

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for a connection that somebody else opens and closes inside. Raises NoDescriptor."""
        if len(self) >= self.most:
            await self._wait()
        self._others += 1
        try:
            yield
        finally:
            self._others -= 1
            self._waiting.unpark()

    def rest(self, connection: ClientConnection) -> None:
        """The connection has no request now, and may be closed for others."""
        self._resting[connection] = None
        if self._waiting:
            self._waiting.unpark()

    def wake(self, connection: ClientConnection) -> bool:
        """Whether a connection that rested is still open; it is in use then."""
        self._resting.pop(connection, None)
        return connection in self._open

    async def _wait(self) -> None:
        until_s = trio.current_time() + WAIT_S
        while len(self) >= self.most:
            if self._resting:
                oldest = next(iter(self._resting))
                self.closed += 1
                oldest.close_now()
                continue
            with trio.move_on_at(until_s) as waited:
                await self._waiting.park()
            if waited.cancelled_caught:
                self.refused += 1
                self._told()
                raise NoDescriptor(f"too many open files: all {self.most} outgoing connections are in use")

    def _closed(self, connection: ClientConnection) -> None:
        self._open.discard(connection)
        self._resting.pop(connection, None)
        self._waiting.unpark()


# Descriptors belong to the process, so there is one for all of its clients.
OUTGOING: Final = ConnectionBudget()
