"""Heads of plain requests: what is remembered of them is what the protocol's library says."""

from __future__ import annotations

import h11
import pytest
from h11._readers import ContentLengthReader
from hypothesis import given
from hypothesis import strategies as st

from trimon.web.http.wire.h11server import ServerProtocol
from trimon.web.http.wire.knownheads import BLOCK_BYTES_MAX, KnownHeads, PlainHead

HOST = b"Host: localhost:9090\r\n"


def by_the_library(data: bytes) -> PlainHead | None:
    """The request that these bytes are, if they are one that is whole, and nothing else."""
    protocol = ServerProtocol(h11.SERVER, 1 << 20)
    protocol.receive_data(data)
    request, body, missing = None, b"", 0
    while True:
        try:
            event = protocol.next_event()
        except h11.RemoteProtocolError:
            return None
        if isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
        elif request is not None and isinstance(protocol._reader, ContentLengthReader):
            missing = protocol._reader._remaining
            break
        else:
            return None
    if request is None or protocol.trailing_data[0]:
        return None
    closes = not protocol._cstate.keep_alive
    return PlainHead(request.method.decode(), request.target, list(request.headers), body, missing, closes)


line = st.sampled_from(
    [
        HOST,
        b"host: other\r\n",
        b"Host: a b\r\n",
        b"Accept: */*\r\n",
        b"accept-encoding:gzip, deflate\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: close\r\n",
        b"Connection: Close \r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 3, 3\r\n",
        b"Content-Length: 4\r\n",
        b"content-length: 003\r\n",
        b"Content-Length:3\r\n",
        b"Content-Length: 1234567890\r\n",
        b"X: 1\nContent-Length: 4\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"X-Odd: \xe9\r\n",
        b"X-Odd : 1\r\n",
        b"X-Empty:\r\n",
        b"X-Tab:\ta\tb \r\n",
        b"X-Control: \x01\r\n",
        b" folded\r\n",
        b"X: 1\n",
        b"no colon\r\n",
        b"\r\n",
    ]
)
first = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"GET /a?b=%20c HTTP/1.1\r\n",
        b"GET /%zz HTTP/1.1\r\n",
        b"GET /?%zz HTTP/1.1\r\n",
        b"POST /x HTTP/1.1\r\n",
        b"POST //x HTTP/1.1\r\n",
        b"GET http://h/a HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"get / HTTP/1.1\r\n",
        b"PUT / HTTP/1.1\r\n",
        b"GET /\xe9 HTTP/1.1\r\n",
    ]
)
KNOWN = KnownHeads(8)


@given(first, st.lists(line, max_size=6), st.sampled_from([b"", b"abc", b"GET / HTTP/1.1\r\n\r\n"]))
def test_a_plain_request_is_what_the_library_says(start: bytes, lines: list[bytes], body: bytes) -> None:
    """Whatever is taken for a plain request is one to the library, with the same headers and body, the second time too."""
    data = start + HOST + b"".join(lines) + b"\r\n" + body
    for _ in range(2):
        plain = KNOWN.plain(data)
        if plain is not None:
            assert plain == by_the_library(data)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /api/v1/query?query=up HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n",
        b"POST /api/v1/query HTTP/1.1\r\n" + HOST + b"Content-Length: 8\r\n\r\nquery=up",
        b"POST /-/reload HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_what_clients_send_is_plain(data: bytes) -> None:
    """The requests of scripts, of Grafana and of load testers are plain."""
    known = KnownHeads()
    assert known.plain(data) == known.plain(data) == by_the_library(data) is not None


@pytest.mark.parametrize(
    "rest",
    [
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\na",
        b"Connection: close, TE\r\n\r\n",
        b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"Content-Length: 3\r\n\r\nabcd",
        b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"A: 1\r\n",
        b"Host: again\r\n\r\n",
        b"A: \0\r\n\r\n",
    ],
)
def test_what_asks_for_more_is_not(rest: bytes) -> None:
    """Requests that are not whole, are followed by others, or say something about the connection are the library's."""
    known = KnownHeads()
    assert known.plain(b"POST / HTTP/1.1\r\n" + HOST + rest) is None
    assert known.plain(b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n") is None


def test_requests_of_other_lengths_have_one_block() -> None:
    """Bodies of any length are found by one block, and each says its own; a length of nothing is not taken for one."""
    known = KnownHeads()
    for number in range(100):
        body = b"x" * number
        data = b"POST / HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % number + body
        assert known.plain(data) == by_the_library(data) == known.plain(data)
        assert known.plain(data + b"x") is None
    assert len(known) == 1
    assert known.plain(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: \r\n\r\n") is None


def test_only_some_blocks_are_kept() -> None:
    """No more than the limit are kept, the oldest goes, and a long one is not kept at all."""
    known = KnownHeads(3)
    for number in range(10):
        assert known.plain(b"GET / HTTP/1.1\r\n" + HOST + b"A: %d\r\n\r\n" % number) is not None
    assert len(known) == 3
    assert (
        known.plain(b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * BLOCK_BYTES_MAX + b"\r\n\r\n") is not None
    )
    assert len(known) == 3


def test_who_asks_often_is_not_forgotten() -> None:
    """The block that was not asked for for longest goes, however long ago it first came."""
    known = KnownHeads(3)
    often = b"GET / HTTP/1.1\r\n" + HOST + b"A: often\r\n\r\n"
    first = known.plain(often)
    assert first is not None
    for number in range(10):
        known.plain(b"GET / HTTP/1.1\r\n" + HOST + b"A: %d\r\n\r\n" % number)
        again = known.plain(often)
        assert again is not None
        assert again.headers is first.headers
