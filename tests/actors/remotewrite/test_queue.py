"""A queue over a real store and its log, in virtual time: absent receivers, lag, kills."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.support.collector import uncollected
from tests.support.oracle import ORACLE
from tests.support.sending_world import Received, Receiver, Reply, sending_config, sending_world

pytestmark = pytest.mark.skipif(
    not (ORACLE / "remote" / "orclib.py").is_file(),
    reason="the codec of the recordings is not there (oracle/remote)",
)
CAPACITY = 50


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def config(deadline: str = "1s", **section: Any) -> Any:
    queue = {
        "capacity": CAPACITY,
        "max_samples_per_send": 25,
        "batch_send_deadline": deadline,
        "max_shards": 1,
    }
    return sending_config(
        json.dumps(
            {
                "global": {"scrape_interval": "1s"},
                "remote_write": [{"url": "http://far/w", "queue_config": queue, **section}],
                "scrape_configs": [{"job_name": "t"}],
            }
        )
    )


def taken(receiver: Receiver) -> Counter[tuple[str, int, float]]:
    """How often each sample was taken."""
    return Counter(
        (json.dumps(series["labels"], sort_keys=True), sample["timestamp"], sample.get("value", 0.0))
        for request in receiver.requests
        if request.status == 204
        for series in request.message.get("timeseries", [])
        for sample in series["samples"]
    )


async def test_an_absent_receiver_costs_no_memory_and_loses_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """For an hour nobody answers: what waits stays within capacity, the lag is its age; then every sample comes once."""
    receiver = Receiver(lambda since_s: None if since_s < 3600 else (204, {}, b""))
    async with sending_world(tmp_path, config(), receiver) as here:
        await receiver.begun.wait()
        (queue,) = here.writer.queues.values()
        for minute in range(1, 60):
            await trio.sleep(60)
            state = queue.inspect()
            # a read is done as a whole, and begins while there is room
            assert CAPACITY <= queue.pending < CAPACITY + 20
            assert abs(float(str(state["lagSeconds"])) - 60 * minute) < 5
            assert state["lastError"] == "connect: connection refused"
        assert queue.counts.full > 0
        receiver.requests.clear()
        await trio.sleep(180)
        assert queue.inspect()["lastError"] == ""
        assert float(str(queue.inspect()["lagSeconds"])) < 5
        stored = {name: here.world.samples(name)[0][1] for name in ("g", "up", "scrape_samples_scraped")}
    counts = taken(receiver)
    assert set(counts.values()) == {1}
    for name, samples in stored.items():
        mine = sorted((time, value) for (key, time, value), _ in counts.items() if f'"{name}"' in key)
        told = [(time, value) for time, value in samples if value is not None]
        assert mine[: len(told)] == told, name
        assert len(told) > 3700


async def test_a_receiver_that_fails_in_turns_gets_everything_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """No answer, 500, slow and 503 in turns of seven seconds: nothing is lost and nothing comes twice, in order by series."""

    def reply(since_s: float) -> tuple[int, dict[str, str], bytes] | None:
        turn = int(since_s // 7) % 4
        return (None, (500, {}, b"no"), (204, {}, b""), (503, {"Retry-After": "2"}, b""))[turn]

    receiver = Receiver(reply, sleep_s=0.3)
    async with sending_world(tmp_path, config(), receiver) as here:
        await receiver.begun.wait()
        await trio.sleep(300)
        receiver.reply = lambda _: (204, {}, b"")
        await trio.sleep(60)
        stored = here.world.samples("g")[0][1]
    counts = taken(receiver)
    assert set(counts.values()) == {1}
    mine = [time for (key, time, _), _ in counts.items() if '"g"' in key]
    assert mine == sorted(mine)
    assert mine[: len(stored)] == [time for time, _ in stored]
    assert len(stored) > 300


async def test_requests_that_are_refused_are_logged_where_that_is_asked_for(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """With `failed_request_logging` a request that is lost for good is told with its series; a repeated one is not."""
    for folder, asked in (("a", True), ("b", False)):
        receiver = Receiver(lambda since_s: (400 if since_s < 3 else 503 if since_s < 6 else 204, {}, b"no"))
        async with sending_world(tmp_path / folder, config(failed_request_logging=asked), receiver) as here:
            await receiver.begun.wait()
            await trio.sleep(10)
            log = here.world.log.entries
        told = [fields for _, text, fields in log if text == "remote write request that was refused"]
        assert len(told) == (sum(request.status == 400 for request in receiver.requests) if asked else 0)
        if asked:
            assert 'g{instance="target", job="t"}' in str(told[0]["first_series"])
            assert told[0]["series"] == 6


class Strict:
    """A receiver as Prometheus is for 1.0: a sample that is not newer than its series' last refuses all of a request."""

    def __init__(self) -> None:
        self.samples: dict[str, list[tuple[int, float]]] = {}
        self.refused = 0

    def __call__(self, request: Received) -> Reply:
        message = request.message
        found = [
            (json.dumps(series["labels"], sort_keys=True), sample["timestamp"], sample.get("value", 0.0))
            for series in message.get("timeseries", [])
            for sample in series["samples"]
        ]
        newest = {key: samples[-1] for key, samples in self.samples.items()}
        for key, time_ms, value in found:
            last = newest.get(key)
            if last is not None and time_ms <= last[0] and (time_ms, value) != last:
                self.refused += 1
                return 400, {}, b"out of order sample"
            newest[key] = (time_ms, value)
        for key, time_ms, value in found:
            mine = self.samples.setdefault(key, [])
            if not mine or mine[-1][0] != time_ms:
                mine.append((time_ms, value))
        return 204, {}, b""


