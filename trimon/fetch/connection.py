"""One HTTP/1.1 connection: h11 does the protocol, this file moves the bytes.

A scraper asks one peer the same question for months, so there is no pool: one connection, kept open, reopened
when the peer closed it. That is a tenth of the work of a general client for each request.
"""

from __future__ import annotations

import os
import socket
import ssl
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult

import h11
import trio

from trimon.fetch.request import BodyTooBig, FetchError, Response

RECEIVE_BYTES = 256 * 1024
# Asking for more than this at once only wastes memory; a response head is refused beyond it as well.
HEAD_BYTES_MAX = 128 * 1024
TLS_HANDSHAKE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection goes."""

    host: str
    port: int
    secure: bool

    @classmethod
    def of(cls, url: SplitResult) -> Endpoint:
        """The endpoint of a URL; port by scheme where none is given. Raises FetchError."""
        try:
            port = url.port
        except ValueError:
            raise FetchError(f'invalid port in "{url.geturl()}"') from None
        if not url.hostname or url.scheme not in ("http", "https"):
            raise FetchError(f'unsupported URL "{url.geturl()}"')
        secure = url.scheme == "https"
        return cls(url.hostname, port or (443 if secure else 80), secure)


class Inflater:
    """Gunzips a body piece by piece and stops at the cap, however small the compressed body is."""

    def __init__(self, body_bytes_max: int) -> None:
        self._inflate = zlib.decompressobj(31)
        self._left = body_bytes_max

    def feed(self, data: bytes) -> bytes:
        """The decompressed bytes of the next piece. Raises FetchError, BodyTooBig."""
        try:
            out = self._inflate.decompress(data, self._left + 1)
        except zlib.error as error:
            raise FetchError(f"gzip: invalid data: {error}") from None
        self._left -= len(out)
        if self._left < 0:
            raise BodyTooBig("body size limit exceeded")
        return out

    def finish(self) -> None:
        """Raises FetchError when the body ended before its gzip stream did."""
        if not self._inflate.eof:
            raise FetchError("gzip: unexpected EOF")


class Connection:
    """An open connection to one endpoint. After any FetchError it is to be closed."""

    def __init__(self, stream: trio.abc.Stream, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)

    @classmethod
    async def open(
        cls, endpoint: Endpoint, tls: Callable[[], ssl.SSLContext], server_name: str
    ) -> Connection:
        """Connects; a secure endpoint gets TLS under `server_name` (empty: the host). Raises FetchError."""
        try:
            stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
        except OSError as error:
            raise FetchError(f"dial tcp {endpoint.host}:{endpoint.port}: {_reason(error)}") from None
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

    @property
    def reusable(self) -> bool:
        """Whether another request can go over this connection."""
        return self._h11.our_state is h11.IDLE

    async def exchange(self, target: str, headers: list[tuple[str, str]], body_bytes_max: int) -> Response:
        """One GET. Raises FetchError, BodyTooBig; `PeerClosed` when nothing at all came back."""
        connection = self._h11
        try:
            await self._stream.send_all(
                connection.send(h11.Request(method="GET", target=target, headers=headers))
                + connection.send(h11.EndOfMessage())
            )
            response = await self._head()
            return await self._body(response, body_bytes_max)
        except trio.BrokenResourceError as error:
            raise PeerClosed(f"read: {_reason(error.__cause__ or error)}") from None
        except h11.LocalProtocolError as error:
            raise FetchError(f"bad request: {error}") from None
        except h11.RemoteProtocolError as error:
            raise FetchError(f"malformed HTTP response: {error}") from None

    async def _next(self) -> h11.Event:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # PAUSED never occurs in a client
            data = await self._stream.receive_some(RECEIVE_BYTES)
            if not data and self._h11.their_state is h11.SEND_RESPONSE and not self._h11.trailing_data[0]:
                raise PeerClosed("EOF")
            self._h11.receive_data(bytes(data))

    async def _head(self) -> h11.Response:
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.ConnectionClosed):
                raise PeerClosed("EOF")

    async def _body(self, response: h11.Response, body_bytes_max: int) -> Response:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
        zipped = headers.get("content-encoding", "").lower() == "gzip"
        inflater = Inflater(body_bytes_max) if zipped else None
        pieces: list[bytes] = []
        wire_bytes = 0
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise FetchError("unexpected EOF")
            data = bytes(event.data)
            wire_bytes += len(data)
            if inflater is not None:
                data = inflater.feed(data)
            elif wire_bytes > body_bytes_max:
                raise BodyTooBig("body size limit exceeded")
            pieces.append(data)
        if inflater is not None and wire_bytes:
            inflater.finish()
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        return Response(
            status=response.status_code,
            reason=response.reason.decode("latin-1"),
            content_type=headers.get("content-type", ""),
            body=pieces[0] if len(pieces) == 1 else b"".join(pieces),
            wire_bytes=wire_bytes,
            headers=headers,
        )

    async def aclose(self) -> None:
        """Closes without ceremony."""
        await trio.aclose_forcefully(self._stream)


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
        # trio wraps the text of one attempt: "[Errno 111] Connection refused" is what counts
        text = os.strerror(error.errno) if error.errno else error.strerror
        return f"connect: {text.lower()}" if isinstance(error, ConnectionError) else text.lower()
    return str(error) or type(error).__name__
