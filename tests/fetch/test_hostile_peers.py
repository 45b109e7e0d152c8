"""HttpFetch against peers that break or bend HTTP, over real sockets: nothing is mixed up."""

from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.support.raw_peer import Peer, ok
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.head import HEAD_BYTES_MAX, HEADERS_MAX
from trimon.fetch.proxychoice import ProxyOptions
from trimon.fetch.request import BodyError, BodyTooBig, FetchError, FetchRequest, FetchTimeout

GZIP = "Content-Encoding: gzip\r\n"
BROKEN = "net/http: HTTP/1.x transport connection broken: "


def http(*lines: bytes, body: bytes = b"a 1\n") -> bytes:
    """An answer with the lines of its head as they are."""
    return b"\r\n".join((*lines, b"Content-Length: %d" % len(body), b"", body))


async def body_of(peer: Peer, answer: bytes, *, closing: bool = False) -> bytes:
    """What a client makes of an answer."""
    peer.answers["/m"] = answer
    if closing:
        peer.closing.add("/m")
    fetch = HttpFetch()
    response = await fetch.send(FetchRequest(peer.url("/m"), timeout_s=5.0))
    await fetch.aclose()
    return response.body


@pytest.mark.parametrize(
    "unasked",
    [
        ok(b"evil 1\n"),
        b"xx",
        b"\r\n",
        b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
)
@pytest.mark.parametrize("closes", [False, True])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_nobody_asked_for_is_not_the_next_answer(
    peer: Peer, unasked: bytes, closes: bool, method: str
) -> None:
    """Bytes on a connection that rests are dropped with it: the next request goes over a new one and gets its own answer."""
    peer.later["/m"] = unasked
    if closes:
        peer.closing.add("/m")
    fetch = HttpFetch()
    for number in range(3):
        peer.answers["/m"] = ok(b"real %d\n" % number)
        response = await fetch.send(FetchRequest(peer.url("/m"), method=method, timeout_s=2.0))
        assert (response.status, response.body) == (200, b"real %d\n" % number)
        await trio.sleep(0.1)
    assert peer.connections == len(peer.requests) == 3
    await fetch.aclose()


@pytest.mark.parametrize("more", [b"\r\n", b"\n", b"and so on", ok(b"evil 1\n")])
@pytest.mark.parametrize("chunked", [False, True])
async def test_what_follows_an_answer_is_left(peer: Peer, more: bytes, chunked: bool) -> None:
    """Bytes behind the length of a body, or behind its last chunk, change nothing; the connection is not used again."""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n"
    peer.answers["/m"] = (chunks if chunked else ok(b"a 1\n")) + more
    fetch = HttpFetch()
    for _ in range(2):
        assert (await fetch.send(FetchRequest(peer.url("/m")))).body == b"a 1\n"
    assert peer.connections == 2
    await fetch.aclose()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate")
    made, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command = [openssl, "req", "-x509", "-nodes", *elliptic, *subject, "-out", str(made), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


async def test_what_follows_an_answer_under_tls_is_left(
    certificate: tuple[Path, Path], nursery: trio.Nursery
) -> None:
    """A second answer that came with the first, and waits in the TLS layer and not on the socket, is not the next one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
    listener = listeners[0].transport_listener
    assert isinstance(listener, trio.SocketListener)
    peer = Peer(listener.socket.getsockname()[1])
    # a record of TLS has 16 KiB: the second answer is one of its own
    filled = 16_384 - len(ok(b"x" * 16_300)) + 16_300
    peer.answers["/m"] = ok(b"x" * filled) + ok(b"evil 1\n")
    assert len(peer.answers["/m"]) - len(ok(b"evil 1\n")) == 16_384
    nursery.start_soon(partial(trio.serve_listeners, peer.serve, listeners))
    trusting = partial(ssl.create_default_context, cafile=str(certificate[0]))
    fetch = HttpFetch(ClientOptions(tls=trusting))
    for count in (1, 2, 3):
        response = await fetch.send(FetchRequest(f"https://localhost:{peer.port}/m", timeout_s=5.0))
        assert len(response.body) == filled
        assert peer.connections == count
    peer.answers["/m"] = ok(b"a 1\n")
    for _ in range(3):
        await fetch.send(FetchRequest(f"https://localhost:{peer.port}/m", timeout_s=5.0))
    assert peer.connections == 4
    await fetch.aclose()
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("body", "inflated"),
    [
        (gzip.compress(b"a 1\n", mtime=0) + gzip.compress(b"b 2\n", mtime=0), b"a 1\nb 2\n"),
        (gzip.compress(b"", mtime=0) * 500 + gzip.compress(b"a 1\n", mtime=0), b"a 1\n"),
        (b"".join(gzip.compress(b"m%d 1\n" % n, mtime=0) for n in range(3000)), None),
        (gzip.compress(bytes(5_000_000), mtime=0) + gzip.compress(b"b", mtime=0), bytes(5_000_000) + b"b"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_may_have_several_members(
    peer: Peer, body: bytes, inflated: bytes | None, stream: bool
) -> None:
    """All gzip members are read, whole bodies and streams, whatever their size."""
    expected = b"".join(b"m%d 1\n" % n for n in range(3000)) if inflated is None else inflated
    if not stream:
        assert await body_of(peer, ok(body, GZIP)) == expected
        return
    peer.answers["/m"] = ok(body, GZIP)
    async with HttpFetch().stream(FetchRequest(peer.url("/m"))) as answer:
        assert b"".join([piece async for piece in answer.pieces]) == expected


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "EOF"),
        (gzip.compress(b"a 1\n", mtime=0) + b"trailing garbage", "gzip: invalid header"),
        (gzip.compress(b"a 1\n", mtime=0) + bytes(512), "gzip: invalid header"),
        (gzip.compress(b"a 1\n", mtime=0) + b"short", "unexpected EOF"),
        (gzip.compress(b"a 1\n", mtime=0) + gzip.compress(b"b 2\n", mtime=0)[:-3], "unexpected EOF"),
        (gzip.compress(b"a 1\n", mtime=0)[:-8] + bytes(8), "gzip: invalid data"),
    ],
)
async def test_what_is_behind_a_member_has_to_be_one(peer: Peer, body: bytes, error: str) -> None:
    """Garbage, zeros or half a member after the first, or no member at all, is an error about the body."""
    with pytest.raises(BodyError) as failed:
        await body_of(peer, ok(body, GZIP))
    assert str(failed.value) == error


async def test_the_cap_holds_over_all_members(peer: Peer) -> None:
    """Members that are small each are not inflated beyond the cap together."""
    peer.answers["/m"] = ok(gzip.compress(b"x" * 1000) * 10, GZIP)
    fetch = HttpFetch()
    assert len((await fetch.send(FetchRequest(peer.url("/m"), body_bytes_max=10_000))).body) == 10_000
    with pytest.raises(BodyTooBig, match="more than 9999 bytes"):
        await fetch.send(FetchRequest(peer.url("/m"), body_bytes_max=9_999))
    await fetch.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        http(b"HTTP/1.1 200 OK", b"Content-Type: text/plain;", b" version=0.0.4"),
        http(b"HTTP/1.1 200 OK", b"X-A: b", b"\tc", b"  d"),
        http(b"HTTP/1.1 200 OK", b"Content-Type : text/plain"),
        http(b"HTTP/1.1 200 OK", b"X A: b"),
        http(b"HTTP/1.1 200 OK", b"X-N: caf\xe9\xff"),
        http(b"HTTP/1.1 200 OK", b"Content-Length: 4"),
        http(b"HTTP/1.2 200 OK"),
        http(b"HTTP/2.0 200 OK"),
        http(b"HTTP/3.0 200 OK"),
        http(b"HTTP/1.1  200 OK"),
        http(b"HTTP/1.1 200"),
        http(b"HTTP/1.1 200 OK", b"X-N: " + b"a" * (2 << 20)),
        http(b"HTTP/1.1 200 OK", *(b"X-%d: y" % n for n in range(20_000))),
        http(b"HTTP/1.1 200 OK", *(b"X: y" for n in range(20_000))),
        b"HTTP/1.1 200 OK\nContent-Length: 4\n\na 1\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00004  \r\na 1\n\r\n0000\r\nX-T: y\r\n\r\n",
    ],
)
async def test_what_bends_http_is_taken(peer: Peer, answer: bytes) -> None:
    """Heads that are odd, and that Go's client takes."""
    assert await body_of(peer, answer) == b"a 1\n"


async def test_folded_lines_are_one_value(peer: Peer) -> None:
    """A line that goes on with a blank belongs to the one before; a name with a blank is another name."""
    peer.answers["/m"] = http(
        b"HTTP/1.1 200 OK", b"Content-Type: text/plain;  ", b"\t version=0.0.4 ", b"Content-Length : 1"
    )
    response = await HttpFetch().send(FetchRequest(peer.url("/m")))
    assert response.content_type == "text/plain; version=0.0.4"
    assert response.headers["content-length "] == "1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", BROKEN + 'malformed HTTP response "SSH-2.0-OpenSSH_9.2"'),
        (b"\x15\x03\x01\x00\x02\x02(", BROKEN + r'malformed HTTP response "\x15\x03\x01\x00\x02\x02("'),
        (b"# HELP m x\nm 1\n", BROKEN + 'malformed HTTP status code "HELP"'),
        (b"ICY 200 OK\r\n\r\n", BROKEN + 'malformed HTTP version "ICY"'),
        (b"HTTP/1.1 2000 OK\r\n\r\n", BROKEN + 'malformed HTTP status code "2000"'),
        (b"\r\n\r\n" + ok(b"a"), BROKEN + 'malformed HTTP response ""'),
        (b"HTTP/1.1 200", BROKEN + "unexpected EOF"),
        (http(b"HTTP/1.1 200 OK", b"Garbage"), BROKEN + 'malformed MIME header: missing colon: "Garbage"'),
        (http(b"HTTP/1.1 200 OK", b"X-N: a\0b"), BROKEN + r'malformed MIME header line: "X-N: a\x00b"'),
        (http(b"HTTP/1.1 200 OK", b"X\t: b"), BROKEN + r'malformed MIME header line: "X\t: b"'),
        (http(b"HTTP/1.1 200 OK", b": b"), BROKEN + 'malformed MIME header line: ": b"'),
        (http(b"HTTP/1.1 200 OK", b" a: b"), BROKEN + 'malformed MIME header initial line: " a: b"'),
        (http(b"HTTP/1.1 200 OK", b"Content-Length: -5"),
         BROKEN + 'http: message cannot contain multiple Content-Length headers; got ["-5" "4"]'),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", BROKEN + 'bad Content-Length "-5"'),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
         BROKEN + f'bad Content-Length "{"9" * 200}"…'),
        (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", BROKEN + 'invalid empty Content-Length ""'),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", BROKEN + 'unsupported transfer encoding: "gzip"'),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         BROKEN + 'too many transfer encodings: ["chunked" "chunked"]'),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * HEAD_BYTES_MAX,
         BROKEN + "net/http: server response headers exceeded 10485760 bytes; aborted"),
        (b"HTTP/1.1 200 OK\r\n" + b"a:\n" * (HEADERS_MAX + 1) + b"\n",
         BROKEN + f"the answer has {HEADERS_MAX + 1} lines of headers, at most {HEADERS_MAX} are taken"),
    ],
)  # fmt: skip
async def test_what_breaks_http_is_told_in_the_words_of_go(peer: Peer, answer: bytes, error: str) -> None:
    """An error about the connection names the request, shows what came, and never a literal of Python."""
    with pytest.raises(FetchError) as failed:
        await body_of(peer, answer, closing=True)
    assert str(failed.value) == f'Get "{peer.url("/m")}": {error}'


