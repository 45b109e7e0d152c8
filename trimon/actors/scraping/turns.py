"""Turns: who begins work on the event loop when thousands want to at once.

trio runs all tasks that can run before it looks at the network again. Twenty thousand targets whose time has come together
would keep everybody else, the web first of all, waiting for seconds. With turns only so many begin between two looks.
"""

from __future__ import annotations

from typing import Final

import trio

# Beginnings between two looks of the loop: a scrape costs about half a millisecond, not all of it in one go.
AT_ONCE: Final = 32
# How long a log that is replayed and unpacked has the interpreter for itself: most are by then.
HEAD_START_S: Final = 2.0


async def head_start(settled: trio.Event | None) -> None:
    """Returns when the log is replayed and unpacked, or has had two seconds.

    The first scrapes after a start make all series anew. Beside the replay they would keep it from the interpreter's lock,
    and everybody waits until the server is ready for several times as long as both take one after the other.
    """
    if settled is not None:
        with trio.move_on_after(HEAD_START_S):
            await settled.wait()


class Turns:
    """Lets tasks begin, some at a time, in the order in which they came. `run` is somebody's task.

    Only that task knows that the loop has looked: it runs after the look. Time tells nothing, since it also passes while
    thousands of tasks run without a look. It is woken when half of the turns are taken, not for each.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._left = at_once
        self._lot = trio.lowlevel.ParkingLot()
        self._wanted = trio.Event()
        self.waited = 0
        """How many had to wait."""

    def free(self) -> bool:
        """Takes a turn if there is one now: the usual case, which costs no look of the loop."""
        if self._lot or not self._left:
            return False
        self._left -= 1
        if self._left <= self._at_once // 2:
            self._wanted.set()
        return True

    async def take(self) -> None:
        """Waits for a turn."""
        self.waited += 1
        self._wanted.set()
        await self._lot.park()

    async def run(self) -> None:
        """Gives turns to those who wait."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._lot:
                self._left = 0
                self._lot.unpark(count=self._at_once)
                await trio.lowlevel.checkpoint()
            self._left = self._at_once
