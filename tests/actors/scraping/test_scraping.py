"""From discovered label sets to stored samples, in virtual time, over a real store."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from tests.support.store_world import World, until, world
from trimon.actors.discovery.discovered import Discovered
from trimon.actors.kernel.lifecycle import State
from trimon.actors.scraping.target import CRASHED
from trimon.actors.storage.messages import Message
from trimon.actors.storage.writer import Writer
from trimon.errors import OperatingError
from trimon.fetch.request import FetchError
from trimon.memory.bodies import FIRST_AT_ONCE
from trimon.model.labels import labels_of
from trimon.model.rows import NO_COLUMNS, NO_VALUES, Appended, Row


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def discover(here: World, *addresses: str, job: str = "j") -> None:
    here.manager._mailbox.send_nowait(
        Discovered(job, tuple({"__address__": address} for address in addresses))
    )


def url(address: str) -> str:
    return f"http://{address}/metrics"


async def scraped_twice(here: World) -> None:
    """One target of one job with one sample, found and asked two times."""
    here.targets.bodies[url("a:1")] = b"m 1\n"
    here.manager.configure([here.job()])
    discover(here, "a:1")
    await until(lambda: len(here.targets.requests) == 2)


async def test_a_target_is_scraped_once_an_interval(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Scrapes of one target are one interval apart, at its own phase, and every sample is stored."""
    async with world(tmp_path) as here:
        here.targets.bodies[url("a:1")] = b"m 1\n"
        here.manager.configure([here.job()])
        discover(here, "a:1")
        await trio.sleep(65)
        times = [time for _, time in here.targets.requests]
        assert len(times) in (6, 7)
        assert {later - earlier for earlier, later in itertools.pairwise(times)} == {10_000}
        session = next(iter(here.manager.scrape_pools["j"].sessions.values()))
        assert times[0] % 10_000 == session.target.offset_ms(1)
        ((labels, points),) = here.samples("m")
        assert labels == {"__name__": "m", "instance": "a:1", "job": "j"}
        assert [time for time, _ in points] == times[: len(points)]
        assert len(points) >= len(times) - 1


