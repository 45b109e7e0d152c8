"""Bodies on their way: answers of targets that are read, requests that are decoded, answers to clients that are sent."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import field
from typing import Final

import trio

from trimon.records import dataclass

# Smaller ones are not worth the counting.
SMALL_BYTES: Final = 2**20
# So many first bodies are between being read and being stored: every series of one is some objects until it has a column. They
# are made more quickly than stored, and the interpreter keeps what they took at the most for ever.
FIRST_AT_ONCE: Final = 6


@dataclass(slots=True, eq=False)
class _Waiting:
    size_bytes: int
    admitted: trio.Event = field(default_factory=trio.Event)


class BodyMemory:
    """The memory of big bodies. Only on the loop's thread."""

    def __init__(self, share_bytes: int) -> None:
        self.share_bytes = share_bytes
        self.taken_bytes = 0
        self.given_bytes = 0
        """All that was ever given back."""
        self.refused = 0
        self.first = trio.Semaphore(FIRST_AT_ONCE)
        """Turns of targets of which nothing is remembered."""
        self._line: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._line)

    @asynccontextmanager
    async def turn(self, size_bytes: int) -> AsyncIterator[None]:
        """Holds so many bytes; waits, in order, while others hold the share. One alone may hold more than the share."""
        if size_bytes < SMALL_BYTES:
            yield
            return
        if self._line or not self._fits(size_bytes):
            await self._wait(size_bytes)
        else:
            self.taken_bytes += size_bytes
        try:
            yield
        finally:
            self._give(size_bytes)

    async def _wait(self, size_bytes: int) -> None:
        waiting = _Waiting(size_bytes)
        self._line.append(waiting)
        try:
            await waiting.admitted.wait()
        except BaseException:
            if waiting.admitted.is_set():
                self._give(size_bytes)
            else:
                self._line.remove(waiting)
                self._admit()
            raise

    def take(self, size_bytes: int) -> None:
        """Counts what is there already, whether there is room for it or not."""
        self.taken_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken."""
        if size_bytes:
            self._give(size_bytes)

    @contextmanager
    def counted(self, size_bytes: int) -> Iterator[None]:
        """The same for a while; for work of which little runs at once."""
        self.take(size_bytes)
        try:
            yield
        finally:
            self._give(size_bytes)

    def hold_while_alive(self, owner: object, size_bytes: int) -> None:
        """Counts what an object holds until it is gone: an answer that is there already and on its way to a client."""
        if size_bytes >= SMALL_BYTES:
            self.taken_bytes += size_bytes
            weakref.finalize(owner, self._give, size_bytes).atexit = False

    def _fits(self, size_bytes: int) -> bool:
        return not self.taken_bytes or self.taken_bytes + size_bytes <= self.share_bytes

    def _give(self, size_bytes: int) -> None:
        self.taken_bytes -= size_bytes
        self.given_bytes += size_bytes
        self._admit()

    def _admit(self) -> None:
        while self._line and self._fits(self._line[0].size_bytes):
            first = self._line.popleft()
            self.taken_bytes += first.size_bytes
            first.admitted.set()
