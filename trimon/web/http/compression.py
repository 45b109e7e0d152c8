"""Compression of answers as the client likes it: zstd, gzip or deflate; whole, part by part, or as a stream."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import zstandard
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
from trimon.web.http.messages import header_of, match_of

# Shorter bodies are packed where Prometheus packs them: those of the API. It takes three microseconds.
BODY_BYTES_MIN: Final = 1024
INLINE_BYTES_MAX: Final = 64 * 1024
_ALWAYS: Final = ("/api/", "/federate")
_NEVER: Final = re.compile(r"\s*q\s*=\s*0(?:\.0*)?\s*", re.ASCII)
# zlib's window: with gzip's frame, with its own.
_WINDOWS: Final = {"gzip": 31, "deflate": 15}
ZSTD: Final = "zstd"
_VARIES: Final = b"Accept-Encoding"
_LEVEL: Final = 1
# A window and a memory for short bodies: what zlib takes for long ones costs ten times the packing of a short one.
_SHORT_BYTES: Final = 1024
_SHORT_WINDOW: Final = 5
_SHORT_MEMORY: Final = 2


class Packer(Protocol):
    """What packs one body, piece by piece."""

    def pack(self, data: bytes) -> bytes:
        """What there is to send of this and of what came before; perhaps nothing yet."""
        ...

    def flushed(self, data: bytes) -> bytes:
        """The same with nothing left behind, as a reader waits for it."""
        ...

    def last(self, data: bytes) -> bytes:
        """All the rest, and the end."""
        ...


class _Zlib:
    def __init__(self, encoding: str) -> None:
        self._stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOWS[encoding])
        self.pack = self._stream.compress

    def flushed(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def last(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush()


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(_LEVEL).compressobj()
        self.pack = self._stream.compress

    def flushed(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def last(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush()


def packer(encoding: str) -> Packer:
    """What packs a body of any length."""
    return _Zstd() if encoding == ZSTD else _Zlib(encoding)


def packed(encoding: str, body: bytes) -> bytes:
    """A whole body; in any thread."""
    if encoding == ZSTD:
        return zstandard.ZstdCompressor(_LEVEL).compress(body)
    window = _WINDOWS[encoding]
    if len(body) > _SHORT_BYTES:
        return zlib.compress(body, _LEVEL, window)
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, window - _SHORT_WINDOW, _SHORT_MEMORY)
    return stream.compress(body) + stream.flush()


def accepted_encodings(accepted: str) -> list[str]:
    """The names of an Accept-Encoding, in their order, without those that it refuses."""
    parts = (part.partition(";") for part in accepted.split(","))
    return [name.strip() for name, _, weight in parts if not _NEVER.fullmatch(weight)]


def encoding_for(accepted: str) -> str:
    """The compression to use for an Accept-Encoding: zstd, which costs least, or the first that we know; or empty."""
    if not accepted:
        return ""
    names = accepted_encodings(accepted)
    if ZSTD in names:
        return ZSTD
    return next((name for name in names if name in _WINDOWS), "")


class Compression:
    """Packs bodies of at least a kilobyte, and shorter ones of the API. Long ones are packed in a thread.

    The thread has a part in its hands at a time and is left between: a client that reads slowly holds none.
    """

    def __init__(self, app: ASGIFramework, offload: Offload) -> None:
        self._app = app
        self._offload = offload

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        encoding = ""
        if scope["type"] == "http" and (accepted := header_of(scope, b"accept-encoding")):
            encoding = encoding_for(accepted.decode("latin1"))
        if not encoding or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        match = match_of(scope)
        bytes_min = 1 if match is not None and match.endpoint.path.startswith(_ALWAYS) else BODY_BYTES_MIN
        await self._app(scope, receive, _Packing(send, encoding, bytes_min, self._offload).send)


class _Packing:
    """One answer: holds the head back until it is known whether the body is worth it."""

    def __init__(self, send: ASGISendCallable, encoding: str, bytes_min: int, offload: Offload) -> None:
        self._send = send
        self._encoding = encoding
        self._bytes_min = bytes_min
        self._offload = offload
        self._head: HTTPResponseStartEvent | None = None
        self._pieces: list[bytes] = []
        self._packer: Packer | None = None
        self._is_live = False
        """Whether each piece is waited for, and not only the whole."""

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
            length = next((int(value) for name, value in head["headers"] if name == b"content-length"), -1)
            if message["more_body"] and 0 <= length <= INLINE_BYTES_MAX:
                # A short body of known length that comes in pieces is packed as a whole.
                self._pieces.append(message["body"])
                return
            self._head = None
            whole = not message["more_body"]
            if self._pieces:
                message["body"] = b"".join([*self._pieces, message["body"]])
            if (whole and len(message["body"]) < self._bytes_min) or any(
                # Who asks for the rest of a file counts its bytes as they are.
                n in (b"content-encoding", b"accept-ranges", b"content-range")
                for n, _ in head["headers"]
            ):
                await self._send(head)
            elif whole:
                message["body"] = await self._at_work(partial(packed, self._encoding), message["body"])
                await self._send_head(head, len(message["body"]))
            else:
                self._packer = packer(self._encoding)
                self._is_live = length < 0
                await self._send_head(head, None)
        if self._packer is not None:
            await self._send_packed(self._packer, message)
        else:
            await self._send(message)

    async def _send_packed(self, packer: Packer, message: HTTPResponseBodyEvent) -> None:
        if not message["more_body"]:
            step = packer.last
        else:
            step = packer.flushed if self._is_live else packer.pack
        message["body"] = await self._at_work(step, message["body"])
        if message["body"] or not message["more_body"]:
            await self._send(message)

    async def _send_head(self, head: HTTPResponseStartEvent, size_bytes: int | None) -> None:
        kept = [(name, value) for name, value in head["headers"] if name not in (b"content-length", b"vary")]
        if size_bytes is not None:
            kept.append((b"content-length", b"%d" % size_bytes))
        kept.append((b"content-encoding", self._encoding.encode()))
        varies = [value for name, value in head["headers"] if name == b"vary" and value != _VARIES]
        kept.append((b"vary", b", ".join([*varies, _VARIES])))
        await self._send({**head, "headers": kept})

    async def _at_work(self, work: Callable[[bytes], bytes], body: bytes) -> bytes:
        if len(body) <= INLINE_BYTES_MAX:
            return work(body)
        return await self._offload.run(lambda: work(body))
