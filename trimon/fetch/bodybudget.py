"""One budget for the bodies of many answers in flight: each may be long, not all of them at once."""

from __future__ import annotations

import threading
from typing import Final

import trio

# Shorter bodies are not counted: they are read at once, and their number is bounded by that of connections.
UNCOUNTED_BYTES: Final = 256 * 1024
# Who waits for room looks again so often; room is made in threads, too.
LOOK_S: Final = 0.05


class BodyBudget:
    """Bytes that all bodies under it may have together, one of them at most `one_max`.

    Everybody takes what there is beyond the longest body there may be; that rest is for one at a time, who can always
    come to an end with it. The others wait, their connections unread, and their own timeouts go on. From any thread,
    but for waiting.
    """

    def __init__(self, bytes_max: int, one_max: int) -> None:
        if bytes_max < 2 * one_max:
            raise ValueError(f"a budget of {bytes_max} bytes is less than two bodies of {one_max}")
        self._shared_max = bytes_max - one_max
        # The collector may let go of a lease while one is taken.
        self._lock = threading.RLock()
        self._shared_bytes = self._last_bytes = 0
        self._has_last = False
        self.waiting = 0
        """Bodies that wait for room now."""

    @property
    def held_bytes(self) -> int:
        """What all bodies have now."""
        with self._lock:
            return self._shared_bytes + self._last_bytes

    def lease(self) -> BodyLease:
        """The place of one body, which has nothing yet."""
        return BodyLease(self)

    def take(self, lease: BodyLease, size_bytes: int) -> bool:
        """Whether a body may have so much now, in all; then it has."""
        with self._lock:
            more = size_bytes - lease.size_bytes
            if lease.is_last:
                self._last_bytes = size_bytes
            elif self._shared_bytes + more <= self._shared_max:
                self._shared_bytes += more
            elif not self._has_last:
                self._shared_bytes -= lease.size_bytes
                self._has_last, self._last_bytes, lease.is_last = True, size_bytes, True
            else:
                return False
            lease.size_bytes = size_bytes
            return True

    def give_back(self, lease: BodyLease) -> None:
        """A body is let go of; a second time is none."""
        with self._lock:
            if lease.is_last:
                self._has_last, self._last_bytes, lease.is_last = False, 0, False
            else:
                self._shared_bytes -= lease.size_bytes
            lease.size_bytes = 0


class BodyLease:
    """What one body has of a budget; it goes back by `end`, or with the last reference to it."""

    __slots__ = ("_budget", "is_last", "size_bytes")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.is_last = False
        """Whether it has the rest that is for one at a time."""
        self.size_bytes = 0

    def end(self) -> None:
        """The body has been read. From any thread."""
        self._budget.give_back(self)

    async def hold(self, size_bytes: int) -> None:
        """Have so much in all; waits for its turn where there is no room."""
        if size_bytes <= max(self.size_bytes, UNCOUNTED_BYTES) or self._budget.take(self, size_bytes):
            return
        self._budget.waiting += 1
        try:
            while not self._budget.take(self, size_bytes):  # noqa: ASYNC110 # threads make room, too
                await trio.sleep(LOOK_S)
        finally:
            self._budget.waiting -= 1

    def __del__(self) -> None:
        self._budget.give_back(self)
