"""The actor of gRPC: listening sockets of its own, and bounded connections."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import trio

from trimon.actors.kernel.report import CrashReports
from trimon.web.auth.handshake import Handshakes, TlsStream
from trimon.web.auth.security import CurrentSecurity
from trimon.web.grpc.calls import Calls
from trimon.web.grpc.connection import Budget, GrpcConnection
from trimon.web.grpc.messages import Message, Reply
from trimon.web.http.wire.listening import shown_address
from trimon.web.http.wire.server import FULL, FULL_PAUSE_S, PASSING

CONNECTIONS_MAX: Final = 256
DRAIN_S: Final = 10.0


class GrpcActor:
    """Serves calls of OTLP on the bound sockets.

    Owns: the listening sockets and every open connection.
    Receives: nothing; calls come from the network.
    Sends: what the routes send.
    Crashes when: it has a bug; one of a connection ends it and leaves a report.
    On restart: the sockets stay bound, open connections are gone.
    """

    def __init__(
        self,
        calls: Calls,
        sockets: Sequence[socket.socket],
        reports: CrashReports,
        security: CurrentSecurity,
        handshakes: Handshakes,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._calls = calls
        self._sockets = sockets
        self._reports = reports
        self._security = security
        self._handshakes = handshakes
        self._connections_max = connections_max
        self._connections: set[GrpcConnection] = set()
        self._shaking = 0
        self._budget = Budget()
        self._accepting = trio.CancelScope()
        self._draining = False
        self._served = self._refused = self._failed = 0

    async def run(self) -> None:
        """Accepts until drained, then lets open calls finish."""
        self._accepting = trio.CancelScope()
        if self._draining:
            self._accepting.cancel()
        async with trio.open_nursery() as connections:
            with self._accepting:
                async with trio.open_nursery() as acceptors:
                    for listener in self._sockets:
                        acceptors.start_soon(self._accept, listener.dup(), connections)
            for connection in list(self._connections):
                connection.drain()
            connections.cancel_scope.deadline = trio.current_time() + DRAIN_S

    def drain(self) -> None:
        """No new connections and calls; calls that are there are answered."""
        self._draining = True
        self._accepting.cancel()
        for listener in self._sockets:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)

    async def _accept(self, listener: socket.socket, connections: trio.Nursery) -> None:
        with listener:
            listener.setblocking(False)
            while True:
                await trio.lowlevel.wait_readable(listener)
                try:
                    accepted, address = listener.accept()
                except OSError as error:
                    if error.errno in PASSING:
                        continue
                    if error.errno not in FULL and not self._draining:
                        raise
                    await trio.sleep(FULL_PAUSE_S)
                    continue
                if not self._has_room():
                    self._refused += 1
                    accepted.close()
                    continue
                client = (str(address[0]), int(address[1])) if isinstance(address, tuple) else ("", 0)
                connections.start_soon(self._serve, accepted, client)

    def _has_room(self) -> bool:
        """Whether one more connection may be; the one that has been idle for longest makes room."""
        if len(self._connections) + self._shaking < self._connections_max:
            return True
        idle = [connection for connection in self._connections if connection.is_idle]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.idle_since_s)
        self._connections.discard(oldest)
        oldest.end()
        return True

    async def _serve(self, accepted: socket.socket, client: tuple[str, int]) -> None:
        accepted.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(accepted))
        began_s = trio.current_time()
        self._served += 1
        try:
            shaken = await self._with_tls(stream)
            if shaken is None:
                return
            scheme = "https" if isinstance(shaken, TlsStream) else "http"

            async def answer(headers: Mapping[str, str], message: Message) -> Reply:
                return await self._calls.answer(headers, message, client, scheme)

            connection = GrpcConnection(shaken, answer, self._budget)
            self._connections.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.discard(connection)
        except* MemoryError:
            self._failed += 1
        except* Exception as errors:  # noqa: BLE001 # what one client does must not end all connections
            self._failed += 1
            self._reports.add("otlp-grpc/connection", 1, errors, trio.current_time() - began_s, "")
        finally:
            stream.socket.close()

    async def _with_tls(self, stream: trio.SocketStream) -> trio.SocketStream | TlsStream | None:
        tls = self._security.now.tls
        if tls is None:
            return stream
        self._shaking += 1
        try:
            return await self._handshakes.wrapped(stream, replace(tls, context=tls.http2_context))
        finally:
            self._shaking -= 1

    def inspect(self) -> Mapping[str, object]:
        """Addresses, and how many connections there are and were."""
        return {
            "addresses": list(map(shown_address, self._sockets)),
            "connections": len(self._connections),
            "connections_max": self._connections_max,
            "served": self._served,
            "refused": self._refused,
            "failed": self._failed,
            "message_bytes": self._budget.taken_bytes,
        }
