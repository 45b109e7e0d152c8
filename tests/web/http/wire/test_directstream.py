"""A plain connection as the HTTP server reads and writes it."""

from __future__ import annotations

import socket

import pytest
import trio

from trimon.web.http.wire.directstream import DirectStream


def pair() -> tuple[DirectStream, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return DirectStream(ours), theirs


async def test_it_reads_what_comes_and_the_end() -> None:
    """At most so many bytes at a time, and nothing when the peer has ended."""
    stream, peer = pair()
    with peer:
        peer.sendall(b"hello")
        assert await stream.receive_some(3) == b"hel"
        assert await stream.receive_some(99) == b"lo"
    assert await stream.receive_some(99) == b""
    await stream.aclose()


@pytest.mark.parametrize("waits", [False, True])
async def test_one_that_was_closed_says_so(waits: bool) -> None:
    """Whether the other task closes it while this one waits or before, again and again: never as an error of its number."""
    stream, peer = pair()
    with peer:
        async with trio.open_nursery() as nursery:
            if not waits:
                stream.socket.close()
            for _ in range(2):

                async def read() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await stream.receive_some(9)

                nursery.start_soon(read)
                if waits:
                    await trio.testing.wait_all_tasks_blocked()
                    stream.socket.close()
    assert stream.try_send(b"x") == 0


async def test_a_peer_that_has_gone_breaks_it() -> None:
    """What the system says is a broken connection, as of any stream."""
    stream, peer = pair()
    stream.try_send(b"unread")
    peer.close()
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some(9)
    assert stream.try_send(b"x") == 0
    await stream.aclose()


async def test_it_says_how_much_was_taken() -> None:
    """All of a short text; of one that the system has no room for a part, and in the end nothing."""
    stream, peer = pair()
    with peer:
        assert stream.try_send(b"abc") == 3
        assert peer.recv(9) == b"abc"
        sizes = [stream.try_send(b"x" * 100_000) for _ in range(100)]
        assert 0 < sum(sizes) < 10_000_000
        assert sizes[-1] == 0
    await stream.aclose()
