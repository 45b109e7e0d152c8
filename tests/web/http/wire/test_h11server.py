"""What clients may write on a connection, and how a status is written; over real sockets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h11
import pytest
import trio

from tests.support.web_world import WebWorld, web_world
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.querying.gate import Queries
from trimon.offload import ThreadOffload
from trimon.query.execution.budget import Budget
from trimon.virtualclock import VirtualClock
from trimon.web.api import actors
from trimon.web.context import WebOptions
from trimon.web.http.wire import connection, hangups
from trimon.web.http.wire.h11server import ServerProtocol
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor
from trimon.web.notifications import Notifications

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def served(
    directory: Path, changes: dict[str, Any] | None = None
) -> AsyncIterator[tuple[int, WebWorld]]:
    """A port on which the whole front end answers."""
    async with web_world(directory, WebOptions(enable_remote_write=True), changes) as here:
        (listener,) = bind([("127.0.0.1", 0)])
        actor = WebActor(here.client.app, [listener], 20)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.run)
            try:
                yield listener.getsockname()[1], here
            finally:
                actor.drain()
                listener.close()


async def everything(stream: trio.SocketStream) -> bytes:
    """What comes until the server closes."""
    got = b""
    with trio.fail_after(8):
        async for part in stream:
            got += part
    return got


async def talk(port: int, *pieces: bytes, half_close: bool = False) -> bytes:
    """All that is answered to what is sent, piece after piece."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        for piece in pieces:
            await stream.send_all(piece)
            await trio.sleep(0.002)
        if half_close:
            await stream.send_eof()
        return await everything(stream)


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


async def test_a_target_may_have_bytes_above_ascii(tmp_path: Path) -> None:
    """They are read as if they were escaped, in one piece, cut anywhere, and in a pipelined request."""
    plain = CLOSE % b"/api/v1/query?time=5&query=label_replace(vector(1),%22a%22,%22%C3%A9%22,%22%22,%22%22)"
    raw = CLOSE % "/api/v1/query?time=5&query=label_replace(vector(1),%22a%22,%22é%22,%22%22,%22%22)".encode()
    async with served(tmp_path) as (port, _):
        expected = body(await talk(port, plain))
        assert '"a":"é"'.encode() in expected
        assert body(await talk(port, raw)) == expected
        at = raw.index(b"\xc3")
        for cut in (1, at, at + 1, at + 2, raw.index(b"Host"), len(raw) - 1):
            assert body(await talk(port, raw[:cut], raw[cut:])) == expected, cut
        form = b"Content-Length: 18\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        first = b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\n" + form + 'query="é"&time=55'.encode()
        answers = (await talk(port, first + raw)).split(b"HTTP/1.1 200 OK\r\n")
        assert '"é"'.encode() in answers[1]
        assert body(answers[2]) == expected


async def test_a_head_may_be_as_long_as_in_prometheus(tmp_path: Path) -> None:
    """A query of half a megabyte in the target is answered; one of more than a megabyte is refused."""
    async with served(tmp_path) as (port, _):
        for size, start in ((500_000, b"HTTP/1.1 200 OK\r\n"), (1_200_000, b"HTTP/1.1 431 ")):
            target = b"/api/v1/query?time=5&query=%22" + b"x" * size + b"%22"
            assert (await talk(port, CLOSE % target)).startswith(start)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/-/healthy", b"200 OK"),
        (b"/api/v1/query?query=(", b"400 Bad Request"),
        (b"/nothing", b"404 Not Found"),
        (
            b"/api/v1/query?query=label_replace(vector(1),%22a%22,%22%22,%22%22,%22(%22)",
            b"422 Unprocessable Entity",
        ),
    ],
)
async def test_a_status_has_its_reason(target: bytes, status: bytes, tmp_path: Path) -> None:
    """Clients show it to people, as remote write's error does."""
    async with served(tmp_path) as (port, _):
        assert (await talk(port, CLOSE % target)).startswith(b"HTTP/1.1 " + status + b"\r\n")


