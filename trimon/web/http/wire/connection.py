"""One connection: the HTTP server's own, with less work a request."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import Final

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.events import Request
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, LifespanState

from trimon import limits
from trimon.web.auth.handshake import TlsStream
from trimon.web.http.wire.connections import BUSY, Phase, Place
from trimon.web.http.wire.connectionwatch import ConnectionWatch
from trimon.web.http.wire.departure import SENDS_NO_MORE, Departure
from trimon.web.http.wire.directstream import DirectStream, DirectTasks, discard
from trimon.web.http.wire.exchange import JOIN_BYTES_MAX, STREAM_ENDS, Exchange, Exchanges, Wire, scope_of
from trimon.web.http.wire.h11server import ServerProtocol
from trimon.web.http.wire.hangups import ANSWER_S
from trimon.web.http.wire.knownheads import PlainHead
from trimon.web.http.wire.refusal import refusal

# Of an answer that is whole when its head is made.
_LENGTH: Final = b"\r\nContent-Length: "
READ_BYTES_MAX: Final = 64 * 1024
# A longer answer waits its turn: parts of one that the client reads as fast as they come would follow on one another.
DIRECT_BYTES_MAX: Final = 64 * 1024


async def _stays_as_it_is(_: h11.Request) -> None:
    """HTTP/2 is not offered: its preface is a bad request.

    When a client of the HTTP server's HTTP/2 leaves before its answer, the request and its connection stay for ever.
    """


async def _begin(protocol: H11Protocol, request: h11.Request) -> None:
    """The stream of a request. Web sockets are not offered, so no header is looked at for them."""
    stream = protocol.stream = HTTPStream(
        protocol.app,
        protocol.config,
        protocol.context,
        protocol.task_group,
        protocol.ssl,
        protocol.client,
        protocol.server,
        protocol.stream_send,
        STREAM_ID,
    )
    await stream.handle(
        Request(
            stream_id=STREAM_ID,
            headers=list(request.headers),
            http_version=request.http_version.decode(),
            method=request.method.decode("ascii"),
            raw_path=request.target,
            state=protocol.connection_state,
        )
    )
    protocol.keep_alive_requests += 1
    await protocol.context.mark_request()


class ServerConnection(TCPServer):
    """As the HTTP server's, but head and body of a short answer leave in one piece."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
        stream: DirectStream | TlsStream,
        place: Place,
        exchanges: Exchanges,
        read_timeout_s: float = math.inf,
    ) -> None:
        super().__init__(app, config, context, state, stream)  # type: ignore[arg-type]  # as its own worker calls it
        self._place = place
        self._exchanges = exchanges
        self._direct = stream if isinstance(stream, DirectStream) else None
        self._transport = (
            stream.socket if isinstance(stream, DirectStream) else stream.transport_stream.socket
        )
        self._watch = ConnectionWatch(context, place, read_timeout_s)
        self.idle_task = self._watch  # type: ignore[assignment]  # it is only asked to restart and to stop
        self._head = b""
        self._head_is_next = False
        self._stirred: trio.Event | None = None
        """Since a client sends no more: that it is being answered, or its connection ends."""

    async def run(self) -> None:
        """Serves the connection until it ends."""
        try:
            await super().run()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Opens the circles in which connection, protocol and stream hold one another, now that no task has them.

        They live for minutes: when they end they have long been set aside by the collector of cycles, which would look
        at them again in an hour.
        """
        # There is none after a failed handshake.
        wrapper: ProtocolWrapper | None = self.__dict__.pop("protocol", None)
        if wrapper is not None and isinstance(wrapper.protocol, H11Protocol):
            wrapper.protocol.stream = None
            for replaced in ("_create_stream", "_send_error_response"):
                wrapper.protocol.__dict__.pop(replaced, None)

    async def _read_data(self) -> None:
        protocol = self.protocol.protocol
        if isinstance(protocol, H11Protocol):
            protocol.connection = ServerProtocol(
                h11.SERVER, self.config.h11_max_incomplete_size, self.context.terminated.is_set
            )
            protocol.task_group = DirectTasks(self._task_group)
            protocol._send_error_response = self._refuse  # type: ignore[method-assign] # its own says only a status
            protocol._check_protocol = _stays_as_it_is  # type: ignore[assignment, method-assign] # it has no switch
            protocol._create_stream = partial(_begin, protocol)  # type: ignore[method-assign] # web sockets
        try:
            await self._read_all()
        finally:
            self._watch.end()

    async def _read_all(self) -> None:
        """Reads until the client ends, and tells the protocol when nobody waits for an answer any more."""
        try:
            while data := await self._receive():
                head = self._exchanges.heads.plain(bytes(data)) if self._is_idle() else None
                if head is None:
                    await self.protocol.handle(RawData(bytes(data)))
                elif not await self._exchange(head):
                    discard(self._transport.fileno())
                    await self.protocol.handle(Closed())
                    return
            await self.protocol.handle(RawData(b""))
            if await self._answers_half():
                return
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            pass
        await self.protocol.handle(Closed())

    def _is_idle(self) -> bool:
        """Whether what comes next is the beginning of a request."""
        protocol = self.protocol.protocol
        return (
            isinstance(protocol, H11Protocol)
            and protocol.stream is None
            and protocol.connection.their_state is h11.IDLE
            and not protocol.connection.trailing_data[0]
        )

    async def _exchange(self, head: PlainHead) -> bool:
        """Has a plain request answered; whether another may follow on this connection."""
        protocol = self.protocol.protocol
        assert isinstance(protocol, H11Protocol)
        self._watch.busy()
        hangups, transport = self._exchanges.hangups, self._transport
        departure = Departure(partial(hangups.watch, transport))
        scope = scope_of(head, "https" if protocol.ssl else "http", protocol.client, protocol.server)
        wire = Wire(self._read_body, self._refuse, self._push, self.context.terminated.is_set)
        exchange = Exchange(scope, head, wire, departure)
        try:
            with suppress(Exception):  # the application's own links have reported it
                await self.app(
                    scope, exchange.receive, exchange.send, trio.to_thread.run_sync, trio.from_thread.run
                )
        finally:
            hangups.forget(transport, departure)
        await exchange.end()
        if exchange.gone or exchange.closes or self.context.terminated.is_set():
            return False
        self._watch.idle()
        return True

    async def _read_body(self, size_bytes: int) -> bytes:
        """What comes next of a body that is waited for. Raises what a stream does whose client has gone."""
        self._watch.waits_for_body()
        data = await self.stream.receive_some(min(size_bytes, READ_BYTES_MAX))
        self._watch.body_came(len(data))
        return bytes(data)

    async def _receive(self) -> bytes | bytearray:
        """What comes next; whether it is waited for as part of a head or of a body is noted."""
        protocol = self.protocol.protocol
        assert isinstance(protocol, H11Protocol)
        if self._place.phase is not BUSY:
            if protocol.connection.trailing_data[0]:
                self._watch.waits_for_head()
        elif protocol.connection.their_state is h11.SEND_BODY:
            return await self._read_body(READ_BYTES_MAX)
        return await self.stream.receive_some(READ_BYTES_MAX)

    async def _idle_timeout(self) -> None:
        """Ends the connection because of its client, who is told where it waits for an answer."""
        protocol = self.protocol.protocol
        if self._place.phase is Phase.HEAD and isinstance(protocol, H11Protocol):
            with trio.move_on_after(1):
                await self._refuse(408)
        await self._initiate_server_close()

    async def _refuse(self, status_code: int) -> None:
        """Answers what is no request, or comes too slowly; the connection ends behind it."""
        protocol = self.protocol.protocol
        assert isinstance(protocol, H11Protocol)
        if not isinstance(protocol.connection, ServerProtocol):
            return
        detail = protocol.connection.refusal_detail
        # an application that is still at work on a request whose body went wrong has nothing more to say
        protocol.connection.send_failed()
        await self._send(refusal(status_code, detail))

    async def _answers_half(self) -> bool:
        """Whether a client that sends no more is being answered.

        It may have gone or still listen: a write would tell, and nothing else. So the application hears of it at
        once, and of the end when it has not begun to answer in good time.
        """
        protocol = self.protocol.protocol
        if not isinstance(protocol, H11Protocol) or not isinstance(protocol.stream, HTTPStream):
            return False
        begun = self._has_begun_a_response()
        self._stirred = None if begun else trio.Event()
        await protocol.stream.app_put(SENDS_NO_MORE)
        if self._stirred is not None:
            with trio.move_on_after(ANSWER_S):
                await self._stirred.wait()
        return protocol.stream is not None and self._has_begun_a_response()

    async def protocol_send(self, event: Event) -> None:
        """What the protocol wants sent or done."""
        if self._stirred is not None and not isinstance(event, Updated):
            self._stirred.set()
        if isinstance(event, RawData):
            await self._send(event.data)
            return
        if isinstance(event, Updated):
            self._head_is_next = not event.idle
            if event.idle:
                await self._watch.restart(self._task_group, self._idle_timeout)
            else:
                await self._watch.stop()
            return
        if self._head:
            await self._send(b"")
        # the application that is told of the end may end the task that tells it
        with trio.CancelScope(shield=True):
            await super().protocol_send(event)

    async def _send(self, data: bytes) -> None:
        if self._head_is_next and self._has_begun_a_response():
            self._head_is_next = False
            if _LENGTH in data:  # its body follows at once, where that of a stream may take hours
                self._head = data
                return
        head, self._head = self._head, b""
        if head and len(data) > JOIN_BYTES_MAX:
            await self._write(head)
        else:
            data = head + data
        if data:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        try:
            await self._push(data)
        except STREAM_ENDS:
            # The client has gone, or the reader closes the connection at this moment.
            await self.protocol.handle(Closed())

    async def _push(self, data: bytes) -> None:
        """Sends it all. Raises BrokenResourceError, ClosedResourceError, BusyResourceError."""
        place = self._place
        if self._direct is not None and len(data) <= DIRECT_BYTES_MAX and not self.send_lock.locked():
            sent = self._direct.try_send(data)
            if sent == len(data):
                return
            data = data[sent:]
        try:
            # pieces, so that a client that reads slowly is told from one that gets much
            for at in range(0, len(data), limits.ANSWER_PIECE_BYTES):
                piece = data[at : at + limits.ANSWER_PIECE_BYTES]  # the whole of a short one is no copy
                place.writes_since_s = trio.current_time()
                async with self.send_lock:
                    with trio.CancelScope(shield=True):
                        await self.stream.send_all(piece)
        finally:
            place.writes_since_s = math.inf

    def _has_begun_a_response(self) -> bool:
        """Whether what was just written is the head of a final response, not an interim one or another protocol."""
        protocol = self.protocol.protocol
        return (
            isinstance(protocol, H11Protocol)
            and isinstance(protocol.connection, h11.Connection)
            and protocol.connection.our_state is h11.SEND_BODY
        )
