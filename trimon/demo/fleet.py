"""The example targets as one HTTP server on loopback: a path each. The receiver of alerts is there, too."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import Final

import h11
import trio

from trimon.clock import Clock
from trimon.demo.exposition import exposed
from trimon.demo.families import Target

ALERTS: Final = "/alertmanager/api/v2/alerts"
HOST: Final = "127.0.0.1"
_READ_BYTES: Final = 65_536


class Fleet:
    """Answers scrapes of all targets.

    Owns: the connections of whoever scrapes.
    Receives: HTTP requests. Sends: their answers.
    Crashes when: never; a connection that breaks HTTP is closed. On restart: it is not restarted.
    """

    def __init__(self, targets: Iterable[Target], began_s: float, clock: Clock) -> None:
        self._targets = {target.path: target for target in targets}
        self._began_s = began_s
        self._clock = clock

    async def serve(self, listeners: list[trio.SocketListener]) -> None:
        """Answers for ever."""
        await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        # Whoever goes in the middle of an answer does not want it.
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            while await self._exchange(connection, stream):
                connection.start_next_cycle()
        await trio.aclose_forcefully(stream)

    async def _exchange(self, connection: h11.Connection, stream: trio.SocketStream) -> bool:
        """One request and its answer; whether there may be another."""
        request: h11.Request | None = None
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(_READ_BYTES))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.Data):
                return False  # the peer has closed
        assert request is not None
        status, body, kind = await self._answer(request)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        for part in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            sent = connection.send(part)
            if sent:
                await stream.send_all(sent)
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    async def _answer(self, request: h11.Request) -> tuple[int, bytes, str]:
        path = request.target.decode("ascii", "replace").partition("?")[0]
        if path == ALERTS:
            return 200, b"", "application/json"
        target = self._targets.get(path)
        if target is None:
            return 404, b"there is no such target\n", "text/plain"
        await trio.sleep(target.delay_s)
        accept = next((value for name, value in request.headers if name == b"accept"), b"").decode("latin1")
        now_s = self._clock.now_ms() / 1000 - self._began_s
        body, kind = exposed(target, now_s, self._began_s, accept)
        return 200, body, kind


def closed_port() -> tuple[socket.socket, str]:
    """A socket that holds a port on which nobody listens, and its address."""
    held = socket.socket()
    held.bind((HOST, 0))
    return held, f"{HOST}:{held.getsockname()[1]}"
