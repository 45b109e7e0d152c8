"""The gate of the queries: who waits for whom, who is refused, and what is remembered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import trio

from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.querying.gate import Queries
from trimon.actors.querying.places import Asker
from trimon.actors.querying.query import Phase
from trimon.actors.querying.queryqueue import HEAVY_MAX, HEAVY_S, PATIENCE_S
from trimon.clock import WallClock
from trimon.offload import ThreadOffload
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.language.options import QueryOptions

OPTIONS = QueryOptions()


def gate(offload: Any = None, **more: Any) -> Queries:
    snapshot: Any = object()
    return Queries(
        lambda: snapshot,
        offload or ThreadOffload(20),
        WallClock(),
        concurrency_max=more.pop("places", 20),
        **more,
    )


def burn(*_: object) -> None:
    """Work that is heavy: it takes a core."""
    end_s = time.thread_time() + 2 * HEAVY_S
    while time.thread_time() < end_s:
        pass


class Crowd:
    """Work that waits until it is let go, and counts how many wait."""

    def __init__(self) -> None:
        self.inside = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, *_: object) -> None:
        with self._lock:
            self.inside += 1
        assert self.go.wait(20)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110 # threads make it true
            await trio.sleep(0.002)


async def test_few_heavy_queries_compute_at_once() -> None:
    """Of queries that were heavy the last time few run at once, small ones run beside them, and patience ends."""
    queries, heavy, small = gate(), Crowd(), Crowd()
    await queries.run("heavy", OPTIONS, burn)
    await queries.run("small", OPTIONS, lambda *_: None)
    async with trio.open_nursery() as nursery:
        began_s = trio.current_time()
        for _ in range(HEAVY_MAX + 3):
            nursery.start_soon(queries.run, "heavy", OPTIONS, heavy)
        await until(lambda: heavy.inside == HEAVY_MAX)
        nursery.start_soon(queries.run, "small", OPTIONS, small)
        nursery.start_soon(queries.run, "unknown", OPTIONS, small)
        await until(lambda: small.inside == 2)
        fields = queries.inspect()
        assert (fields["heavy"], fields["waiting"], fields["running"]) == (HEAVY_MAX, 3, HEAVY_MAX + 2)
        assert heavy.inside == HEAVY_MAX
        await until(lambda: heavy.inside == HEAVY_MAX + 3)
        assert trio.current_time() - began_s >= PATIENCE_S * 0.9
        heavy.go.set()
        small.go.set()
    fields = queries.inspect()
    assert (fields["heavy"], fields["waiting"], fields["running"], queries.served) == (0, 0, 0, HEAVY_MAX + 7)


async def test_a_place_that_is_left_is_taken_at_once() -> None:
    """When a heavy query ends the next one starts, long before its patience would."""
    queries, first, second = gate(), Crowd(), Crowd()
    await queries.run("heavy", OPTIONS, burn)
    async with trio.open_nursery() as nursery:
        for _ in range(HEAVY_MAX):
            nursery.start_soon(queries.run, "heavy", OPTIONS, first)
        await until(lambda: first.inside == HEAVY_MAX)
        nursery.start_soon(queries.run, "heavy", OPTIONS, second)
        await until(lambda: queries.inspect()["waiting"] == 1)
        first.go.set()
        with trio.fail_after(PATIENCE_S * 0.6):
            await until(lambda: second.inside == 1)
        second.go.set()


async def test_too_many_that_wait_are_refused_and_time_in_the_queue_counts() -> None:
    """A full queue refuses with a time to come back; one that waited its whole time has timed out in the queue."""
    queries, crowd = gate(places=1, waiting_max=1), Crowd()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queries.run, "a", OPTIONS, crowd)
        await until(lambda: crowd.inside == 1)
        nursery.start_soon(queries.run, "b", OPTIONS, crowd)
        await until(lambda: queries.inspect()["waiting"] == 1)
        with pytest.raises(MailboxFull):
            await queries.run("c", OPTIONS, crowd)
        assert queries.refused == 1
        crowd.go.set()
    queries, crowd = gate(places=1), Crowd()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queries.run, "a", OPTIONS, crowd)
        await until(lambda: crowd.inside == 1)
        with pytest.raises(QueryError, match="query timed out in query queue") as raised:
            await queries.run("b", QueryOptions(timeout_s=0.05), crowd)
        assert raised.value.kind is FailureKind.TIMEOUT
        crowd.go.set()
    assert not queries.active


async def test_cancelled_work_is_told_and_waited_for() -> None:
    """A caller that is cancelled tells its work, and goes on only when the thread has ended."""
    told, ended = threading.Event(), threading.Event()

    def work() -> None:
        assert told.wait(10)
        time.sleep(0.02)
        ended.set()

    with trio.move_on_after(0.05) as scope:
        await ThreadOffload(1).run(work, told.set)
        await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert ended.is_set()


async def test_threads_are_bounded_and_errors_pass() -> None:
    """No more threads at once than allowed; an error of the work is the caller's."""
    offload, crowd = ThreadOffload(2), Crowd()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(offload.run, crowd)
        await until(lambda: crowd.inside == 2)
        await trio.sleep(0.03)
        assert (crowd.inside, offload.inspect()) == (2, {"busy": 2, "threads_max": 2, "waiting": 3})
        crowd.go.set()
    assert crowd.inside == 5

    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await offload.run(fails)
    assert offload.inspect()["busy"] == 0


