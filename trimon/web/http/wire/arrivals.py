"""Connections that have just come: none is served before its first request is there.

A crowd that asks nothing, or drips what it asks, costs a socket each, not a task, a protocol and a handler. Whoever has not
sent a whole request after a second is served all the same: it may wait for an answer to its head, and a server has more to say
about a request that is not in order.
"""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

import trio

from trimon import limits
from trimon.web.http.wire.connections import Connections, Phase, Place

Serve: TypeAlias = Callable[[socket.socket, Place], None]

# A request that is longer is served before it is whole.
LOOK_BYTES: Final = 16 * 1024
# So long a request that is not whole is waited for.
WHOLE_S: Final = 1.0
# How often it is looked who has waited for long enough.
LATE_EVERY_S: Final = 0.25
EVENTS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
# As h11 has it.
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_FRAMING: Final = re.compile(
    rb"\n(content-length|transfer-encoding|expect)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE
)
_CHUNK: Final = re.compile(rb"([0-9a-f]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n", re.IGNORECASE)
# Of more chunks nobody looks for the last one: each look begins anew.
_CHUNKS_MAX: Final = 64


def lacks(data: bytes) -> Phase | None:
    """What the beginning of a connection still waits for, its head or its body; None when it can be served."""
    if len(data) >= LOOK_BYTES or data[:1] < b"!":
        return None
    end = _HEAD_END.search(data)
    if end is None:
        return Phase.HEAD
    came_bytes = len(data) - end.end()
    whole = True
    for place, found in enumerate(_FRAMING.finditer(data, 0, end.end())):
        name, value = found[1].lower(), found[2].strip()
        if name == b"expect":
            return None
        if place or (name == b"transfer-encoding" and value.lower() != b"chunked"):
            return None  # its head will be refused
        if name == b"transfer-encoding":
            whole = _has_last_chunk(data, end.end())
        elif not value.isdigit() or len(value) > 10 or int(value) > limits.REQUEST_FORM_BYTES_MAX:
            return None  # its head may be answer enough
        else:
            whole = came_bytes >= min(int(value), LOOK_BYTES - end.end())
    return None if whole else Phase.BODY


def _has_last_chunk(data: bytes, at: int) -> bool:
    """Whether a body in chunks that begins there is whole, or is none: its server has to say so."""
    for _ in range(_CHUNKS_MAX):
        line = _CHUNK.match(data, at)
        if line is None:
            return data.find(b"\n", at) >= 0
        size_bytes = int(line[1], 16)
        if not size_bytes:
            # fields may follow, and end with an empty line
            return data.startswith(b"\r\n", line.end()) or data.find(b"\r\n\r\n", line.end()) >= 0
        at = line.end() + size_bytes + 2
        if at > len(data):
            return False
    return True


def _has_sent(accepted: socket.socket) -> bool:
    """Whether bytes wait in the system."""
    try:
        return bool(accepted.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


class _Arrival:
    """A connection that is not served yet."""

    __slots__ = ("place", "since_s", "socket")

    def __init__(self, accepted: socket.socket, place: Place) -> None:
        self.socket = accepted
        self.place = place
        self.since_s: float | None = None
        """When its first byte came."""


class Arrivals:
    """The connections that are not served yet; `serve` takes over one whose request is there.

    Only on the loop's thread. One task waits for all of them.
    """

    def __init__(self, connections: Connections, serve: Serve) -> None:
        self._connections = connections
        self._serve = serve
        self._epoll = select.epoll()
        self._waiting: dict[int, _Arrival] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, accepted: socket.socket, address: str) -> None:
        """A connection that was accepted; it may be turned away, or end another."""
        number = accepted.fileno()
        place = self._connections.take(address, partial(self._close, number), partial(_has_sent, accepted))
        if place is None:
            accepted.close()
            return
        accepted.setblocking(False)
        arrival = self._waiting[number] = _Arrival(accepted, place)
        # most have sent their request by now
        self._look(number, arrival, 0)
        if number in self._waiting:
            self._epoll.register(number, EVENTS)

    async def run(self) -> None:
        """Until it is cancelled, which ends all that are not served yet."""
        try:
            late_s = trio.current_time() + LATE_EVERY_S
            while True:
                with trio.move_on_at(late_s):
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                for number, events in self._epoll.poll(0):
                    arrival = self._waiting.get(number)
                    if arrival is not None:
                        self._look(number, arrival, events)
                if trio.current_time() >= late_s:
                    self._hand_over_late(trio.current_time())
                    late_s = trio.current_time() + LATE_EVERY_S
        finally:
            for number, arrival in list(self._waiting.items()):
                self._close(number)
                self._connections.leave(arrival.place)
            self._epoll.close()

    def _look(self, number: int, arrival: _Arrival, events: int) -> None:
        try:
            data = arrival.socket.recv(LOOK_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(number)
            self._connections.leave(arrival.place)
            return
        phase = None if events & GONE else lacks(data)
        if phase is None:
            self._hand_over(number, arrival)
            return
        now_s = trio.current_time()
        arrival.since_s = now_s if arrival.since_s is None else arrival.since_s
        arrival.place.body_bytes = 0
        arrival.place.enter(phase, now_s)
        if phase is Phase.BODY:
            arrival.place.body_bytes = len(data)

    def _hand_over_late(self, now_s: float) -> None:
        """Serves who waited for long enough, and ends who never asked."""
        for number, arrival in list(self._waiting.items()):
            if arrival.since_s is None:
                if now_s - arrival.place.since_s >= limits.CONNECTION_FIRST_S:
                    arrival.place.count("idle")
                    self._close(number)
                    self._connections.leave(arrival.place)
            elif now_s - arrival.since_s >= WHOLE_S:
                self._hand_over(number, arrival)

    def _hand_over(self, number: int, arrival: _Arrival) -> None:
        del self._waiting[number]
        with suppress(OSError):  # what was never waited for is not registered
            self._epoll.unregister(number)
        self._serve(arrival.socket, arrival.place)

    def _close(self, number: int) -> None:
        arrival = self._waiting.pop(number, None)
        if arrival is not None:
            if arrival.since_s is not None:
                # what is not read would make the end look like a fault
                with suppress(OSError):
                    arrival.socket.recv(LOOK_BYTES)
            arrival.socket.close()
