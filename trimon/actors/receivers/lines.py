"""A place where lines of text come in, over TCP and UDP at one address.

TCP  bytes ─ cut at line ends ─┐      a sender that is quicker than its lines are taken waits: the kernel's buffer is all
                               ├─ take(lines)   that it can fill
UDP  a datagram ─ its lines ───┘      datagrams wait in the kernel meanwhile, beyond its bound they are lost
"""

from __future__ import annotations

import math
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from functools import partial
from typing import Final

import trio

from trimon.errors import OperatingError, UserError
from trimon.log import Log
from trimon.records import dataclass
from trimon.remote.pushed.graphite import quoted

READ_BYTES: Final = 32 * 1024
DATAGRAM_BYTES_MAX: Final = 64 * 1024
LINE_BYTES_MAX: Final = 16 * 1024
# Reading a line takes microseconds: what waits for the loop has its turn after so many.
LINES_AT_ONCE: Final = 500
CONNECTIONS_MAX: Final = 256
# Whoever sends once an hour connects again.
IDLE_S: Final = 3600.0
# The kernel gives what its own limit allows.
DATAGRAMS_BUFFERED_BYTES: Final = 4 * 2**20
BIND_AGAIN_S: Final = 5.0
TELL_EVERY_S: Final = 60.0
_LOOK_EVERY_S: Final = 5.0

Take = Callable[[Sequence[bytes]], Awaitable[None]]


@dataclass(slots=True)
class LineCounts:
    """What became of lines; it outlives the receiver."""

    lines: int = 0
    malformed: int = 0
    """Lines that say nothing that is understood, or contradict what is known."""
    samples: int = 0
    """Stored, or there already."""
    refused: int = 0
    """Samples that storage refused."""
    connections: int = 0
    last_error: str = ""


@dataclass(slots=True)
class _Untold:
    """Faults of one kind that the log does not have yet: how many, the last one, and when they may be told."""

    count: int = 0
    error: str = ""
    tells_at_s: float = -math.inf


@dataclass(slots=True)
class LineFaults:
    """Tells of the first fault of a kind at once, and of those that follow once a minute, however many there are."""

    what: str
    counts: LineCounts
    log: Log
    _kinds: dict[str, _Untold] = field(default_factory=dict)

    def line(self, line: bytes, error: UserError) -> None:
        """A line that cannot be taken."""
        self.counts.malformed += 1
        self._tell(f"lines of {self.what} cannot be taken", f"{error.message}: {quoted(line[:120])}", 1)

    def sample(self, error: str, count: int) -> None:
        """Samples that storage refused."""
        self.counts.refused += count
        self._tell(f"samples of {self.what} are not stored", error, count)

    def listening(self, error: str) -> None:
        """The address cannot be had."""
        self._tell(f"{self.what} cannot be received", error, 1)

    def heard(self, address: str) -> None:
        """The address is had."""
        self.log.info("lines are received", receiver=self.what, address=address)

    def _tell(self, message: str, error: str, count: int) -> None:
        self.counts.last_error = error
        kind = self._kinds.setdefault(message, _Untold())
        kind.count += count
        kind.error = error
        if trio.current_time() >= kind.tells_at_s:
            self._say(message, kind)

    def _say(self, message: str, kind: _Untold) -> None:
        self.log.warning(message, err=kind.error, count=kind.count)
        kind.count, kind.tells_at_s = 0, trio.current_time() + TELL_EVERY_S

    def tell_rest(self) -> None:
        """Tells all that was not told yet."""
        for message, kind in self._kinds.items():
            if kind.count:
                self._say(message, kind)

    async def run(self) -> None:
        """Tells what came after the first of a kind, when its minute is over; until it is cancelled."""
        while True:
            await trio.sleep(_LOOK_EVERY_S)
            for message, kind in self._kinds.items():
                if kind.count and trio.current_time() >= kind.tells_at_s:
                    self._say(message, kind)


class LineSockets:
    """The sockets of one address, and those who send to them. Belongs to one actor."""

    def __init__(self, address: str, take: Take, counts: LineCounts, faults: LineFaults) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._take = take
        self._counts = counts
        self._faults = faults
        self._scope = trio.CancelScope()
        self.bound: tuple[str, int] | None = None
        """Where it listens; None while the address cannot be had."""

    def close(self) -> None:
        """No more lines."""
        self._scope.cancel()

    async def run(self) -> None:
        """Listens until it is closed; an address that cannot be had now is tried again."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._faults.run)
                await self._listen_always()
        self._faults.tell_rest()

    async def _listen_always(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, OperatingError) as error:
                self.bound = None
                self._faults.listening(f"{self._host}:{self._port}: {error}")
            await trio.sleep(BIND_AGAIN_S)

    async def _listen(self) -> None:
        found = await trio.socket.getaddrinfo(
            self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, *_, place = found[0]
        with (
            trio.socket.socket(family, socket.SOCK_STREAM) as streams,
            trio.socket.socket(family, socket.SOCK_DGRAM) as datagrams,
        ):
            streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAMS_BUFFERED_BYTES)
            await streams.bind(place)
            streams.listen(128)
            self.bound = streams.getsockname()[:2]
            await datagrams.bind(streams.getsockname())
            self._faults.heard("{}:{}".format(*self.bound))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._datagrams, datagrams)
                nursery.start_soon(self._connections, streams, nursery)

    async def _datagrams(self, sock: trio.socket.SocketType) -> None:
        while True:
            await self._in_turns((await sock.recv(DATAGRAM_BYTES_MAX)).split(b"\n"))

    async def _connections(self, listener: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            try:
                sock, _ = await listener.accept()
            except OSError as error:  # no more descriptors; those that are open may end meanwhile
                self._faults.listening(str(error))
                await trio.sleep(1)
                continue
            if self._counts.connections >= CONNECTIONS_MAX:
                self._faults.listening(f"{CONNECTIONS_MAX} connections are open, which is the limit")
                sock.close()
                continue
            nursery.start_soon(partial(self._connection, sock))

    async def _connection(self, sock: trio.socket.SocketType) -> None:
        self._counts.connections += 1
        rest = b""
        try:
            with sock:
                while True:
                    with trio.fail_after(IDLE_S):
                        data = await sock.recv(READ_BYTES)
                    *lines, rest = (rest + data).split(b"\n")
                    if not data:
                        lines, rest = [*lines, rest], b""
                    await self._in_turns(lines)
                    if not data:
                        return
                    if len(rest) > LINE_BYTES_MAX:
                        self._faults.line(rest, UserError(f"a line of more than {LINE_BYTES_MAX} bytes"))
                        return
        except (OSError, trio.TooSlowError):
            return
        finally:
            self._counts.connections -= 1

    async def _in_turns(self, lines: Sequence[bytes]) -> None:
        told = [line for each in lines if (line := each.strip())]
        self._counts.lines += len(told)
        for begin in range(0, len(told), LINES_AT_ONCE):
            await self._take(told[begin : begin + LINES_AT_ONCE])
            await trio.lowlevel.checkpoint()
