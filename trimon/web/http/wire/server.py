"""The web actor: sockets that are bound before anything starts, and connections that are counted."""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ConnectionState, Scope

from trimon import limits
from trimon.actors.kernel.report import CrashReports
from trimon.web.auth.handshake import Handshakes, TlsStream
from trimon.web.auth.security import CurrentSecurity
from trimon.web.http.messages import set_crowded
from trimon.web.http.wire.arrivals import Arrivals
from trimon.web.http.wire.connection import ServerConnection
from trimon.web.http.wire.connections import Connections, Phase, Place
from trimon.web.http.wire.directstream import DirectStream
from trimon.web.http.wire.exchange import Exchanges
from trimon.web.http.wire.hangups import Hangups
from trimon.web.http.wire.knownheads import KnownHeads
from trimon.web.http.wire.listening import is_open, shown_address

# As Go's: a query may be in the target.
HEAD_BYTES_MAX: Final = 2**20
DRAIN_S: Final = 10.0
# The machine has no file or memory left for one more connection: those that are open may end meanwhile.
FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
FULL_PAUSE_S: Final = 0.1
# Nobody is there to be accepted, or has gone again.
PASSING: Final = frozenset(
    {errno.EAGAIN, errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH}
)
# So many at a time; whatever else waits for the loop has its turn between them.
ACCEPTED_MAX: Final = 32
SLOW_EVERY_S: Final = 5.0


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.keep_alive_max_requests = 2**31  # a client that goes on asking is welcome
    config.read_timeout = None
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.graceful_timeout = DRAIN_S
    return config


