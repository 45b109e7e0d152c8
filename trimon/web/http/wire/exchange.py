"""One plain request and its answer, without the protocol's library: the application runs in the connection's own task.

```text
library      read, take apart │ task │ application │ head: checked, written │ body │ end │ task ends │ read
exchange     read, look up           │ application │ head and body in one                            │ read
```

What is missing of a body is read when the application asks for it, and nothing beyond it. What goes over the wire is the same
to the byte: `tests/web/http/wire/test_exchange.py` holds both equal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from time import time
from typing import Final, NamedTuple, NoReturn
from urllib.parse import unquote
from wsgiref.handlers import format_date_time

import h11
import trio
from hypercorn.typing import (
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    HTTPResponseStartEvent,
    HTTPScope,
)

from trimon.web.http.wire.departure import Departure, set_departure
from trimon.web.http.wire.h11server import canonical, reason_of
from trimon.web.http.wire.hangups import LEFT, Hangups
from trimon.web.http.wire.knownheads import KnownHeads, PlainHead

# A longer body is not copied behind its head: sending twice costs less.
JOIN_BYTES_MAX: Final = 64 * 1024
# Of answers that have neither a body nor a length.
_BODILESS: Final = frozenset({204, 304})
_FAILED: Final[HTTPResponseStartEvent] = {
    "type": "http.response.start",
    "status": 500,
    "headers": [(b"content-length", b"0"), (b"connection", b"close")],
}
_TOLD_MAX: Final = 4
# What a stream raises when its client has gone, or when another task closes it.
STREAM_ENDS: Final = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


class Exchanges(NamedTuple):
    """What the exchanges of all connections share."""

    heads: KnownHeads
    hangups: Hangups


class Wire(NamedTuple):
    """The connection of an exchange. All raise what a stream does whose client has gone."""

    read_body: Callable[[int], Awaitable[bytes]]
    """At most so many bytes of what is missing of a body; none where the client sends no more."""
    refuse: Callable[[int], Awaitable[None]]
    """Answers what is no request with a status."""
    write: Callable[[bytes], Awaitable[None]]
    terminated: Callable[[], bool]
    """Whether the answer that begins now is the connection's last."""


class _Date:
    """The header with the time, which is the same for a second."""

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        now = int(time())
        if now != self._second:
            self._second = now
            self._line = b"Date: " + format_date_time(now).encode("ascii") + b"\r\n"
        return self._line


_DATE: Final = _Date()


def scope_of(
    head: PlainHead, scheme: str, client: tuple[str, int] | None, server: tuple[str, int] | None
) -> HTTPScope:
    """What an application is told of a plain request, as the HTTP server says it."""
    path, _, query = head.target.partition(b"?")
    text = path.decode("ascii")
    return {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "method": head.method,
        "scheme": scheme,
        "path": unquote(text) if "%" in text else text,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": head.headers,
        "client": client,
        "server": server,
        "state": ConnectionState({}),
        "extensions": {},
    }


