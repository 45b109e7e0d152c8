"""HttpFetch against real sockets: a small server on loopback that misbehaves on demand."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import trio

from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.proxy import bypasses_proxy
from trimon.fetch.request import BodyTooBig, FetchError, FetchTimeout, Request

Handler = Callable[[bytes, trio.SocketStream], object]


class Peer:
    """Serves raw bytes: `answers[path]` is sent for a request; `closing` paths close afterwards."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: dict[str, bytes] = {}
        self.closing: set[str] = set()
        self.silent: set[str] = set()
        self.connections = 0
        self.requests: list[bytes] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        data = b""
        with trio.move_on_after(5):
            while chunk := await stream.receive_some(65536):
                data += chunk
                while b"\r\n\r\n" in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    self.requests.append(head)
                    path = head.split(b" ")[1].decode()
                    if path in self.silent:
                        await trio.sleep(5)
                    await stream.send_all(self.answers.get(path, ok(b"")))
                    if path in self.closing:
                        await stream.aclose()
                        return


def ok(body: bytes, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture
async def peer(nursery: trio.Nursery) -> AsyncIterator[Peer]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    peer = Peer(listeners[0].socket.getsockname()[1])
    nursery.start_soon(partial(trio.serve_listeners, peer.serve, listeners))
    yield peer
    nursery.cancel_scope.cancel()


async def test_keeps_one_connection(peer: Peer) -> None:
    """Ten requests to one peer use one connection."""
    peer.answers["/m"] = ok(b"up 1\n", "Content-Type: text/plain\r\n")
    fetch = HttpFetch()
    for _ in range(10):
        response = await fetch.get(Request(peer.url("/m")))
    assert (response.status, response.body, response.content_type) == (200, b"up 1\n", "text/plain")
    assert peer.connections == 1
    await fetch.aclose()


async def test_reconnects_when_the_peer_closed(peer: Peer) -> None:
    """A kept connection that the peer closed is replaced without an error."""
    peer.answers["/m"] = ok(b"a")
    peer.closing.add("/m")
    fetch = HttpFetch()
    assert (await fetch.get(Request(peer.url("/m")))).body == b"a"
    assert (await fetch.get(Request(peer.url("/m")))).body == b"a"
    assert peer.connections == 2
    await fetch.aclose()


async def test_gunzips_and_caps(peer: Peer) -> None:
    """A gzip body is inflated, and refused as soon as it inflates beyond the cap."""
    peer.answers["/z"] = ok(gzip.compress(b"x" * 100_000), "Content-Encoding: gzip\r\n")
    fetch = HttpFetch()
    response = await fetch.get(Request(peer.url("/z"), body_bytes_max=100_000))
    assert len(response.body) == 100_000
    assert response.wire_bytes < 1000
    with pytest.raises(BodyTooBig, match=r"^body size limit exceeded$"):
        await fetch.get(Request(peer.url("/z"), body_bytes_max=99_999))
    await fetch.aclose()


async def test_truncated_gzip_is_an_error(peer: Peer) -> None:
    """A gzip stream that stops early is not taken for a whole body."""
    peer.answers["/z"] = ok(gzip.compress(b"x" * 1000)[:-6], "Content-Encoding: gzip\r\n")
    with pytest.raises(FetchError, match="unexpected EOF"):
        await HttpFetch().get(Request(peer.url("/z")))


async def test_times_out_with_go_words(peer: Peer) -> None:
    """A peer that does not answer ends in `context deadline exceeded` after the timeout."""
    peer.silent.add("/s")
    with pytest.raises(FetchTimeout, match=f'Get "{peer.url("/s")}": context deadline exceeded'):
        await HttpFetch().get(Request(peer.url("/s"), timeout_s=0.05))


async def test_refused_names_the_address(peer: Peer) -> None:
    """A closed port gives Go's dial error."""
    with pytest.raises(FetchError, match=r"dial tcp 127.0.0.1:1: connect: connection refused"):
        await HttpFetch().get(Request("http://127.0.0.1:1/metrics"))


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"garbage\r\n\r\n"]
)
async def test_broken_answers_are_fetch_errors(peer: Peer, answer: bytes) -> None:
    """Nothing, half an answer, or no HTTP at all is a FetchError, never a crash."""
    peer.answers["/b"] = answer
    peer.closing.add("/b")
    with pytest.raises(FetchError):
        await HttpFetch().get(Request(peer.url("/b")))


async def test_credentials_stay_with_their_host(peer: Peer) -> None:
    """Redirects are followed; credentials go along on the same host and not to another one."""
    secret = ClientOptions(credentials=lambda: (("Authorization", "Bearer x"),))
    peer.answers["/r"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /m\r\n\r\n"
    other = f"http://localhost:{peer.port}/m"
    peer.answers["/o"] = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {other}\r\n\r\n".encode()
    fetch = HttpFetch(secret)
    await fetch.get(Request(peer.url("/r")))
    await fetch.get(Request(peer.url("/o")))
    has = [b"Bearer x" in request for request in peer.requests]
    assert has == [True, True, True, False]
    await fetch.aclose()


async def test_redirects_end(peer: Peer) -> None:
    """A redirect loop is an error after ten hops."""
    peer.answers["/l"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /l\r\n\r\n"
    with pytest.raises(FetchError, match="stopped after 10 redirects"):
        await HttpFetch().get(Request(peer.url("/l")))


async def test_goes_through_a_proxy(peer: Peer) -> None:
    """With a proxy the request goes to the proxy with an absolute URL, unless no_proxy names the host."""
    peer.answers["http://metrics.test/m"] = ok(b"via")
    peer.answers["/m"] = ok(b"direct")
    fetch = HttpFetch(ClientOptions(proxy_url=peer.url(""), no_proxy="127.0.0.1"))
    assert (await fetch.get(Request("http://metrics.test/m"))).body == b"via"
    assert (await fetch.get(Request(peer.url("/m")))).body == b"direct"
    await fetch.aclose()


@pytest.mark.parametrize(
    ("host", "no_proxy", "bypassed"),
    [
        ("a.example.com", "example.com", True),
        ("a.example.com", ".example.com", True),
        ("badexample.com", "example.com", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "11.0.0.0/8", False),
        ("x", "*", True),
        ("x", "", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, bypassed: bool) -> None:
    """no_proxy lists names, suffixes, networks and the star."""
    assert bypasses_proxy(host, no_proxy) is bypassed
