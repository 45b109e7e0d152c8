"""When the compactor works, in virtual time, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from tests.support.store_world import World, world
from trimon.actors.storage.compactor import INTERVAL_S, LOOK_S, Compactor
from trimon.errors import OperatingError
from trimon.memory.allocator import give_back
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import SampleBatch
from trimon.offload import InlineOffload
from trimon.storage.options import HOUR_MS
from trimon.storage.upkeep.changes import ChangedMeanwhile, StoreChanges
from trimon.storage.upkeep.planning import QUIET_MS, HeadState, plan_cuts

WINDOW_MS = 2 * HOUR_MS
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@dataclass
class Bench:
    """A world with a compactor, and samples that are pushed into it."""

    here: World
    compactor: Compactor
    released: list[int]
    """After how many jobs freed memory was given back."""

    async def push(self, *times_ms: int, name: str = "m") -> None:
        count = len(times_ms)
        batch = SampleBatch(
            ((("__name__", name),),),
            np.zeros(count, np.int32),
            np.array(times_ms, np.int64),
            np.arange(count, dtype=np.float64),
        )
        (answer,) = await self.here.writer.append(batch)
        assert (answer.appended, answer.error) == (count, "")

    async def push_two(self, *times_ms: int) -> None:
        """Samples of `m` and of `gone` at the same times."""
        count = len(times_ms)
        names = ((("__name__", "m"),), (("__name__", "gone"),))
        times = np.repeat(np.array(times_ms, np.int64), 2)
        which = np.tile(np.array([0, 1], np.int32), count)
        (answer,) = await self.here.writer.append(SampleBatch(names, which, times, times.astype(np.float64)))
        assert (answer.appended, answer.error) == (2 * count, "")

    @property
    def rounds(self) -> int:
        rounds = self.compactor.inspect()["rounds"]
        assert isinstance(rounds, int)
        return rounds

    @property
    def windows(self) -> list[int]:
        """Starts of the blocks there are."""
        return [meta.min_ms // WINDOW_MS * WINDOW_MS for meta, _ in self.here.store.blocks()]


@asynccontextmanager
async def bench(directory: Path) -> AsyncIterator[Bench]:
    async with world(directory) as here, trio.open_nursery() as nursery:
        released: list[int] = []

        def release() -> None:
            done = compactor.inspect()["done"]
            assert isinstance(done, int)
            released.append(done)

        compactor = Compactor(
            here.store, here.writer, here.storage.replayed, here.clock, InlineOffload(), here.log, release
        )
        nursery.start_soon(compactor.run)
        await here.storage.replayed.wait()
        await trio.sleep(0.1)
        yield Bench(here, compactor, released)
        nursery.cancel_scope.cancel()


def window_of(time_ms: int) -> int:
    return time_ms // WINDOW_MS * WINDOW_MS


async def test_it_is_settled_with_the_first_round(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who waits for a log to be unpacked waits for one round, which begins when the log is replayed."""
    async with world(tmp_path) as here, trio.open_nursery() as nursery:
        replayed = trio.Event()
        compactor = Compactor(here.store, here.writer, replayed, here.clock, InlineOffload(), here.log)
        nursery.start_soon(compactor.run)
        await trio.sleep(1)
        assert (compactor.counts.rounds, compactor.settled.is_set()) == (0, False)
        replayed.set()
        await compactor.settled.wait()
        assert compactor.counts.rounds == 1
        nursery.cancel_scope.cancel()


