"""Connections that have just come: when they are served, and what becomes of those that never ask."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.web.http.wire.test_connection import GET, OK, answer, connected, everything, serving
from trimon import limits
from trimon.web.http.wire.arrivals import LOOK_BYTES, lacks
from trimon.web.http.wire.connections import Phase
from trimon.web.http.wire.server import WebActor

POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "phase"),
    [
        (GET, None),
        (GET.replace(b"\r\n", b"\n"), None),
        (GET[:-1], Phase.HEAD),
        (b"G", Phase.HEAD),
        (b"\x16\x03\x01", None),
        (b"\r\n", None),
        (POST, Phase.BODY),
        (POST + b"123456789", Phase.BODY),
        (POST + b"1234567890", None),
        (POST + b"1234567890" + GET, None),
        (POST.replace(b"Content-Length", b"cONTENT-lENGTH "), Phase.BODY),
        (POST.replace(b"10", b"ten"), None),
        (POST.replace(b"10", b"9" * 5000), None),
        (POST.replace(b"10", b"100000000"), None),
        (POST.replace(b"10", b"1000000"), Phase.BODY),
        (POST.replace(b"10", b"1000000") + b"x" * LOOK_BYTES, None),
        (POST.replace(b"Host: x", b"Expect: 100-continue"), None),
        (CHUNKED, Phase.BODY),
        (CHUNKED + b"1\r\nx\r\n", Phase.BODY),
        (CHUNKED + b"1\r\nx\r\n0\r\n\r\n", None),
        (CHUNKED + b"1\r\nx\r\n0;a=b\r\n\r\n", None),
        (CHUNKED + b"1\r\nx\r\n0\r\n", Phase.BODY),
        (CHUNKED + b"1\r\nx\r\n0\r\nX-A: 1\r\n", Phase.BODY),
        (CHUNKED + b"1\r\nx\r\n0\r\nX-A: 1\r\n\r\n", None),
        (CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET, None),
        (CHUNKED + b"7\r\n0\r\n\r\nab\r\n", Phase.BODY),
        (CHUNKED + b"7\r\n0\r\n\r\n", Phase.BODY),
        (CHUNKED + b"FF\r\n0\r\n\r\n", Phase.BODY),
        (CHUNKED + b"1", Phase.BODY),
        (CHUNKED + b"zz\r\n", None),
        (CHUNKED + b"1\nx\n0\n\n", None),
        (CHUNKED + b"1\r\nx\r\n" * 100, None),
        (b"x" * LOOK_BYTES, None),
    ],
)
def test_what_a_connection_waits_for(data: bytes, phase: Phase | None) -> None:
    """A request that is whole, long, or answered by its head is served; else the missing part is waited for."""
    assert lacks(data) is phase


@given(
    st.binary(max_size=200)
    | st.binary(max_size=50).map(lambda junk: POST[:30] + junk + POST[30:])
    | st.lists(st.sampled_from([b"1", b"x", b"0", b"\r\n", b"\n", b";", b"f"]), max_size=30).map(
        lambda parts: CHUNKED + b"".join(parts)
    )
)
def test_no_beginning_is_too_odd(data: bytes) -> None:
    """Whatever comes, a decision is made."""
    assert lacks(data) in {None, Phase.HEAD, Phase.BODY}


async def _empty(actor: WebActor) -> None:
    """Returns when no connection is open any more."""
    with trio.fail_after(5):
        while len(actor.connections):  # noqa: ASYNC110 # they end a moment after their clients
            await trio.sleep(0.01)
    await trio.testing.wait_all_tasks_blocked()


async def test_nothing_is_started_for_who_does_not_ask() -> None:
    """Silent clients, heads and bodies that drip have places but no task; a request that gets whole is served."""
    async with serving() as (port, _, actor):
        async with await connected(port) as first:  # everything runs by then
            await first.send_all(GET)
            await answer(first)
        await _empty(actor)
        before = trio.lowlevel.current_statistics().tasks_living
        streams = [await connected(port) for _ in range(3)]
        await streams[1].send_all(GET[:5])
        await streams[2].send_all(POST)
        with trio.fail_after(8):
            while len({place.phase for place in actor.connections._open}) < 3:  # noqa: ASYNC110 # another task sees it
                await trio.sleep(0.01)
        assert trio.lowlevel.current_statistics().tasks_living == before
        assert actor.inspect()["connections_without_request"] == 3
        await streams[0].send_all(GET)
        await streams[1].send_all(GET[5:])
        for stream in streams[:2]:
            assert (await answer(stream))[1] == b"GET /small "
        await streams[2].send_all(b"1234567890")
        assert (await answer(streams[2]))[1] == b"POST /a 1234567890"
        assert actor.inspect()["connections_without_request"] == 0
        for stream in streams:
            await stream.aclose()


async def test_a_body_that_does_not_come_keeps_no_answer_back() -> None:
    """A request is served after a second, whole or not: its head may be answer enough."""
    async with serving() as (port, _, _actor), await connected(port) as stream:
        began_s = trio.current_time()
        await stream.send_all(CHUNKED.replace(b"/a", b"/early/0"))
        with trio.fail_after(5):
            assert (await stream.receive_some()).startswith(OK)
        assert trio.current_time() - began_s > 0.5


async def test_who_never_asks_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a byte ends after a time, one whose client has gone at once, and both are counted."""
    monkeypatch.setattr(limits, "CONNECTION_FIRST_S", 0.3)
    async with serving() as (port, _, actor), await connected(port) as stream:
        gone = await connected(port)
        await gone.aclose()
        assert await everything(stream) == b""
        assert (actor.connections.closed["idle"], len(actor.connections)) == (1, 0)


async def test_half_a_request_and_an_end_is_served() -> None:
    """Who ends in the middle of a request is no fault of the server, whatever is waited for."""
    async with serving() as (port, _, actor):
        for sent in (GET[:9], POST, CHUNKED):
            async with await connected(port) as stream:
                await stream.send_all(sent)
                await stream.send_eof()
                await everything(stream)
        await _empty(actor)
        assert actor.inspect()["failed"] == 0
