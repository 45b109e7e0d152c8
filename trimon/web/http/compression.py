"""Compression of answers as the client likes it: gzip or deflate, whole or in pieces."""

from __future__ import annotations

import re
import zlib
from typing import Final

from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    Scope,
)

from trimon.offload import Offload
from trimon.web.http.messages import header_of

BODY_BYTES_MIN: Final = 1024
INLINE_BYTES_MAX: Final = 256 * 1024
_NEVER: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*", re.ASCII)
# zlib's window: with gzip's frame, with its own.
_WINDOWS: Final = {"gzip": 31, "deflate": 15}


def encoding_for(accepted: str) -> str:
    """The compression to use for an Accept-Encoding: the first that we know, or empty."""
    if not accepted:
        return ""
    parts = (part.partition(";") for part in accepted.split(","))
    names = (name.strip() for name, _, weight in parts if not _NEVER.fullmatch(weight))
    return next((name for name in names if name in _WINDOWS), "")


class Compression:
    """Packs bodies of at least a kilobyte. Long ones are packed in a thread."""

    def __init__(self, app: ASGIFramework, offload: Offload) -> None:
        self._app = app
        self._offload = offload

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        encoding = ""
        if scope["type"] == "http" and (accepted := header_of(scope, b"accept-encoding")):
            encoding = encoding_for(accepted.decode("latin1"))
        await self._app(scope, receive, _Packing(send, encoding, self._offload).send if encoding else send)


class _Packing:
    """One answer: holds the head back until it is known whether the body is worth it."""

    def __init__(self, send: ASGISendCallable, encoding: str, offload: Offload) -> None:
        self._send = send
        self._encoding = encoding
        self._offload = offload
        self._head: HTTPResponseStartEvent | None = None
        self._pieces: list[bytes] = []
        self._stream: zlib._Compress | None = None

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            self._head = message
        elif message["type"] == "http.response.body":
            await self._body(message)
        else:
            await self._send(message)

    async def _body(self, message: HTTPResponseBodyEvent) -> None:
        head = self._head
        if head is not None:
            if message["more_body"] and any(name == b"content-length" for name, _ in head["headers"]):
                # A body of known length that comes in pieces is packed as a whole.
                self._pieces.append(message["body"])
                return
            self._head = None
            whole = not message["more_body"]
            if self._pieces:
                message["body"] = b"".join([*self._pieces, message["body"]])
            if (whole and len(message["body"]) < BODY_BYTES_MIN) or any(
                n == b"content-encoding" for n, _ in head["headers"]
            ):
                self._encoding = ""
                await self._send(head)
            elif whole:
                message["body"] = await self._packed(message["body"])
                await self._send_head(head, len(message["body"]))
            else:
                self._stream = zlib.compressobj(1, zlib.DEFLATED, _WINDOWS[self._encoding])
                await self._send_head(head, None)
        if self._stream is not None:
            packed = self._stream.compress(message["body"])
            # A reader of a stream waits for what was sent: nothing stays behind in the compressor.
            packed += self._stream.flush(zlib.Z_SYNC_FLUSH if message["more_body"] else zlib.Z_FINISH)
            message["body"] = packed
        await self._send(message)

    async def _send_head(self, head: HTTPResponseStartEvent, size_bytes: int | None) -> None:
        kept = [(name, value) for name, value in head["headers"] if name not in (b"content-length", b"vary")]
        if size_bytes is not None:
            kept.append((b"content-length", b"%d" % size_bytes))
        kept.append((b"content-encoding", self._encoding.encode()))
        kept.append((b"vary", b"Accept-Encoding"))
        await self._send({**head, "headers": kept})

    async def _packed(self, body: bytes) -> bytes:
        def work() -> bytes:
            compressor = zlib.compressobj(1, zlib.DEFLATED, _WINDOWS[self._encoding])
            return compressor.compress(body) + compressor.flush()

        return work() if len(body) <= INLINE_BYTES_MAX else await self._offload.run(work)
