"""How connections of the web actor end: idle ones after their time, all when it stops."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.web.http.wire.test_connection import GET, Application, answer, connected, everything, serving
from trimon import limits
from trimon.web.http.wire import server
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor


async def test_idle_connections_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without requests is closed after its time, measured from its last answer."""
    monkeypatch.setattr(limits, "CONNECTION_IDLE_S", 0.2)
    async with serving() as (port, app, actor), await connected(port) as stream:
        began_s = trio.current_time()
        for _ in range(4):
            await trio.sleep(0.1)
            await stream.send_all(GET)
            await answer(stream)
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.sleep(0.3)
        app.go.set()
        await answer(stream)
        assert trio.current_time() - began_s > 0.6
        assert await everything(stream) == b""
        assert actor.connections.closed["idle"] == 1


async def test_draining_finishes_requests_and_closes_idle_connections() -> None:
    """After drain an idle connection ends at once, a request at work is answered, and run returns."""
    app: Any = Application()
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(app, [listener], 10)
    port = listener.getsockname()[1]
    with trio.fail_after(8):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.run)
            idle, used, busy = await connected(port), await connected(port), await connected(port)
            await used.send_all(GET)
            await answer(used)
            await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            await app.entered.wait()
            actor.drain()
            assert await everything(idle) == b""
            assert await everything(used) == b""
            app.go.set()
            assert (await everything(busy)).endswith(b"GET /slow ")
    for stream in (idle, used, busy):
        await stream.aclose()
    listener.close()


@pytest.mark.parametrize("headers", [b"", b"Connection: keep-alive, x\r\n"], ids=["plain", "by the library"])
async def test_the_last_answer_says_so(headers: bytes) -> None:
    """Whoever is answered after the stop has begun is told that the connection ends; before, nobody is."""
    slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n"
    async with serving() as (port, app, actor), await connected(port) as stream:
        await stream.send_all(slow.replace(b"slow", b"small"))
        assert b"connection" not in (await answer(stream))[0].lower()
        await stream.send_all(slow)
        await app.entered.wait()
        actor.drain()
        app.go.set()
        got = await everything(stream)
        assert got.endswith(b"GET /slow ")
        assert got.count(b"\r\nConnection: close\r\n") == 1


async def test_a_client_that_stops_reading_does_not_keep_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection in the middle of an answer that nobody reads is closed when the time for a stop is over."""
    monkeypatch.setattr(server, "DRAIN_S", 0.3)
    app: Any = Application()
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(app, [listener], 10)
    stream = await connected(listener.getsockname()[1])
    with trio.fail_after(8):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.run)
            for _ in range(40):  # more than the buffers of both sides hold
                await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            await stream.receive_some(10)
            await trio.sleep(0.2)
            actor.drain()
    await stream.aclose()
    listener.close()


async def test_who_comes_while_it_drains_is_turned_away() -> None:
    """With a request still at work a new connection is refused at once and does not wait for the end."""
    async with serving() as (port, app, actor), await connected(port) as busy:
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.entered.wait()
        actor.drain()
        with trio.fail_after(8):
            with pytest.raises(OSError, match=r"refused|all attempts"):
                await connected(port)
        assert actor.inspect()["addresses"] == [f"127.0.0.1:{port}"]
        app.go.set()
        assert (await everything(busy)).endswith(b"GET /slow ")
