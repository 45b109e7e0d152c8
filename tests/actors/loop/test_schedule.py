"""Slots in virtual time, with a wall clock that may jump."""

from __future__ import annotations

import itertools

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trimon.actors.loop.schedule import Schedule, first_slot_ms
from trimon.query.language.options import QueryOptions
from trimon.rules.group import RuleGroup
from trimon.rules.spec import GroupSpec
from trimon.scrape.options import PoolOptions
from trimon.scrape.target import Target, build_target, schedule_seed
from trimon.virtualclock import VirtualClock

START_MS = 1_700_000_000_000
INTERVAL_MS = 10_000
OFFSET_MS = 3_000


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


class JumpyClock(VirtualClock):
    """A wall clock that can be set."""

    jumped_ms = 0

    def monotonic_s(self) -> float:
        return trio.current_time()

    def now_ms(self) -> int:
        return super().now_ms() + self.jumped_ms


class Loop:
    """Takes slots one after the other; what it works takes as long as `work_s` says, slot by slot."""

    def __init__(self, *work_s: float) -> None:
        self.clock = JumpyClock(START_MS)
        self.clock.now_ms()
        self.missed = 0
        self.slots: list[int] = []
        self.woken_ms: list[int] = []
        self.schedule = Schedule(self.clock, INTERVAL_MS, OFFSET_MS, self._missed)
        self._work_s = iter(work_s)

    def _missed(self, count: int) -> None:
        assert count > 0
        self.missed += count

    async def run(self) -> None:
        while (slot_ms := await self.schedule.wait()) is not None:
            self.slots.append(slot_ms - START_MS)
            self.woken_ms.append(self.clock.now_ms() - START_MS)
            await trio.sleep(next(self._work_s, 0.0))

    async def for_s(self, seconds: float) -> None:
        """Runs for a while, then the loop is drained."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run)
            await trio.sleep(seconds)
            self.schedule.drain()


def test_slots_are_counted_from_the_epoch() -> None:
    """The first slot is the next time with the phase, never in the past."""
    for now_ms in (0, 3, 10_000, 1_700_000_123_456):
        for offset_ms in (0, 1, 9_999):
            slot_ms = first_slot_ms(now_ms, offset_ms, 10_000)
            assert slot_ms % 10_000 == offset_ms
            assert now_ms <= slot_ms < now_ms + 10_000


async def test_slots_come_once_an_interval(autojump_clock: MockClock) -> None:
    """Slots are one interval apart at the phase, given out at their time, and none is missed."""
    loop = Loop(0.5, 9.9, 0.0)
    await loop.for_s(50)
    assert loop.slots == [3_000, 13_000, 23_000, 33_000, 43_000]
    assert loop.woken_ms == loop.slots
    assert loop.missed == 0


async def test_a_slot_to_begin_at_is_given_late(autojump_clock: MockClock) -> None:
    """The first slot, when it was said, is given though its time has passed; one that is an interval old is missed."""
    late, too_late = Loop(), Loop()
    late.schedule.begin_at(START_MS - 7_000)
    too_late.schedule.begin_at(START_MS - 17_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(late.for_s, 10)
        nursery.start_soon(too_late.for_s, 10)
    assert (late.slots, late.missed) == ([-7_000, 3_000], 0)
    assert (too_late.slots, too_late.missed) == ([-7_000, 3_000], 1)


async def test_work_that_ends_at_a_slot_does_not_miss_it(autojump_clock: MockClock) -> None:
    """Work of exactly an interval leaves no slot out, a millisecond more leaves out one."""
    exact, longer = Loop(10.0), Loop(10.001)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exact.for_s, 30)
        nursery.start_soon(longer.for_s, 30)
    assert (exact.slots, exact.missed) == ([3_000, 13_000, 23_000], 0)
    assert (longer.slots, longer.missed) == ([3_000, 23_000], 1)


async def test_slots_that_work_slept_through_are_counted(autojump_clock: MockClock) -> None:
    """After work of two and a half intervals two slots are missed, and the grid is kept."""
    loop = Loop(25.0)
    await loop.for_s(50)
    assert (loop.slots, loop.missed) == ([3_000, 33_000, 43_000], 2)


def test_a_late_wake_up_serves_the_newest_slot() -> None:
    """A loop that wakes up three and a half intervals late is given the newest slot; the others are missed."""
    mock = MockClock()

    async def late() -> Loop:
        loop = Loop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop.run)
            await wait_all_tasks_blocked()
            mock.jump(38)
            await wait_all_tasks_blocked()
            loop.schedule.drain()
        return loop

    loop = trio.run(late, clock=mock)
    assert (loop.slots, loop.woken_ms, loop.missed) == ([33_000], [38_000], 3)


async def test_a_clock_set_forward_skips_slots(autojump_clock: MockClock) -> None:
    """An hour of slots that never were is counted as missed, and the grid goes on from the new time."""
    loop = Loop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.for_s, 30)
        await trio.sleep(5)
        loop.clock.jumped_ms = 3_600_000
    assert loop.slots == [3_000, 3_613_000, 3_623_000]
    assert loop.missed == 360
    assert loop.woken_ms == loop.slots


@pytest.mark.parametrize("back_ms", [5_001, 9_000, 60_000, 3_600_000])
async def test_a_clock_set_back_begins_anew(back_ms: int, autojump_clock: MockClock) -> None:
    """After a step back the next slot comes within two intervals, at its time by the new clock."""
    loop = Loop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.for_s, 45)
        await trio.sleep(3.5)
        loop.clock.jumped_ms = -back_ms
    assert loop.slots[0] == 3_000
    assert loop.woken_ms[1:] == loop.slots[1:]
    assert {later - earlier for earlier, later in itertools.pairwise(loop.slots[1:])} == {INTERVAL_MS}
    assert loop.woken_ms[1] - (3_500 - back_ms) <= 2 * INTERVAL_MS
    assert loop.missed == 0


@pytest.mark.parametrize("back_ms", [1, 20, 4_999])
@pytest.mark.parametrize("at_work", [False, True])
async def test_a_small_step_back_gives_no_slot_twice(
    back_ms: int, at_work: bool, autojump_clock: MockClock
) -> None:
    """A correction of less than half an interval, during the work or the sleep, repeats and loses nothing."""
    loop = Loop(1.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.for_s, 40)
        await trio.sleep(3.5 if at_work else 8)
        loop.clock.jumped_ms = -back_ms
    assert loop.slots == [3_000, 13_000, 23_000, 33_000]
    assert loop.missed == 0


async def test_draining_ends_the_wait_at_once(autojump_clock: MockClock) -> None:
    """A drained loop gets no further slot, neither when it slept, nor when it was at work, nor before it began."""
    for work_s, drained_s in ((0.0, 5.0), (30.0, 5.0), (0.0, 0.0)):
        loop = Loop(work_s)
        began_s = trio.current_time()
        await loop.for_s(drained_s)
        assert trio.current_time() - began_s == max(drained_s, work_s + 3 if work_s else 0)
        assert len(loop.slots) <= 1
        assert await loop.schedule.wait() is None


async def test_draining_cuts_what_is_interruptible(autojump_clock: MockClock) -> None:
    """Waiting for something inside `interruptible` is given up when the loop is drained, even if it began later."""
    schedule = Loop().schedule
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with schedule.interruptible() as scope:
                await trio.sleep_forever()
            assert scope.cancelled_caught

        nursery.start_soon(ask)
        await trio.sleep(1)
        schedule.drain()
    with schedule.interruptible() as scope:
        await trio.sleep_forever()
    assert scope.cancelled_caught


def _target(address: str) -> Target:
    made = build_target({"__address__": address}, PoolOptions("j", interval_ms=INTERVAL_MS, timeout_ms=1_000))
    assert isinstance(made, Target)
    return made


def test_phases_spread_targets_and_servers() -> None:
    """Targets are spread over the interval, each tenth gets its share; a target keeps its phase, servers differ."""
    targets = [_target(f"host-{index}:9100") for index in range(1_000)]
    seed, other = schedule_seed("a", ()), schedule_seed("b", ())
    phases = [target.offset_ms(seed) for target in targets]
    assert all(0 <= phase < INTERVAL_MS for phase in phases)
    tenths = [sum(phase * 10 // INTERVAL_MS == tenth for phase in phases) for tenth in range(10)]
    assert all(60 <= count <= 140 for count in tenths)
    assert phases == [target.offset_ms(schedule_seed("a", ())) for target in targets]
    assert sum(mine != target.offset_ms(other) for mine, target in zip(phases, targets, strict=True)) > 900


def test_phases_spread_rule_groups() -> None:
    """Groups of one file are spread over the interval by their names, and stay where they are."""
    groups = [
        RuleGroup(GroupSpec("/r.yml", f"g{index}", INTERVAL_MS), QueryOptions()) for index in range(500)
    ]
    phases = [group.offset_ms for group in groups]
    tenths = [sum(phase * 10 // INTERVAL_MS == tenth for phase in phases) for tenth in range(10)]
    assert all(25 <= count <= 80 for count in tenths)
    again = RuleGroup(GroupSpec("/r.yml", "g0", INTERVAL_MS), QueryOptions())
    assert again.offset_ms == phases[0]


async def test_a_time_that_is_asked_for_comes_beside_the_slots(autojump_clock: MockClock) -> None:
    """Asked while it waits: at once; while it works: right afterwards, once. No slot is lost or moved by it."""
    loop = Loop(0, 0, 2, 0, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.run)
        await trio.sleep(5)
        loop.schedule.ask_now()
        await trio.sleep(9)  # the slot at 13 s has just begun, and takes 2 s
        loop.schedule.ask_now()
        loop.schedule.ask_now()
        await trio.sleep(10)
        loop.schedule.drain()
    assert loop.slots == [3_000, 5_000, 13_000, 15_000, 23_000]
    assert loop.missed == 0
