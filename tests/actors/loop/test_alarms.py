"""Alarms in virtual time: everybody wakes when they wanted to, or before when somebody rings."""

from __future__ import annotations

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trimon.actors.loop.alarms import Alarm, Alarms


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_each_wakes_at_its_time(sleepers: list[tuple[int, int]]) -> None:
    """Whoever begins when, and sleeps however long, wakes neither before nor after."""
    woken: list[tuple[int, float]] = []

    async def one(number: int, alarms: Alarms, begin_s: int, sleep_s: int) -> None:
        await trio.sleep(begin_s)
        await alarms.sleep(sleep_s, Alarm())
        woken.append((number, trio.current_time()))

    async def main() -> None:
        alarms, start_s = Alarms(), trio.current_time()
        async with trio.open_nursery() as nursery:
            for number, (begin_s, sleep_s) in enumerate(sleepers):
                nursery.start_soon(one, number, alarms, begin_s, sleep_s)
        for number, at_s in woken:
            assert abs(at_s - start_s - sum(sleepers[number])) < 1e-6

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert len(woken) == len(sleepers)


async def test_who_is_rung_wakes_at_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An early ring ends the sleep; the old time does not end the next one; ringing nobody does nothing."""
    alarms, first, second = Alarms(), Alarm(), Alarm()
    first.ring()
    start_s, woken = trio.current_time(), []

    async def sleeper() -> None:
        for alarm in (first, second):
            await alarms.sleep(10.0, alarm)
            woken.append(trio.current_time() - start_s)

    nursery.start_soon(sleeper)
    await trio.sleep(4.0)
    first.ring()
    first.ring()
    await trio.sleep(20.0)
    assert [round(at_s, 6) for at_s in woken] == [4.0, 14.0]


async def test_a_sleeper_can_be_cancelled(autojump_clock: MockClock) -> None:
    """Who is cancelled is gone, and its time passes without it."""
    alarms, alarm = Alarms(), Alarm()
    with trio.move_on_after(3.0) as scope:
        await alarms.sleep(5.0, alarm)
    assert scope.cancelled_caught
    await alarms.sleep(10.0, Alarm())
    alarm.ring()


async def test_who_rings_leaves_with_the_last_sleeper(autojump_clock: MockClock) -> None:
    """However a sleep ends, by time, by a ring or cancelled: nobody is left to ring the alarms of those who are gone."""

    def tasks() -> int:
        return trio.lowlevel.current_statistics().tasks_living

    async def rung(alarms: Alarms, alarm: Alarm) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alarms.sleep, 3600.0, alarm)
            await trio.sleep(0.5)
            assert tasks() == before + 2
            alarm.ring()

    await trio.sleep(1.0)
    before = tasks()
    for _ in range(3):
        alarms = Alarms()
        await alarms.sleep(1.0, Alarm())
        await rung(alarms, Alarm())
        with trio.move_on_after(1.0):
            await alarms.sleep(3600.0, Alarm())
        # whoever sleeps next, before the old task has left, is woken in time as well
        start_s = trio.current_time()
        await alarms.sleep(2.0, Alarm())
        assert abs(trio.current_time() - start_s - 2.0) < 1e-6
    await trio.sleep(1.0)
    assert tasks() == before
