"""The beginning of a connection with TLS: in time, with a certificate that is welcome, or not at all."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import trio

from trimon import limits
from trimon.fetch.handshake import shake_hands
from trimon.selfmetrics import MetricFamily
from trimon.web.auth.tls import ServerTls

OUTCOMES: Final = {
    "ok": "TLS was agreed upon.",
    "client_certificate": "The client had no certificate, or one that could not be verified.",
    "client_name": "No name in the client's certificate is among those allowed.",
    "plain_http": "The client spoke HTTP without TLS.",
    "protocol": "There was no version or cipher suite in common, or what came was no TLS.",
    "slow": "It took too long.",
    "gone": "The client left, or was turned away for others.",
}
# As Go's server says it.
_PLAIN_HTTP: Final = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
# So long the end of a connection may take, and what is told to a client that is turned away.
CLOSE_S: Final = 1.0
_READ_BYTES: Final = 64 * 1024
_CERTIFICATE_MISSING: Final = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


class TlsStream:
    """A connection with TLS, whose end keeps nobody waiting; it has what the HTTP server asks such a stream for."""

    def __init__(self, transport: trio.SocketStream, context: ssl.SSLContext) -> None:
        self._inner = trio.SSLStream(transport, context, server_side=True)
        self.transport_stream = transport
        self.do_handshake = self._inner.do_handshake
        self.send_all = self._inner.send_all
        self.receive_some = self._inner.receive_some

    async def shake_hands(self) -> None:
        """Agrees upon all of it. Raises BrokenResourceError, ClosedResourceError; may be called once."""
        await shake_hands(self._inner)

    @property
    def tls(self) -> ssl.SSLObject:
        """What was agreed upon, once the handshake is done."""
        found = self._inner._ssl_object  # the stream shows all of it but the certificate
        assert isinstance(found, ssl.SSLObject)
        return found

    def selected_alpn_protocol(self) -> str:
        """HTTP/1.1 is all that is offered."""
        return "http/1.1"

    async def aclose(self) -> None:
        """Says that it ends, if the client still listens, and closes."""
        # Another task may have closed it, or the client may have, at this moment.
        with trio.move_on_after(CLOSE_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._inner.aclose()
        self.transport_stream.socket.close()

    async def send_alert(self) -> None:
        """Sends what the library has said about a handshake that failed, which the stream keeps for itself."""
        data = self._inner._outgoing.read()  # see above
        if data:
            with trio.move_on_after(CLOSE_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.transport_stream.send_all(data)


class Handshakes:
    """Wraps connections in TLS, and counts how that went. Only on the loop's thread."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))

    async def wrapped(self, transport: trio.SocketStream, tls: ServerTls) -> TlsStream | None:
        """The connection with TLS; None when there is none with this client."""
        if _speaks_plainly(transport.socket):
            self.outcomes["plain_http"] += 1
            await _tell_plainly(transport)
            return None
        stream = TlsStream(transport, tls.context)
        outcome = await self._shaken(stream)
        if outcome == "ok":
            if tls.allows(stream.tls):
                self.outcomes["ok"] += 1
                return stream
            outcome = "client_name"
            await stream.aclose()
        elif outcome in ("client_certificate", "protocol"):
            await stream.send_alert()
        self.outcomes[outcome] += 1
        return None

    async def _shaken(self, stream: TlsStream) -> str:
        try:
            with trio.fail_after(limits.REQUEST_HEAD_S):
                await stream.shake_hands()
        except trio.TooSlowError:
            return "slow"
        except trio.ClosedResourceError:
            return "gone"
        except trio.BrokenResourceError as error:
            return _outcome_of(error.__cause__)
        return "ok"

    def metrics(self) -> Iterator[MetricFamily]:
        """trimon_web_tls_handshakes_total."""
        yield MetricFamily(
            "trimon_web_tls_handshakes_total",
            "Connections that began with TLS, by how that went.",
            "counter",
            [((outcome,), float(count)) for outcome, count in self.outcomes.items()],
            ("outcome",),
        )


def _outcome_of(cause: BaseException | None) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "client_certificate"
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) or not isinstance(cause, ssl.SSLError):
        return "gone"
    return "client_certificate" if cause.reason == _CERTIFICATE_MISSING else "protocol"


def _speaks_plainly(connection: trio.socket.SocketType) -> bool:
    """Whether what came first is the name of a method, where a handshake would begin with a byte below all letters."""
    with suppress(OSError):
        first = socket.fromfd(connection.fileno(), connection.family, connection.type)
        with first:
            return first.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT).isalpha()
    return False


async def _tell_plainly(transport: trio.SocketStream) -> None:
    with trio.move_on_after(CLOSE_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        # What is not read would reset the connection, and with it what is told.
        await transport.receive_some(_READ_BYTES)
        await transport.send_all(_PLAIN_HTTP)
        await transport.send_eof()