async def test_a_window_that_is_long_past_is_cut_within_two_seconds(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """What is filled in for a past day lies in blocks two seconds later, but for the newest window."""
    async with bench(tmp_path) as here:
        start_ms = window_of(here.here.clock.now_ms() - DAY_MS)
        for window in range(5):
            await here.push(
                *range(start_ms + window * WINDOW_MS, start_ms + (window + 1) * WINDOW_MS, 60_000)
            )
        assert here.windows == []
        await trio.sleep(LOOK_S + QUIET_MS / 1000)
        assert here.windows == [start_ms + window * WINDOW_MS for window in range(4)]
        ((_, points),) = here.here.samples("m")
        assert len(points) == 600


async def test_freed_memory_is_given_back_once_all_is_done(tmp_path: Path, autojump_clock: MockClock) -> None:
    """After the last of several jobs in a row freed memory goes back to the system, and not when nothing was done."""
    async with bench(tmp_path) as here:
        await trio.sleep(3 * INTERVAL_S)
        assert here.released == []
        start_ms = window_of(here.here.clock.now_ms() - DAY_MS)
        await here.push(*range(start_ms, start_ms + 4 * WINDOW_MS, 60_000))
        await trio.sleep(3 * INTERVAL_S)
        assert here.released == [here.compactor.inspect()["done"]]
        assert here.released[0] >= 3


def test_giving_back_memory_harms_nobody() -> None:
    """The C library's trim can be called where there is one, and memory in use stays as it is."""
    kept = [np.full(50_000, float(index)) for index in range(50)]
    del kept[::2]
    assert give_back() in (True, False)
    assert [array[0] for array in kept] == [float(index) for index in range(1, 50, 2)]


async def test_stragglers_find_their_head(tmp_path: Path, autojump_clock: MockClock) -> None:
    """While a slower sender fills a window it is not cut, until the samples are so far on that it can get no more."""
    async with bench(tmp_path) as here:
        start_ms = window_of(here.here.clock.now_ms() - DAY_MS)
        await here.push(*range(start_ms, start_ms + WINDOW_MS + 12 * 60_000, 60_000), name="ahead")
        for step in range(10):
            await here.push(start_ms + WINDOW_MS - (10 - step) * 60_000, name="behind")
            await trio.sleep(0.5)
        assert here.windows == []
        await here.push(start_ms + WINDOW_MS + HOUR_MS, name="ahead")
        await trio.sleep(LOOK_S)
        assert here.windows == [start_ms]


async def test_without_anything_due_there_is_a_round_a_minute(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """An idle store, and one that is filled inside of one window, is asked for its plan once a minute only."""
    async with bench(tmp_path) as here:
        await trio.sleep(10 * INTERVAL_S)
        assert here.rounds in (10, 11)
        start_ms, before = here.here.clock.now_ms(), here.rounds
        for second in range(int(5 * INTERVAL_S)):
            await here.push(start_ms + second * 1_000)
            await trio.sleep(1)
        assert here.rounds - before in (4, 5, 6)
        assert here.windows == []


async def test_a_cut_costs_one_round_more(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Filling four windows takes a round for each cut and one that finds nothing, not one a push."""
    async with bench(tmp_path) as here:
        start_ms, before = window_of(here.here.clock.now_ms() - DAY_MS), here.rounds
        for minute in range(4 * 120 + 15):
            await here.push(start_ms + minute * 60_000)
            await trio.sleep(0.05)
        assert here.windows == [start_ms + window * WINDOW_MS for window in range(3)]
        await trio.sleep(3)
        assert here.windows == [start_ms + window * WINDOW_MS for window in range(4)]
        assert here.rounds - before <= 2 * 4 + 1


async def test_a_cut_that_fails_waits_longer_each_time(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window that cannot be written stays due, and is tried again with growing pauses, not at each look."""
    async with bench(tmp_path) as here:
        start_ms, before = window_of(here.here.clock.now_ms() - DAY_MS), here.rounds

        def full(*_: object) -> object:
            raise OperatingError("no space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("trimon.storage.upkeep.jobs.write_heads", full)
            await here.push(*range(start_ms, start_ms + 2 * WINDOW_MS, 60_000))
            await trio.sleep(5 * INTERVAL_S)
            assert "no space left on device" in str(here.compactor.inspect()["last_error"])
            assert 5 <= here.rounds - before <= 12
        await trio.sleep(INTERVAL_S)
        assert here.windows == [start_ms]
        assert here.compactor.inspect()["last_error"] == ""


def test_when_a_window_is_over(tmp_path: Path) -> None:
    """Ten minutes of samples past its end and a quiet second; an hour of samples; or ten minutes by the clock."""
    from trimon.storage.options import StoreOptions

    options, minute_ms = StoreOptions(tmp_path), 60_000
    end_ms, now_ms = 100 * WINDOW_MS, 200 * WINDOW_MS

    def due(past_ms: int, silent_ms: int, *more: HeadState, now_ms: int = now_ms) -> bool:
        head = HeadState(end_ms - WINDOW_MS, end_ms, 1, now_ms - silent_ms)
        cuts = plan_cuts([head, *more], end_ms + past_ms, now_ms, options)
        return [cut.end_ms for cut in cuts] == [end_ms]

    assert due(10 * minute_ms, QUIET_MS)
    assert not due(10 * minute_ms - 1, QUIET_MS)
    assert not due(10 * minute_ms, QUIET_MS - 1)
    assert due(60 * minute_ms, 0)
    assert not due(60 * minute_ms - 1, 0)
    assert due(-minute_ms, 10 * minute_ms)
    assert not due(-minute_ms, 10 * minute_ms - 1)
    assert not due(-minute_ms, 10 * minute_ms, now_ms=end_ms + 10 * minute_ms - 1)
    twin = HeadState(end_ms - WINDOW_MS, end_ms, 1, now_ms)
    assert not due(10 * minute_ms, QUIET_MS, twin)


async def test_a_deletion_meanwhile_is_no_failure(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut that a deletion overtakes is done again at once: one line that is no error, and no failure is counted."""
    async with bench(tmp_path) as here:
        start_ms = window_of(here.here.clock.now_ms() - DAY_MS)
        install, refused = (
            StoreChanges.install_cut,
            [ChangedMeanwhile("changed"), ChangedMeanwhile("changed")],
        )

        def overtaken(self: StoreChanges, *arguments: Any) -> None:
            if refused:
                raise refused.pop()
            install(self, *arguments)

        monkeypatch.setattr(StoreChanges, "install_cut", overtaken)
        await here.push(*range(start_ms, start_ms + 2 * WINDOW_MS, 60_000))
        await trio.sleep(INTERVAL_S)
        assert (here.windows, refused) == ([start_ms], [])
        counts = here.compactor.counts
        assert (counts.failures, counts.install_failures, counts.truncation_failures) == (0, 0, 0)
        levels = [level for level, what, _ in here.here.log.entries if "again" in what or "failed" in what]
        assert levels == ["info", "info"]


async def test_tombstones_are_cleaned_between_merges(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Who asks while blocks are merged waits, and then every block with deletions has been rewritten."""
    async with bench(tmp_path) as here:
        store = here.here.store
        start_ms = window_of(here.here.clock.now_ms() - 2 * DAY_MS)
        for window in range(12):
            first_ms = start_ms + window * WINDOW_MS
            await here.push_two(*range(first_ms, first_ms + WINDOW_MS, 60_000))
        matchers = (Matcher("__name__", MatchType.EQUAL, "gone"),)
        await trio.sleep(LOOK_S + QUIET_MS / 1000)
        await here.here.writer.perform("delete", lambda: store.delete_series(matchers, 0, 1 << 60))
        assert any(meta.tombstones for meta, _ in store.blocks())
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(here.compactor.clean_tombstones)
        assert all(meta.tombstones == 0 for meta, _ in store.blocks())
        assert not any(points for _, points in here.here.samples("gone"))
        ((_, points),) = here.here.samples("m")
        assert len(points) == 12 * 120


async def test_one_block_that_cannot_be_cleaned_leaves_the_others(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the first that failed is raised when all others are clean."""
    async with bench(tmp_path) as here:
        store = here.here.store
        start_ms = window_of(here.here.clock.now_ms() - DAY_MS)
        for window in range(3):
            first_ms = start_ms + 4 * window * WINDOW_MS
            await here.push_two(*range(first_ms, first_ms + WINDOW_MS, 60_000))
            await trio.sleep(LOOK_S + QUIET_MS / 1000)
        await trio.sleep(2 * INTERVAL_S)
        matchers = (Matcher("__name__", MatchType.EQUAL, "gone"),)
        await here.here.writer.perform("delete", lambda: store.delete_series(matchers, 0, 1 << 60))
        marked = [meta.ulid for meta, _ in store.blocks() if meta.tombstones]
        assert len(marked) > 1
        original: Any = StoreChanges.blocks_named

        def failing(self: StoreChanges, ulids: set[str]) -> Any:
            if marked[0] in ulids:
                raise OperatingError("the disk fails")
            return original(self, ulids)

        monkeypatch.setattr(StoreChanges, "blocks_named", failing)
        with pytest.raises(OperatingError, match="the disk fails"):
            await here.compactor.clean_tombstones()
        assert [meta.ulid for meta, _ in store.blocks() if meta.tombstones] == marked[:1]
