"""Turns on the event loop: few begin at once, all begin in the end, and nobody waits without need."""

from __future__ import annotations

import time

import trio
from trio.testing import MockClock

from trimon.actors.scraping.turns import HEAD_START_S, Turns, head_start


async def test_a_crowd_begins_in_slices(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Of a thousand tasks no more than a slice begin between two looks of the loop, in the order in which they came."""
    turns = Turns(10)
    nursery.start_soon(turns.run)
    begun: list[int] = []

    async def one(number: int) -> None:
        if not turns.free():
            await turns.take()
        begun.append(number)

    async with trio.open_nursery() as crowd:
        for number in range(1000):
            crowd.start_soon(one, number)
        most = last = 0
        while len(begun) < 1000:
            await trio.lowlevel.checkpoint()
            most, last = max(most, len(begun) - last), len(begun)
    assert most <= 20
    assert turns.waited == 990
    nursery.cancel_scope.cancel()


async def test_nobody_waits_without_a_crowd(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A turn now and then is there at once, for ever."""
    turns = Turns(3)
    nursery.start_soon(turns.run)
    for _ in range(100):
        assert [turns.free() for _ in range(4)] == [True, True, True, False]
        await trio.sleep(0.01)
    assert turns.waited == 0
    nursery.cancel_scope.cancel()


async def test_time_gives_no_turns(nursery: trio.Nursery) -> None:
    """Tasks that take long are no more between two looks than others."""
    turns = Turns(10)
    nursery.start_soon(turns.run)
    looks = slow = 0

    async def one() -> None:
        nonlocal slow
        if not turns.free():
            await turns.take()
        time.sleep(0.002)  # noqa: ASYNC251 - the loop is to be held
        slow += 1

    async with trio.open_nursery() as crowd:
        for _ in range(100):
            crowd.start_soon(one)
        while slow < 100:
            looks += 1
            await trio.lowlevel.checkpoint()
    assert looks >= 10
    nursery.cancel_scope.cancel()


async def test_the_replay_has_a_head_start(autojump_clock: MockClock) -> None:
    """Who lets the replay go first waits until it is done, and no longer than two seconds; where there is none, not at all."""
    began_s = trio.current_time()
    await head_start(None)
    assert trio.current_time() == began_s
    replayed = trio.Event()
    await head_start(replayed)
    assert trio.current_time() == began_s + HEAD_START_S
    async with trio.open_nursery() as nursery:
        nursery.start_soon(head_start, replayed)
        await trio.sleep(0.25)
        replayed.set()
    assert trio.current_time() == began_s + HEAD_START_S + 0.25
    await head_start(replayed)
    assert trio.current_time() == began_s + HEAD_START_S + 0.25
