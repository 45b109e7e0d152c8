"""Connections in crowds: which end for others, how long a client may take, and who is answered when all places are at work."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from operator import ne
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.web.http.wire.test_connection import GET, OK, Application, answer, connected, everything, serving
from trimon import limits
from trimon.selfmetrics import SelfMetrics
from trimon.web.auth.headers import AnswerHeaders
from trimon.web.auth.security import CurrentSecurity
from trimon.web.context import WebOptions
from trimon.web.http.answer import text
from trimon.web.http.endpoint import Access, Endpoint, EndpointTable
from trimon.web.http.guard import Guard
from trimon.web.http.messages import send_answer
from trimon.web.http.requestmetrics import RequestMetrics
from trimon.web.http.wire import server
from trimon.web.http.wire.connections import Connections, Phase, Place, client_key
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor

SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


def ended(closed: list[int], name: int) -> Any:
    return lambda: closed.append(name)


async def test_the_one_that_waited_longest_ends(autojump_clock: trio.testing.MockClock) -> None:
    """Heads, then the emptiest body, then idle ones, then those that have just come; one at work never."""
    all_, closed = Connections(6), list[int]()
    places = []
    for name in range(6):
        place = all_.take("127.0.0.1", ended(closed, name))
        assert place is not None
        places.append(place)
    places[0].enter(Phase.BUSY, trio.current_time())
    places[1].enter(Phase.BODY, trio.current_time())
    places[1].body_bytes = 100_000
    places[2].enter(Phase.BODY, trio.current_time())
    places[2].body_bytes = 10
    places[3].enter(Phase.HEAD, trio.current_time())
    places[4].enter(Phase.BUSY, trio.current_time())
    await trio.sleep(2)
    places[4].enter(Phase.IDLE, trio.current_time())  # it waits since just now
    for _ in range(5):
        newer = all_.take("127.0.0.1", lambda: None)
        assert newer is not None
        newer.enter(Phase.BUSY, trio.current_time())
    assert closed == [3, 2, 5, 1, 4]
    assert (len(all_), all_.closed["pressure"]) == (6, 5)


async def test_who_may_have_asked_is_not_ended(autojump_clock: trio.testing.MockClock) -> None:
    """Of those that have just come, those end that sent nothing; the others only when no place is left at all."""
    all_, closed = Connections(3, 1), list[int]()
    for name in range(3):
        assert all_.take("127.0.0.1", ended(closed, name), partial(ne, name, 1)) is not None
    for name in (3, 4, 5):
        assert all_.take("127.0.0.1", ended(closed, name), lambda: True) is not None
    assert closed == [1, 0]
    assert len(all_) == 4


async def test_one_client_does_not_take_all_places() -> None:
    """Beyond its share an address ends its own connections, and gets none when all of them are at work; this machine may."""
    all_, closed = Connections(8), list[int]()
    assert all_.per_client_max == 6
    other = all_.take("10.0.0.2", ended(closed, 99))
    assert other is not None
    places = [all_.take("10.0.0.1", ended(closed, name)) for name in range(6)]
    assert all_.take("::ffff:10.0.0.1", lambda: None) is not None
    assert closed == [0]
    for place in all_._open:
        place.enter(Phase.BUSY, trio.current_time())
    assert all_.take("10.0.0.1", lambda: None) is None
    assert all_.take("10.0.0.3", lambda: None) is not None
    assert all_.closed["client"] == 2
    all_.leave(places[0] or other)  # again, as its task does when it ends
    assert len(all_) == 8
    local = Connections(8)
    assert all(local.take(address, lambda: None) for address in ("127.0.0.1", "::1") * 8)


def test_what_counts_as_one_client() -> None:
    """IPv6 counts by networks of 64 bits, of which every host has one."""
    assert client_key("2001:db8::1") == client_key("2001:db8::ffff:1") != client_key("2001:db8:0:1::1")
    assert client_key("::ffff:10.1.1.1") == client_key("10.1.1.1") == "10.1.1.1"
    assert client_key("127.0.0.1") == client_key("::1") == ""


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["take", "leave", *Phase]))))
def test_books_of_places_balance(steps: list[tuple[int, Any]]) -> None:
    """Whatever connections do, the counts are those of the open ones, and none of them is in two lists."""
    trio.run(_play, steps)


async def _play(steps: list[tuple[int, Any]]) -> None:
    all_, live = Connections(5), dict[int, Place]()
    for name, step in steps:
        if step == "take" and name not in live:
            place = all_.take(f"10.0.0.{name % 3}", partial(live.pop, name))
            if place is not None:
                live[name] = place
        elif name in live and step == "leave":
            all_.leave(live.pop(name))
        elif name in live and step != "take":
            live[name].enter(step, trio.current_time())
    assert set(all_._open) == set(live.values())
    for phase in (Phase.IDLE, Phase.HEAD, Phase.BODY):
        assert set(all_._waiting[phase]) == {place for place in live.values() if place.phase is phase}
    assert sum(all_._of_client.values()) == len(live)


async def test_a_crowd_of_silent_clients_keeps_nobody_out() -> None:
    """With all places taken by clients that ask nothing, the next one is answered at once, and those at work go on."""
    async with serving(5) as (port, app, actor), AsyncExitStack() as stack:
        busy = await stack.enter_async_context(await connected(port))
        await busy.send_all(SLOW)
        await app.entered.wait()
        for number in range(20):
            silent = await stack.enter_async_context(await connected(port))
            if number % 3:
                await silent.send_all(GET[: number + 1] if number % 2 else POST)
        with trio.fail_after(8):
            async with await connected(port) as stream:
                await stream.send_all(GET)
                assert (await answer(stream))[1] == b"GET /small "
        assert actor.connections.closed["pressure"] >= 16
        app.go.set()
        assert (await answer(busy))[1] == b"GET /slow "


async def test_a_head_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that drips is ended with 408, however it drips; a connection that sends nothing at all ends without a word."""
    monkeypatch.setattr(limits, "REQUEST_HEAD_S", 0.3)
    monkeypatch.setattr(limits, "CONNECTION_FIRST_S", 0.2)
    async with serving() as (port, _, actor), await connected(port) as silent:
        assert (await everything(silent)) == b""
        async with await connected(port) as slow:
            with trio.fail_after(8):
                while not actor.connections.closed["slow_head"]:
                    await slow.send_all(b"G")
                    await trio.sleep(0.02)
        assert actor.connections.closed["idle"] == 1
        async with await connected(port) as kept:
            await kept.send_all(GET)
            await answer(kept)
            await kept.send_all(GET[:10])
            assert (await everything(kept)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


async def test_a_body_has_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body below the least pace is ended; one at its pace may take longer than any fixed time."""
    monkeypatch.setattr(limits, "REQUEST_BODY_S", 0.3)
    monkeypatch.setattr(limits, "REQUEST_BODY_BYTES_PER_S_MIN", 100)
    async with serving() as (port, _, actor), await connected(port) as slow, await connected(port) as steady:
        await slow.send_all(POST)
        await steady.send_all(POST)
        for number in range(10):
            await steady.send_all(b"x" * 10)
            await trio.sleep(0.08)
            if number == 0:
                await slow.send_all(b"x")
        assert (await answer(steady))[1] == b"POST /a " + b"x" * 100
        assert await everything(slow) == b""
        assert actor.connections.closed["slow_body"] == 1


async def test_work_does_not_count_against_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request at work, and a stream of answers, take what they take: no time of connections ends them."""
    for name in ("CONNECTION_FIRST_S", "CONNECTION_IDLE_S", "REQUEST_HEAD_S", "REQUEST_BODY_S"):
        monkeypatch.setattr(limits, name, 0.1)
    async with serving() as (port, app, _), await connected(port) as stream:
        await stream.send_all(SLOW)
        await trio.sleep(0.5)
        app.go.set()
        assert (await answer(stream))[1] == b"GET /slow "


async def test_a_stop_does_not_wait_for_a_body_that_drips() -> None:
    """When the server stops, heads and bodies that are not whole end within a second or two."""
    app: Any = Application()
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(app, [listener], 10)
    port = listener.getsockname()[1]
    with trio.fail_after(4):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.run)
            head, body = await connected(port), await connected(port)
            await head.send_all(GET[:9])
            await body.send_all(POST)
            await trio.sleep(0.1)
            actor.drain()
            await everything(head)
            assert await everything(body) == b""
    for stream in (head, body):
        await stream.aclose()
    listener.close()


