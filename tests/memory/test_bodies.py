"""Big bodies take turns."""

from __future__ import annotations

import gc

import pytest
import trio

from trimon.memory.bodies import SMALL_BYTES, BodyMemory

MIB = 2**20


class Owner:
    """What holds a body."""


async def test_bodies_that_do_not_fit_wait_in_order(autojump_clock: trio.testing.MockClock) -> None:
    """Two fit, the third waits for one of them, and a fourth that would fit does not pass it."""
    del autojump_clock
    memory, log = BodyMemory(10 * MIB), list[str]()

    async def read(name: str, size_bytes: int) -> None:
        async with memory.turn(size_bytes):
            log.append(name)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for name, size_mib in (("a", 4), ("b", 4), ("c", 5), ("d", 2)):
            nursery.start_soon(read, name, size_mib * MIB)
            await trio.testing.wait_all_tasks_blocked()
        assert log == ["a", "b"]
        assert memory.waiting == 2
        nursery.start_soon(read, "small", SMALL_BYTES - 1)
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["a", "b", "small"]
    assert sorted(log[3:]) == ["c", "d"]  # both fitted then
    assert (memory.taken_bytes, memory.given_bytes, memory.waiting) == (0, 15 * MIB, 0)


async def test_one_alone_may_hold_more_than_the_share() -> None:
    """A body larger than the share is read when there is no other."""
    memory = BodyMemory(MIB)
    async with memory.turn(20 * MIB):
        assert memory.taken_bytes == 20 * MIB


async def test_who_stops_waiting_gives_its_turn_away(autojump_clock: trio.testing.MockClock) -> None:
    """A body that is not wanted any more keeps those behind it waiting no longer."""
    del autojump_clock
    memory = BodyMemory(10 * MIB)

    async def wait(size_bytes: int) -> None:
        async with memory.turn(size_bytes):
            pass

    with memory.counted(8 * MIB):
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(1):
                async with trio.open_nursery() as inner:
                    inner.start_soon(wait, 9 * MIB)
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(wait, 2 * MIB)
                    await trio.testing.wait_all_tasks_blocked()
                    assert memory.waiting == 2
    assert (memory.taken_bytes, memory.waiting) == (0, 0)


def test_answers_count_until_they_are_gone() -> None:
    """An answer holds its bytes as long as anybody holds the answer."""
    memory, owner = BodyMemory(10 * MIB), Owner()
    memory.hold_while_alive(owner, 20 * MIB)
    assert memory.taken_bytes == 20 * MIB
    del owner
    gc.collect()
    assert memory.taken_bytes == 0


@pytest.mark.parametrize("size_bytes", [0, SMALL_BYTES - 1])
def test_small_answers_are_not_counted(size_bytes: int) -> None:
    """Counting them would cost more than it is worth."""
    memory, owner = BodyMemory(0), Owner()
    memory.hold_while_alive(owner, size_bytes)
    assert memory.taken_bytes == 0
