"""Queries that wait for memory: what they hold meanwhile, who comes first, and who is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trio

from trimon.actors.querying.gate import Queries
from trimon.actors.querying.waitingroom import TOLD_S, WAIT_S_MAX, WaitingRoom
from trimon.clock import WallClock
from trimon.memory.queries import FREE_BYTES, QueryMemory, Reservation
from trimon.offload import InlineOffload, ThreadsShort
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import MemoryFull, QueryError
from trimon.query.language.options import QueryOptions
from trimon.web.http.failures import as_api_error

MIB = 2**20


class Lines:
    """A log that keeps its warnings."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    debug = info = error = warning

    def bind(self, **fields: object) -> Lines:
        del fields
        return self


OPTIONS = QueryOptions()


def gate(memory: QueryMemory, room: WaitingRoom | None) -> Queries:
    snapshot: Any = object()
    return Queries(
        lambda: snapshot, InlineOffload(), WallClock(), concurrency_max=4, memory=memory, room=room
    )


def needing(size_bytes: int, runs: list[int]) -> Any:
    """Work that takes so many bytes."""

    def work(_: object, budget: Budget) -> int:
        runs.append(size_bytes)
        budget.take_bytes(size_bytes, "a test")
        return size_bytes

    return work


async def test_a_query_that_meets_a_full_share_waits_and_begins_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It holds nothing meanwhile, takes no place, and has what it needs when it begins again."""
    del autojump_clock
    memory = QueryMemory(100 * MIB)
    queries, other, runs = gate(memory, WaitingRoom(memory)), Reservation(memory), list[int]()
    assert other.raise_to(60 * MIB)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queries.run, "q", OPTIONS, needing(50 * MIB, runs))
        await trio.testing.wait_all_tasks_blocked()
        fields = queries.inspect()
        assert (fields["running"], fields["memory_waiting"]) == (0, 1)
        assert (memory.taken_bytes, runs) == (60 * MIB, [50 * MIB])
        other.release()
    assert (memory.taken_bytes, runs) == (0, [50 * MIB] * 2)
    assert other.raise_to(40 * MIB)
    with trio.move_on_after(1):
        await queries.run("q", OPTIONS, needing(50 * MIB, runs))
    assert len(runs) == 2  # what it needs is remembered: it waits before it begins
    assert memory.taken_bytes == 40 * MIB


async def test_the_first_is_not_passed_by(autojump_clock: trio.testing.MockClock) -> None:
    """Others that would fit come behind a large one that waits; what needs less than a megabyte never waits."""
    del autojump_clock
    memory = QueryMemory(100 * MIB)
    queries, other, done = gate(memory, WaitingRoom(memory)), Reservation(memory), list[str]()
    assert other.raise_to(60 * MIB)

    async def ask(name: str, size_bytes: int) -> None:
        await queries.run(name, OPTIONS, needing(size_bytes, []))
        done.append(name)

    async with trio.open_nursery() as nursery:
        for name, size_bytes in (("large", 70 * MIB), ("medium", 15 * MIB), ("small", FREE_BYTES)):
            nursery.start_soon(ask, name, size_bytes)
            await trio.testing.wait_all_tasks_blocked()
        assert done == ["small"]
        other.release()
    assert done == ["small", "large", "medium"]


async def test_who_waits_too_long_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """After half a minute the answer is 503 with what it needs and what there is; a shorter time-out holds."""
    memory = QueryMemory(100 * MIB)
    queries = gate(memory, WaitingRoom(memory))
    assert Reservation(memory).raise_to(60 * MIB)
    with pytest.raises(MemoryFull, match=f"{50 * MIB} bytes .* {80 * MIB} .* {60 * MIB} are taken") as caught:
        await queries.run("q", OPTIONS, needing(50 * MIB, []))
    assert trio.current_time() - autojump_clock.current_time() == pytest.approx(0)
    error = as_api_error(caught.value)
    assert error is not None
    assert (error.kind, error.status) == ("unavailable", 503)
    assert error.retry_after_s > 0
    assert queries.refused == 1


async def test_only_so_many_wait(autojump_clock: trio.testing.MockClock) -> None:
    """One more is refused at once."""
    del autojump_clock
    memory = QueryMemory(100 * MIB)
    room = WaitingRoom(memory, waiting_max=1)
    assert Reservation(memory).raise_to(60 * MIB)
    async with trio.open_nursery() as nursery:
        began_s = trio.current_time()

        async def refused() -> None:
            with pytest.raises(MemoryFull):
                await room.wait(Reservation(memory), 50 * MIB, 120.0)

        nursery.start_soon(refused)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(MemoryFull, match="1 queries wait"):
            await room.wait(Reservation(memory), 50 * MIB, 120.0)
        assert trio.current_time() == began_s
    assert trio.current_time() - began_s == pytest.approx(WAIT_S_MAX)


async def test_a_query_too_large_for_itself_is_told_so() -> None:
    """It is refused with the numbers, however much is free, and does not wait."""
    memory = QueryMemory(100 * MIB)
    runs = list[int]()
    with pytest.raises(
        QueryError, match=f"{90 * MIB} bytes for a test .* the {80 * MIB} that one query may hold"
    ) as caught:
        await gate(memory, WaitingRoom(memory)).run("q", OPTIONS, needing(90 * MIB, runs))
    assert not isinstance(caught.value, MemoryFull)
    assert "--storage.memory-max" in str(caught.value)
    assert (len(runs), memory.taken_bytes) == (1, 0)


async def test_every_refusal_counts_and_is_told_once_a_minute(autojump_clock: trio.testing.MockClock) -> None:
    """Queries too large, without memory of the system, or too many: each counts, and the log has a line a minute."""
    del autojump_clock
    memory, log = QueryMemory(100 * MIB), Lines()
    room = WaitingRoom(memory, log=log)
    queries = gate(memory, room)

    def failing(_: object, budget: Budget) -> int:
        del budget
        return len(np.zeros(1 << 45))

    for work in (needing(90 * MIB, []), failing, needing(2**40, [])):
        with pytest.raises(QueryError):
            await queries.run("q", OPTIONS, work)
    with pytest.raises(MemoryFull):
        queries.run_now(OPTIONS, failing)
    memory.is_shut = True
    with pytest.raises(MemoryFull):
        await queries.run("q", OPTIONS, needing(1, []))
    assert (room.refused, room.inspect()["memory_refused"]) == (5, 5)
    assert [fields["refused"] for _, fields in log.lines] == [1]
    assert "--storage.memory-max" in str(log.lines[0][1]["last"])
    await trio.sleep(TOLD_S + 1)
    with pytest.raises(MemoryFull):
        await queries.run("q", OPTIONS, needing(1, []))
    assert [fields["refused"] for _, fields in log.lines] == [1, 6]


async def test_want_of_memory_is_no_bug() -> None:
    """What the system refuses to a query or a request is answered with 503: the client may come again."""
    memory = QueryMemory(100 * MIB)

    def failing(*_: object) -> int:
        raise MemoryError

    with pytest.raises(MemoryFull, match="more memory than the system gives") as caught:
        await gate(memory, WaitingRoom(memory)).run("q", OPTIONS, failing)
    for error in (caught.value, MemoryError(), ThreadsShort("no threads")):
        answer = as_api_error(error)
        assert answer is not None
        assert (answer.status, answer.kind) == (503, "unavailable")


async def test_rules_have_the_last_fifth_and_do_not_wait() -> None:
    """Clients leave it to them; where even that is taken the rule fails."""
    memory = QueryMemory(100 * MIB)
    WaitingRoom(memory)
    rules = gate(memory, None)
    clients = Reservation(memory)
    assert clients.raise_to(80 * MIB)
    memory.is_closed = memory.is_shut = True
    assert await rules.run("rule", OPTIONS, needing(20 * MIB, [])) == 20 * MIB
    with pytest.raises(MemoryFull):
        await rules.run("rule", OPTIONS, needing(21 * MIB, []))
    assert memory.taken_bytes == 80 * MIB


async def test_without_memory_clients_are_refused() -> None:
    """When the process is hardly within its budget not even small queries of clients are taken."""
    memory = QueryMemory(100 * MIB)
    queries = gate(memory, WaitingRoom(memory))
    memory.is_shut = True
    with pytest.raises(MemoryFull, match="/debug/memory"):
        await queries.run("q", OPTIONS, needing(1, []))
    memory.is_shut = False
    assert await queries.run("q", OPTIONS, needing(1, [])) == 1


async def test_an_error_keeps_nothing_of_its_query() -> None:
    """What a failed query had made is gone as soon as its error is there, without a collection of garbage."""

    class Made:
        alive = 0

        def __init__(self) -> None:
            Made.alive += 1

        def __del__(self) -> None:
            Made.alive -= 1

    def work(_: object, budget: Budget) -> None:
        made = Made()
        budget.take_bytes(budget.bytes_max + 1, f"{type(made).__name__}")

    memory = QueryMemory(100 * MIB)
    try:
        await gate(memory, WaitingRoom(memory)).run("q", OPTIONS, work)
    except QueryError as error:
        kept = error
    assert Made.alive == 0, kept
