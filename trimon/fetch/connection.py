"""One HTTP/1.1 connection: `http1.py` does the protocol, this file moves the bytes.

A scraper asks one peer the same question for months, so there is no pool: one connection, kept open, reopened
when the peer closed it. That is a tenth of the work of a general client for each request.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace

import trio

from trimon.fetch.bodybudget import BodyLease
from trimon.fetch.dialing import PeerAddress, dial, reason_of, secured
from trimon.fetch.http1 import ResponseReader
from trimon.fetch.inflater import INFLATED_BYTES_AT_ONCE, Inflater
from trimon.fetch.request import SHOWN_BODY_S, BodyError, FetchError, FetchRequest, Response, StreamedResponse
from trimon.fetch.times import ExchangeTimes

RECEIVE_BYTES = 256 * 1024
# A body that nobody wants is waited for so long, so that its connection can be used again.
UNWANTED_BODY_S = 0.1
# A peer of a stream that is silent for so long, and does not answer so many probes, is gone (tcp(7)).
_PROBES = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


class ClientConnection:
    """An open connection to one endpoint. After any FetchError it is to be closed."""

    def __init__(self, stream: trio.abc.Stream, endpoint: PeerAddress) -> None:
        self.endpoint = endpoint
        self.reusable = True
        """Whether another request can go over this connection."""
        self.on_close: Callable[[ClientConnection], object] | None = None
        """Called once when this side closes it."""
        self.answering = False
        """Whether the head of an answer has come, and not yet the whole answer."""
        self._stream = stream
        # Without TLS bytes are moved here: the library's stream takes several turns of the loop for an exchange, and asks the
        # socket for an answer before there can be one.
        self._plain: socket.socket | None = (
            stream.socket._sock if isinstance(stream, trio.SocketStream) else None  # type: ignore[attr-defined] # the library's own
        )

    @classmethod
    async def open(
        cls, endpoint: PeerAddress, tls: Callable[[], ssl.SSLContext], server_name: str, times: ExchangeTimes
    ) -> ClientConnection:
        """Connects; a secure endpoint gets TLS under `server_name` (empty: the host). Raises FetchError."""
        stream = await dial(endpoint, times)
        if not endpoint.secure:
            return cls(stream, endpoint)
        try:
            secure = await secured(stream, tls, server_name or endpoint.host)
            times.secured()
            return cls(secure, endpoint)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    async def exchange(
        self, request: FetchRequest, sent: bytes, times: ExchangeTimes, *, follows: bool
    ) -> Response:
        """One request, as the bytes `sent`, and its answer; one that `follows` redirects does not want their bodies.

        Raises FetchError; `PeerClosed` when nothing at all came back.
        """
        reader = ResponseReader(
            request.body_bytes_max,
            head_only=request.method == "HEAD",
            follows=follows,
            only_ok=request.only_ok,
        )
        self.reusable = self.answering = False
        lease = request.bodies.lease() if request.bodies is not None else None
        times.begin()
        if lease is None and not request.status_counts:
            complete = await self._begun(reader, sent, times)
            if complete and reader.inflate_at_once():
                self.reusable = reader.reusable
                times.done()
                return reader.response(times)
            sent = b""
        else:
            complete = False
        try:
            found = await self._answered(
                reader, sent, times, lease, complete=complete, status_counts=request.status_counts
            )
        except BodyError:
            if not (request.status_counts and reader.begun):
                raise
            found = reader.response_so_far()
        self.reusable = reader.reusable
        self.answering = False
        times.done()
        found = replace(found, times=times) if found.times is not times else found
        return found if lease is None else replace(found, lease=lease)

    async def _begun(self, reader: ResponseReader, sent: bytes, times: ExchangeTimes) -> bool:
        """Sends, and reads what comes first; whether that is the whole answer, as that of a target is. Raises FetchError.

        Each function that waits within another is gone through again at every step of the loop, so here are few of them.
        """
        try:
            await self._send(sent)
            data = await self._receive()
            times.answered()
            if not data:
                return self._ended(reader)
            return reader.feed(data)
        except trio.BrokenResourceError as error:
            raise _broken(reader, error) from None
        finally:
            reader.tell(times)

    async def _answered(
        self,
        reader: ResponseReader,
        sent: bytes,
        times: ExchangeTimes,
        lease: BodyLease | None,
        *,
        complete: bool,
        status_counts: bool,
    ) -> Response:
        """The answer, decompressed; without `sent` it has begun. Raises FetchError."""
        try:
            if status_counts:
                with trio.CancelScope() as shown:
                    complete = await self._exchanged(reader, sent, times, lease, shown)
                if shown.cancelled_caught:
                    return reader.response_so_far()
            elif not complete:
                complete = await self._exchanged(reader, sent, times, lease, None)
        finally:
            reader.tell(times)
        if not complete:
            await self._read_unwanted(reader)
        for _ in reader.inflate():
            await trio.lowlevel.checkpoint()
            if lease is not None:
                await lease.hold(reader.held_bytes)
        if lease is not None:
            await lease.hold(reader.held_bytes)
        return reader.response(times)

    async def _exchanged(
        self,
        reader: ResponseReader,
        sent: bytes,
        times: ExchangeTimes,
        lease: BodyLease | None,
        shown: trio.CancelScope | None,
    ) -> bool:
        """Whether the answer came whole; else nobody wants the rest. `shown` ends a slow body. Raises FetchError."""
        complete = False
        try:
            if sent:
                await self._send(sent)
                complete = await self._read_some(reader)
                times.answered()
            elif reader.unread:
                complete = await self._read_on(reader, complete=False)
            while not complete:
                if shown is not None and reader.begun and not self.answering:
                    shown.deadline = trio.current_time() + SHOWN_BODY_S
                self.answering = reader.begun
                if reader.unwanted:
                    return False
                if lease is not None:
                    await lease.hold(reader.held_bytes)
                complete = await self._read_some(reader)
        except trio.BrokenResourceError as error:
            raise _broken(reader, error) from None
        return True

    async def _send(self, data: bytes) -> None:
        """Raises BrokenResourceError."""
        if self._plain is not None:
            with suppress(OSError):  # the stream will meet it, too
                data = data[self._plain.send(data) :]
            if not data:
                return
        await self._stream.send_all(data)

    async def _receive(self) -> bytes:
        """What came, empty at the end. Raises BrokenResourceError."""
        plain = self._plain
        if plain is None:
            return bytes(await self._stream.receive_some(RECEIVE_BYTES))
        while True:
            await trio.lowlevel.wait_readable(plain)
            try:
                return plain.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(f"socket connection broken: {error}") from error

    async def _read_some(self, reader: ResponseReader) -> bool:
        """Whether the answer is complete with what comes next; others have their turn between its parts."""
        data = await self._receive()
        return await self._read_on(reader, complete=reader.feed(data) if data else self._ended(reader))

    @staticmethod
    def _ended(reader: ResponseReader) -> bool:
        """The peer has closed: True, if that may end an answer. Raises FetchError."""
        if not reader.started:
            raise PeerClosed("EOF")
        reader.end()
        return True

    @staticmethod
    async def _read_on(reader: ResponseReader, *, complete: bool) -> bool:
        """Reads what is left of a piece; whether the answer is complete then."""
        while reader.unread and not complete:
            await trio.lowlevel.checkpoint()
            complete = reader.feed(b"")
        return complete

    async def _read_unwanted(self, reader: ResponseReader) -> None:
        """Reads the rest of a body that nobody wants, if it is short and comes soon."""
        with trio.move_on_after(UNWANTED_BODY_S) as waited:
            try:
                while not await self._read_some(reader):
                    pass
            except trio.BrokenResourceError:
                reader.reusable = False
        if waited.cancelled_caught:
            reader.reusable = False

    async def begin(self, request: bytes) -> StreamedResponse:
        """Sends a request and waits until its answer begins; the body comes afterwards. Raises FetchError."""
        reader = ResponseReader(head_only=request.startswith(b"HEAD "))
        self.reusable = False
        _probe_when_silent(self._stream)
        try:
            await self._stream.send_all(request)
            ended = False
            while not reader.begun:
                ended = await self._read_some(reader)
        except trio.BrokenResourceError as error:
            raise _broken(reader, error) from None
        return reader.begun_response(self._pieces(reader, ended=ended))

    async def _pieces(self, reader: ResponseReader, *, ended: bool) -> AsyncIterator[bytes]:
        inflater = Inflater() if reader.compressed else None
        while True:
            piece = reader.take()
            if inflater is None and piece:
                yield piece
            elif inflater is not None:
                rest = memoryview(piece)
                while rest:
                    yield inflater.feed(rest, INFLATED_BYTES_AT_ONCE)
                    rest = inflater.rest
            if ended:
                if inflater is not None:
                    inflater.end()
                return
            try:
                ended = await self._read_some(reader)
            except trio.BrokenResourceError as error:
                raise _broken(reader, error) from None

    def is_stale(self) -> bool:
        """Whether the peer has closed, or sent what nobody asked for: that must not become the next answer. Does not wait."""
        stream = self._stream
        if isinstance(stream, trio.SSLStream) and (stream._incoming.pending or stream._ssl_object.pending()):
            return True  # what came with the last answer, and is not on the socket any more
        return self._socket().is_readable()

    def close_now(self) -> None:
        """Closes without a word to the peer, and without waiting."""
        self._told()
        self._socket().close()

    async def aclose(self) -> None:
        """Closes without ceremony."""
        self._told()
        await trio.aclose_forcefully(self._stream)

    def _told(self) -> None:
        if self.on_close is not None:
            self.on_close(self)
            self.on_close = None

    def _socket(self) -> trio.socket.SocketType:
        stream = self._stream.transport_stream if isinstance(self._stream, trio.SSLStream) else self._stream
        assert isinstance(stream, trio.SocketStream)
        return stream.socket


def _probe_when_silent(stream: trio.abc.Stream) -> None:
    """Have the system find out whether the peer is still there when nothing comes: a watch may be silent for minutes."""
    while isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    if not isinstance(stream, trio.SocketStream) or stream.socket.family == socket.AF_UNIX:
        return
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBES:
        stream.setsockopt(socket.IPPROTO_TCP, option, value)


def _broken(reader: ResponseReader, error: trio.BrokenResourceError) -> FetchError:
    """What a reset connection means, by how much of an answer came before it."""
    cause = error.__cause__ or error
    reason = (
        os.strerror(cause.errno).lower() if isinstance(cause, OSError) and cause.errno else reason_of(cause)
    )
    kind = BodyError if reader.begun else FetchError if reader.started else PeerClosed
    return kind(f"read: {reason}")


class PeerClosed(FetchError):
    """The peer closed before it sent a byte of an answer; on a kept connection one tries again."""
