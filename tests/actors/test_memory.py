"""The memory monitor: what it does at which use, in which order, and what it tells."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio

from trimon.actors.memory import (
    LOOK_S,
    TRIM_BYTES,
    TRIM_GROWN_BYTES,
    TRIM_GROWN_S,
    TRIM_QUIET_S,
    UNUSED_S,
    MemoryMonitor,
    Pressure,
    ProcessMemory,
)
from trimon.actors.querying.waitingroom import WaitingRoom
from trimon.log import make_log
from trimon.memory.bodies import BodyMemory
from trimon.memory.limit import FLAG, MemoryLimit
from trimon.memory.plan import divide
from trimon.memory.queries import QueryMemory, Reservation
from trimon.memory.series import SERIES_BYTES, SeriesAdmission
from trimon.offload import InlineOffload
from trimon.storage.growth import GrowingLabel, SeriesGrowth

MIB = 2**20


class FakeStore:
    """What a store is told, and what it says."""

    def __init__(self) -> None:
        self.head_series = 0
        self.cache_bytes = 0
        self.caches_max = 0
        self.series_max = 0
        self.sheds = 0
        self.unused_bytes = 0
        self.problems: list[tuple[str, str, str]] = []
        self.grown = SeriesGrowth(0, 0, 0)

    def figures(self) -> Any:
        raise NotImplementedError

    def growth(self, window_ms: int, limit: int) -> SeriesGrowth:
        assert (window_ms, limit) == (3_600_000, 1)
        return self.grown

    def limit_series(self, series_max: int) -> None:
        self.series_max = series_max

    def limit_caches(self, size_bytes: int) -> None:
        self.caches_max = size_bytes

    def shed_caches(self) -> None:
        self.sheds += 1
        self.cache_bytes = 0

    def forget_unused(self) -> int:
        unused, self.unused_bytes = self.unused_bytes, 0
        return unused

    def note_problem(self, kind: str, subject: str, text: str, count: int = 1) -> None:
        del count
        self.problems.append((kind, subject, text))


class World:
    """A monitor over a process whose use is set by hand."""

    def __init__(self) -> None:
        self.used_bytes = 100 * MIB
        plan = divide(MemoryLimit(1000 * MIB, FLAG), self.used_bytes)
        self.memory = ProcessMemory(
            plan,
            QueryMemory(plan.queries_bytes),
            SeriesAdmission(plan.head_bytes),
            BodyMemory(plan.bodies_bytes),
            lambda: self.used_bytes,
            forget_texts=self.forget,
        )
        self.forgotten = 0
        self.room = WaitingRoom(self.memory.queries)
        self.store = FakeStore()
        self.trims: list[float] = []
        self.monitor = MemoryMonitor(
            self.memory,
            self.store,
            InlineOffload(),
            make_log("error", "logfmt"),
            lambda: self.trims.append(trio.current_time()),
        )

    def forget(self) -> None:
        self.forgotten += 1

    def at(self, part: float) -> Pressure:
        """The pressure when such a part of the budget is used."""
        self.used_bytes = int(self.memory.plan.budget_bytes * part)
        self.monitor.look()
        return self.memory.pressure


async def test_pressure_comes_in_order() -> None:
    """Caches, new series where many come, expensive queries, all queries; and it goes as it came."""
    world = World()
    memory, store = world.memory, world.store
    assert store.caches_max == memory.plan.caches_bytes
    seen = []
    for part in (0.5, 0.86, 0.91, 0.95, 0.99, 0.5):
        world.at(part)
        seen.append((store.sheds, memory.series.is_pressed, memory.queries.is_closed, memory.queries.is_shut))
        assert world.forgotten == store.sheds
    assert seen == [
        (0, False, False, False),
        (1, False, False, False),
        (2, True, False, False),
        (3, True, True, False),
        (4, True, True, True),
        (4, False, False, False),
    ]
    assert memory.pressed_s[Pressure.QUERIES] == LOOK_S


async def test_queries_that_wait_go_on_when_pressure_is_over(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody has to give anything back for that."""
    del autojump_clock
    world = World()
    world.at(0.95)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.room.wait, Reservation(world.memory.queries), 50 * MIB, 60.0)
        await trio.testing.wait_all_tasks_blocked()
        assert world.room.waiting == 1
        world.at(0.5)
        assert world.room.waiting == 0


