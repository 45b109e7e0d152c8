"""A connection of gRPC: HTTP/2 in, calls of one message, answers out.

`h2` does the protocol; this file moves the bytes and keeps the bounds: of messages, of calls at once, of the time that a
message may take to come, of the time nothing comes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import trio

from trimon import limits
from trimon.records import dataclass
from trimon.web.auth.handshake import TlsStream
from trimon.web.grpc.calls import Calls
from trimon.web.grpc.messages import HEAD, CallError, Code, Message, Reply, only_message

CALLS_AT_ONCE: Final = 32
MESSAGE_BYTES_MAX: Final = limits.OTLP_BODY_BYTES_MAX
# Of all messages that are on their way in, of all connections.
COMING_BYTES_MAX: Final = 4 * MESSAGE_BYTES_MAX
WINDOW_BYTES: Final = 2**20
HEADER_BYTES_MAX: Final = 16 * 1024
_RECEIVE_BYTES: Final = 64 * 1024
RETRY_AFTER_S: Final = 5
# Calls that a client gives up: some are, a flood of them is an attack.
RESETS_MAX: Final = 1000


@dataclass(slots=True)
class Budget:
    """The bytes of messages on their way in, of all connections."""

    taken_bytes: int = 0

    def take(self, size_bytes: int) -> bool:
        """Takes so many, where there is room."""
        if self.taken_bytes + size_bytes > COMING_BYTES_MAX:
            return False
        self.taken_bytes += size_bytes
        return True


@dataclass(slots=True)
class _Coming:
    """A call whose message is on its way."""

    headers: dict[str, str]
    began_s: float
    data: bytearray = field(default_factory=bytearray)

    @property
    def ends_s(self) -> float:
        """When it is too slow."""
        return self.began_s + limits.REQUEST_BODY_S + len(self.data) / limits.REQUEST_BODY_BYTES_PER_S_MIN


Answering = Callable[[Mapping[str, str], Message], Awaitable[Reply]]


class GrpcConnection:
    """One connection. Only on the loop's thread."""

    def __init__(self, stream: trio.SocketStream | TlsStream, answer: Answering, budget: Budget) -> None:
        self._stream = stream
        self._answer = answer
        self._budget = budget
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding=None)
        )
        self._coming: dict[int, _Coming] = {}
        self._working: set[int] = set()
        self._sending = trio.Lock()
        self._room = trio.Event()
        self._idle_since_s = trio.current_time()
        self._resets = 0
        self._draining = False
        self._ended = False
        self._scope = trio.CancelScope()

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for anything."""
        return not self._coming and not self._working

    @property
    def idle_since_s(self) -> float:
        """Since when that is so."""
        return self._idle_since_s

    def end(self) -> None:
        """Ends it at once."""
        self._scope.cancel()

    def drain(self) -> None:
        """Calls that are there are answered, no other is."""
        self._draining = True
        if self.is_idle:
            self.end()

    async def run(self) -> None:
        """Serves until the client goes, is too slow, or speaks something else."""
        settings = {
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: CALLS_AT_ONCE,
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
            h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_BYTES_MAX,
        }
        self._h2.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        try:
            with self._scope:
                await self._serve()
            if not self._ended:
                await self._say_goodbye(h2.errors.ErrorCodes.NO_ERROR)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone, or does not read
        finally:
            for coming in self._coming.values():
                self._budget.taken_bytes -= len(coming.data)
            self._coming.clear()

    async def _serve(self) -> None:
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES)
        async with trio.open_nursery() as calls:
            await self._flush()
            while not self._ended and not (self._draining and self.is_idle):
                with trio.move_on_at(self._deadline()) as waiting:
                    data = await self._stream.receive_some(_RECEIVE_BYTES)
                if waiting.cancelled_caught:
                    await self._end_slow()
                elif not data:
                    self._ended = True
                else:
                    await self._take(bytes(data), calls)
            # Who has gone hears nothing; what came whole is seen through all the same.

    def _deadline(self) -> float:
        if self._coming:
            return min(coming.ends_s for coming in self._coming.values())
        return trio.current_time() + limits.CONNECTION_IDLE_S if self._working else self._idle_ends_s

    @property
    def _idle_ends_s(self) -> float:
        return self._idle_since_s + limits.CONNECTION_IDLE_S

    async def _end_slow(self) -> None:
        now_s = trio.current_time()
        for number, coming in list(self._coming.items()):
            if coming.ends_s <= now_s:
                self._forget(number)
                self._reset(number, h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        await self._flush()
        if self.is_idle and now_s >= self._idle_ends_s:
            self._scope.cancel()

    async def _take(self, data: bytes, calls: trio.Nursery) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._event(event, calls)
        except h2.exceptions.ProtocolError:
            self._ended = True
        await self._flush()

    def _event(self, event: h2.events.Event, calls: trio.Nursery) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event.stream_id, list(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self._add(event)
        elif isinstance(event, h2.events.StreamEnded):
            coming = self._coming.pop(event.stream_id, None)
            if coming is not None:
                self._working.add(event.stream_id)
                calls.start_soon(self._call, event.stream_id, coming)
        elif isinstance(event, h2.events.StreamReset):
            self._forget(event.stream_id)
            self._room.set()
            self._resets += 1
            if self._resets > RESETS_MAX:
                self._h2.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                self._ended = True
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._room.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._draining = True

    def _begin(self, number: int, fields: list[tuple[bytes, bytes]]) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in fields}
        if self._draining:
            self._reset(number, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        try:
            Calls.check(headers)
        except CallError as error:
            self._refuse(number, error.reply)
            return
        self._coming[number] = _Coming(headers, trio.current_time())

    def _add(self, event: h2.events.DataReceived) -> None:
        number = event.stream_id
        coming = self._coming.get(number)
        if event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, number)
        if coming is None:
            return
        data = event.data or b""
        try:
            if len(coming.data) + len(data) > MESSAGE_BYTES_MAX + HEAD.size:
                raise CallError(
                    Code.RESOURCE_EXHAUSTED,
                    f"a message of more than {MESSAGE_BYTES_MAX} bytes, which is the limit",
                )
            if not self._budget.take(len(data)):
                raise CallError(
                    Code.UNAVAILABLE, "too many bytes of messages are on their way", RETRY_AFTER_S
                )
        except CallError as error:
            self._refuse(number, error.reply)
            return
        coming.data += data

    def _refuse(self, number: int, reply: Reply) -> None:
        """Answers a call before its message is there, of which no more is wanted."""
        self._forget(number)
        self._h2.send_headers(number, _headers(reply), end_stream=True)
        self._reset(number, h2.errors.ErrorCodes.NO_ERROR)

    def _reset(self, number: int, code: h2.errors.ErrorCodes) -> None:
        with suppress(h2.exceptions.StreamClosedError):  # the client had said all and is answered
            self._h2.reset_stream(number, code)

    def _forget(self, number: int) -> None:
        coming = self._coming.pop(number, None)
        if coming is not None:
            self._budget.taken_bytes -= len(coming.data)
        self._note_idle()

    def _note_idle(self) -> None:
        if self.is_idle:
            self._idle_since_s = trio.current_time()

    async def _call(self, number: int, coming: _Coming) -> None:
        size_bytes = len(coming.data)
        try:
            try:
                message = only_message(bytes(coming.data), coming.headers)
                coming.data = bytearray()
                reply = await self._answer(coming.headers, message)
            except CallError as error:
                reply = error.reply
            finally:
                self._budget.taken_bytes -= size_bytes
            await self._reply(number, reply)
        except (h2.exceptions.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone, or does not want to hear it any more
        except trio.TooSlowError:  # it takes nothing in
            self.end()
        finally:
            self._working.discard(number)
            self._note_idle()
            if self._draining and self.is_idle:
                self._scope.cancel()

    async def _reply(self, number: int, reply: Reply) -> None:
        if reply.code is not Code.OK:
            self._h2.send_headers(number, _headers(reply), end_stream=True)
            await self._flush()
            return
        data = reply.data()
        self._h2.send_headers(number, _HEADERS)
        with trio.fail_after(limits.ANSWER_PIECE_S):
            while data:
                room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
                if room <= 0:
                    self._room = trio.Event()
                    await self._room.wait()
                    continue
                self._h2.send_data(number, data[:room])
                data = data[room:]
        self._h2.send_headers(number, reply.trailers(), end_stream=True)
        await self._flush()

    async def _say_goodbye(self, code: h2.errors.ErrorCodes) -> None:
        with trio.move_on_after(1.0):
            self._h2.close_connection(code)
            await self._flush()

    async def _flush(self) -> None:
        """Sends what there is to be sent; a client that does not read is cut."""
        async with self._sending:
            data = self._h2.data_to_send()
            if not data:
                return
            with trio.move_on_after(limits.ANSWER_PIECE_S) as patience:
                await self._stream.send_all(data)
            if patience.cancelled_caught:
                raise trio.BrokenResourceError("the client does not read")


_HEADERS: Final = [
    (":status", "200"),
    ("content-type", "application/grpc"),
    ("grpc-accept-encoding", "identity,gzip"),
]


def _headers(reply: Reply) -> list[tuple[str, str]]:
    """Of an answer that has nothing but trailers."""
    return [*_HEADERS, *reply.trailers()]
