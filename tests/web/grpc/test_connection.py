"""Connections of gRPC: calls of one message, and the bounds of what a client may do."""

from __future__ import annotations

import gzip
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from trimon import limits
from trimon.web.grpc import connection as module
from trimon.web.grpc.calls import EXPORT
from trimon.web.grpc.connection import Budget, GrpcConnection
from trimon.web.grpc.messages import Code, Message, Reply

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", EXPORT),
    (":authority", "localhost:4317"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


def framed(data: bytes, *, compressed: bool = False) -> bytes:
    return struct.pack(">BI", compressed, len(data)) + data


def with_header(name: str, value: str) -> list[tuple[str, str]]:
    return [(each, value if each == name else other) for each, other in HEADERS]


@dataclass
class Client:
    """The other side of a connection."""

    stream: Any
    h2: h2.connection.H2Connection = field(
        default_factory=lambda: h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    )
    answers: dict[int, dict[str, str]] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    resets: dict[int, int] = field(default_factory=dict)
    goodbye: bool = False
    sending: trio.Lock = field(default_factory=trio.Lock)

    async def flush(self) -> None:
        async with self.sending:
            try:
                await self.stream.send_all(self.h2.data_to_send())
            except trio.BrokenResourceError:
                self.goodbye = True

    async def begin(
        self, headers: list[tuple[str, str]] = HEADERS, body: bytes = b"", *, end: bool = True
    ) -> int:
        number = self.h2.get_next_available_stream_id()
        self.h2.send_headers(number, headers)
        self.h2.send_data(number, body, end_stream=end)
        await self.flush()
        return number

    async def until(self, done: Callable[[], bool]) -> None:
        while not done():
            data = await self.stream.receive_some(65536)
            if not data:
                self.goodbye = True
                return
            for event in self.h2.receive_data(bytes(data)):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    # They are texts in the encoding that the configuration names.
                    headers = cast("list[tuple[str, str]]", event.headers)
                    self.answers.setdefault(event.stream_id, {}).update(headers)
                elif isinstance(event, h2.events.DataReceived):
                    self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
                elif isinstance(event, h2.events.StreamEnded):
                    self.ended.add(event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    self.resets[event.stream_id] = int(event.error_code)
                elif isinstance(event, h2.events.ConnectionTerminated):
                    self.goodbye = True
            await self.flush()

    async def status(self, number: int) -> tuple[int, str]:
        await self.until(lambda: number in self.ended)
        answer = self.answers[number]
        return int(answer["grpc-status"]), answer.get("grpc-message", "")


Answer = Callable[[Mapping[str, str], Message], Awaitable[Reply]]


async def fine(_: Mapping[str, str], message: Message) -> Reply:
    return Reply(Code.OK, message.data[:3])


@asynccontextmanager
async def connected(
    answer: Answer = fine, budget: Budget | None = None
) -> AsyncIterator[tuple[Client, GrpcConnection]]:
    here, there = memory_stream_pair()
    connection = GrpcConnection(cast("trio.SocketStream", there), answer, budget or Budget())
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await connection.run()
            await there.aclose()

        nursery.start_soon(serve)
        client = Client(here)
        client.h2.initiate_connection()
        await client.flush()
        yield client, connection
        nursery.cancel_scope.cancel()


async def test_a_call_is_answered() -> None:
    """One message in, one out, and the code in trailers; several calls at once."""
    async with connected() as (client, _):
        numbers = [await client.begin(body=framed(b"abc%d" % each)) for each in range(3)]
        for number in numbers:
            assert await client.status(number) == (0, "")
            assert client.data[number] == framed(b"abc")
            assert client.answers[number]["content-type"] == "application/grpc"


async def test_a_message_may_be_packed() -> None:
    """With gzip, which is named; what it is packed with otherwise is UNIMPLEMENTED."""
    found = []

    async def note(_: Mapping[str, str], message: Message) -> Reply:
        found.append((gzip.decompress(message.data), message.is_gzip))
        return Reply(Code.OK)

    body = framed(gzip.compress(b"abc"), compressed=True)
    async with connected(note) as (client, _):
        number = await client.begin([*HEADERS, ("grpc-encoding", "gzip")], body)
        assert await client.status(number) == (0, "")
        assert found == [(b"abc", True)]
        for headers in ([*HEADERS, ("grpc-encoding", "br")], HEADERS):
            code, _ = await client.status(await client.begin(headers, body))
            assert code == Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        (with_header(":path", "/x/Y"), framed(b""), Code.UNIMPLEMENTED),
        (with_header(":method", "GET"), framed(b""), Code.UNIMPLEMENTED),
        (with_header("content-type", "text/plain"), framed(b""), Code.INVALID_ARGUMENT),
        (HEADERS, b"", Code.INVALID_ARGUMENT),
        (HEADERS, b"\0\0\0", Code.INVALID_ARGUMENT),
        (HEADERS, framed(b"abc")[:-1], Code.INVALID_ARGUMENT),
        (HEADERS, framed(b"a") * 2, Code.INVALID_ARGUMENT),
        (HEADERS, b"\x07" + framed(b"a")[1:], Code.INVALID_ARGUMENT),
    ],
)
async def test_what_is_no_call_is_told_so(headers: list[tuple[str, str]], body: bytes, code: Code) -> None:
    """Another method, another content type, and what is not one whole message; the connection goes on."""
    async with connected() as (client, _):
        found, message = await client.status(await client.begin(headers, body))
        assert found == code
        assert message
        assert await client.status(await client.begin(body=framed(b"abc"))) == (0, "")