async def test_one_client_keeps_no_other_out() -> None:
    """With a crowd of one client at work and waiting, a query of another starts at once."""
    queries, crowd, other = gate(places=4, waiting_max=8), Crowd(), Crowd()
    many, few = Asker("10.0.0.1", "10.0.0.1"), Asker("10.0.0.2", "10.0.0.2")
    async with trio.open_nursery() as nursery:

        async def ask(asker: Asker, work: Crowd) -> None:
            await queries.run("q", OPTIONS, work, asker=asker)

        for _ in range(9):
            nursery.start_soon(ask, many, crowd)
        await until(lambda: queries.inspect()["waiting"] == 6)
        with pytest.raises(MailboxFull, match=r"queries of 10\.0\.0\.1 is full: 6 of 6") as raised:
            await queries.run("q", OPTIONS, crowd, asker=many)
        assert raised.value.retry_after_s > 0
        nursery.start_soon(ask, few, other)
        await until(lambda: other.inside == 1)
        assert crowd.inside == 3
        other.go.set()
        crowd.go.set()
    assert not queries._queue._waiting_of


async def test_a_query_is_cancelled_where_it_computes_and_where_it_waits() -> None:
    """Cancelled, a query at work ends at its next look and one in the queue at once, both with an error; others go on."""
    queries, failed = gate(places=1), []

    def patient(_: object, budget: Budget) -> None:
        while True:
            budget.check()
            time.sleep(0.001)

    async def ask(text: str, work: Any) -> None:
        try:
            await queries.run(text, OPTIONS, work, asker=Asker("x", "10.0.0.1", "eve"))
        except QueryError as error:
            failed.append((text, error.kind, str(error)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "first", patient)
        await until(lambda: any(query.phase is Phase.COMPUTES for query in queries.active.values()))
        nursery.start_soon(ask, "second", patient)
        await until(lambda: queries.inspect()["waiting"] == 1)
        first, second = queries.listed(10)
        assert (first["phase"], second["phase"]) == ("computes", "waits for a place")
        assert (second["user"], second["client"], second["query"]) == ("eve", "10.0.0.1", "second")
        assert queries.cancel(int(str(second["id"])))
        await until(lambda: len(failed) == 1)
        assert queries.cancel(int(str(first["id"])))
    assert failed == [
        ("second", FailureKind.CANCELED, "query was canceled in query queue"),
        ("first", FailureKind.CANCELED, "query was canceled in expression evaluation"),
    ]
    assert not queries.cancel(int(str(first["id"])))
    assert not queries.active
    assert await queries.run("third", OPTIONS, lambda *_: 3) == 3
