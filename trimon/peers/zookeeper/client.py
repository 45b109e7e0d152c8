"""One session with an ensemble of ZooKeeper servers: reads, and watches that outlive connections.

A session belongs to the ensemble; a connection to one server of it carries the session for a while:

    session 0x17  ══════════════════════════════════════════════════╗ expired: every watch is gone,
    connection    ──────── lost ··· ────────── lost ··· ─────────   ║ `lost` is called, a new session begins
    server          s2               s1                   s2        ║
                    │ get, children  │ set_watches                   session 0x18 ═══════════
                    │ + watches      │ (all, since the last zxid)
                    v                v
                  answers          events for what changed meanwhile, then as before

A read leaves a watch with the server, which tells once that a path has changed; whoever wants to know more reads again. The
client remembers its watches. On a new connection of the same session it gives all of them to the server, with the last
transaction it has seen; the server tells of what it missed, so that nothing has to be read again.

Answers come in the order of requests; pings keep the session alive. A server that says nothing for two thirds of the
session's time is left for another one, while there is still time for that.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Final

import trio

from trimon.errors import OperatingError
from trimon.peers.zookeeper.jute import (
    FRAME_BYTES_MAX,
    Change,
    Op,
    Reader,
    Session,
    Xid,
    ZooKeeperError,
    error_of,
    greeting,
    request,
    set_watches,
    watched_path,
)
from trimon.records import dataclass

PORT: Final = 2181
CONNECT_S: Final = 5.0
RETRY_S_MAX: Final = 10.0
# A session without a connection for so many times its length is over, though no server has said so.
FORGET_SESSIONS: Final = 3.0
# One request to go on watching has at most about so many bytes of paths; a server refuses what has more than 1 MiB.
_SET_WATCHES_BYTES: Final = 128 * 2**10
_TROUBLE: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    OperatingError,
)


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for its answer."""

    op: Op
    path: str
    done: trio.Event = field(default_factory=trio.Event)
    answer: Reader | None = None
    error: ZooKeeperError | None = None