@pytest.mark.parametrize(
    ("chunks", "error"),
    [
        (b"zz\r\n", "invalid byte in chunk length"),
        (b"-1\r\n", "invalid byte in chunk length"),
        (b"\r\n", "empty hex number for chunk length"),
        (b"4\na 1\n\n0\n\n", "chunked line ends with bare LF"),
        (b"00000000000000000004\r\n", "http chunk length too large"),
        (b"1\r\nxx\r\n", "malformed chunked encoding"),
        (b"4;" + b"x" * 5000, "line of a chunk of more than 4096 bytes, which is the limit"),
        (b"0\r\n" + b"x" * 70_000, "trailer of more than 65536 bytes, which is the limit"),
        (b"0\r\nno trailer\r\n\r\n", BROKEN + 'malformed MIME header: missing colon: "no trailer"'),
    ],
)
async def test_broken_chunks(peer: Peer, chunks: bytes, error: str) -> None:
    """An error about chunks is one about the body, with its kind."""
    with pytest.raises(BodyError) as failed:
        await body_of(peer, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, closing=True)
    assert str(failed.value) == error


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 1000000\r\n\r\n" + b"x" * 10_000,
        b"Content-Length: 10\r\n\r\nfew",
        b"\r\n" + b"x" * 1_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        b"Content-Length: 4\r\n\r\nok\r\n",
    ],
)
@pytest.mark.parametrize("only_ok", [False, True])
async def test_bodies_that_nobody_wants_are_not_read(peer: Peer, body: bytes, only_ok: bool) -> None:
    """A redirect is followed, and with `only_ok` an error is told, without its body: endless, cut, or broken."""
    status = b"500 Oops" if only_ok else b"302 Found"
    peer.answers["/r"] = b"HTTP/1.1 " + status + b"\r\nLocation: /m\r\n" + body
    peer.answers["/m"] = ok(b"a 1\n")
    fetch = HttpFetch()
    request = FetchRequest(peer.url("/r"), timeout_s=2.0, body_bytes_max=100, only_ok=only_ok)
    response = await fetch.send(request)
    assert (response.status, response.body) == ((500, b"") if only_ok else (200, b"a 1\n"))
    await fetch.aclose()