async def test_a_refusal_says_why_and_when_to_come_again() -> None:
    """The reason in percent escapes, the time as RetryInfo."""

    async def busy(*_: object) -> Reply:
        return Reply(Code.UNAVAILABLE, b"", "full: 100%\né", 5)

    async with connected(busy) as (client, _):
        number = await client.begin(body=framed(b""))
        assert await client.status(number) == (14, "full: 100%25%0A%C3%A9")
        assert "grpc-status-details-bin" in client.answers[number]


async def test_a_message_that_is_too_big_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """RESOURCE_EXHAUSTED as soon as it is, and the rest is not wanted; its bytes are given back."""
    monkeypatch.setattr(module, "MESSAGE_BYTES_MAX", 1000)
    budget = Budget()
    async with connected(budget=budget) as (client, _):
        number = await client.begin(body=bytes(1006), end=False)
        code, message = await client.status(number)
        assert (code, message) == (8, "a message of more than 1000 bytes, which is the limit")
        assert budget.taken_bytes == 0
        assert await client.status(await client.begin(body=framed(b"abc"))) == (0, "")


async def test_messages_of_all_connections_have_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call beyond it may come again: UNAVAILABLE; those that are there go on, and when one ends there is room."""
    monkeypatch.setattr(module, "COMING_BYTES_MAX", 1000)
    budget = Budget()
    async with connected(budget=budget) as (one, _), connected(budget=budget) as (other, _):
        first = await one.begin(body=framed(bytes(800))[:-1], end=False)
        await trio.testing.wait_all_tasks_blocked()
        assert (await other.status(await other.begin(body=framed(bytes(300)))))[0] == Code.UNAVAILABLE
        one.h2.send_data(first, b"\0", end_stream=True)
        await one.flush()
        assert (await one.status(first))[0] == Code.OK
        assert (await other.status(await other.begin(body=framed(bytes(300)))))[0] == Code.OK
        assert budget.taken_bytes == 0


async def test_a_slow_message_is_cut(autojump_clock: MockClock) -> None:
    """A client that sends a byte a second does not hold its call for ever; others on the connection go on."""
    async with connected() as (client, _):
        slow = await client.begin(body=framed(bytes(1000))[:5], end=False)

        async def drip() -> None:
            while slow not in client.resets:
                client.h2.send_data(slow, b"\0")
                await client.flush()
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            began_s = trio.current_time()
            await client.until(lambda: slow in client.resets)
            nursery.cancel_scope.cancel()
        assert limits.REQUEST_BODY_S - 1 <= trio.current_time() - began_s <= limits.REQUEST_BODY_S + 2
        assert await client.status(await client.begin(body=framed(b"abc"))) == (0, "")


async def test_an_idle_connection_ends(autojump_clock: MockClock) -> None:
    """When nobody has called for a while the client is told that it ends."""
    async with connected() as (client, _):
        assert await client.status(await client.begin(body=framed(b"abc"))) == (0, "")
        began_s = trio.current_time()
        await client.until(lambda: client.goodbye)
        assert trio.current_time() - began_s == pytest.approx(limits.CONNECTION_IDLE_S, abs=1)


async def test_a_client_that_does_not_read_is_cut(autojump_clock: MockClock) -> None:
    """Answers that nobody takes end the connection."""
    here, there = memory_stream_pair()

    class Stuck:
        receive_some = there.receive_some

        async def send_all(self, _: bytes) -> None:
            await trio.sleep_forever()

    await GrpcConnection(cast("trio.SocketStream", Stuck()), fine, Budget()).run()
    assert trio.current_time() >= limits.ANSWER_PIECE_S
    await here.aclose()


async def test_calls_that_are_there_are_answered_at_a_stop() -> None:
    """A drain refuses new calls so that they may be sent again, and ends the connection behind the last answer."""
    go_on = trio.Event()

    async def slow(_: Mapping[str, str], __: Message) -> Reply:
        await go_on.wait()
        return Reply(Code.OK)

    async with connected(slow) as (client, connection):
        first = await client.begin(body=framed(b""))
        await trio.testing.wait_all_tasks_blocked()
        connection.drain()
        late = await client.begin(body=framed(b""))
        await client.until(lambda: late in client.resets)
        assert client.resets[late] == 7  # REFUSED_STREAM
        go_on.set()
        assert (await client.status(first))[0] == Code.OK
        await client.until(lambda: client.goodbye)


async def test_a_flood_of_calls_given_up_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening and resetting calls without end is no use of the protocol."""
    monkeypatch.setattr(module, "RESETS_MAX", 20)
    async with connected() as (client, _):
        for _ in range(30):
            number = client.h2.get_next_available_stream_id()
            client.h2.send_headers(number, HEADERS)
            client.h2.reset_stream(number)
        await client.flush()
        await client.until(lambda: client.goodbye)


@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
def test_any_bytes_end_or_wait(pieces: list[bytes], greets: bool) -> None:
    """What is no HTTP/2 ends the connection, and fails nothing."""

    async def main() -> None:
        async with connected() as (client, _):
            if not greets:
                client.h2.clear_outbound_data_buffer()
            for piece in pieces:
                with trio.move_on_after(1):
                    try:
                        await client.stream.send_all(piece)
                    except trio.BrokenResourceError:
                        return
            await client.stream.send_eof()
            with trio.move_on_after(1):
                await client.stream.receive_some(65536)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_client_that_takes_no_answer_in_is_cut(autojump_clock: MockClock) -> None:
    """Flow control that never opens: the answer waits a while, and then the connection ends."""
    async with connected() as (client, _):
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        await client.begin(body=framed(b"abc"))
        began_s = trio.current_time()
        await client.until(lambda: client.goodbye)
        assert trio.current_time() - began_s == pytest.approx(limits.ANSWER_PIECE_S, abs=1)
