"""HttpFetch against real sockets: a small server on loopback that misbehaves on demand."""

from __future__ import annotations

import contextlib
import gc
import gzip
import re
import socket
import ssl
from pathlib import Path

import pytest
import trio
import trustme

from tests.support.collector import tls_connections, uncollected
from tests.support.raw_peer import Peer, ok
from trimon.fetch import dialing
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.proxychoice import ProxyOptions, bypasses_proxy
from trimon.fetch.request import BodyError, BodyTooBig, FetchError, FetchRequest, FetchTimeout
from trimon.fetch.url import same_place, split_url


async def test_keeps_one_connection(peer: Peer) -> None:
    """Ten requests to one peer use one connection."""
    peer.answers["/m"] = ok(b"up 1\n", "Content-Type: text/plain\r\n")
    fetch = HttpFetch()
    for _ in range(10):
        response = await fetch.send(FetchRequest(peer.url("/m")))
    assert (response.status, response.body, response.content_type) == (200, b"up 1\n", "text/plain")
    assert peer.connections == 1
    await fetch.aclose()


async def test_reconnects_when_the_peer_closed(peer: Peer) -> None:
    """A kept connection that the peer closed is replaced without an error."""
    peer.answers["/m"] = ok(b"a")
    peer.closing.add("/m")
    fetch = HttpFetch()
    assert (await fetch.send(FetchRequest(peer.url("/m")))).body == b"a"
    assert (await fetch.send(FetchRequest(peer.url("/m")))).body == b"a"
    assert peer.connections == 2
    await fetch.aclose()


async def test_gunzips_and_caps(peer: Peer) -> None:
    """A gzip body is inflated, and refused as soon as it inflates beyond the cap."""
    peer.answers["/z"] = ok(gzip.compress(b"x" * 100_000), "Content-Encoding: gzip\r\n")
    fetch = HttpFetch()
    response = await fetch.send(FetchRequest(peer.url("/z"), body_bytes_max=100_000))
    assert len(response.body) == 100_000
    assert response.wire_bytes < 1000
    with pytest.raises(BodyTooBig, match=r"^body of more than 99999 bytes, which is the limit$"):
        await fetch.send(FetchRequest(peer.url("/z"), body_bytes_max=99_999))
    await fetch.aclose()


async def test_truncated_gzip_is_an_error(peer: Peer) -> None:
    """A gzip stream that stops early is not taken for a whole body."""
    peer.answers["/z"] = ok(gzip.compress(b"x" * 1000)[:-6], "Content-Encoding: gzip\r\n")
    with pytest.raises(FetchError, match="unexpected EOF"):
        await HttpFetch().send(FetchRequest(peer.url("/z")))


async def test_times_out_with_go_words(peer: Peer) -> None:
    """A peer that does not answer ends in `context deadline exceeded` after the timeout."""
    peer.silent.add("/s")
    with pytest.raises(FetchTimeout, match=f'Get "{peer.url("/s")}": context deadline exceeded'):
        await HttpFetch().send(FetchRequest(peer.url("/s"), timeout_s=0.05))


async def test_refused_names_the_address(peer: Peer) -> None:
    """A closed port gives Go's dial error."""
    with pytest.raises(FetchError, match=r"dial tcp 127.0.0.1:1: connect: connection refused"):
        await HttpFetch().send(FetchRequest("http://127.0.0.1:1/metrics"))