async def test_what_a_receiver_has_already_takes_nothing_else_along(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A request that was taken and not answered when the sender died is repeated in parts: what is new in it is not lost."""
    strict = Strict()
    receiver = Receiver(judge=strict)
    async with sending_world(tmp_path, config("3s"), receiver) as here:
        await receiver.begun.wait()
        await trio.sleep(20)
        receiver.sleep_s = 1e6  # it takes the next request, and the answer never comes
        await trio.sleep(5)
        taken_before = len(strict.samples['{"__name__": "g", "instance": "target", "job": "t"}'])
        here.world.manager.stopping = True
    again = Receiver(judge=strict)
    async with sending_world(tmp_path, config("3s"), again, start_ms=1_700_000_100_000) as here:
        await again.begun.wait()
        await trio.sleep(20)
        (queue,) = here.writer.queues.values()
        stored = here.world.samples("g")[0][1]
        assert queue.inspect()["lastError"] == ""
        assert queue.counts.failed.total == 0
    assert strict.refused
    got = strict.samples['{"__name__": "g", "instance": "target", "job": "t"}']
    assert got[: len(stored)] == stored
    assert len(stored) > taken_before + 20


@pytest.mark.parametrize("answer", ["taken", "refused", "none"])
async def test_a_queue_that_goes_leaves_no_file_open(
    tmp_path: Path, autojump_clock: MockClock, answer: str
) -> None:
    """Queues that are replaced, also such as must be cancelled, close log and savepoint without a collection of garbage."""
    receiver = Receiver(lambda _: (204 if answer == "taken" else 500, {}, b""))
    receiver.sleep_s = 1e6 if answer == "none" else 0.0
    section: dict[str, Any] = {"name": "q0", "remote_timeout": "60s"}

    def held() -> int:
        links = Path("/proc/self/fd").iterdir()
        targets = [str(link.readlink()) for link in links if link.is_symlink()]
        return sum("/savepoints/" in each or "/wal/0" in each for each in targets)

    async with sending_world(tmp_path, config(**section), receiver) as here:
        await receiver.begun.wait()
        await trio.sleep(30)
        with uncollected():
            before = held()
            for number in range(1, 4):
                main = config(**section | {"name": f"q{number}"}).main
                here.writer.configure(main.remote_write, ())
                await trio.sleep(30)
                assert held() == before
                assert len(here.writer.counts) == 1