async def test_lost_samples_are_logged_once_a_kind_and_scrape(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Duplicates, samples out of order and out of bounds are dropped, counted, and told in one line each."""
    async with world(tmp_path) as here:
        here.targets.bodies[url("a:1")] = b"m 1\nm 2\nm 3\nt 1 1699999990000\n"
        here.manager.configure([here.job()])
        discover(here, "a:1")
        await until(lambda: bool(here.samples("t")))
        here.log.entries.clear()
        here.targets.bodies[url("a:1")] = (
            b"m 1\nm 2\nm 3\nt 1 1699999980000\nt 2 1699999970000\nt 3 1699999990000\nt 4 1800000000000\n"
        )
        await until(lambda: len(here.targets.requests) == 2)
        await trio.sleep(1)
        told = {text: fields for level, text, fields in here.log.entries if level == "warn"}
        assert [fields["num_dropped"] for fields in told.values()] == [2, 3, 1]
        assert list(told) == [
            "Error on ingesting out-of-order samples",
            "Error on ingesting samples with different value but same timestamp",
            "Error on ingesting samples that are too old or are too far into the future",
        ]
        assert {fields["scrape_pool"] for fields in told.values()} == {"j"}
        counts = here.manager.counts()
        assert (counts.out_of_order, counts.duplicate, counts.out_of_bounds) == (2, 5, 1)


async def test_up_follows_health(tmp_path: Path, autojump_clock: MockClock) -> None:
    """`up` is 1, then 0 with staleness for the rest when the target fails, then 1 again."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
        here.targets.bodies[url("a:1")] = FetchError("down")
        await trio.sleep(10)
        here.targets.bodies[url("a:1")] = b"m 2\n"
        await trio.sleep(10)
        assert [value for _, value in here.samples("up")[0][1]] == [1.0, 1.0, 0.0, 1.0]
        assert [value for _, value in here.samples("m")[0][1]] == [1.0, 1.0, None, 2.0]


async def test_targets_leave_no_cycles(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Neither a failed scrape nor a target that went leaves garbage that only the collector of cycles would find."""
    async with world(tmp_path) as here:
        addresses = [f"a:{port}" for port in range(1, 51)]
        for address in addresses:
            here.targets.bodies[url(address)] = FetchError("down")
        here.manager.configure([here.job()])
        for known in (addresses, []):  # what is done once is done
            discover(here, *known)
            await trio.sleep(40)
        here.targets.requests.clear()
        discover(here, *addresses)
        gc.collect()
        await trio.sleep(40)
        discover(here)
        await trio.sleep(40)
        assert len(here.targets.requests) > 150
        assert gc.collect() < 50


async def test_of_targets_that_are_the_same_the_last_is_shown(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Two label sets that differ only in what relabeling may use are one target, with what was discovered last."""
    async with world(tmp_path) as here:
        here.manager.configure([here.job()])
        found = tuple({"__address__": "a:1", "__meta_container": name} for name in ("one", "two"))
        here.manager._mailbox.send_nowait(Discovered("j", found))
        await until(lambda: bool(here.manager.scrape_pools["j"].targets))
        (target,) = here.manager.scrape_pools["j"].targets.values()
        assert dict(target.discovered)["__meta_container"] == "two"


async def test_a_vanished_target_ends_after_two_intervals(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The series of a target that discovery dropped get a marker, written two intervals later."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
        discover(here)
        await trio.sleep(15)
        assert None not in [value for _, value in here.samples("m")[0][1]]
        await trio.sleep(10)
        points = here.samples("m")[0][1]
        assert points[-1][1] is None
        assert points[-1][0] == points[-2][0] + 10_000
        assert here.samples("up")[0][1][-1][1] is None


async def test_a_target_that_comes_back_goes_on(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A target that is gone for less than two intervals keeps its series without a marker."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
        discover(here)
        await trio.sleep(5)
        discover(here, "a:1")
        await trio.sleep(60)
        values = [value for _, value in here.samples("m")[0][1]]
        assert None not in values
        assert len(values) >= 7


async def test_a_new_config_restarts_the_pool_and_keeps_health(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A changed job restarts its targets with the new options; health and series go on."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
        here.manager.configure([here.job(version="2", interval_ms=5_000)])
        await trio.sleep(0.5)
        session = next(iter(here.manager.scrape_pools["j"].sessions.values()))
        assert session.state.health == "up"
        assert session.target.interval_ms == 5_000
        await trio.sleep(30)
        assert None not in [value for _, value in here.samples("m")[0][1]]
        assert len(here.targets.requests) >= 7


async def test_a_removed_job_ends(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A job that is no longer configured stops scraping and its series end."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        here.manager.configure([])
        await trio.sleep(60)
        assert len(here.targets.requests) in (2, 3)
        assert here.samples("m")[0][1][-1][1] is None


async def test_a_removed_job_is_no_longer_counted(tmp_path: Path, autojump_clock: MockClock) -> None:
    """How long the syncs of a job took is told as long as it is configured."""
    async with world(tmp_path) as here:
        for name in ("j", "k"):
            here.manager.configure([here.job(name)])
            discover(here, "a:1", job=name)
            await trio.sleep(5)
        (family,) = here.manager._times.sync_s.collect()
        assert {sample.labels["scrape_job"] for sample in family.samples} == {"k"}


async def test_an_end_that_storage_refuses_is_offered_again(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While storage takes nothing the end of a vanished target waits, and its marker keeps its time."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
        discover(here)
        await trio.sleep(1)
        append = Writer.append

        async def refuses(_writer: Writer, *_messages: Message) -> list[Appended]:
            await trio.lowlevel.checkpoint()
            raise OperatingError("the disk is full")

        monkeypatch.setattr(Writer, "append", refuses)
        await trio.sleep(55)
        assert here.manager.inspect()["leaving"] == 1
        monkeypatch.setattr(Writer, "append", append)
        await trio.sleep(15)
        assert here.manager.inspect()["leaving"] == 0
        points = here.samples("m")[0][1]
        assert points[-1] == (points[-2][0] + 10_000, None)


async def test_target_limit_fails_all(tmp_path: Path, autojump_clock: MockClock) -> None:
    """More targets than the limit: none is asked, each is down with the reason."""
    async with world(tmp_path) as here:
        here.manager.configure([here.job(target_limit=1)])
        discover(here, "a:1", "b:1")
        await trio.sleep(25)
        assert here.targets.requests == []
        assert {value for _, points in here.samples("up") for _, value in points} == {0.0}
        errors = {session.state.last_error for session in here.manager.scrape_pools["j"].sessions.values()}
        assert errors == {"target_limit exceeded (number of targets: 2, limit: 1)"}


async def test_what_discovery_confirms_is_a_sync(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A job beyond its limit is counted again each time discovery says that targets are as they were, not those never seen."""
    async with world(tmp_path) as here:
        here.manager.configure([here.job(target_limit=1)])
        here.manager.confirm(())
        assert here.manager.pool_counts.target_limit_exceeded == 0
        discover(here, "a:1", "b:1")
        await trio.sleep(5)
        for changed, count in (((), 2), (("other",), 3), (("j",), 3)):
            here.manager.confirm(changed)
            assert here.manager.pool_counts.target_limit_exceeded == count
            assert here.manager.scrape_pools["j"].syncs == count
        discover(here, "a:1")
        await trio.sleep(5)
        here.manager.confirm(())
        assert (here.manager.pool_counts.target_limit_exceeded, here.manager.scrape_pools["j"].syncs) == (
            3,
            5,
        )


async def test_a_slow_target_misses_slots(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Only one scrape of a target is under way; the slots it sleeps through are counted."""
    async with world(tmp_path) as here:
        here.targets.bodies[url("a:1")] = b"m 1\n"
        here.targets.took_s = 25
        here.manager.configure([here.job()])
        discover(here, "a:1")
        await trio.sleep(100)
        session = next(iter(here.manager.scrape_pools["j"].sessions.values()))
        assert session.counts.missed >= 4
        assert all(
            later - earlier == 30_000
            for (_, earlier), (_, later) in zip(
                here.targets.requests, here.targets.requests[1:], strict=False
            )
        )


async def test_stopping_writes_no_markers(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A server that stops leaves its series open: after a restart they go on."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
    async with world(tmp_path, start_ms=1_700_000_060_000) as here:
        await until(here.storage.replayed.is_set)
        values = [value for _, value in here.samples("m")[0][1]]
        assert values == [1.0, 1.0]


async def test_a_target_with_a_bug_stays_down_and_is_tried_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A crash stores `up 0`, so does each interval in quarantine; minutes later it is tried again, and goes on."""
    async with world(tmp_path) as here:
        await scraped_twice(here)
        await trio.sleep(1)
        here.targets.bodies[url("a:1")] = RuntimeError("a bug")
        pool = here.manager.scrape_pools["j"]
        await until(lambda: pool.pool.children()[0].state is State.QUARANTINED)
        crashes = here.reports.total
        await trio.sleep(90)
        session = next(iter(pool.sessions.values()))
        assert (session.state.health, session.state.last_error) == ("down", CRASHED)
        assert here.reports.total == crashes
        here.targets.bodies[url("a:1")] = b"m 2\n"
        await trio.sleep(200)
        points = here.samples("up")[0][1]
        assert max(later - earlier for (earlier, _), (later, _) in itertools.pairwise(points)) < 25_000
        values = [value for _, value in points]
        assert None not in values
        assert values[-1] == 1.0
        assert values.count(0.0) > 18
        assert here.samples("m")[0][1][-1][1] == 2.0
        assert pool.pool.children()[0].state is State.RUNNING


async def test_a_target_that_is_no_longer_wanted_ends_in_quarantine(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A quarantined target that discovery drops gets its markers, and nothing is stored of it any more."""
    async with world(tmp_path) as here:
        here.targets.bodies[url("a:1")] = RuntimeError("a bug")
        here.manager.configure([here.job()])
        discover(here, "a:1")
        pool = here.manager.scrape_pools["j"]
        await until(lambda: bool(pool.pool.children()))
        await until(lambda: pool.pool.children()[0].state is State.QUARANTINED)
        discover(here)
        await trio.sleep(60)
        points = here.samples("up")[0][1]
        assert points[-1][1] is None
        assert pool.sessions == {}
        assert pool.pool.children() == ()
        await trio.sleep(1800)
        assert here.samples("up")[0][1] == points


async def test_a_crowd_of_new_series_keeps_no_other_target_waiting(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New series of one target are stored in slices with the rows of others between them, and all of them arrive."""
    async with world(tmp_path) as here:
        monkeypatch.setattr("trimon.actors.storage.writer.NEW_SERIES_AT_ONCE", 500)
        order: list[tuple[int, int]] = []
        store = here.store.append

        def noted(messages: Sequence[Message]) -> object:
            rows = [message for message in messages if isinstance(message, Row)]
            order.append((sum(len(row.new_series) for row in rows), len(rows)))
            return store(messages)

        monkeypatch.setattr(here.store, "append", noted)
        async with trio.open_nursery() as senders:
            labels = [labels_of({"__name__": "big", "n": str(number)}) for number in range(5250)]
            big = Row("big", here.clock.now_ms(), NO_COLUMNS, NO_VALUES, tuple(labels), np.arange(5250.0))
            answers: list[Appended] = []

            async def send_big() -> None:
                answers.extend(await here.writer.append(big))

            senders.start_soon(send_big)
            for number in range(40):
                small = labels_of({"__name__": "small", "n": str(number)})
                row = Row(f"s{number}", here.clock.now_ms(), NO_COLUMNS, NO_VALUES, (small,), np.ones(1))
                senders.start_soon(here.writer.append, row)
        assert max(new for new, _ in order) <= 540
        assert len(order) >= 11
        (answer,) = answers
        assert (len(set(answer.columns.tolist())), answer.series_created) == (5250, 5250)
        assert len(here.samples("big")) == 5250
        assert sorted(points[0][1] or 0.0 for _, points in here.samples("big")) == list(
            map(float, range(5250))
        )
        assert len(here.samples("small")) == 40


async def test_few_first_bodies_are_between_read_and_stored(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long storing takes, no more than some targets hold the objects of their new series; all are stored in the end."""
    held, most = 0, 0
    store = Writer.append_shielded

    async def slowly(writer: Writer, *messages: Message) -> tuple[Appended, ...]:
        nonlocal held, most
        is_first = any(isinstance(message, Row) and len(message.new_series) > 100 for message in messages)
        held += is_first
        most = max(most, held)
        await trio.sleep(4 * is_first)
        held -= is_first
        return await store(writer, *messages)

    monkeypatch.setattr(Writer, "append_shielded", slowly)
    async with world(tmp_path) as here:
        addresses = [f"a:{port}" for port in range(1, 4 * FIRST_AT_ONCE)]
        for address in addresses:
            here.targets.bodies[url(address)] = b"".join(
                b'm{number="%d"} 1\n' % number for number in range(700)
            )
        here.manager.configure([here.job()])
        discover(here, *addresses)
        await trio.sleep(60)
        assert most == FIRST_AT_ONCE
        assert held == 0
        assert len(here.samples("m")) == 700 * len(addresses)


async def test_labels_that_are_not_kept_restart_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A discovered label that relabeling leaves out changes what is shown of a target, and not its scrapes."""
    async with world(tmp_path) as here:
        here.targets.bodies[url("a:1")] = b"m 1\n"
        here.manager.configure([here.job()])
        for version in ("1", "2"):
            labels = {"__address__": "a:1", "__meta_version": version}
            here.manager._mailbox.send_nowait(Discovered("j", (labels,)))
            await trio.sleep(25)
            pool = here.manager.scrape_pools["j"]
            (target,) = pool.targets.values()
            assert dict(target.discovered)["__meta_version"] == version
            (child,) = pool.pool.children()
            if version == "1":
                first = child.actor
        assert child.actor is first
        times = [time for _, time in here.targets.requests]
        assert {later - earlier for earlier, later in itertools.pairwise(times)} == {10_000}


async def test_a_histogram_of_more_buckets_than_a_turn_takes_is_stored(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Its components are never stored apart from it: they are one turn, however many there are."""
    buckets = "".join(f'c_bucket{{le="{number}"}} {number}\n' for number in range(5000))
    body = f'# TYPE c histogram\n{buckets}c_bucket{{le="+Inf"}} 5000\nc_sum 1\nc_count 5000\nm 1\n'
    async with world(tmp_path) as here:
        here.targets.bodies[url("a:1")] = body.encode()
        here.manager.configure([here.job(convert_classic_histograms=True)])
        discover(here, "a:1")
        await until(lambda: bool(here.samples("m")))
        (session,) = here.manager.sessions()
        assert (session.state.health, session.state.last_error) == ("up", "")
        assert len(session.held()) > 5000