class Exchange:
    """What an application receives and sends for one plain request. Only in the connection's task and its children."""

    __slots__ = (
        "_body",
        "_departure",
        "_head",
        "_inbox",
        "_is_last",
        "_left_bytes",
        "_missing_bytes",
        "_status",
        "_wire",
        "closes",
        "done",
        "gone",
    )

    def __init__(self, scope: HTTPScope, head: PlainHead, wire: Wire, departure: Departure) -> None:
        set_departure(scope, departure)
        self._body: bytes | None = head.body
        self._missing_bytes = head.missing_bytes
        self._wire = wire
        self._departure = departure
        self._inbox: trio.MemoryReceiveChannel[ASGIReceiveEvent] | None = None
        self._head = b""
        """What has to be sent before the body."""
        self._status = 0
        self._left_bytes = 0
        """What is missing of a body of known length; -1: it goes in chunks."""
        self._is_last = head.closes
        self.done = False
        """The answer is whole."""
        self.closes = head.closes
        """The connection ends behind the answer."""
        self.gone = False
        """A write has failed: nobody is there any more."""

    async def receive(self) -> ASGIReceiveEvent:
        """The body, part by part; after that what becomes of the client."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": self._missing_bytes > 0}
        if self._missing_bytes and not (self.gone or self.done):
            return await self._next_part()
        if self._inbox is None:
            told, self._inbox = trio.open_memory_channel[ASGIReceiveEvent](_TOLD_MAX)
            self._departure.listen(told.send_nowait)
        return await self._inbox.receive()

    async def _next_part(self) -> ASGIReceiveEvent:
        try:
            part = await self._wire.read_body(self._missing_bytes)
            if not part and not self._status:
                await self._wire.refuse(HTTPStatus.BAD_REQUEST)
        except STREAM_ENDS:
            part = b""
        if not part:
            self.gone = True
            self._departure.tell(LEFT)
            return LEFT
        self._missing_bytes -= len(part)
        return {"type": "http.request", "body": part, "more_body": self._missing_bytes > 0}

    async def send(self, message: ASGISendEvent) -> None:
        """Part of the answer. Raises LocalProtocolError for what is none."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            if not self._status:
                _wrong("a body without a head")
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            _wrong(f"{message['type']} is nothing that can be sent")

    async def end(self) -> None:
        """The application has ended: an answer that is not whole is a failure, and the connection's end."""
        self.closes = self.closes or self._missing_bytes > 0
        if self.done or self.gone:
            return
        self.closes = True
        if not self._status:
            await self._begin(_FAILED)
            await self._send_body(b"", more=False)
        elif self._head:
            await self._put(self._head)

    async def _begin(self, message: HTTPResponseStartEvent) -> None:
        if self._status:
            _wrong("a second head")
        self._head = self._head_of(message["status"], message["headers"])
        self._status = message["status"]
        self._departure.answered = True
        if self._left_bytes < 0:
            # The body of a stream may take hours.
            head, self._head = self._head, b""
            await self._put(head)

    def _head_of(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        lines = [b"HTTP/1.1 %d %s\r\n" % (status, reason_of(status))]
        self._left_bytes = 0 if status in _BODILESS else -1
        for name, value in headers:
            if name == b"content-length":
                self._left_bytes = 0 if status in _BODILESS else int(value)
            elif name == b"connection":
                self.closes = self.closes or b"close" in value.lower()
                if self._is_last:
                    continue
            lines.append(b"%s: %s\r\n" % (canonical(name), value.strip()))
        lines.append(_DATE.line())
        # Where a part of the body has to come yet, nothing can follow either.
        if not self.closes and (self._missing_bytes or self._wire.terminated()):
            self.closes = True
            lines.append(b"Connection: close\r\n")
        if self._left_bytes < 0:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        if self._is_last:
            lines.append(b"Connection: close\r\n")
        count = len(lines)
        lines.append(b"\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != count + 1 or head.count(b"\r") != count + 1 or b"\0" in head:
            _wrong("a header with the end of a line in it")
        return head

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.done or self.gone:
            return
        if self._status in _BODILESS:
            body = b""
        if self._left_bytes < 0:
            if body:
                body = b"%x\r\n%s\r\n" % (len(body), body)
            if not more:
                body += b"0\r\n\r\n"
        else:
            self._left_bytes -= len(body)
            if self._left_bytes < 0 or (self._left_bytes and not more):
                self._left_bytes = 0
                _wrong("a body that is not as long as its head says")
        head, self._head = self._head, b""
        if head and len(body) > JOIN_BYTES_MAX:
            await self._put(head)
            head = b""
        if head or body:
            await self._put(head + body if head else body)
        if not more and not self.gone:
            self.done = True
            self._departure.tell(LEFT)

    async def _put(self, data: bytes) -> None:
        self.gone = self.gone or self._departure.gone
        if self.gone:
            return
        try:
            await self._wire.write(data)
        except STREAM_ENDS:
            self.gone = True
            self._departure.tell(LEFT)


def _wrong(what: str) -> NoReturn:
    raise h11.LocalProtocolError(f"the application sends {what}")