class WebActor:
    """Serves the application on the bound sockets, at most `connections_max` connections at once, and a few for probes.

    Owns: the listening sockets and every open connection.
    Receives: nothing; requests come from the network.
    Sends: what the routes send.
    Crashes when: it has a bug; one of the HTTP server ends its connection and leaves a report, a route's is a 500
    and a report.
    On restart: the sockets stay bound, open connections are gone.
    """

    def __init__(
        self,
        app: ASGIFramework,
        sockets: Sequence[socket.socket],
        connections_max: int,
        reports: CrashReports | None = None,
        connections_kept: int = limits.CONNECTIONS_KEPT,
        security: CurrentSecurity | None = None,
        read_timeout_s: float = math.inf,
    ) -> None:
        self._app = app
        self._sockets = sockets
        self.connections = Connections(connections_max, connections_kept)
        self._reports = reports if reports is not None else CrashReports()
        self._security = security if security is not None else CurrentSecurity()
        self._security.open_addresses = self._open_addresses
        self._read_timeout_s = read_timeout_s
        self.handshakes = Handshakes()
        self._accepting = trio.CancelScope()
        self._arrivals: Arrivals | None = None
        self._draining = False
        self._failed = 0
        self._requests = 0
        self._quiet = trio.Event()

    async def run(self) -> None:
        """Accepts until drained, then lets open requests finish."""
        self._accepting = trio.CancelScope()  # a scope serves one run
        if self._draining:
            self._accepting.cancel()
        config = _config()
        worker = WorkerContext(None)
        app = ASGIWrapper(self._counted)
        exchanges = Exchanges(KnownHeads(), Hangups())
        server = partial(
            ServerConnection, app, config, worker, exchanges=exchanges, read_timeout_s=self._read_timeout_s
        )
        async with trio.open_nursery() as connections:
            connections.start_soon(exchanges.hangups.run)

            def serve(accepted: socket.socket, place: Place) -> None:
                stream = DirectStream(accepted)
                place.close = stream.socket.close
                connections.start_soon(self._serve, server, stream, place)

            arrivals = self._arrivals = Arrivals(self.connections, serve)
            try:
                await self._accept_all(arrivals)
                await worker.terminated.set()
                # connections that are merely kept open need not be waited for
                with trio.move_on_after(DRAIN_S):
                    while self._requests:
                        self._quiet = trio.Event()
                        await self._quiet.wait()
            finally:
                # A piece of an answer that nobody reads is not cancelled, it fails.
                self.connections.close_all()
            connections.cancel_scope.cancel()

    async def _accept_all(self, arrivals: Arrivals) -> None:
        """Accepts from all sockets until drained."""
        with self._accepting:
            async with trio.open_nursery() as acceptors:
                acceptors.start_soon(arrivals.run)
                for listener in self._sockets:
                    acceptors.start_soon(self._accept, listener.dup(), arrivals)
                acceptors.start_soon(self._end_slow_readers)

    async def _counted(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """The application, with requests counted while they are answered."""
        self._requests += 1
        beyond = self._requests - self.connections.most
        if beyond > 0 and scope["type"] == "http":
            set_crowded(scope, for_loopback=beyond <= self.connections.kept // 2)
        try:
            await self._app(scope, receive, send)
        except* MemoryError:  # want of memory is no bug: the connection ends
            raise
        except* Exception as errors:  # the HTTP server says nothing of it
            self._reports.add(f"web{scope.get('path', '')}", 1, errors, 0.0, "")
            raise
        finally:
            self._requests -= 1
            if not self._requests:
                self._quiet.set()

    def drain(self) -> None:
        """No new connections; those that are idle close, those with a request finish it."""
        self._draining = True
        self._accepting.cancel()
        # the machine would go on taking connections that nobody will serve
        for listener in self._sockets:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)

    async def _accept(self, listener: socket.socket, arrivals: Arrivals) -> None:
        with listener:
            listener.setblocking(False)
            while True:
                await self.connections.room()
                await trio.lowlevel.wait_readable(listener)
                if not self._take_some(listener, arrivals):
                    await trio.sleep(FULL_PAUSE_S)

    def _take_some(self, listener: socket.socket, arrivals: Arrivals) -> bool:
        """Takes what has come, up to some; whether the machine has files and memory for more."""
        for _ in range(ACCEPTED_MAX):
            if self.connections.full:
                return True
            try:
                accepted, address = listener.accept()
            except OSError as error:
                if error.errno in PASSING:
                    return True
                if error.errno in FULL:
                    self.connections.end_oldest("files")
                elif not self._draining:
                    raise
                return False
            # A Unix socket has no address; whoever reaches it is on this machine.
            arrivals.add(accepted, str(address[0]) if isinstance(address, tuple) else "")
        return True

    async def _end_slow_readers(self) -> None:
        while True:
            await trio.sleep(SLOW_EVERY_S)
            self.connections.end_slow_readers(limits.ANSWER_PIECE_S)

    async def _serve(self, server: partial[ServerConnection], stream: DirectStream, place: Place) -> None:
        began_s = trio.current_time()
        try:
            shaken = await self._with_tls(stream, place)
            if shaken is not None:
                await server(ConnectionState({}), shaken, place)
        except* MemoryError:
            self._failed += 1
        except* Exception as errors:  # noqa: BLE001 # what one client does must not end all connections
            self._failed += 1
            self._reports.add("web/connection", 1, errors, trio.current_time() - began_s, "")
        finally:
            stream.socket.close()  # when cancelled, the HTTP server leaves it open
            self.connections.leave(place)

    async def _with_tls(self, stream: DirectStream, place: Place) -> DirectStream | TlsStream | None:
        """The connection as requests come over it; None when there is none after all."""
        tls = self._security.now.tls
        if tls is None:
            return stream
        place.enter(Phase.HEAD, trio.current_time())
        shaken = await self.handshakes.wrapped(stream.inner, tls)
        place.enter(Phase.IDLE, trio.current_time())
        return shaken

    def _open_addresses(self) -> list[str]:
        return [shown_address(listener) for listener in self._sockets if is_open(listener)]

    def inspect(self) -> Mapping[str, object]:
        """Addresses, and how many connections there are and were."""
        return {
            "addresses": list(map(shown_address, self._sockets)),
            "connections": len(self.connections),
            "connections_without_request": len(self._arrivals) if self._arrivals is not None else 0,
            "connections_max": self.connections.most,
            "served": self.connections.served,
            "closed": dict(self.connections.closed),
            "failed": self._failed,
            "handshakes": dict(self.handshakes.outcomes),
            "requests": self._requests,
        }
