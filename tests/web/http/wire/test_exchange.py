"""Plain requests over real sockets: the same bytes come as by the library's way, and whoever leaves is noticed."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import h11
import pytest
import trio

from tests.web.http.wire.test_connection import connected
from trimon.web.http.wire import hangups
from trimon.web.http.wire.departure import SENDS_NO_MORE, Departure, departure_of
from trimon.web.http.wire.exchange import Exchange, Wire, scope_of
from trimon.web.http.wire.knownheads import KnownHeads, PlainHead
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor

App = Callable[[Any, Any, Any], Awaitable[None]]
PLAIN = PlainHead("GET", b"/", [], b"")
DATE = re.compile(rb"Date: [^\r]*")


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[tuple[int, WebActor]]:
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(app, [listener], 10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        yield listener.getsockname()[1], actor
        actor.drain()
        listener.close()


def head(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "short": [head(200, (b"content-type", b"text/plain"), (b"content-length", b"2")), part(b"ab")],
    "empty": [head(200, (b"content-length", b"0")), part(b"")],
    "long": [head(200, (b"content-length", b"300000")), part(b"x" * 300_000)],
    "in parts": [head(200, (b"content-length", b"4")), part(b"ab", more=True), part(b"cd")],
    "stream": [head(200, (b"x-a", b" b ")), part(b"ab", more=True), part(b"", more=True), part(b"cd")],
    "empty stream": [head(200), part(b"")],
    "no content": [head(204), part(b"")],
    "not modified": [head(304, (b"etag", b"1"), (b"content-length", b"7")), part(b"")],
    "refused": [head(422, (b"content-length", b"1"), (b"connection", b"close")), part(b"a")],
    "kept": [head(200, (b"connection", b"keep-alive"), (b"content-length", b"1")), part(b"a")],
    "odd status": [head(299, (b"content-length", b"1")), part(b"a")],
    "nothing": [],
    "head alone": [head(200, (b"content-length", b"2"))],
    "half a stream": [head(200), part(b"ab", more=True)],
    "too much": [head(200, (b"content-length", b"1")), part(b"ab")],
    "header with a line": [head(200, (b"x", b"a\r\nb: c"), (b"content-length", b"0")), part(b"")],
    "body first": [part(b"ab")],
}
FORM = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
# Each in the parts that it is sent in.
REQUESTS: dict[str, tuple[bytes, ...]] = {
    "GET": (b"GET /a%20b?c=d%20e HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n",),
    "POST": (FORM % 3 + b"q=1",),
    "POST in parts": (FORM % 6 + b"q=", b"12", b"34"),
    "head first": (FORM % 3, b"q=1"),
    "the last": (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n",),
    "the last, with a body": (
        b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"abc",
    ),
    "long": (FORM % 200_000, b"x" * 199_999, b"y"),
}


async def send_in_parts(stream: trio.SocketStream, parts: tuple[bytes, ...]) -> None:
    """Each arrives by itself."""
    for number, part_ in enumerate(parts):
        if number:
            await trio.sleep(0.02)
        await stream.send_all(part_)


async def wire(messages: list[dict[str, Any]], request: tuple[bytes, ...]) -> tuple[bytes, list[Any]]:
    """What comes for two requests on one connection, and what the application was told of them."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        keys = (
            "type",
            "http_version",
            "method",
            "scheme",
            "path",
            "raw_path",
            "query_string",
            "root_path",
            "state",
        )
        told.append(({key: scope[key] for key in keys}, list(scope["headers"]), scope["client"][0], body))
        for each in messages:
            await send(dict(each))

    got = b""
    async with serving(app) as (port, _), await connected(port) as stream:
        with trio.move_on_after(5):
            for _ in range(2):
                with suppress(trio.BrokenResourceError):  # the server may be quicker to end it
                    await send_in_parts(stream, request)
                start = len(got)
                while not whole(got[start:]):
                    more = await stream.receive_some()
                    if not more:
                        return DATE.sub(b"Date:", got), told
                    got += more
    return DATE.sub(b"Date:", got), told


def whole(answer: bytes) -> bool:
    """Whether the answer has ended, and the connection goes on."""
    if not answer:
        return False
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    while (event := client.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.EndOfMessage):
            return not any(b"close" in value for _, value in h11_headers(answer))
    return False


def h11_headers(answer: bytes) -> list[tuple[bytes, bytes]]:
    lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
    return [(b"connection", line) for line in lines if line.startswith(b"connection:")]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("kind", ANSWERS)