async def test_what_follows_a_last_request_is_not_kept() -> None:
    """A client that goes on sending behind its last request takes no memory while that is answered, and has its answer."""
    async with serving() as (port, app, actor), await connected(port) as stream:
        await stream.send_all(SLOW.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await app.entered.wait()
        with trio.move_on_after(0.3):  # nobody reads it
            await stream.send_all(b"x" * (64 << 20))
            raise AssertionError
        (place,) = actor.connections._open
        assert place.phase is Phase.BUSY
        app.go.set()
        got = b""
        with trio.fail_after(5):
            while b"GET /slow " not in got:
                got += await stream.receive_some()


async def test_what_came_behind_a_last_request_is_no_error() -> None:
    """Some send the end of a line behind a body: the connection ends as if they had not."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        await stream.send_all(
            b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"
        )
        await trio.sleep(0.05)
        await stream.send_all(b"a\r\n")
        with trio.fail_after(5):
            assert (await everything(stream)).endswith(b"POST /a a")


async def test_who_does_not_read_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read its answer keeps its place for a bounded time; a slow but steady one gets all."""
    monkeypatch.setattr(limits, "ANSWER_PIECE_S", 0.4)
    monkeypatch.setattr(limits, "ANSWER_PIECE_BYTES", 4096)
    monkeypatch.setattr(server, "SLOW_EVERY_S", 0.1)
    small = (socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    (listener,) = bind([("127.0.0.1", 0)])
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    app: Any = Application()
    actor = WebActor(app, [listener], 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        streams = []
        for _ in range(2):
            made = trio.socket.socket()
            made.setsockopt(*small)
            await made.connect(listener.getsockname())
            streams.append(trio.SocketStream(made))
            await streams[-1].send_all(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        mute, slow = streams
        got = b""
        with trio.fail_after(20):
            while part := await slow.receive_some(8192):
                got += part
                await trio.sleep(0.02)
            assert len(got) > 300_000
            while not actor.connections.closed["slow_reader"]:  # noqa: ASYNC110 # the server's own count
                await trio.sleep(0.01)
        assert (actor.connections.closed["slow_reader"], len(actor.connections)) == (1, 0)
        for stream in (mute, slow):
            await stream.aclose()
        actor.drain()
    listener.close()


async def test_slow_readers_give_way_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all places are at work those whose client has not read for a while are ended for others."""
    monkeypatch.setattr(limits, "ANSWER_PIECE_CROWDED_S", 0.05)
    all_, closed = Connections(2, 1), list[int]()
    for name in range(3):
        place = all_.take("127.0.0.1", ended(closed, name))
        assert place is not None
        place.enter(Phase.BUSY, 0.0)
        if name == 1:
            place.writes_since_s = trio.current_time()
    await trio.sleep(0.1)
    with trio.fail_after(8):
        await all_.room()
    assert (closed, all_.closed["slow_reader"]) == ([1], 1)


@asynccontextmanager
async def guarded(connections_max: int, kept: int) -> AsyncIterator[tuple[int, trio.Event, WebActor]]:
    """A server with a route that waits and a probe, behind the guard."""
    go = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await go.wait()
        await send_answer(send, text("here"))

    async def unused(_: Any) -> Any:
        raise NotImplementedError

    table = EndpointTable(
        "",
        [
            Endpoint("/slow", ("GET",), unused),
            Endpoint("/-/healthy", ("GET",), unused, Access.ANYBODY, probe=True),
        ],
    )
    (listener,) = bind([("127.0.0.1", 0)])
    chain: Any = RequestMetrics(
        Guard(app, WebOptions()), table, SelfMetrics(), AnswerHeaders(CurrentSecurity())
    )
    actor = WebActor(chain, [listener], connections_max, connections_kept=kept)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        try:
            yield listener.getsockname()[1], go, actor
        finally:
            go.set()
            actor.drain()
            listener.close()


async def test_probes_are_answered_when_all_places_are_at_work() -> None:
    """Beyond the most, this machine gets some places, then probes alone; others get 503, and nobody is cut off."""
    async with guarded(3, 4) as (port, go, actor), AsyncExitStack() as stack:
        slow = []
        for number in range(6):
            slow.append(await stack.enter_async_context(await connected(port)))
            await slow[-1].send_all(SLOW)
            while number < 5 and actor.inspect()["requests"] != number + 1:  # noqa: ASYNC110 # the server's own task
                await trio.sleep(0.001)
        got = await answer(slow[5])
        assert got[0].startswith(b"HTTP/1.1 503 ")
        assert b"--web.max-connections" in got[1]
        with trio.fail_after(8):
            async with await connected(port) as probe:
                await probe.send_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await probe.receive_some()).startswith(OK)
        go.set()
        for stream in slow[:5]:
            assert (await answer(stream))[1] == b"here"
