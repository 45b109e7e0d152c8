"""A plain connection that is read and written with as few turns of the event loop as can be.

A stream of the loop's library gives others a turn at each call, and a request takes four of them that nobody waits for: each
turn looks at all sockets and timers, which adds up to as much as a tiny answer costs.

```text
library     read | turn | read on | turn | app | turn: lock | turn: sent | turn: told of the end | turn
here        read |                         app |                                                 | turn
```

Reading waits for the socket each time, so that a client that sends without end does not keep others waiting. A short answer is
written at once where the system takes all of it; what is left, and every longer one, goes the library's way.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope

from trimon.web.http.wire.departure import Departure, set_departure

_DISCARDED_BYTES: Final = 64 * 1024
_DISCARDED_MAX: Final = 4


class DirectStream:
    """A connection without TLS; it has what the HTTP server asks such a stream for. Only on the loop's thread."""

    def __init__(self, accepted: socket.socket) -> None:
        self._plain = accepted
        self.inner = trio.SocketStream(trio.socket.from_stdlib_socket(accepted))
        """The library's stream over the same socket, for TLS."""
        self.socket = self.inner.socket
        self.send_all = self.inner.send_all
        self.send_eof = self.inner.send_eof
        self.aclose = self.inner.aclose

    async def receive_some(self, size_bytes: int) -> bytes:
        """What has come, at most so much; empty at the end. Raises ClosedResourceError, BrokenResourceError."""
        while self._plain.fileno() >= 0:  # another task may have closed it while this one did something else
            await trio.lowlevel.wait_readable(self.socket)
            try:
                return self._plain.recv(size_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                if self._plain.fileno() >= 0:
                    raise trio.BrokenResourceError(str(error)) from error
        raise trio.ClosedResourceError

    def try_send(self, data: bytes) -> int:
        """How many bytes the system took at once; 0 where it takes none, for whatever reason."""
        try:
            return self._plain.send(data)
        except OSError:
            return 0


def discard(number: int) -> None:
    """Throws away what has come over a socket, up to some: one that is closed over it tells its client of an error."""
    with suppress(OSError):
        for _ in range(_DISCARDED_MAX):
            if number < 0 or not os.read(number, _DISCARDED_BYTES):
                return


class DirectTasks(TaskGroup):
    """The tasks of a connection; what an application is told is there at once where there is room for it."""

    def __init__(self, group: TaskGroup) -> None:
        super().__init__()
        self._nursery = group._nursery

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Starts an application for a request; what is returned tells it of messages."""
        departure = Departure()
        set_departure(scope, departure)
        wait: Any = await super().spawn_app(app, config, scope, send)
        channel: trio.MemorySendChannel[ASGIReceiveEvent] = wait.__self__

        async def put(message: ASGIReceiveEvent) -> None:
            if message["type"] == "http.request" and message["more_body"]:
                # The application has its turn between the parts of a body: one that answers without it ends the stream, and
                # would never empty a channel that was filled before.
                await wait(message)
                return
            if message["type"] == "http.disconnect":
                departure.tell(message)
            try:
                channel.send_nowait(message)
            except trio.WouldBlock:
                await wait(message)

        return put