async def test_a_dead_peer_leaves_no_cycles() -> None:
    """An address that refuses costs an exception and no garbage that only the collector of cycles would find."""
    fetch, request = HttpFetch(), FetchRequest("http://127.0.0.1:1/metrics")

    async def refused(times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(FetchError):
                await fetch.send(request)

    await refused(3)
    gc.collect()
    await refused(50)
    assert gc.collect() < 50


@pytest.mark.parametrize("trusted", [True, False])
async def test_nothing_of_a_connection_with_tls_is_left_to_the_collector(
    trusted: bool, nursery: trio.Nursery
) -> None:
    """One that was used, and one whose handshake failed, are freed by their last reference."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    if trusted:
        authority.configure_trust(trust)
    listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1", https_compatible=True)
    accepting = listeners[0].transport_listener
    assert isinstance(accepting, trio.SocketListener)
    peer = Peer(accepting.socket.getsockname()[1])

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await peer.serve(stream)

    nursery.start_soon(trio.serve_listeners, serve, listeners)
    with uncollected():
        fetch = HttpFetch(ClientOptions(tls=lambda: trust))
        for _ in range(3):
            with contextlib.suppress(FetchError):  # pytest.raises would keep the frames
                await fetch.send(FetchRequest(peer.url("/m").replace("http", "https")))
        await trio.testing.wait_all_tasks_blocked()  # the loop keeps what it has just done
        assert tls_connections(server_side=False) == len(peer.requests) / 3 == trusted
        await fetch.aclose()
        del fetch
        await trio.testing.wait_all_tasks_blocked()
        assert tls_connections(server_side=False) == 0
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1"])
async def test_names_and_addresses(peer: Peer, host: str) -> None:
    """What is an address is connected to as it is, everything else is looked up."""
    peer.answers["/m"] = ok(b"a")
    fetch = HttpFetch()
    assert (await fetch.send(FetchRequest(f"http://{host}:{peer.port}/m"))).body == b"a"
    await fetch.aclose()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", b"garbage\r\n\r\n"]
)
async def test_broken_answers_are_fetch_errors(peer: Peer, answer: bytes) -> None:
    """Nothing, half an answer, or no HTTP at all is a FetchError, never a crash."""
    peer.answers["/b"] = answer
    peer.closing.add("/b")
    with pytest.raises(FetchError):
        await HttpFetch().send(FetchRequest(peer.url("/b")))


async def test_credentials_stay_with_their_host(peer: Peer) -> None:
    """Redirects are followed; credentials go along on the same host and not to another one."""
    secret = ClientOptions(credentials=lambda: (("Authorization", "Bearer x"),))
    peer.answers["/r"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /m\r\n\r\n"
    other = f"http://localhost:{peer.port}/m"
    peer.answers["/o"] = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {other}\r\n\r\n".encode()
    fetch = HttpFetch(secret)
    await fetch.send(FetchRequest(peer.url("/r")))
    await fetch.send(FetchRequest(peer.url("/o")))
    has = [b"Bearer x" in request for request in peer.requests]
    assert has == [True, True, True, False]
    await fetch.aclose()


async def test_a_request_that_proves_itself_goes_without_the_credentials(peer: Peer) -> None:
    """One header Authorization, that of the request; other requests of the client have that of the credentials."""
    options = ClientOptions(credentials=lambda: (("Authorization", "Bearer x"), ("X-Own", "y")))
    fetch = HttpFetch(options)
    await fetch.send(FetchRequest(peer.url("/m"), (("authorization", "Signed z"),)))
    await fetch.send(FetchRequest(peer.url("/m")))
    found = [re.findall(rb"(?i)^authorization: (.*?)\r$", each, re.MULTILINE) for each in peer.requests]
    assert found == [[b"Signed z"], [b"Bearer x"]]
    assert all(b"X-Own: y" in each for each in peer.requests)
    await fetch.aclose()


async def test_headers_of_the_configuration_stay_with_their_host(peer: Peer) -> None:
    """`http_headers` are not sent to another host, nor back to the first one by way of another."""
    back = peer.url("/m")
    other = f"http://localhost:{peer.port}/back"
    peer.answers["/o"] = f"HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: {other}\r\n\r\n".encode()
    peer.answers["/back"] = f"HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: {back}\r\n\r\n".encode()
    fetch = HttpFetch(ClientOptions(headers=(("X-Tenant", "canary"),)))
    await fetch.send(FetchRequest(peer.url("/o")))
    assert [b"canary" in request for request in peer.requests] == [True, False, False]
    await fetch.aclose()


async def test_tokens_in_a_request_stay_with_their_host(peer: Peer) -> None:
    """Of a request's own headers another host gets the form of what is asked, and none that may be a token."""
    other = f"http://localhost:{peer.port}/there"
    peer.answers["/o"] = f"HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: {other}\r\n\r\n".encode()
    peer.answers["/there"] = ok(b"x")
    fetch = HttpFetch()
    headers = (("X-Consul-Token", "canary"), ("Authorization", "canary"), ("Accept", "application/json"))
    await fetch.send(FetchRequest(peer.url("/o"), headers))
    assert [request.count(b"canary") for request in peer.requests] == [2, 0]
    assert [b"application/json" in request for request in peer.requests] == [True, True]
    await fetch.aclose()


async def test_a_request_may_refuse_redirects(peer: Peer) -> None:
    """A body that is for this peer alone is not sent anywhere else: the redirect itself is the answer."""
    peer.answers["/o"] = b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: /there\r\n\r\n"
    fetch = HttpFetch()
    request = FetchRequest(peer.url("/o"), method="POST", body=b"secret", follow_redirects=False)
    assert (await fetch.send(request)).status == 307
    assert len(peer.requests) == 1
    await fetch.aclose()


@pytest.mark.parametrize(
    ("origin", "place", "same"),
    [
        ("https://a/x", "https://a/y", True),
        ("https://a/x", "https://a:443/y", True),
        ("http://a/x", "https://a:80/y", False),
        ("http://a:9090/x", "https://a:9090/y", True),
        ("https://a/x", "http://a/y", False),
        ("https://a:9090/x", "http://a:9090/y", False),
        ("http://a/x", "http://b/y", False),
        ("http://a:1/x", "http://a:2/y", False),
        ("http://A/x", "http://a/y", True),
    ],
)
def test_where_secrets_may_go(origin: str, place: str, same: bool) -> None:
    """Secrets follow to the same host and port, and never from https to http."""
    assert same_place(split_url(origin), split_url(place)) is same


BAD_ADDRESSES = [
    "a..b:9100", "[::1", "::1", "x" * 64 + ":1", "h:0", "h:99999", "h:\u0661", "h:-1", "h:x", "\0:1", "a\0b:1",
    "[::1]x:1", "[v1.x]:1", "a b:1", "\r\nX: y", ".:1", "..:1", ":1", "", "@:1", "u:p@:1", "xn--\u00e4:1",
    "\u2100:1", "\u212b.\u3002:1", "\ud800:1", "%zz:1", "[fe80::1%25nope]:1", "x" * 300 + ":1", "a" * 20_000,
    "-:1", "\u00e4" * 70 + ":1", "#:1", "?:1", "\\:1", "0x7f.1:0", "[]:1", "[::1]:", "127.0.0.1:65536",
]  # fmt: skip


@pytest.mark.parametrize("address", BAD_ADDRESSES)
@pytest.mark.parametrize("scheme", ["http", "https", "ftp", ""])
async def test_no_address_is_a_crash(address: str, scheme: str) -> None:
    """Whatever stands for an address, the request ends in an error about it."""
    for fetch in (HttpFetch(), HttpFetch(ClientOptions(proxy=ProxyOptions("http://127.0.0.1:1")))):
        with pytest.raises(FetchError):
            await fetch.send(FetchRequest(f"{scheme}://{address}/metrics", timeout_s=2.0))


@pytest.mark.parametrize("address", BAD_ADDRESSES)
async def test_no_redirect_is_a_crash(peer: Peer, address: str) -> None:
    """Whatever a peer says for a location, the request ends in an error or an answer."""
    location = f"http://{address}/m".encode("utf-8", "surrogatepass")
    peer.answers["/r"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
    fetch = HttpFetch()
    with contextlib.suppress(FetchError):
        await fetch.send(FetchRequest(peer.url("/r"), timeout_s=2.0))
    await fetch.aclose()


@pytest.mark.parametrize("name", ["\0", ".a", "a..b", "x" * 64])
async def test_no_server_name_is_a_crash(peer: Peer, name: str) -> None:
    """A name that TLS cannot ask for is an error of the request."""
    with pytest.raises(FetchError):
        await HttpFetch(ClientOptions(server_name=name)).send(
            FetchRequest(peer.url("/m").replace("http", "https"), timeout_s=2.0)
        )


@pytest.mark.parametrize(
    "proxy", ["http://a..b:1", "http://[::1", "socks5://127.0.0.1:1", "ftp://x", "http://h:99999", "x", "\0"]
)
async def test_no_proxy_is_a_crash(proxy: str) -> None:
    """A proxy that is no address, or does not answer, is an error of the request."""
    with pytest.raises(FetchError):
        await HttpFetch(ClientOptions(proxy=ProxyOptions(proxy))).send(
            FetchRequest("http://127.0.0.1:1/", timeout_s=2.0)
        )


async def test_redirects_end(peer: Peer) -> None:
    """A redirect loop is an error after ten hops."""
    peer.answers["/l"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /l\r\n\r\n"
    with pytest.raises(FetchError, match="stopped after 10 redirects"):
        await HttpFetch().send(FetchRequest(peer.url("/l")))


async def test_goes_through_a_proxy(peer: Peer) -> None:
    """With a proxy the request goes to the proxy with an absolute URL, unless no_proxy names the host."""
    peer.answers["http://metrics.test/m"] = ok(b"via")
    peer.answers["/m"] = ok(b"direct")
    fetch = HttpFetch(ClientOptions(proxy=ProxyOptions(peer.url(""), "127.0.0.1")))
    assert (await fetch.send(FetchRequest("http://metrics.test/m"))).body == b"via"
    assert (await fetch.send(FetchRequest(peer.url("/m")))).body == b"direct"
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


async def test_a_post_is_sent_with_its_body_and_not_twice(peer: Peer) -> None:
    """A POST carries its body; when the peer closes without an answer it fails and is not sent again, a GET is."""
    peer.answers["/m"] = ok(b"a")
    peer.answers["/drop"] = b""
    peer.closing.add("/drop")
    fetch = HttpFetch()
    post = FetchRequest(peer.url("/m"), (("content-type", "text/plain"),), method="POST", body=b"data")
    assert (await fetch.send(post)).status == 200
    head = peer.requests[-1].decode().split("\r\n")
    assert head[0] == "POST /m HTTP/1.1"
    assert "Content-Length: 4" in head
    assert "Content-Type: text/plain" in head
    with pytest.raises(FetchError, match=r'^Post "http.*/drop": EOF$'):
        await fetch.send(FetchRequest(peer.url("/drop"), method="POST"))
    assert sum(b"/drop" in request for request in peer.requests) == 1
    await fetch.send(FetchRequest(peer.url("/m")))
    with pytest.raises(FetchError, match="EOF"):
        await fetch.send(FetchRequest(peer.url("/drop")))
    assert sum(b"/drop" in request for request in peer.requests) == 3
    await fetch.aclose()


async def test_a_post_finds_out_that_its_connection_was_closed(peer: Peer) -> None:
    """A POST after the peer closed the kept connection goes over a new one, and arrives once."""
    peer.answers["/m"] = ok(b"a")
    peer.closing.add("/m")
    fetch = HttpFetch()
    for count in (1, 2, 3):
        assert (await fetch.send(FetchRequest(peer.url("/m"), method="POST", body=b"x"))).body == b"a"
        assert len(peer.requests) == peer.connections == count
        await trio.sleep(0.01)
    await fetch.aclose()


@pytest.mark.parametrize(
    ("status", "method", "body"), [(301, b"GET", 0), (303, b"GET", 0), (307, b"POST", 1), (308, b"POST", 1)]
)
async def test_redirects_of_a_post(peer: Peer, status: int, method: bytes, body: int) -> None:
    """307 and 308 repeat a POST with its body, the others turn it into a GET without one."""
    peer.answers["/a"] = f"HTTP/1.1 {status} Moved\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".encode()
    peer.answers["/b"] = ok(b"there")
    fetch = HttpFetch()
    response = await fetch.send(FetchRequest(peer.url("/a"), method="POST", body=b"data"))
    assert response.body == b"there"
    last = next(request for request in reversed(peer.requests) if b"/b" in request)
    assert last.split(b" ")[0] == method
    assert (b"Content-Length" in last) == bool(body)
    await fetch.aclose()


async def test_a_stream_comes_piece_by_piece(peer: Peer) -> None:
    """A body is read while it comes, gunzipped, beyond the cap of whole bodies; its end is the end of the iteration."""
    body = gzip.compress(bytes(range(256)) * 4000)
    half = len(body) // 2
    chunks = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:])) + b"0\r\n\r\n"
    )
    peer.answers["/s"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n" + chunks
    )
    fetch = HttpFetch()
    async with fetch.stream(FetchRequest(peer.url("/s"), body_bytes_max=10)) as answer:
        assert (answer.status, answer.headers["content-encoding"]) == (200, "gzip")
        pieces = [piece async for piece in answer.pieces]
    assert b"".join(pieces) == bytes(range(256)) * 4000


