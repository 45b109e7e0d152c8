"""Answers that come in pieces: sent as they come, closed when their client leaves, cut when they fail."""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import trio

from tests.support.asgi import Call
from tests.support.web_world import WebWorld, web_world
from tests.web.http.test_pipeline import by_framework
from trimon.selfmetrics import SelfMetrics
from trimon.web.http.answer import Answer, success_in_parts
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.pipeline import pipeline
from trimon.web.http.request import Request

WAYS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "plain": nullcontext,
    "framework": by_framework,
}


class Stream:
    """An endpoint whose pieces are given one by one by the test."""

    def __init__(self, here: WebWorld) -> None:
        self.give, self._taken = trio.open_memory_channel[bytes | Exception](10)
        self.closed = trio.Event()
        context = replace(here.context, metrics=SelfMetrics())
        self.app = pipeline(context, [Endpoint("/stream", ("GET",), self._handler)])

    async def _handler(self, _: Request) -> Answer:
        return Answer(b"first ", 200, "text/plain", pieces=self._pieces())

    async def _pieces(self) -> AsyncGenerator[bytes]:
        try:
            async for piece in self._taken:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed.set()


@pytest.mark.parametrize("way", WAYS)
async def test_pieces_are_sent_one_by_one(way: str, tmp_path: Path) -> None:
    """Each piece is a message of its own, without a length; the last message ends the answer."""
    async with web_world(tmp_path) as here:
        stream = Stream(here)
        for piece in (b"a", b"b"):
            stream.give.send_nowait(piece)
        stream.give.close()
        with WAYS[way]():
            status, headers, body = await Call("GET", "/stream").to(stream.app)
        assert (status, body) == (200, b"first ab")
        assert b"content-length" not in dict(headers)


@pytest.mark.parametrize("way", WAYS)
async def test_a_stream_ends_with_its_client(way: str, tmp_path: Path) -> None:
    """When the client leaves, the generator is closed and the request ends."""
    async with web_world(tmp_path) as here:
        stream, call = Stream(here), Call("GET", "/stream")
        with WAYS[way](), trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(call.to, stream.app)
                while len(call.sent) < 2:  # noqa: ASYNC110 # the client notes what is sent, and tells nobody
                    await trio.sleep(0.01)
                call.gone.set()
            await stream.closed.wait()
        assert call.sent[-1]["more_body"]


async def test_a_stream_that_fails_is_cut(tmp_path: Path) -> None:
    """An error amid the pieces ends the answer without its end, and leaves a crash report."""
    async with web_world(tmp_path) as here:
        stream, call = Stream(here), Call("GET", "/stream")
        stream.give.send_nowait(ZeroDivisionError("x"))
        await call.to(stream.app)
        assert call.sent[-1]["more_body"]
        assert len(list(here.context.tree().reports.latest())) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_long_answer_in_parts_is_whole(way: str, encoding: str, tmp_path: Path) -> None:
    """An answer that is there in parts is sent in several messages, with its length where it is not packed."""

    async def handler(_: Request) -> Answer:
        return success_in_parts(b"[" + b"1" * 100_000 + b"]" for _ in range(20))

    whole = b"".join((await handler(MagicMock())).parts or ())
    async with web_world(tmp_path) as here:
        context = replace(here.context, metrics=SelfMetrics())
        app = pipeline(context, [Endpoint("/long", ("GET",), handler)])
        call = Call("GET", "/long", {"accept-encoding": encoding})
        with WAYS[way]():
            status, headers, body = await call.to(app)
    assert status == 200
    if encoding == "gzip":
        assert b"content-length" not in dict(headers)
        body = gzip.decompress(body)
    else:
        assert dict(headers)[b"content-length"] == str(len(whole)).encode()
        assert len(call.sent) > 6
    assert body == whole