async def test_room_for_series_is_what_nobody_else_holds() -> None:
    """What queries, bodies and caches hold is not the head's; the store has the same limit as bodies."""
    world = World()
    memory = world.memory
    world.used_bytes = memory.plan.base_bytes + memory.plan.head_bytes - 1000 * SERIES_BYTES + 30 * MIB
    world.store.head_series, world.store.cache_bytes = 500, 10 * MIB
    assert Reservation(memory.queries).raise_to(20 * MIB)
    world.monitor.look()
    assert memory.series.room == 1000
    assert world.store.series_max == 1500
    world.used_bytes = memory.plan.budget_bytes * 2
    world.monitor.look()
    assert (memory.series.room, world.store.series_max) == (0, 500)


async def test_refused_series_are_told_once_a_target(autojump_clock: trio.testing.MockClock) -> None:
    """The problem names the target, the share, where the limit comes from, and what has grown: target and label."""
    del autojump_clock
    world = World()
    label = GrowingLabel("request_id", 4000, 5000)
    world.store.grown = SeriesGrowth(0, 10, 5000, (("m", 5000),), (label,), (("j", "a:1", 5000),))
    for _ in range(3):
        world.memory.series.is_pressed = True
        grant = world.memory.series.grant("job/a", 10, 0, 2**20)
        assert grant is not None
        assert not all(grant.take() for _ in range(5000))
        world.memory.series.settle("job/a", grant)
        with trio.move_on_after(2 * LOOK_S):
            await world.monitor.run()
    [(kind, subject, text)] = world.store.problems
    assert (kind, subject) == ("memory", "job/a")
    assert str(world.memory.plan.head_bytes) in text
    assert FLAG in text
    assert text.endswith(
        "in the last hour 5000 series are new, 5000 of them of job j and instance a:1, "
        "label request_id has 4000 new values"
    )


async def test_what_queries_give_back_goes_to_the_system(autojump_clock: trio.testing.MockClock) -> None:
    """When nothing more was given back for a moment the allocator is told, and not again until there is more."""
    del autojump_clock
    world = World()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.monitor.run)
        await trio.sleep(20)
        assert world.trims == []
        reservation = Reservation(world.memory.queries)
        assert reservation.raise_to(TRIM_BYTES)
        reservation.release()
        began_s = trio.current_time()
        await trio.sleep(60)
        assert len(world.trims) == 1
        assert TRIM_QUIET_S <= world.trims[0] - began_s <= TRIM_QUIET_S + 2 * LOOK_S
        world.trims.clear()
        for _ in range(40):  # one query after the other
            assert reservation.raise_to(TRIM_BYTES)
            reservation.release()
            await trio.sleep(1)
        assert 2 <= len(world.trims) <= 3
        await trio.sleep(5)
        world.trims.clear()
        world.used_bytes = int(world.memory.plan.budget_bytes * 0.9)
        await trio.sleep(20)
        assert 3 <= len(world.trims) <= 5
        nursery.cancel_scope.cancel()


async def test_what_caches_held_goes_to_the_system_when_nobody_asks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Within a minute of being told that much went unused, the allocator is told, too."""
    del autojump_clock
    world = World()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.monitor.run)
        await trio.sleep(5)
        world.store.unused_bytes = TRIM_BYTES
        await trio.sleep(UNUSED_S + TRIM_QUIET_S + 2)
        assert world.memory.unused_bytes == TRIM_BYTES
        assert len(world.trims) == 1
        nursery.cancel_scope.cancel()


async def test_what_nobody_gave_back_goes_to_the_system(autojump_clock: trio.testing.MockClock) -> None:
    """A process that has grown tells its allocator, once a minute while it grows on, and not when it stays as it is."""
    del autojump_clock
    world = World()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.monitor.run)
        await trio.sleep(TRIM_GROWN_S)
        world.used_bytes += TRIM_GROWN_BYTES - 1
        await trio.sleep(3 * TRIM_GROWN_S)
        assert world.trims == []
        world.used_bytes += 1
        await trio.sleep(3 * TRIM_GROWN_S)
        assert len(world.trims) == 1
        world.trims.clear()
        for _ in range(40):
            world.used_bytes += TRIM_GROWN_BYTES // 4
            await trio.sleep(10)
        assert 5 <= len(world.trims) <= 7
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("trimon").setLevel(logging.ERROR)