class ZooKeeper:
    """A client that reads and watches.

    Calls `changed` with each path that changed; `lost` when all watches are gone, so that all has to be read again; `failed`
    with why there is no connection. `run` keeps it connected.
    """

    def __init__(
        self,
        servers: tuple[str, ...],
        timeout_s: float,
        changed: Callable[[str], None],
        lost: Callable[[], None],
        failed: Callable[[BaseException], None],
        chance: random.Random | None = None,
    ) -> None:
        self._servers = [address_of(server) for server in servers]
        self._timeout_s = timeout_s
        self._changed = changed
        self._lost = lost
        self._failed = failed
        self._chance = chance or random.Random()  # noqa: S311 # which server is asked is no secret
        self._session = Session()
        self._last_zxid = 0
        self._stream: trio.SocketStream | None = None
        self._connected = trio.Event()
        self._lost_at_s = 0.0
        self._sending = trio.Lock()
        self._calls: dict[int, _Call] = {}
        self._xids = itertools.count(1)
        self.data_watches: set[str] = set()
        self.child_watches: set[str] = set()
        self.sessions = 0
        """How many sessions there were."""

    async def run(self) -> None:
        """Connect, again and again, for ever."""
        in_row = 0
        for server in self._shuffled():
            try:
                with trio.fail_after(CONNECT_S):
                    stream = await trio.open_tcp_stream(*server)
                async with stream:
                    await self._serve(stream)
            except _TROUBLE as error:
                in_row = 0 if self._connected.is_set() else in_row + 1
                self._disconnected(error)
            except BaseExceptionGroup as errors:
                trouble, rest = errors.split(_TROUBLE)
                if rest is not None:
                    raise rest from None
                assert trouble is not None
                in_row = 0 if self._connected.is_set() else in_row + 1
                self._disconnected(_first(trouble))
            delay_s = min(2.0 ** min(in_row, 10) / 2, RETRY_S_MAX)
            await trio.sleep(delay_s * self._chance.uniform(0.75, 1.0))

    async def get(self, path: str) -> bytes:
        """The data of a path, which is watched from now on. Raises NoNode, ZooKeeperError."""
        return (await self._ask(Op.GET_DATA, path)).buffer()

    async def children(self, path: str) -> list[str]:
        """The names below a path, which is watched from now on. Raises NoNode, ZooKeeperError."""
        return (await self._ask(Op.GET_CHILDREN, path)).texts()

    # ---- requests

    async def _ask(self, op: Op, path: str) -> Reader:
        with trio.move_on_after(self._timeout_s):
            await self._connected.wait()
        if not self._connected.is_set():
            raise ZooKeeperError("no connection to a server")
        xid = next(self._xids) & 0x7FFFFFFF
        call = self._calls[xid] = _Call(op, path)
        try:
            await self._send(request(xid, op, watched_path(path)))
            with trio.fail_after(self._timeout_s):
                await call.done.wait()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            raise ZooKeeperError(f"{path}: {error or 'no answer in time'}") from None
        finally:
            self._calls.pop(xid, None)
        if call.error is not None:
            raise call.error
        assert call.answer is not None
        return call.answer

    async def _send(self, message: bytes) -> None:
        async with self._sending:
            if self._stream is None:
                raise ZooKeeperError("no connection to a server")
            await self._stream.send_all(message)

    # ---- a connection

    def _shuffled(self) -> Iterator[tuple[str, int]]:
        """Servers for ever, each as often as the others."""
        while True:
            yield from self._chance.sample(self._servers, len(self._servers))

    async def _serve(self, stream: trio.SocketStream) -> None:
        """A connection from greeting to end. Raises when it ends."""
        frames = _Frames(stream)
        with trio.fail_after(self._timeout_s):
            await stream.send_all(greeting(self._session, self._last_zxid, int(self._timeout_s * 1000)))
            session = Reader(await frames.next()).session()
        if session.id == 0 or session.timeout_ms <= 0:
            self._forget_session()
            raise ZooKeeperError("the session has expired")
        if session.id != self._session.id:
            self.sessions += 1
        self._session = session
        patience_s = session.timeout_ms / 1000
        self._stream = stream
        try:
            await self._resume_watches()
            self._connected.set()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ping, patience_s / 3)
                while True:
                    with trio.fail_after(patience_s * 2 / 3):
                        frame = await frames.next()
                    self._take(frame)
        except trio.Cancelled:
            with trio.move_on_after(0.2, shield=True):
                await self._close(stream)
            raise
        finally:
            self._stream = None

    async def _ping(self, every_s: float) -> None:
        while True:
            await trio.sleep(every_s)
            await self._send(request(Xid.PING, Op.PING))

    async def _close(self, stream: trio.SocketStream) -> None:
        """End the session, so that the server need not wait for its time to pass; it matters to nobody else."""
        try:
            await stream.send_all(request(next(self._xids) & 0x7FFFFFFF, Op.CLOSE))
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return

    async def _resume_watches(self) -> None:
        """Give the watches of this session to the server of a new connection."""
        for data, children in _chunks(self.data_watches, self.child_watches):
            await self._send(
                request(Xid.SET_WATCHES, Op.SET_WATCHES, set_watches(self._last_zxid, data, children))
            )

    def _take(self, frame: bytes) -> None:
        """One message of the server."""
        reader = Reader(frame)
        header = reader.header()
        self._last_zxid = max(self._last_zxid, header.zxid)
        if header.xid == Xid.EVENT:
            self._take_event(reader)
        elif header.xid == Xid.SET_WATCHES:
            if header.error:
                raise error_of(header.error, "watches")
        elif header.xid != Xid.PING:
            call = self._calls.get(header.xid)
            if call is None:
                return  # who asked has given up
            if header.error:
                call.error = error_of(header.error, call.path)
            else:
                # The watch counts from here on: an event may be the next message.
                watches = self.data_watches if call.op is Op.GET_DATA else self.child_watches
                watches.add(call.path)
            call.answer = reader
            call.done.set()

    def _take_event(self, reader: Reader) -> None:
        kind, _, path = reader.int32(), reader.int32(), reader.text()
        if path not in self.data_watches and path not in self.child_watches:
            return  # an event of the session, or of nothing that was asked for
        if kind in (Change.CREATED, Change.DELETED, Change.DATA):
            self.data_watches.discard(path)
        if kind in (Change.DELETED, Change.CHILDREN):
            self.child_watches.discard(path)
        self._changed(path)

    def _disconnected(self, error: BaseException) -> None:
        """Nobody waits for answers of a connection that is gone."""
        said = (
            "no word in time" if isinstance(error, trio.TooSlowError) else str(error) or type(error).__name__
        )
        why = ZooKeeperError(f"connection lost: {said}")
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.error = why
            call.done.set()
        if self._connected.is_set():
            self._connected = trio.Event()
            self._lost_at_s = trio.current_time()
        elif self._session.id and trio.current_time() - self._lost_at_s > FORGET_SESSIONS * self._timeout_s:
            # It has long expired; servers that were set up anew refuse a client that knows later transactions than they do.
            self._forget_session()
        self._failed(why)

    def _forget_session(self) -> None:
        self._session, self._last_zxid = Session(), 0
        self.data_watches.clear()
        self.child_watches.clear()
        self._lost()


class _Frames:
    """Messages out of a stream of bytes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._data = bytearray()

    async def next(self) -> bytes:
        """The next message. Raises ZooKeeperError at the end, or for one that is too big."""
        head = await self._exactly(4)
        length = int.from_bytes(head, "big", signed=True)
        if not 0 <= length <= FRAME_BYTES_MAX:
            raise ZooKeeperError(f"a message of {length} bytes; at most {FRAME_BYTES_MAX} are allowed")
        return await self._exactly(length)

    async def _exactly(self, count: int) -> bytes:
        while len(self._data) < count:
            piece = await self._stream.receive_some(65536)
            if not piece:
                raise ZooKeeperError("the server closed the connection")
            self._data += piece
        found = bytes(self._data[:count])
        del self._data[:count]
        return found


def address_of(server: str) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[address]:port`. Raises ZooKeeperError."""
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port:
        host, port = server, str(PORT)
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ZooKeeperError(f'server "{server}": "{port}" is no port')
    return host.strip("[]"), int(port)


def _chunks(data: set[str], children: set[str]) -> Iterator[tuple[list[str], list[str]]]:
    """All watches in parts that a server takes."""
    marked = [(path, 0) for path in sorted(data)] + [(path, 1) for path in sorted(children)]
    found: tuple[list[str], list[str]] = ([], [])
    size = 0
    for path, which in marked:
        if size > _SET_WATCHES_BYTES:
            yield found
            found, size = ([], []), 0
        found[which].append(path)
        size += len(path.encode()) + 4
    if size:
        yield found


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """An error that is no group."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
