"""One HTTP/1.1 connection: `http1.py` does the protocol, this file moves the bytes.

A scraper asks one peer the same question for months, so there is no pool: one connection, kept open, reopened
when the peer closed it. That is a tenth of the work of a general client for each request.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from urllib.parse import SplitResult

import trio

from trimon.fetch.http1 import Inflater, ResponseReader
from trimon.fetch.request import FetchError, Response, StreamedResponse

RECEIVE_BYTES = 256 * 1024
TLS_HANDSHAKE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a connection goes; `unix_socket` goes before host and port."""

    host: str
    port: int
    secure: bool
    unix_socket: str = ""

    @classmethod
    def of(cls, url: SplitResult, unix_socket: str = "") -> PeerAddress:
        """The endpoint of a URL; port by scheme where none is given. Raises FetchError."""
        try:
            port = url.port
        except ValueError:
            raise FetchError(f'invalid port in "{url.geturl()}"') from None
        if not url.hostname or url.scheme not in ("http", "https"):
            raise FetchError(f'unsupported URL "{url.geturl()}"')
        secure = url.scheme == "https"
        return cls(url.hostname, port or (443 if secure else 80), secure, unix_socket)


class ClientConnection:
    """An open connection to one endpoint. After any FetchError it is to be closed."""

    def __init__(self, stream: trio.abc.Stream, endpoint: PeerAddress) -> None:
        self.endpoint = endpoint
        self.reusable = True
        """Whether another request can go over this connection."""
        self._stream = stream

    @classmethod
    async def open(
        cls, endpoint: PeerAddress, tls: Callable[[], ssl.SSLContext], server_name: str
    ) -> ClientConnection:
        """Connects; a secure endpoint gets TLS under `server_name` (empty: the host). Raises FetchError."""
        stream = await _dial(endpoint)
        if not endpoint.secure:
            return cls(stream, endpoint)
        try:
            context = tls()
        except (OSError, ssl.SSLError) as error:
            await trio.aclose_forcefully(stream)
            raise FetchError(f"tls: {error}") from None
        secure = trio.SSLStream(
            stream, context, server_hostname=server_name or endpoint.host, https_compatible=True
        )
        try:
            with trio.fail_after(TLS_HANDSHAKE_TIMEOUT_S):
                await secure.do_handshake()
        except trio.TooSlowError:
            await trio.aclose_forcefully(stream)
            raise FetchError("net/http: TLS handshake timeout") from None
        except (trio.BrokenResourceError, ssl.SSLError, ssl.CertificateError) as error:
            await trio.aclose_forcefully(stream)
            raise FetchError(f"tls: {_reason(error.__cause__ or error)}") from None
        return cls(secure, endpoint)

    async def exchange(self, request: bytes, body_bytes_max: int) -> Response:
        """One request and its answer. Raises FetchError; `PeerClosed` when nothing at all came back."""
        reader = ResponseReader(body_bytes_max, head_only=request.startswith(b"HEAD "))
        self.reusable = False
        try:
            await self._stream.send_all(request)
            while True:
                data = await self._stream.receive_some(RECEIVE_BYTES)
                if not data:
                    if not reader.started:
                        raise PeerClosed("EOF")
                    reader.end()
                    break
                if reader.feed(bytes(data)):
                    break
        except trio.BrokenResourceError as error:
            raise PeerClosed(f"read: {_reason(error.__cause__ or error)}") from None
        self.reusable = reader.reusable
        return reader.response()

    async def begin(self, request: bytes) -> StreamedResponse:
        """Sends a request and waits until its answer begins; the body comes afterwards. Raises FetchError."""
        reader = ResponseReader(head_only=request.startswith(b"HEAD "))
        self.reusable = False
        try:
            await self._stream.send_all(request)
            ended = False
            while not reader.begun:
                ended = reader.feed(await self._receive(reader))
        except trio.BrokenResourceError as error:
            raise PeerClosed(f"read: {_reason(error.__cause__ or error)}") from None
        return reader.begun_response(self._pieces(reader, ended=ended))

    async def _receive(self, reader: ResponseReader) -> bytes:
        data = await self._stream.receive_some(RECEIVE_BYTES)
        if not data and not reader.started:
            raise PeerClosed("EOF")
        if not data:
            reader.end()
        return bytes(data)

    async def _pieces(self, reader: ResponseReader, *, ended: bool) -> AsyncIterator[bytes]:
        inflater = Inflater() if reader.compressed else None
        while True:
            piece = reader.take()
            if inflater is not None:
                piece = inflater.feed(piece, last=ended)
            if piece:
                yield piece
            if ended:
                return
            try:
                data = await self._receive(reader)
            except trio.BrokenResourceError as error:
                raise FetchError(f"read: {_reason(error.__cause__ or error)}") from None
            ended = not data or reader.feed(data)

    def is_closed(self) -> bool:
        """Whether the peer has closed, or sent what nobody asked for. Does not wait."""
        stream = self._stream.transport_stream if isinstance(self._stream, trio.SSLStream) else self._stream
        assert isinstance(stream, trio.SocketStream)
        return stream.socket.is_readable()

    async def aclose(self) -> None:
        """Closes without ceremony."""
        await trio.aclose_forcefully(self._stream)


async def _dial(endpoint: PeerAddress) -> trio.SocketStream:
    try:
        if endpoint.unix_socket:
            return await trio.open_unix_socket(endpoint.unix_socket)
        return await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except (OSError, ValueError) as error:
        where = (
            f"unix {endpoint.unix_socket}" if endpoint.unix_socket else f"tcp {endpoint.host}:{endpoint.port}"
        )
        raise FetchError(f"dial {where}: {_reason(error)}") from None


class PeerClosed(FetchError):
    """The peer closed before it sent a byte of an answer; on a kept connection one tries again."""


def _reason(error: BaseException) -> str:
    """The innermost cause in the words of Go's network library, which operators know by heart."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"failed to verify certificate: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ExceptionGroup):  # trio's report of every address it tried
        return _reason(error.exceptions[-1])
    inner = error.__cause__ or error.__context__
    if isinstance(inner, OSError | ExceptionGroup):
        return _reason(inner)
    if isinstance(error, OSError) and error.strerror:
        # trio wraps the text of one attempt: "[Errno 111] ClientConnection refused" is what counts
        text = os.strerror(error.errno) if error.errno else error.strerror
        return f"connect: {text.lower()}" if isinstance(error, ConnectionError) else text.lower()
    return str(error) or type(error).__name__
