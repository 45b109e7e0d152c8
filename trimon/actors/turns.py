"""Turns: who begins work on the event loop when thousands want to at once.

trio runs all tasks that can run before it looks at the network again. Twenty thousand targets whose time has come together
would keep everybody else, the web first of all, waiting for seconds. With turns only so many begin between two looks.
"""

from __future__ import annotations

from typing import Final

import trio

# Beginnings at once, and between two looks of the loop while others wait: a scrape costs about half a millisecond, not all
# of it in one go.
AT_ONCE: Final = 32
# So many come back in a millisecond while nobody waits: 8,000 a second, more than one core can do.
BACK_PER_MS: Final = 8


class Turns:
    """Lets tasks begin, some at a time, in the order in which they came. `run` is somebody's task."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._left = float(at_once)
        self._asked_s = -1.0
        self._lot = trio.lowlevel.ParkingLot()
        self._waiting = trio.Event()
        self.waited = 0
        """How many had to wait."""

    def free(self) -> bool:
        """Takes a turn if there is one now: the usual case, which costs no look of the loop."""
        if self._lot:
            return False
        now_s = trio.current_time()
        left = min(self._left + (now_s - self._asked_s) * 1000 * BACK_PER_MS, self._at_once)
        self._asked_s = now_s
        self._left = left - 1 if left >= 1 else left
        return left >= 1

    async def take(self) -> None:
        """Waits for a turn."""
        self.waited += 1
        self._waiting.set()
        await self._lot.park()

    async def run(self) -> None:
        """Gives turns to those who wait."""
        while True:
            await self._waiting.wait()
            self._waiting = trio.Event()
            while self._lot:
                self._lot.unpark(count=self._at_once)
                await trio.lowlevel.checkpoint()