async def test_a_short_body_that_nobody_wants_keeps_its_connection(peer: Peer) -> None:
    """The usual redirect, with a line of text for people, is followed over the same connection."""
    peer.answers["/r"] = b"HTTP/1.1 302 Found\r\nLocation: /m\r\nContent-Length: 9\r\n\r\n"
    peer.later["/r"] = b"over here"
    fetch = HttpFetch()
    for _ in range(3):
        await fetch.send(FetchRequest(peer.url("/r")))
    assert (peer.connections, len(peer.requests)) == (1, 6)
    await fetch.aclose()


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/go od?a b", "/go%20od?a%20b"),
        ("/g\u00f6", "/g%C3%B6"),
        ("/m?" + "a" * 100_000, "/m?" + "a" * 100_000),
        ("m#part", "/m"),
        ("?x=1#y z", "/r?x=1"),
    ],
)
async def test_odd_locations_are_followed(peer: Peer, location: str, target: str) -> None:
    """Blanks and what is not ASCII are escaped; long ones are followed."""
    peer.answers["/r"] = (
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location.encode() + b"\r\n\r\n"
    )
    peer.answers[target] = ok(b"there")
    fetch = HttpFetch()
    assert (await fetch.send(FetchRequest(peer.url("/r")))).body == b"there"
    assert peer.requests[-1].startswith(f"GET {target} HTTP/1.1".encode())
    await fetch.aclose()


