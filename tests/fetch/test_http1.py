"""The reader of one answer, against h11 on generated answers cut anywhere."""

from __future__ import annotations

import gzip

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.fetch.head import _LINES_KEPT_MAX, HeadReader, _known_lines, plain_head
from trimon.fetch.http1 import CHUNKS_AT_ONCE, ResponseReader, request_bytes
from trimon.fetch.request import BodyTooBig, FetchError

bodies = st.binary(max_size=300)
header_names = st.sampled_from(["X-A", "x-b", "Date", "Server"])
header_values = st.text("abc ,;=1\"'", max_size=8).map(str.strip)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A well-formed answer in one of the three framings."""
    body = draw(bodies)
    status = draw(st.sampled_from([200, 404, 500, 301]))
    lines = [
        f"HTTP/1.{draw(st.sampled_from('01'))} {status} {draw(st.sampled_from(['OK', 'Not Found', '']))}"
    ]
    lines += [
        f"{name}: {value}"
        for name, value in draw(st.lists(st.tuples(header_names, header_values), max_size=4))
    ]
    if draw(st.booleans()):
        lines.append("Connection: " + draw(st.sampled_from(["close", "keep-alive"])))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    payload = body
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines[0] = lines[0].replace("HTTP/1.0", "HTTP/1.1")
        lines.append("Transfer-Encoding: chunked")
        payload = b""
        position = 0
        while position < len(body):
            size = draw(st.integers(1, 60))
            chunk = body[position : position + size]
            payload += f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
            position += size
        payload += b"0\r\n" + draw(st.sampled_from([b"", b"X-T: 1\r\n"])) + b"\r\n"
    early = b"HTTP/1.1 100 Continue\r\n\r\n" if draw(st.integers(0, 5)) == 0 else b""
    return early + ("\r\n".join(lines) + "\r\n\r\n").encode() + payload


def by_h11(data: bytes) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection can be used again, by the reference."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = 0, b""
    closed = False
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            assert not closed
            closed = True
            connection.receive_data(b"")
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            done = connection.our_state is h11.DONE and connection.their_state is h11.DONE
            return status, body, done and not closed


def compressed_reader(body: bytes, body_bytes_max: int) -> ResponseReader:
    """A reader that was fed a whole answer with a gzip body."""
    reader = ResponseReader(body_bytes_max)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    assert reader.feed(head.encode() + body)
    return reader


def inflated(body: bytes, body_bytes_max: int) -> bytes:
    reader = ResponseReader(body_bytes_max)
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
    for begin in range(0, len(body), 500):
        reader.feed(body[begin : begin + 500])
    reader.end()
    return reader.response().body


@settings(deadline=None)
@given(answers(), st.data())
def test_reads_what_h11_reads(data: bytes, choices: st.DataObject) -> None:
    """Status, body and reuse of an answer are the same however it is cut into pieces."""
    reader = ResponseReader(10_000)
    position, done = 0, False
    while position < len(data) and not done:
        size = choices.draw(st.integers(1, 80))
        done = reader.feed(data[position : position + size])
        position += size
    if not done:
        reader.end()
    response = reader.response()
    status, body, reusable = by_h11(data)
    assert (response.status, response.body, reader.reusable) == (status, body, reusable)


FIELDS = st.sampled_from(
    [
        b"Content-Type: text/plain; version=0.0.4", b"Content-Encoding: gzip", b"Content-Length: 7", b"content-length:\t9 ",
        b"Content-Length: x", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Connection: close",
        b"Connection: keep-alive", b"Date: now", b"X-A: b\n\n", b" folded", b"X-B : c", b"no field", b"", b"X-C: \xe9",
    ]
)  # fmt: skip


def head_of(pieces: list[bytes]) -> tuple[object, bytes] | str:
    """What a reader says of an answer that comes in these pieces: its head and what follows, or what is wrong."""
    reader = HeadReader()
    try:
        found = [reader.feed(piece) for piece in pieces]
        while reader.unread:
            found.append(reader.feed(b""))
    except FetchError as error:
        return str(error)
    return found[-1], reader.rest


@given(st.lists(FIELDS, max_size=5), st.sampled_from([b"200 OK", b"200", b"204 No Content", b"200 OK "]))
def test_a_head_that_comes_whole_is_the_head_that_comes_in_pieces(fields: list[bytes], status: bytes) -> None:
    """What is looked up of a plain head is what reading it says, field by field, and errors are the same."""
    head = b"\r\n".join([b"HTTP/1.1 " + status, *fields]) + b"\r\n\r\n"
    assert head_of([head + b"body"]) == head_of([b"H", head[1:] + b"body"])
    assert head_of([head]) == head_of([b"H", head[1:]])


def test_lines_of_heads_are_kept_within_a_bound() -> None:
    """A peer with ever new lines makes nothing grow, and what it says is still read."""
    for number in range(2000):
        found = plain_head(b"HTTP/1.1 200 OK\r\nX-A: %d\r\nDate: %d\r\n\r\n" % (number, number))
        assert found is not None
        assert found[0].headers == {"x-a": str(number), "date": str(number)}
    assert len(_known_lines) <= _LINES_KEPT_MAX
    assert not any(line.startswith(b"Date") for line in _known_lines)


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read(data: bytes) -> None:
    """No bytes whatever end in anything but a FetchError or an answer."""
    reader = ResponseReader(1000)
    try:
        if not reader.feed(data):
            reader.end()
        reader.response()
    except FetchError:
        return


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    """Each way of not being HTTP/1 is a FetchError."""
    with pytest.raises(FetchError):
        ResponseReader(1000).feed(data)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 2000\r\n\r\n", b"\r\n" + b"x" * 1001, b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n"],
)
def test_the_cap_holds_in_every_framing(head: bytes) -> None:
    """More than the cap is refused as soon as it is known."""
    with pytest.raises(BodyTooBig):
        ResponseReader(1000).feed(b"HTTP/1.1 200 OK\r\n" + head)


def test_inflating_stops_at_the_cap() -> None:
    """A bomb is not inflated beyond the cap, and garbage is no gzip."""
    assert inflated(gzip.compress(b"x" * 1000), 1000) == b"x" * 1000
    with pytest.raises(BodyTooBig):
        inflated(gzip.compress(bytes(10_000_000)), 1000)
    with pytest.raises(FetchError, match="unexpected EOF"):
        inflated(b"not gzip", 1000)


def test_a_big_body_is_inflated_in_steps() -> None:
    """Ten megabytes are inflated a megabyte at a time, and nothing of them is lost."""
    reader = compressed_reader(gzip.compress(bytes(10_000_000)), 20_000_000)
    assert sum(1 for _ in reader.inflate()) >= 9
    assert reader.response().body == bytes(10_000_000)


def test_informational_answers_end() -> None:
    """Five answers that only announce the answer are passed over, and the sixth is an error."""
    early = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert ResponseReader().feed(early * 5 + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with pytest.raises(FetchError, match="too many 1xx informational responses, at most 5"):
        ResponseReader().feed(early * 6)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=50), st.integers(1, 3))
def test_tiny_chunks_are_read_in_turns(piece: bytes, times: int) -> None:
    """Thousands of chunks are not read at one go; with as many calls as it asks for the body is whole."""
    body = piece * (1500 * times // len(piece) + 1)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    reader = ResponseReader()
    done = reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    turns = 0
    while reader.unread:
        turns += 1
        done = reader.feed(b"")
    assert done
    assert turns == (len(body) + 1) // CHUNKS_AT_ONCE or turns == len(body) // CHUNKS_AT_ONCE
    assert reader.response().body == body


@pytest.mark.parametrize(
    ("target", "header"),
    [
        ("/a b", ("X", "y")),
        ("/", ("X", "y\r\nEvil: 1")),
        ("/\r\n", ("X", "y")),
        ("/€", ("X", "y")),
        ("/", ("X", "\0")),
        ("/", ("X", "\x7f")),
        ("/", ("X: y\r\nEvil", "1")),
        ("/", ("X y", "1")),
        ("/", ("", "1")),
    ],
)
def test_requests_cannot_be_broken_out_of(target: str, header: tuple[str, str]) -> None:
    """A target or header with a line break, or a target outside latin-1, is refused and never sent."""
    with pytest.raises(FetchError, match="bad request"):
        request_bytes("GET", target, [header])


def test_values_of_headers_are_sent_as_utf_8() -> None:
    """As Go's client does; a tab may stand in them."""
    assert request_bytes("GET", "/", [("X", "ü\t€")]) == "GET / HTTP/1.1\r\nX: ü\t€\r\n\r\n".encode()