@pytest.mark.parametrize(
    "target",
    [
        b"/-/healthy",
        b"/metrics",
        b"/api/v1/labels",
        b"/api/v1/series?match[]=up",
        b"/api/v1/label/job/values",
        b"/api/v1/status/flags",
        b"/api/v1/query?query=1",
        b"/api/v1/explain?query=up",
        b"/nothing",
    ],
)
async def test_a_client_that_sends_no_more_gets_its_answer(target: bytes, tmp_path: Path) -> None:
    """A half-closed connection is answered to the last byte and then closed, a pipelined request too."""
    async with served(tmp_path) as (port, _):
        whole = await talk(port, GET % target, half_close=True)
        length = re.search(rb"(?i)\r\ncontent-length: ([1-9]\d*)\r\n", whole)
        assert length is not None
        assert len(body(whole)) == int(length[1])
        twice = await talk(port, GET % target + GET % target, half_close=True)
        assert twice.count(b"HTTP/1.1 ") == 2


async def test_a_query_of_a_client_that_sends_no_more_is_cancelled(tmp_path: Path) -> None:
    """It has probably gone; if it still listens it is told so, as Prometheus does."""
    async with web_world(tmp_path / "data") as here:
        queries = Queries(
            here.world.storage.snapshot, ThreadOffload(2), here.context.clock, concurrency_max=2
        )
        begun = trio.Event()
        token = trio.lowlevel.current_trio_token()
        real = Budget.check

        def check(self: Budget, *args: Any) -> None:
            trio.from_thread.run_sync(begun.set, trio_token=token)
            while not self.canceled:
                pass
            real(self, *args)

        async with served(tmp_path / "other", {"queries": queries}) as (port, _):
            with pytest.MonkeyPatch.context() as patch, trio.fail_after(10):
                patch.setattr(Budget, "check", check)
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    await stream.send_all(GET % b"/api/v1/query?query=m")
                    await begun.wait()
                    await stream.send_eof()
                    answer = await everything(stream)
        assert answer.startswith(b"HTTP/1.1 499 status code 499\r\n")
        assert body(answer) == (
            b'{"status":"error","errorType":"canceled","error":"query was canceled in expression evaluation"}'
        )
        assert not queries.active


@pytest.mark.parametrize("protocol", [b"websocket", b"WebSocket", b"h2c", b"other/1"])
async def test_an_upgrade_is_not_taken(protocol: bytes, tmp_path: Path) -> None:
    """The request is answered as if it asked for none, whole handshake or half, and the next one after it."""
    more = b"Connection: Upgrade\r\nUpgrade: %s\r\n" % protocol
    whole = more + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    async with served(tmp_path) as (port, _):
        for header in (more + b"\r\n", whole):
            first = (GET % b"/-/healthy")[:-2] + header
            for half_close in (False, True):
                answers = await talk(port, first, CLOSE % b"/-/ready", half_close=half_close)
                assert [text for text in (b"Healthy", b"Ready") if text in answers] == [b"Healthy", b"Ready"]
            assert (await talk(port, first, half_close=True)).endswith(b"Healthy.\n")


async def test_who_may_go_on_is_told_so_in_words(tmp_path: Path) -> None:
    """An interim answer has its reason as well."""
    head = b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    async with served(tmp_path) as (port, _):
        assert (await talk(port, head)).startswith(b"HTTP/1.1 100 Continue\r\n")