async def test_an_error_names_the_place_that_it_is_about(peer: Peer) -> None:
    """After a redirect the message has the URL that failed; ten requests are made in all."""
    peer.answers["/r"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/x\r\n\r\n"
    with pytest.raises(FetchError, match=r'^Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect'):
        await HttpFetch().send(FetchRequest(peer.url("/r")))
    peer.answers["/l"] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /l\r\n\r\n"
    peer.requests.clear()
    with pytest.raises(FetchError, match=r'^Get "/l": stopped after 10 redirects$'):
        await HttpFetch().send(FetchRequest(peer.url("/l")))
    assert len(peer.requests) == 10


async def test_a_body_that_does_not_come_in_time_stands_for_itself(peer: Peer) -> None:
    """Once the head came the time that ran out is the body's, as Go tells it."""
    peer.answers["/m"] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    with pytest.raises(FetchTimeout, match=r"^context deadline exceeded$"):
        await HttpFetch().send(FetchRequest(peer.url("/m"), timeout_s=0.1))


def proxied(peer: Peer) -> HttpFetch:
    """A client that asks the peer for everything, as its proxy."""
    return HttpFetch(ClientOptions(proxy=ProxyOptions(peer.url(""))))


# The generators of httpx below the body that is given up are its own; the connection is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Async generator 'http:ResourceWarning")
async def test_a_proxy_brings_all_members_within_the_cap(peer: Peer) -> None:
    """Gzip bodies that come through a proxy are read as others are: all members, bounded, an error for garbage."""
    place = "http://metrics.test/m"
    peer.answers[place] = ok(gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n") * 3, GZIP)
    fetch = proxied(peer)
    assert (await fetch.send(FetchRequest(place))).body == b"a 1\n" + b"b 2\n" * 3
    with pytest.raises(BodyTooBig, match="more than 15 bytes"):
        await fetch.send(FetchRequest(place, body_bytes_max=15))
    for body, error in ((b"", "EOF"), (gzip.compress(b"a") + bytes(20), "gzip: invalid header")):
        peer.answers[place] = ok(body, GZIP)
        with pytest.raises(BodyError) as failed:
            await fetch.send(FetchRequest(place))
        assert str(failed.value) == error
    await fetch.aclose()


async def test_a_proxy_brings_no_body_that_nobody_wants(peer: Peer) -> None:
    """An endless body of a redirect is not read through a proxy either."""
    peer.answers["http://metrics.test/r"] = (
        b"HTTP/1.1 302 Found\r\nLocation: /m\r\nContent-Length: 999999\r\n\r\nand"
    )
    peer.answers["http://metrics.test/m"] = ok(b"there")
    fetch = proxied(peer)
    response = await fetch.send(FetchRequest("http://metrics.test/r", timeout_s=2.0, body_bytes_max=100))
    assert response.body == b"there"
    await fetch.aclose()


async def test_plain_text_where_tls_was_awaited_is_told(nursery: trio.Nursery) -> None:
    """In Go's words, and not as a number of the system, which would be a missing permission."""

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, answer, [listener])
    port = listener.socket.getsockname()[1]
    with pytest.raises(FetchError, match="tls: first record does not look like a TLS handshake"):
        await HttpFetch().send(FetchRequest(f"https://127.0.0.1:{port}/metrics"))
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "status", [b"204 No Content", b"200 OK", b"400 Bad Request", b"503 Service Unavailable"]
)
@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        (b"Content-Length: 100000\r\n\r\n" + b"x" * 100000, b""),
        (b"Content-Length: 100000\r\n\r\nx", b""),
        (b"Content-Length: 10\r\n\r\nx", b"x"),
        (
            b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n" + b"ffff\r\n",
            b"x" * 1024,
        ),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\nnonsense\r\n", b"x"),
        (b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx", b""),
    ],
)
async def test_a_status_counts_whatever_the_body_is_like(
    peer: Peer, autojump_clock: trio.testing.MockClock, status: bytes, rest: bytes, shown: bytes
) -> None:
    """Of an answer whose body is too long, cut, slow or broken who asks only for the status gets it, with its headers."""
    del autojump_clock
    peer.answers["/m"] = b"HTTP/1.1 " + status + b"\r\nRetry-After: 7\r\n" + rest
    fetch = HttpFetch()
    response = await fetch.send(
        FetchRequest(peer.url("/m"), timeout_s=5.0, body_bytes_max=2000, method="POST", status_counts=True)
    )
    assert response.status_line.encode() == status
    assert response.headers["retry-after"] == "7"
    if not status.startswith(b"204"):
        assert response.body == shown
    again = FetchRequest(
        peer.url("/m"), timeout_s=5.0, body_bytes_max=2000, method="POST", status_counts=True
    )
    assert (await fetch.send(again)).status == response.status
    await fetch.aclose()