async def test_what_goes_over_the_wire_is_the_same(
    kind: str, request_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of answer is the same to the byte as by the library's way, and so is what the application is told."""
    shortly = await wire(ANSWERS[kind], REQUESTS[request_])
    monkeypatch.setattr(KnownHeads, "plain", lambda *_: None)
    assert shortly == await wire(ANSWERS[kind], REQUESTS[request_])


async def until_the_end(reads: bool, parts: tuple[bytes, ...], *, then_ends: bool) -> tuple[bytes, list[Any]]:
    """What comes for a request whose body is never whole until the connection ends, and what the application was told."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def hear(message: Any) -> None:
            if message is not SENDS_NO_MORE:  # the socket says so before the read that fails, or nobody does
                told.append("left")

        departure_of(scope).listen(hear)
        while reads:
            message = await receive()
            if message["type"] == "http.disconnect":
                told.append("gone")
                return
            told.append(message["more_body"])
        for each in ANSWERS["short"]:
            await send(dict(each))

    async with serving(app) as (port, actor), await connected(port) as stream:
        await send_in_parts(stream, parts)
        if then_ends:
            await stream.send_eof()
        with trio.fail_after(5):
            got = b"".join([piece async for piece in stream])
            while actor.inspect()["connections"]:  # noqa: ASYNC110 # a moment after the client
                await trio.sleep(0.005)
    return DATE.sub(b"Date:", got), told


@pytest.mark.parametrize(
    ("reads", "then_ends"), [(True, True), (False, False)], ids=["cut off", "answered early"]
)
async def test_a_body_that_is_never_whole(
    reads: bool, then_ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that ends within its body is refused, one that is answered before has its answer, as by the library's way."""
    parts = (FORM % 6 + b"q=", b"12")[: 1 + reads]
    shortly = await until_the_end(reads, parts, then_ends=then_ends)
    monkeypatch.setattr(KnownHeads, "plain", lambda *_: None)
    assert shortly[0].startswith(b"HTTP/1.1 400 " if reads else b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in shortly[0]
    assert shortly == await until_the_end(reads, parts, then_ends=then_ends)


async def test_requests_follow_one_another_in_both_ways() -> None:
    """Plain requests and others follow on one connection, in any order."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        seen.append(scope["path"])
        for each in ANSWERS["short"]:
            await send(dict(each))

    plain = b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n"
    other = b"PUT /other HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    async with serving(app) as (port, _), await connected(port) as stream:
        for data in (plain, other, plain, plain + plain, other):
            await stream.send_all(data)
            got = b""
            with trio.fail_after(5):
                while got.count(b"\r\n\r\nab") < data.count(b"HTTP/1.1"):
                    got += await stream.receive_some()
        await stream.send_all(plain[:10])
        await trio.sleep(0.05)
        await stream.send_all(plain[10:])
        with trio.fail_after(5):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
    assert seen == ["/plain", "/other", "/plain", "/plain", "/plain", "/other", "/plain"]


@pytest.mark.parametrize("asks_again", [False, True], ids=["is silent", "has asked again"])
async def test_who_leaves_is_noticed(asks_again: bool) -> None:
    """A client that sends no more, and one that has gone, are told of while the request is at work, also behind another."""
    told: list[Any] = []
    entered = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        gone = trio.Event()

        def hear(message: Any) -> None:
            told.append(message)
            if message is not SENDS_NO_MORE:
                gone.set()

        departure_of(scope).listen(hear)
        entered.set()
        await gone.wait()

    async with serving(app) as (port, actor):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(REQUESTS["GET"][0])
        with trio.fail_after(5):
            await entered.wait()
            if asks_again:
                client.sendall(REQUESTS["GET"][0])
            client.shutdown(socket.SHUT_WR)
            while not told:  # noqa: ASYNC110 # what is waited for comes by the system
                await trio.sleep(0.005)
            assert told == [SENDS_NO_MORE]
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            while actor.inspect()["connections"]:  # noqa: ASYNC110 # as above
                await trio.sleep(0.005)
    assert told[1:] == [hangups.LEFT]


async def test_who_sends_no_more_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that has not begun to answer such a client is told after a while that it has gone; others are not."""
    monkeypatch.setattr(hangups, "ANSWER_S", 0.05)
    told: dict[str, list[Any]] = {"/a": [], "/b": []}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard = told[scope["path"]]
        departure_of(scope).listen(heard.append)
        if scope["path"] == "/b":
            await send(head(200))
        await trio.sleep(0.3)
        if scope["path"] == "/b":
            await send(part(b"late"))

    async with serving(app) as (port, _):
        for path in told:
            async with await connected(port) as stream:
                await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await stream.send_eof()
                with trio.fail_after(5):
                    got = b"".join([piece async for piece in stream])
                assert (b"late" in got) == (path == "/b")
    assert told["/a"] == [SENDS_NO_MORE, hangups.LEFT]
    assert told["/b"][0] is SENDS_NO_MORE


async def test_a_closed_socket_does_not_take_another_along() -> None:
    """A connection whose socket was closed is forgotten without those that have its number by now."""
    known = hangups.Hangups()
    heard: list[Any] = []

    async with trio.open_nursery() as nursery:
        nursery.start_soon(known.run)
        first, first_end = trio.socket.socketpair()
        old = Departure()
        known.watch(first, old)
        first.close()
        # The lowest free number is the next one: with the pair there is one that had the number of the first.
        second, second_end = trio.socket.socketpair()
        new = Departure()
        new.listen(heard.append)
        known.watch(second, new)
        known.forget(first, old)
        assert len(known) == 1
        second_end.close()
        with trio.fail_after(5):
            while not heard:  # noqa: ASYNC110 # what is waited for comes by the system
                await trio.sleep(0.001)
        known.forget(second, new)
        assert len(known) == 0
        for each in (first_end, second):
            each.close()
        nursery.cancel_scope.cancel()


async def test_a_failed_write_is_told() -> None:
    """When nobody reads any more the application hears it, and what it sends goes nowhere."""

    async def write(_: bytes) -> None:
        raise trio.BrokenResourceError

    async def nothing(_: int) -> Any:
        raise AssertionError

    scope = scope_of(PLAIN, "http", None, None)
    heard: list[Any] = []
    departure = Departure()
    departure.listen(heard.append)
    exchange = Exchange(scope, PLAIN, Wire(nothing, nothing, write, lambda: False), departure)
    for each in ANSWERS["in parts"]:
        await exchange.send(each)  # type: ignore[arg-type] # messages are plain dictionaries here
    await exchange.end()
    assert heard == [hangups.LEFT]
    assert exchange.gone
    assert not exchange.done