async def test_the_system_asks_whether_the_peer_of_a_silent_stream_is_there(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream's connection is probed while nothing comes, and is broken after a minute without an answer."""
    peer.answers["/s"] = ok(b"x")
    opened: list[trio.SocketStream] = []
    connect = dialing._connect

    async def noted(family: int, host: str, port: int) -> trio.SocketStream:
        opened.append(await connect(family, host, port))
        return opened[-1]

    monkeypatch.setattr(dialing, "_connect", noted)
    async with HttpFetch().stream(FetchRequest(peer.url("/s"))):
        (stream,) = opened
        assert (
            int.from_bytes(bytes(stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 4)), "little") == 1
        )
        probes = [
            int.from_bytes(bytes(stream.getsockopt(socket.IPPROTO_TCP, option, 4)), "little")
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]
        assert probes[0] + probes[1] * probes[2] == 60


async def test_a_stream_that_is_cut_off_says_so(peer: Peer) -> None:
    """What came before the peer closed too early is given, then the error."""
    peer.answers["/s"] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    peer.closing.add("/s")
    got = []
    with pytest.raises(BodyError, match="unexpected EOF"):
        async with HttpFetch().stream(FetchRequest(peer.url("/s"))) as answer:
            got += [piece async for piece in answer.pieces]
    with pytest.raises(FetchError, match=r'^Get "http.*dial tcp .*: connect: connection refused'):
        async with HttpFetch().stream(FetchRequest("http://127.0.0.1:1/")):
            pass


