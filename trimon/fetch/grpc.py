"""A gRPC client for calls of one message each way, over HTTP/2 in plain or TLS.

    HEADERS  :method POST  :path /package.Service/Method  content-type application/grpc  te trailers
    DATA     [0 or 1: gzip][length, 4 bytes, big endian][message]                                        END_STREAM
             ◂── HEADERS :status 200 ── DATA the same ── HEADERS grpc-status 0                           END_STREAM

`h2` does the protocol; this file moves the bytes. Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md of gRPC).
"""

from __future__ import annotations

import gzip
import ssl
import struct
from collections.abc import Callable
from dataclasses import field
from typing import Final
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import trio

from trimon.fetch.connection import RECEIVE_BYTES
from trimon.fetch.dialing import PeerAddress, dial, secured
from trimon.fetch.request import FetchError, FetchTimeout
from trimon.fetch.times import ExchangeTimes
from trimon.records import dataclass

ANSWER_BYTES_MAX: Final = 4 * 2**20
_OK: Final = "0"
# What may be tried again: cancelled, too late, exhausted, aborted, out of range, unavailable, data loss.
_RETRYABLE: Final = frozenset(["1", "4", "8", "10", "11", "14", "15"])
_HEAD: Final = struct.Struct(">BI")


class GrpcError(FetchError):
    """The peer answered, and refused. `retryable`: the same call may succeed later."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"rpc error: code = {status} desc = {message}")
        self.retryable = status in _RETRYABLE


@dataclass(slots=True)
class _Answer:
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False

    def take(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Headers or trailers."""
        self.headers |= {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}

    def message(self) -> bytes:
        """The only message. Raises FetchError."""
        if self.headers.get(":status") != "200":
            raise FetchError(f"server returned HTTP status {self.headers.get(':status', 'without a number')}")
        status = self.headers.get("grpc-status")
        if status is None:
            raise FetchError("the answer is not gRPC: it has no grpc-status")
        if status != _OK:
            raise GrpcError(status, unquote(self.headers.get("grpc-message", "")))
        if len(self.body) < _HEAD.size:
            raise FetchError("the answer has no message")
        compressed, size = _HEAD.unpack_from(self.body)
        if compressed:
            raise FetchError("the answer is compressed, which was not asked for")
        if len(self.body) != _HEAD.size + size:
            raise FetchError("the answer has not one whole message")
        return bytes(self.body[_HEAD.size :])


class GrpcClient:
    """Calls to one peer, one at a time, each over a connection of its own.

    Without `tls` the connection is plain. `headers` go with every call.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: Callable[[], ssl.SSLContext] | None,
        *,
        server_name: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        compresses: bool = False,
    ) -> None:
        self._address = PeerAddress(host, port, secure=tls is not None)
        self._tls = tls
        self._server_name = server_name or host
        self._headers = headers
        self._compresses = compresses

    async def call(self, path: str, message: bytes, timeout_s: float) -> bytes:
        """The answer's message. Raises FetchError; GrpcError where the peer says what is wrong."""
        try:
            with trio.fail_after(timeout_s):
                return await self._call(path, message, timeout_s)
        except trio.TooSlowError:
            raise FetchTimeout(f"{path}: context deadline exceeded") from None
        except (trio.BrokenResourceError, h2.exceptions.ProtocolError) as error:
            raise FetchError(f"{path}: {str(error) or 'connection broken'}") from None

    async def _call(self, path: str, message: bytes, timeout_s: float) -> bytes:
        stream = await self._connected()
        try:
            connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
            connection.initiate_connection()
            number = connection.get_next_available_stream_id()
            connection.send_headers(number, self._request_headers(path, timeout_s))
            answer = _Answer()
            await self._send(stream, connection, number, self._framed(message), answer)
            while not answer.ended:
                await self._receive(stream, connection, answer)
            return answer.message()
        finally:
            await trio.aclose_forcefully(stream)

    async def _connected(self) -> trio.abc.Stream:
        stream = await dial(self._address, ExchangeTimes())
        if self._tls is None:
            return stream
        try:
            context = self._tls()
            context.set_alpn_protocols(["h2"])
            return await secured(stream, lambda: context, self._server_name)
        except (OSError, ValueError) as error:
            await trio.aclose_forcefully(stream)
            raise FetchError(f"tls: {error}") from None
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    def _request_headers(self, path: str, timeout_s: float) -> list[tuple[str, str]]:
        address = self._address
        host = f"[{address.host}]" if ":" in address.host else address.host
        return [
            (":method", "POST"),
            (":scheme", "https" if address.secure else "http"),
            (":path", path),
            (":authority", f"{host}:{address.port}"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", f"{int(timeout_s * 1000)}m"),
            *((("grpc-encoding", "gzip"),) if self._compresses else ()),
            *((name.lower(), value) for name, value in self._headers),
        ]

    def _framed(self, message: bytes) -> bytes:
        if self._compresses:
            message = gzip.compress(message, 1)
        return _HEAD.pack(self._compresses, len(message)) + message

    async def _send(
        self,
        stream: trio.abc.Stream,
        connection: h2.connection.H2Connection,
        number: int,
        data: bytes,
        answer: _Answer,
    ) -> None:
        """Sends as fast as the peer takes it; one that answers before the end wants no more."""
        while not answer.ended:
            room = min(connection.local_flow_control_window(number), connection.max_outbound_frame_size)
            if room or not data:
                connection.send_data(number, data[:room], end_stream=len(data) <= room)
                data, done = data[room:], len(data) <= room
                await stream.send_all(connection.data_to_send())
                if done:
                    return
                continue
            await self._receive(stream, connection, answer)

    async def _receive(
        self, stream: trio.abc.Stream, connection: h2.connection.H2Connection, answer: _Answer
    ) -> None:
        pending = connection.data_to_send()
        if pending:
            await stream.send_all(pending)
        data = await stream.receive_some(RECEIVE_BYTES)
        if not data:
            raise FetchError("unexpected EOF")
        for event in connection.receive_data(bytes(data)):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                answer.take(list(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                answer.body += event.data
                if len(answer.body) > ANSWER_BYTES_MAX:
                    raise FetchError(f"answer of more than {ANSWER_BYTES_MAX} bytes, which is the limit")
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                answer.ended = True
            elif isinstance(event, h2.events.StreamReset):
                raise FetchError(f"stream reset by the peer: {_code(event.error_code)}")
            elif isinstance(event, h2.events.ConnectionTerminated):
                raise FetchError(f"connection ended by the peer: {_code(event.error_code)}")


def _code(code: h2.errors.ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, h2.errors.ErrorCodes) else str(code)