async def test_who_sends_no_more_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no answer begins in good time the connection ends and the work is cancelled."""
    for module in (hangups, connection):
        monkeypatch.setattr(module, "ANSWER_S", 0.05)
    cancelled: list[object] = []

    class Stuck:
        def run_quick(self, *_: object) -> None:
            return None

        async def run(self, *_: object, **__: object) -> None:
            try:
                await trio.sleep_forever()
            finally:
                cancelled.append(self)

    plain = GET % b"/api/v1/labels"
    async with served(tmp_path, {"queries": Stuck()}) as (port, _):
        for request in (plain, plain.replace(b"Host:", b"Connection: x\r\nHost:", 1)):
            assert await talk(port, request, half_close=True) == b""
    assert len(cancelled) == 2


@pytest.mark.parametrize("leaves", ["closes", "sends no more"])
@pytest.mark.parametrize("path", ["/api/v1/notifications/live", "/api/v1/trimon/actors/live"])
@pytest.mark.parametrize(
    ("more", "body"),
    [
        (b"", b""),
        (b"Connection: x\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"),
        (b"Content-Length: 3\r\n", b"abc"),
    ],
    ids=["plain", "by the library", "empty chunked body", "chunked body", "body"],
)
async def test_who_leaves_a_live_stream_gives_its_place_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: bytes, body: bytes, path: str, leaves: str
) -> None:
    """A client that has read all there was and goes is noticed, though nothing is written to it."""
    monkeypatch.setattr(actors, "WATCHERS_MAX", 1)
    notifications = Notifications(VirtualClock(), 1)
    request = (GET % path.encode()).replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n") + body
    async with served(tmp_path, {"notifications": notifications}) as (port, _):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(request)
        assert b"text/event-stream" in await stream.receive_some()
        assert (await talk(port, CLOSE % path.encode())).startswith(b"HTTP/1.1 204 ")
        if leaves == "closes":
            await stream.aclose()
        else:
            await stream.send_eof()
        with trio.fail_after(5):
            while not await gives_a_place(port, path):  # noqa: ASYNC110 # what is waited for comes by the system
                await trio.sleep(0.005)
        await stream.aclose()


async def gives_a_place(port: int, path: str) -> bool:
    """Whether a stream may begin; it is left at once."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(GET % path.encode())
        return b"text/event-stream" in await stream.receive_some()


async def test_a_busy_server_says_so_with_its_reason(tmp_path: Path) -> None:
    """Too many queries are 503 with Retry-After."""

    class Full:
        def run_quick(self, *_: object) -> None:
            return None

        async def run(self, *_: object, **__: object) -> None:
            raise MailboxFull("queries", 1, 1, 2.0)

    async with served(tmp_path, {"queries": Full()}) as (port, _):
        answer = await talk(port, CLOSE % b"/api/v1/labels")
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert re.search(rb"(?i)\r\nretry-after: 2\r\n", answer)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://x/api/v1/query?query=1", b"200 OK"),
        (b"HTTPS://y:9/-/healthy", b"200 OK"),
        (b"http://x", b"302 Found"),
        (b"http://x?a=b", b"302 Found"),
        (b"http://x/nothing", b"404 Not Found"),
        (b"/api/v1/label/%zz/values", b"400 Bad Request"),
        (b"/api/v1/label/%4/values", b"400 Bad Request"),
        (b"/api/v1/label/%61/values", b"200 OK"),
    ],
)
async def test_a_target_may_be_a_whole_url(target: bytes, status: bytes, tmp_path: Path) -> None:
    """As proxies send it; escapes in a path that are none are a bad request."""
    async with served(tmp_path) as (port, _):
        assert (await talk(port, CLOSE % target)).startswith(b"HTTP/1.1 " + status + b"\r\n")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        (b"content-type", b"Content-Type"),
        (b"www-authenticate", b"Www-Authenticate"),
        (b"x-prometheus-stopping", b"X-Prometheus-Stopping"),
        (b"date", b"Date"),
    ],
)
def test_names_of_headers_are_sent_as_go_sends_them(name: bytes, sent: bytes) -> None:
    """Each word of a name begins with a capital."""
    protocol = ServerProtocol(h11.SERVER, 2**16)
    protocol.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    protocol.next_event()
    data = protocol.send(h11.Response(status_code=200, headers=[(name, b"v"), (b"content-length", b"0")]))
    assert data == b"HTTP/1.1 200 OK\r\n" + sent + b": v\r\nContent-Length: 0\r\n\r\n"


def test_a_body_that_nobody_asked_for_is_no_end() -> None:
    """An answer to a request whose body has come whole, and was not read, does not end the connection; another may follow."""
    protocol = ServerProtocol(h11.SERVER, 1 << 16)
    following = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
    protocol.receive_data(b"DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde" + following)
    assert isinstance(protocol.next_event(), h11.Request)
    head = protocol.send(h11.Response(status_code=405, headers=[("Content-Length", "0")]))
    protocol.send(h11.EndOfMessage())
    assert head is not None
    assert b"close" not in head
    protocol.start_next_cycle()
    request = protocol.next_event()
    assert isinstance(request, h11.Request)
    assert request.target == b"/next"
