"""Bodies of requests and the memory there is for them, over real connections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from tests.support.web_world import web_world
from tests.web.http.wire.test_connection import connected, everything
from trimon.actors.kernel.report import CrashReports
from trimon.memory.bodies import BodyMemory
from trimon.selfmetrics import SelfMetrics
from trimon.web.app import create_app
from trimon.web.context import WebContext, WebOptions
from trimon.web.http.parameters import FORM
from trimon.web.http.wire.listening import bind
from trimon.web.http.wire.server import WebActor

MIB = 2**20
CLIENTS = 12
SENT_BYTES = 2 * MIB


@pytest.mark.parametrize("path", ["/api/v1/write", "/api/v1/query"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_that_come_stay_within_their_memory(path: str, chunked: bool, tmp_path: Path) -> None:
    """Many clients that begin a big body each: those beyond the share get 503 and when to come again, and all is given back."""
    async with web_world(tmp_path, WebOptions(enable_remote_write=True)) as here:
        await attack(here.context, path, chunked=chunked)


async def attack(context: WebContext, path: str, *, chunked: bool) -> None:
    bodies = BodyMemory(10 * MIB)
    context = replace(context, bodies=bodies, metrics=SelfMetrics())
    (listener,) = bind([("127.0.0.1", 0)])
    actor = WebActor(create_app(context), [listener], 100, CrashReports())
    port = listener.getsockname()[1]
    answers: list[bytes] = []
    most_bytes = 0
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (9 * MIB)
    kind = b"Content-Type: " + (b"application/x-protobuf" if "write" in path else FORM.encode())
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n%b\r\n\r\n" % (path.encode(), kind, length)
    piece = b"x" * SENT_BYTES
    part = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece

    async def send() -> None:
        stream = await connected(port)
        async with stream:
            try:
                await stream.send_all(head + part)
                answers.append(await everything(stream))
            except trio.BrokenResourceError:
                answers.append(b"")

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.run)
            async with trio.open_nursery() as clients:
                for _ in range(CLIENTS):
                    clients.start_soon(send)
                for _ in range(600):
                    await trio.sleep(0.01)
                    most_bytes = max(most_bytes, bodies.taken_bytes)
                    if len(answers) >= CLIENTS - 5:
                        break
                clients.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
    listener.close()
    assert most_bytes <= 10 * MIB
    assert len(answers) >= CLIENTS - 5
    told = [answer for answer in answers if answer]
    assert told
    for answer in told:
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"etry-" in answer
        assert b"bytes of memory that there are for bodies" in answer
    assert CLIENTS - 5 <= bodies.refused <= CLIENTS - 3
    assert bodies.taken_bytes == 0
