"""Opening a connection: looking a name up, connecting, TLS, and what is said of it when it fails."""

from __future__ import annotations

import errno
import os
import random
import socket
import ssl
from collections.abc import Callable
from urllib.parse import SplitResult

import trio

from trimon.fetch.handshake import shake_hands
from trimon.fetch.request import FetchError
from trimon.fetch.times import ExchangeTimes
from trimon.fetch.url import dialled_host, port_of
from trimon.records import dataclass

TLS_HANDSHAKE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a connection goes; `unix_socket` goes before host and port.

    With `any_address` a name with several addresses means one of them by chance, for each connection anew.
    """

    host: str
    port: int
    secure: bool
    unix_socket: str = ""
    any_address: bool = False

    @classmethod
    def of(cls, url: SplitResult, unix_socket: str = "", *, any_address: bool = False) -> PeerAddress:
        """The endpoint of a URL that `split_url` gave; port by scheme where none is given."""
        return cls(dialled_host(url), port_of(url), url.scheme == "https", unix_socket, any_address)


async def secured(
    stream: trio.SocketStream, tls: Callable[[], ssl.SSLContext], server_name: str
) -> trio.SSLStream[trio.SocketStream]:
    """The stream after a TLS handshake. Raises FetchError."""
    try:
        context = tls()
    except (OSError, ValueError) as error:
        raise FetchError(f"tls: {error}") from None
    try:
        secure = trio.SSLStream(stream, context, server_hostname=server_name, https_compatible=True)
        with trio.fail_after(TLS_HANDSHAKE_TIMEOUT_S):
            await shake_hands(secure)
    except trio.TooSlowError:
        raise FetchError("net/http: TLS handshake timeout") from None
    except (trio.BrokenResourceError, ssl.SSLError, ValueError, TypeError) as error:
        # the last two are about the name of the server: too long, with a null byte, with a dot at its beginning
        raise FetchError(f"tls: {reason_of(error.__cause__ or error)}") from None
    return secure


async def dial(endpoint: PeerAddress, times: ExchangeTimes) -> trio.SocketStream:
    """An open connection without TLS. Raises FetchError."""
    times.begin()
    try:
        stream = await _dialed(endpoint, times)
    finally:
        times.connected()
    return stream


async def _dialed(endpoint: PeerAddress, times: ExchangeTimes) -> trio.SocketStream:
    try:
        if endpoint.unix_socket:
            return await trio.open_unix_socket(endpoint.unix_socket)
        family = _family(endpoint.host)
        if family is not None:
            return await _connect(family, endpoint.host, endpoint.port)
        found = await trio.socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
        times.resolved()
        addresses = {
            (family, str(address[0])) for family, _, _, _, address in found if "%" not in str(address[0])
        }
        if len(addresses) == 1 or (addresses and endpoint.any_address):
            only, host = random.choice(sorted(addresses))  # noqa: S311 # nobody gains by guessing it
            return await _connect(only, host, endpoint.port)
        # Of several the first that answers counts; for that race the name is looked up once more.
        return await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except (OSError, ValueError) as error:
        where = (
            f"unix {endpoint.unix_socket}" if endpoint.unix_socket else f"tcp {endpoint.host}:{endpoint.port}"
        )
        raise FetchError(f"dial {where}: {reason_of(error)}") from None


def _family(host: str) -> socket.AddressFamily | None:
    """The family of a host that is an address; None for a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    return family


async def _connect(family: int, host: str, port: int) -> trio.SocketStream:
    """Connects to an address. There is one to try: no race of tasks, and no cycles of their errors for the collector.

    A refusal by this machine, known at once, costs three system calls: each lets go of the interpreter's lock, which a busy
    thread then has for half a millisecond.
    """
    connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await trio.lowlevel.checkpoint_if_cancelled()
        code = connecting.connect_ex((host, port))
        if code == errno.EINPROGRESS:
            code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                await trio.lowlevel.wait_writable(connecting)
                code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        connecting.close()
        raise
    return trio.SocketStream(trio.socket.from_stdlib_socket(connecting))


def reason_of(error: BaseException) -> str:
    """The innermost cause in the words of Go's network library, which operators know by heart."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"failed to verify certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        # Its number is not the system's: 1 would be "operation not permitted".
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return "first record does not look like a TLS handshake"
        return error.reason.lower().replace("_", " ")
    if isinstance(error, socket.gaierror | UnicodeError):  # the latter: a name that DNS cannot hold
        return "no such host"
    if isinstance(error, ExceptionGroup):  # trio's report of every address it tried
        return reason_of(error.exceptions[-1])
    inner = error.__cause__ or error.__context__
    if isinstance(inner, OSError | ExceptionGroup):
        return reason_of(inner)
    if isinstance(error, OSError) and error.strerror:
        # trio wraps the text of one attempt: "[Errno 111] ClientConnection refused" is what counts
        text = os.strerror(error.errno) if error.errno else error.strerror
        return f"connect: {text.lower()}" if isinstance(error, ConnectionError) else text.lower()
    return str(error) or type(error).__name__
