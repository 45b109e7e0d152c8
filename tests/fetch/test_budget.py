"""Connections that go out within a bound: those that rest give way, and whoever gets none fails with a clear error."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trimon.fetch.budget import WAIT_S, ConnectionBudget, NoDescriptor
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import FetchError, FetchRequest

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """Answers `/` at once and `/slow` when it is let go; counts its connections."""

    def __init__(self) -> None:
        self.go = trio.Event()
        self.opened = self.open = 0
        self.port = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        self.opened += 1
        self.open += 1
        async with stream:
            try:
                while got := await stream.receive_some():
                    if got.startswith(b"GET /slow"):
                        await self.go.wait()
                    await stream.send_all(ANSWER)
            except trio.BrokenResourceError:
                pass
            finally:
                self.open -= 1

    def request(self, path: str, timeout_s: float = 5.0) -> FetchRequest:
        return FetchRequest(f"http://127.0.0.1:{self.port}{path}", timeout_s=timeout_s)


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    here = Peer()
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        here.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, here.serve, [listener])
        yield here
        nursery.cancel_scope.cancel()


async def test_connections_that_rest_give_way() -> None:
    """More clients than connections are all answered, again and again, and no more than the bound are open."""
    budget = ConnectionBudget(3)
    clients = [HttpFetch(budget=budget) for _ in range(8)]
    async with peer() as here:
        for _ in range(3):
            for fetch in clients:
                assert (await fetch.send(here.request("/"))).body == b"ok"
                assert len(budget) <= 3
        assert budget.refused == 0
        assert budget.closed == here.opened - 3 == 21
        for fetch in clients:
            await fetch.aclose()
        assert len(budget) == 0


async def test_within_the_bound_connections_are_kept() -> None:
    """With enough places every client asks over the connection it has."""
    budget = ConnectionBudget(2)
    clients = [HttpFetch(budget=budget) for _ in range(2)]
    async with peer() as here:
        for _ in range(5):
            for fetch in clients:
                await fetch.send(here.request("/"))
        assert (here.opened, budget.closed) == (2, 0)
        for fetch in clients:
            await fetch.aclose()


async def test_who_gets_no_connection_is_told() -> None:
    """When all connections are in use a request fails after a moment and says why; one that is freed in time is taken."""
    told = []
    budget = ConnectionBudget(2, lambda: told.append(1))
    clients = [HttpFetch(budget=budget) for _ in range(3)]
    async with peer() as here, trio.open_nursery() as nursery:
        for fetch in clients[:2]:
            nursery.start_soon(fetch.send, here.request("/slow"))
        while here.opened < 2:  # noqa: ASYNC110 # the peer's own count
            await trio.sleep(0.001)
        began_s = trio.current_time()
        with pytest.raises(FetchError, match="too many open files: all 2 outgoing connections are in use"):
            await clients[2].send(here.request("/"))
        assert WAIT_S <= trio.current_time() - began_s < WAIT_S + 1
        assert (told, budget.refused) == ([1], 1)
        nursery.start_soon(clients[2].send, here.request("/"))
        await trio.sleep(0.1)
        here.go.set()
    for fetch in clients:
        await fetch.aclose()
    assert (len(budget), budget.refused) == (0, 1)


async def test_failures_and_cancellations_give_their_place_back() -> None:
    """A connection that could not be opened, a time-out, a client that is lost: each frees its place."""
    budget = ConnectionBudget(1)
    for _ in range(3):
        with pytest.raises(FetchError):
            await HttpFetch(budget=budget).send(FetchRequest("http://127.0.0.1:1/"))
    async with peer() as here:
        with pytest.raises(FetchError, match="deadline"):
            await HttpFetch(budget=budget).send(here.request("/slow", 0.05))
        assert len(budget) == 0
        async with budget.place():
            with pytest.raises(NoDescriptor):
                async with budget.place():
                    raise AssertionError
        lost = HttpFetch(budget=budget)
        await lost.send(here.request("/"))
        connection = lost._connection
        assert connection is not None
        connection.close_now()
        assert (await lost.send(here.request("/"))).body == b"ok"
        await lost.aclose()
        del lost, connection
        gc.collect()
        assert len(budget) == 0


async def test_a_place_that_comes_too_late_is_none(mock_clock: trio.testing.MockClock) -> None:
    """Who is woken after its time, on a machine that is busy, and finds no place is refused like others."""
    budget = ConnectionBudget(1)

    async def late() -> None:
        with pytest.raises(NoDescriptor):
            async with budget.place():
                pytest.fail("there was none")

    async with budget.place(), trio.open_nursery() as nursery:
        nursery.start_soon(late)
        await trio.testing.wait_all_tasks_blocked()
        budget._waiting.unpark()
        mock_clock.jump(WAIT_S + 1)
    assert budget.refused == 1
