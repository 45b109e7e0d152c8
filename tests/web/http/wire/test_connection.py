"""Connections of the web actor over real sockets: what clients may do to them, well-behaved or not."""

from __future__ import annotations

import errno
import gc
import http.client
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import h11
import pytest
import trio
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from tests.support.collector import uncollected
from trimon.actors.kernel.report import CrashReports
from trimon.web.http.wire.connection import ServerConnection
from trimon.web.http.wire.connectionwatch import ConnectionWatch
from trimon.web.http.wire.departure import Departure
from trimon.web.http.wire.exchange import Exchange
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor

OK = b"HTTP/1.1 200 OK\r\n"
GET = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


class Application:
    """Echoes; `/big` is long, `/slow` waits to be let go, `/mute` begins and ends, `/broken` begins and fails.

    `/early/N` reads no body and answers after N turns of the loop; `/told` reads none and stops when the request ends.
    """

    def __init__(self) -> None:
        self.go = trio.Event()
        self.entered = trio.Event()
        self.left: list[str] = []
        self.sends = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        turns = scope["path"].startswith("/early/")
        early = turns or scope["path"] == "/told"
        for _ in range(int(scope["path"][7:]) if turns else 0):
            await trio.lowlevel.checkpoint()
        while not early:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        path = scope["path"]
        if path == "/slow":
            self.entered.set()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, receive, nursery.cancel_scope)
                await self.go.wait()
                nursery.cancel_scope.cancel()
        answer = (
            b"x" * 300_000
            if path == "/big"
            else scope["method"].encode() + b" " + path.encode() + b" " + body
        )
        length = str(len(answer)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        if path == "/mute":
            return
        if path == "/told":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, receive, nursery.cancel_scope)
                await send({"type": "http.response.body", "body": answer, "more_body": False})
            return
        if path == "/broken":
            raise ZeroDivisionError
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    async def _watch(self, receive: Any, scope: trio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.append("client")
        scope.cancel()


@asynccontextmanager
async def serving(connections_max: int = 10) -> AsyncIterator[tuple[int, Application, WebActor]]:
    app = Application()
    (listener,) = bind([("127.0.0.1", 0)])
    any_app: Any = app
    actor = WebActor(any_app, [listener], connections_max)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        try:
            yield listener.getsockname()[1], app, actor
        finally:
            app.go.set()
            actor.drain()
            listener.close()


async def everything(stream: trio.SocketStream) -> bytes:
    """What comes until the server closes."""
    got = b""
    with trio.fail_after(5):
        async for part in stream:
            got += part
    return got


async def answer(stream: trio.SocketStream) -> tuple[bytes, bytes]:
    """Head and body of one answer with a length."""
    got = b""
    with trio.fail_after(5):
        while True:
            head, end, body = got.partition(b"\r\n\r\n")
            if end:
                (length,) = [
                    line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                ]
                if len(body) >= int(length.split(b":")[1]):
                    return head, body
            part = await stream.receive_some()
            assert part, got
            got += part


async def connected(port: int) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", port)


async def test_a_short_answer_comes_in_one_piece_on_a_kept_connection() -> None:
    """Head and body are one segment, request after request."""
    async with serving() as (port, _, actor), await connected(port) as stream:
        for _ in range(3):
            await stream.send_all(GET)
            piece = await stream.receive_some()
            assert piece.startswith(OK)
            assert piece.endswith(b"\r\n\r\nGET /small ")
        with trio.fail_after(5):
            while actor.inspect()["requests"]:  # noqa: ASYNC110 # the last one is sent before it ends
                await trio.sleep(0.001)
        assert actor.inspect()["connections"] == 1


async def test_a_long_answer_is_whole() -> None:
    """A body that is not joined with its head arrives behind it."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        for _ in range(2):
            await stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer(stream))[1] == b"x" * 300_000


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (GET + b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [b"GET /small ", b"GET /b "]),
        (
            GET + b"GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + GET,
            [b"GET /small ", b"GET /b "],
        ),
        (
            b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n",
            [b"GET /a "],
        ),
        (b"GET /a HTTP/1.0\r\n\r\nmore", [b"GET /a "]),
        (b"GET /a HTTP/1.0\r\n\r\n", [b"GET /a "]),
        (b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", [b""]),
        (
            b"PUT / HTTP/1.1\r\nHost:x\r\nConnection:close\r\nTransfer-Encoding:chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            [b"PUT / abcd"],
        ),
    ],
    ids=["pipelined", "more than the last", "h2c", "more than one of 1.0", "1.0", "HEAD", "chunked"],
)
async def test_kinds_of_requests(request_: bytes, body: list[bytes]) -> None:
    """Requests in one piece are answered in their order; without keep-alive the server closes after the last."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        await stream.send_all(request_)
        got = await everything(stream)
        parts = re.split(rb"HTTP/1\.[01] 200 OK\r\n", got)[1:]
        assert [part.partition(b"\r\n\r\n")[2] for part in parts] == body


@pytest.mark.parametrize(
    ("method", "body"), [(b"HEAD", b""), (b"head", b"head /small "), (b"HeAD", b"HeAD /small ")]
)
async def test_an_answer_to_head_has_no_body(method: bytes, body: bytes) -> None:
    """A method in another case is another method, as in Go; the connection is used again."""
    async with serving() as (port, _, actor), await connected(port) as stream:
        await stream.send_all(
            GET.replace(b"GET", method) + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        got = await everything(stream)
        assert [part.partition(b"\r\n\r\n")[2] for part in got.split(OK)[1:]] == [body, b"GET /small "]
        assert not actor._reports.latest()


@pytest.mark.parametrize(
    ("body", "closes"), [(b"Content-Length: 3\r\n\r\n", True), (b"Content-Length: 3\r\n\r\nabc", False)]
)
async def test_an_answer_before_the_body_is_the_last(body: bytes, *, closes: bool) -> None:
    """Where a body is not waited for, the answer says that the connection ends; where it has come, another may follow."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        await stream.send_all(b"PUT /early/1 HTTP/1.1\r\nHost: x\r\n" + body)
        head, _ = await answer(stream)
        assert (b"\r\nConnection: close" in head) == closes
        if closes:
            assert await everything(stream) == b""
        else:
            await stream.send_all(GET)
            assert (await answer(stream))[1] == b"GET /small "


async def test_expect_100_continue() -> None:
    """A client that asks first is told to go on before it sends its body."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        await stream.send_all(
            b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"abc")
        assert (await answer(stream))[1] == b"POST /a abc"


@pytest.mark.parametrize(
    "bad", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", GET[:-2] + b"Y: " + b"y" * 1_100_000]
)
async def test_bad_requests_are_refused(bad: bytes) -> None:
    """What is no HTTP, has no host or endless headers gets a 4xx and the end; the next client is served."""
    async with serving() as (port, _, _actor):
        async with await connected(port) as stream:
            await stream.send_all(bad)
            got = await everything(stream)
            assert got.startswith(b"HTTP/1.1 4")
            assert got.count(b"HTTP/1.1 ") == 1
        async with await connected(port) as stream:
            await stream.send_all(GET)
            assert (await answer(stream))[1] == b"GET /small "


async def test_an_answer_that_never_comes_ends_the_connection() -> None:
    """An application that begins an answer and ends sends its head, and the connection is closed."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        await stream.send_all(b"GET /mute HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await everything(stream)).startswith(OK)


async def test_a_client_that_leaves_is_noticed_and_its_place_is_free() -> None:
    """The application hears of it while it works; connections that close count no more, idle or busy."""
    async with serving(3) as (port, app, actor):
        stream = await connected(port)
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.entered.wait()
        await stream.aclose()
        for _ in range(10):
            async with await connected(port) as other:
                await other.send_all(GET)
                await answer(other)
        with trio.fail_after(5):
            while actor.inspect()["connections"]:  # noqa: ASYNC110 # it ends a moment later
                await trio.sleep(0.01)
        assert app.left == ["client"]


async def test_one_connections_failure_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the server of one connection ends that one, with a report; the others and the next are served."""
    real, failing = ServerConnection._read_data, trio.Event()

    async def read_data(self: ServerConnection) -> None:
        nonlocal failing
        if failing.is_set():
            failing = trio.Event()
            raise ZeroDivisionError
        await real(self)

    monkeypatch.setattr(ServerConnection, "_read_data", read_data)
    async with serving() as (port, _, actor), await connected(port) as before:
        await before.send_all(GET)
        await answer(before)
        failing.set()
        async with await connected(port) as broken:
            await broken.send_all(GET)
            with suppress(trio.BrokenResourceError):  # what it sent was not read
                assert await everything(broken) == b""
        async with await connected(port) as after:
            for stream in (before, after):
                await stream.send_all(GET)
                assert (await answer(stream))[1] == b"GET /small "
        assert actor.inspect()["failed"] == 1
        assert "ZeroDivisionError" in actor._reports.latest()[0].traceback


@pytest.mark.parametrize("turns", range(8))
async def test_an_answer_and_a_refusal_at_once(turns: int) -> None:
    """A body that is no HTTP ends the connection and nothing else, whenever it comes during the answer."""
    async with serving() as (port, _, actor), await connected(port) as stream:
        head = f"POST /early/{turns} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await stream.send_all(head.encode() + b"no chunk\r\n")
        await everything(stream)
        assert actor.inspect()["failed"] == 0
        async with await connected(port) as other:
            await other.send_all(GET)
            assert (await answer(other))[1] == b"GET /small "


async def test_a_connection_ends_when_its_application_is_told_so() -> None:
    """An answer before the body is there ends the connection, though the application stops on hearing of the end."""
    async with serving() as (port, app, actor), await connected(port) as stream:
        await stream.send_all(b"POST /told HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert (await everything(stream)).endswith(b"POST /told ")
        with trio.fail_after(5):
            while actor.inspect()["connections"] or not app.left:  # noqa: ASYNC110 # both a moment after the client
                await trio.sleep(0.01)
        assert app.left == ["client"]


async def test_a_failure_after_the_answer_began_is_reported() -> None:
    """What an application raises leaves a report, and ends its connection alone."""
    async with serving() as (port, _, actor), await connected(port) as stream:
        await stream.send_all(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await everything(stream)).startswith(OK)
        report = actor._reports.latest()[0]
        assert (report.path, "ZeroDivisionError" in report.traceback) == ("web/broken", True)
        assert actor.inspect()["failed"] == 0


async def test_no_file_for_a_connection_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the process may open no more files the server goes on accepting as soon as it may."""
    real, refusals = socket.socket.accept, [errno.EMFILE, errno.ENFILE]

    def accept(self: socket.socket) -> tuple[socket.socket, Any]:
        if refusals:
            raise OSError(refusals.pop(), "no more")
        return real(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    async with serving() as (port, _, _actor), await connected(port) as stream:
        await stream.send_all(GET)
        assert (await answer(stream))[1] == b"GET /small "
        assert not refusals


async def test_it_serves_again_after_a_restart() -> None:
    """A second run of the same actor, as after a crash, serves on the same sockets."""
    app: Any = Application()
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(app, [listener], 10, CrashReports())
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.run)
            async with await connected(listener.getsockname()[1]) as stream:
                await stream.send_all(GET)
                assert (await answer(stream))[1] == b"GET /small "
            nursery.cancel_scope.cancel()
    assert len(actor.connections) == 0
    listener.close()


async def test_the_preface_of_http_2_is_refused() -> None:
    """A client that speaks HTTP/2 without asking, or another version, is refused with 505 alone and its connection ends."""
    async with serving() as (port, _, _actor):
        for text in (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PRI * HTTP/2.0\r\nHost: x\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/3.0\r\nHost: x\r\n\r\n" * 2,
            b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
        ):
            async with await connected(port) as stream:
                await stream.send_all(text)
                got = await everything(stream)
                assert got.startswith(b"HTTP/1.1 505 ")
                assert got.count(b"HTTP/1.1 ") == 1


async def test_a_real_client() -> None:
    """Python's own HTTP client keeps a connection over GET, POST and HEAD."""
    async with serving() as (port, _, _actor):

        def talk() -> list[bytes]:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            got, sockets = [], set[socket.socket]()
            for method, body in (("GET", None), ("POST", b"abc"), ("HEAD", None), ("GET", None)):
                client.request(method, "/a", body)
                sockets.add(client.sock)
                got.append(client.getresponse().read())
            client.close()
            assert len(sockets) == 1
            return got

        assert await trio.to_thread.run_sync(talk) == [b"GET /a ", b"POST /a abc", b"", b"GET /a "]


@pytest.mark.parametrize(
    ("begin", "drip", "reason"),
    [
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n", b"x" * 20_000, "slow_body"),
        (b"GET /a HTTP/1.1\r\n", b"X: y\r\n", "slow_head"),
    ],
)
async def test_a_whole_request_has_a_time(begin: bytes, drip: bytes, reason: str) -> None:
    """With --web.read-timeout a request that goes on coming, however fast, is ended when its time is over."""
    app: Any = Application()
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(app, [listener], 10, read_timeout_s=0.5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        async with await trio.open_tcp_stream(*listener.getsockname()) as stream:
            await stream.send_all(begin)
            with trio.fail_after(8), suppress(trio.BrokenResourceError):
                while not actor.connections.closed[reason]:
                    await stream.send_all(drip)
                    await trio.sleep(0.02)
        assert actor.connections.closed[reason] == 1
        nursery.cancel_scope.cancel()
    listener.close()


async def exchanged(port: int, sent: bytes, ends: str) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        if sent:
            await stream.send_all(sent)
            assert await stream.receive_some()
        if ends == "half":
            await stream.send_eof()
            await everything(stream)
        elif ends == "reset":
            linger = struct.pack("ii", 1, 0)
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def of_connections(before: frozenset[int] = frozenset()) -> dict[int, str]:
    """The types of what there is of connections, but for what was there before."""
    kinds = (ServerConnection, ConnectionWatch, H11Protocol, HTTPStream, h11.Connection, Departure, Exchange)
    found = {id(one): type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds)}
    return {one: kind for one, kind in found.items() if one not in before}


@pytest.mark.parametrize("ends", ["closed", "half", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        GET,
        GET * 3,
        b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: x\r\n\r\n",
        b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: x\r\n\r\n",
        b"POST /told HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        b"GET /mute HTTP/1.1\r\nHost: x\r\nConnection: x\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /small HTTP/1.1\r\n\r\n",
        b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ],
    ids=[
        "nothing",
        "plain",
        "three",
        "by the library",
        "long",
        "told",
        "chunked",
        "mute",
        "nonsense",
        "hostless",
        "bad chunk",
    ],
)
async def test_nothing_of_a_connection_is_left_to_the_collector(sent: bytes, ends: str) -> None:
    """Whatever was asked and however it ended: its objects are freed by their last reference."""
    with uncollected():
        before = frozenset(of_connections())  # another test's, which something holds
        async with serving() as (port, _, actor):
            for _ in range(3):
                await exchanged(port, sent, ends)
            with trio.move_on_after(5):
                while len(actor.connections) or of_connections(before):  # noqa: ASYNC110 # the system tells
                    await trio.sleep(0.01)
            assert of_connections(before) == {}
