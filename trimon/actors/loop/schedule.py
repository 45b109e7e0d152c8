"""The slots of something that is done once an interval: scrapes of a target, iterations of a rule group."""

from __future__ import annotations

from collections.abc import Callable

import trio

from trimon.actors.loop.alarms import Alarm, Alarms
from trimon.clock import Clock


def first_slot_ms(now_ms: int, offset_ms: int, interval_ms: int) -> int:
    """The first time from now on that is `offset_ms` into an interval counted from the epoch."""
    return now_ms + (offset_ms - now_ms) % interval_ms


class Schedule:
    """Slots `interval_ms` apart on the wall clock, at a phase of `offset_ms`. Belongs to one loop.

    Every slot is either given out by `wait` or told to `missed`, however late the loop is. A wall clock that is set
    forward skips slots. One that is set back by half an interval or less makes one wait longer, by more it begins the
    grid anew: a slot is not given out twice for a small correction.
    """

    def __init__(
        self,
        clock: Clock,
        interval_ms: int,
        offset_ms: int,
        missed: Callable[[int], object],
        alarms: Alarms | None = None,
    ) -> None:
        self.slot_ms = 0
        """The slot that is waited for or at work; 0 before the first wait."""
        self.draining = False
        self._clock = clock
        self._interval_ms = interval_ms
        self._offset_ms = offset_ms
        self._missed = missed
        self._given = False
        self._late = False
        self._asked = False
        self._alarm = Alarm()
        self._alarms = alarms if alarms is not None else Alarms()
        self._scope = trio.CancelScope()

    def begin_at(self, slot_ms: int) -> None:
        """The first `wait` gives this slot, also when it is late by less than an interval. Before any `wait`."""
        self.slot_ms = slot_ms
        self._late = True

    def ask_now(self) -> None:
        """The next `wait`, or the one that waits, gives the time it is, once, beside the slots."""
        self._asked = True
        self._alarm.ring()

    async def wait(self) -> int | None:
        """Sleeps until the next slot and gives its time; None when the loop is to end."""
        if not self.slot_ms:
            self.slot_ms = first_slot_ms(self._clock.now_ms(), self._offset_ms, self._interval_ms)
        elif self._given:
            self.slot_ms += self._interval_ms
        self._given = False
        while not self.draining:
            now_ms = self._clock.now_ms()
            if not self._late:
                self._leave_behind(now_ms)
            self._late = False
            if not self._asked:
                await self._sleep(max(self.slot_ms - now_ms, 0) / 1000)
            now_ms = self._clock.now_ms()
            if self._asked and not self.draining:
                self._asked = False
                await trio.lowlevel.checkpoint()
                return now_ms
            if self.draining or self.slot_ms - now_ms > self._interval_ms // 2:
                continue  # drained, or the clock was set back meanwhile
            self._skip((now_ms - self.slot_ms) // self._interval_ms)
            self._given = True
            return self.slot_ms
        return None

    async def _sleep(self, seconds: float) -> None:
        """Sleeps until the time is over, or until somebody asks or drains."""
        self._alarm = Alarm()
        await self._alarms.sleep(seconds, self._alarm)

    def _leave_behind(self, now_ms: int) -> None:
        """Brings the slot to now or later: those that the work before took too long for are missed."""
        if self.slot_ms - now_ms > self._interval_ms * 3 // 2:
            self.slot_ms = first_slot_ms(now_ms, self._offset_ms, self._interval_ms)
        self._skip(-((self.slot_ms - now_ms) // self._interval_ms))

    def _skip(self, count: int) -> None:
        if count > 0:
            self._missed(count)
            self.slot_ms += count * self._interval_ms

    def interruptible(self) -> trio.CancelScope:
        """A scope to enter at once: what is awaited inside is given up when the loop is drained."""
        self._scope = trio.CancelScope()
        if self.draining:
            self._scope.cancel()
        return self._scope

    def drain(self) -> None:
        """No more slots; ends the waiting."""
        self.draining = True
        self._alarm.ring()
        self._scope.cancel()
