"""Alarms: one timer for all who sleep until their time.

A sleep of the loop's library is a scope with a deadline and an exception that ends it, a twentieth of what a scrape costs. A
thousand targets sleep all the time, and each needs only to be put back to work.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Final

import trio

_NOW: Final = float("-inf")


class Alarm:
    """One sleeper; `ring` wakes it before its time, and does nothing afterwards. Only on the loop's thread."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    def ring(self) -> None:
        """Wakes the sleeper, if it sleeps."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def sleep(self) -> None:
        """Sleeps until it rings. A checkpoint."""

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)


class Alarms:
    """Rings alarms when their time has come, in a task of its own that lasts as long as somebody sleeps.

    Only on one loop's thread.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._sleepers = 0
        # of the task that rings; None when there is none
        self._scope: trio.CancelScope | None = None

    async def sleep(self, seconds: float, alarm: Alarm) -> None:
        """Sleeps so long, or until somebody rings. An alarm is for one sleep."""
        at_s = trio.current_time() + seconds
        heapq.heappush(self._due, (at_s, next(self._numbers), alarm))
        self._sleepers += 1
        if self._scope is None:
            self._scope = trio.CancelScope(deadline=at_s)
            trio.lowlevel.spawn_system_task(self._ring, name="alarms")
        elif at_s < self._scope.deadline:
            self._scope.deadline = at_s
        try:
            await alarm.sleep()
        finally:
            self._sleepers -= 1
            if not self._sleepers:
                self._end()

    def _end(self) -> None:
        """Nobody sleeps: what is still due was rung early or cancelled, and the task that waits for it has nothing to do."""
        self._due.clear()
        if self._scope is not None:
            self._scope.deadline = _NOW

    async def _ring(self) -> None:
        while self._scope is not None:
            with self._scope:
                await trio.sleep_forever()
            now_s = trio.current_time()
            while self._due and self._due[0][0] <= now_s:
                heapq.heappop(self._due)[2].ring()
            self._scope = trio.CancelScope(deadline=self._due[0][0]) if self._due else None