async def test_a_unix_socket_takes_the_place_of_the_address(tmp_path: Path) -> None:
    """With a socket in the request the URL says what is asked, not where."""
    path = str(tmp_path / "s")
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(path)
    listener.listen()
    peer = Peer(0)
    peer.answers["/m"] = ok(b"here")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, peer.serve, [trio.SocketListener(listener)])
        fetch = HttpFetch()
        assert (await fetch.send(FetchRequest("http://db:1/m", unix_socket=path))).body == b"here"
        assert b"Host: db:1" in peer.requests[0]
        with pytest.raises(FetchError, match=r"dial unix .*nowhere"):
            await fetch.send(FetchRequest("http://db:1/m", unix_socket=str(tmp_path / "nowhere")))
        await fetch.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1\n", "unexpected EOF"),
        (ok(b"a 1\n", "Content-Encoding: gzip\r\n"), "unexpected EOF"),
        (ok(b"a 1 and so on\n", "Content-Encoding: gzip\r\n"), "gzip: invalid header"),
        (ok(gzip.compress(b"a 1\n", mtime=0)[:-3], "Content-Encoding: gzip\r\n"), "unexpected EOF"),
    ],
)
async def test_bad_bodies_stand_for_themselves(peer: Peer, answer: bytes, error: str) -> None:
    """An error about a body is told as it is; only one about the request names the URL."""
    peer.answers["/m"] = answer
    peer.closing.add("/m")
    fetch = HttpFetch()
    with pytest.raises(BodyError) as failed:
        await fetch.send(FetchRequest(peer.url("/m")))
    assert str(failed.value) == error
    peer.answers["/m"] = ok(b"a 1\n", "Content-Encoding: GZIP\r\n")
    assert (await fetch.send(FetchRequest(peer.url("/m")))).body == b"a 1\n"
    await fetch.aclose()


async def test_an_answer_to_head_has_no_body(peer: Peer) -> None:
    """The length in an answer to HEAD is that of the body that GET would bring; the connection stays."""
    peer.answers["/m"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    fetch = HttpFetch()
    for _ in range(2):
        assert (await fetch.send(FetchRequest(peer.url("/m"), method="HEAD", timeout_s=2))).body == b""
    assert peer.connections == 1
    await fetch.aclose()


async def test_a_socket_is_reached_past_the_proxy(peer: Peer) -> None:
    """A request to a socket of this machine takes no proxy: the refused connection is that of the socket."""
    fetch = HttpFetch(ClientOptions(proxy=ProxyOptions(peer.url(""))))
    with pytest.raises(FetchError):
        await fetch.send(FetchRequest("http://localhost/m", unix_socket="/nowhere/s.sock"))
    assert not peer.requests
    await fetch.aclose()
