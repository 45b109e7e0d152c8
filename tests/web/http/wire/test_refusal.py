"""Requests that are none, HTTP/1.0, and what is asked of the server as a whole; over real sockets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.http.wire.test_h11server import served, talk
from trimon.web.http.wire.arrivals import lacks
from trimon.web.http.wire.refusal import detail_of

HOST = b"Host: x\r\n"
PLAIN = b"400 Bad Request"


def get(headers: bytes = HOST, target: bytes = b"/-/healthy", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET %s %s\r\n%s\r\n" % (target, version, headers)


def post(headers: bytes) -> bytes:
    return b"POST /api/v1/query HTTP/1.1\r\n%s%s\r\n" % (HOST, headers)


REFUSED = {
    "no host": (get(b""), PLAIN + b": missing required Host header"),
    "no host beside a whole URL": (get(b"", b"http://x/"), PLAIN + b": missing required Host header"),
    "two hosts": (get(HOST * 2), PLAIN),
    "two hosts of 1.0": (get(HOST * 2, version=b"HTTP/1.0"), PLAIN),
    "host with a space": (get(b"Host: a b\r\n"), PLAIN + b": malformed Host header"),
    "host with a slash": (get(b"Host: a/b\r\n"), PLAIN + b": malformed Host header"),
    "no target": (b"GET\r\n\r\n", PLAIN),
    "no version": (b"GET /\r\n\r\n", PLAIN),
    "three targets": (get(target=b"/ x"), PLAIN),
    "a version of letters": (get(version=b"HTTP/x"), PLAIN),
    "a method that is none": (b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", PLAIN),
    "a target without a slash": (get(target=b"foo"), PLAIN),
    "a star": (get(target=b"*"), PLAIN),
    "a bad escape": (get(target=b"/%zz"), PLAIN),
    "a name with a space": (get(HOST + b"a b: c\r\n"), PLAIN + b": invalid header name"),
    "a space behind a name": (get(HOST + b"a : c\r\n"), PLAIN + b": invalid header name"),
    "a name with a bracket": (get(HOST + b"a(: c\r\n"), PLAIN),
    "no colon": (get(HOST + b"abc\r\n"), PLAIN),
    "a control character": (get(HOST + b"a: \x01\r\n"), PLAIN),
    "TLS": (b"\x16\x03\x01\x00\x05hello\r\n\r\n", PLAIN),
    "a length of letters": (post(b"Content-Length: x\r\n"), PLAIN),
    "two lengths": (post(b"Content-Length: 1\r\nContent-Length: 2\r\n"), PLAIN),
    "a list of lengths": (post(b"content-length: 7, 7\r\n") + b"query=1", PLAIN),
    "a list behind a long head": (
        post(b"A: " + b"a" * 60_000 + b"\r\nContent-Length: 7,7\r\n") + b"query=1",
        PLAIN,
    ),
    "more bytes than there are": (post(b"Content-Length: 9223372036854775808\r\n"), PLAIN),
    "version 2": (get(version=b"HTTP/2.0"), b"505 HTTP Version Not Supported: unsupported protocol version"),
    "version 0.9": (
        get(version=b"HTTP/0.9"),
        b"505 HTTP Version Not Supported: unsupported protocol version",
    ),
}


@pytest.mark.parametrize(("sent", "said"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_request_is_told_why(sent: bytes, said: bytes, tmp_path: Path) -> None:
    """The status and its detail stand in the first line and in the body, and the connection ends."""
    async with served(tmp_path) as (port, _):
        head = b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
        assert await talk(port, sent) == head % said + said


@pytest.mark.parametrize(
    ("coding", "status"),
    [(b"gzip", 501), (b"gzip, chunked", 501), (b"chunked\r\nTransfer-Encoding: chunked", 501)],
)
async def test_codings_that_are_not_offered(coding: bytes, status: int, tmp_path: Path) -> None:
    """A transfer encoding but `chunked` is 501, which does not wait for its body."""
    sent = post(b"Transfer-Encoding: %s\r\n" % coding)
    assert lacks(sent) is None
    async with served(tmp_path) as (port, _):
        answer = await talk(port, sent)
        assert answer.startswith(b"HTTP/1.1 %d Not Implemented\r\n" % status)
        assert answer.endswith(b"\r\n\r\nUnsupported transfer encoding")


async def test_an_expectation_that_nobody_meets(tmp_path: Path) -> None:
    """Whoever expects something else than to go on is told 417 at once."""
    async with served(tmp_path) as (port, _):
        answer = await talk(port, post(b"Expect: tea\r\nContent-Length: 1\r\n"))
        assert answer == b"HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


async def test_the_answer_before_a_refusal_comes_whole(tmp_path: Path) -> None:
    """A request in order is answered before the bad one behind it is refused."""
    async with served(tmp_path) as (port, _):
        answers = await talk(port, get() + b"BAD\r\n\r\n")
        assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"400"]
        assert b"Healthy.\nHTTP/1.1 400 Bad Request\r\n" in answers


async def test_a_bad_body_ends_its_request(tmp_path: Path) -> None:
    """A chunk that is none is refused while the request is at work, and nothing comes behind the refusal."""
    form = b"Transfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    async with served(tmp_path) as (port, _):
        answer = await talk(port, post(form), b"zz\r\n")
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b"\r\n\r\n" + PLAIN)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_http_1_0_is_answered_in_kind(method: bytes, tmp_path: Path) -> None:
    """The version is the client's; the connection is kept for who asks for that, and ends for everybody else."""
    once = method + b" /-/healthy HTTP/1.0\r\n\r\n"
    kept = method + b" /-/healthy HTTP/1.0\r\nConnection: %s\r\n\r\n"
    async with served(tmp_path) as (port, _):
        answer = await talk(port, once + once)
        assert answer.count(b"HTTP/1.0 200 OK\r\n") == 1
        assert b"keep-alive" not in answer
        answers = await talk(port, kept % b"keep-alive" + kept % b"Keep-Alive" + once)
        assert answers.count(b"HTTP/1.0 200 OK\r\n") == 3
        assert answers.count(b"\r\nConnection: keep-alive\r\n") == 2
        assert (await talk(port, kept % b"close, keep-alive")).count(b"keep-alive") == 0


async def test_http_1_0_with_a_coded_body_ends(tmp_path: Path) -> None:
    """What follows a body that only a newer reader finds the end of is not taken for a request."""
    sent = b"POST /api/v1/query HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    async with served(tmp_path) as (port, _):
        assert (await talk(port, sent + get())).count(b"HTTP/1.") == 1


async def test_the_server_as_a_whole(tmp_path: Path) -> None:
    """`OPTIONS *` is answered, with nothing."""
    async with served(tmp_path) as (port, _):
        answer = await talk(port, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Length: 0\r\n" in answer


@given(st.binary(max_size=200))
def test_no_head_is_a_fault_of_ours(head: bytes) -> None:
    """Whatever a client sends, there is something to say of it."""
    assert detail_of(head) in ("", "missing required Host header", "invalid header name")
    assert detail_of(b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n") is not None
