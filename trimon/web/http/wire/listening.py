"""Listening sockets: bound to addresses and paths, or handed over by systemd."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from trimon.errors import OperatingError
from trimon.records import dataclass
from trimon.web.http.hosts import is_loopback

# The kernel has a bound of its own. Whoever comes in a crowd is looked at in turn, not left to try again in a second.
BACKLOG: Final = 4096
# A client that stops reading would otherwise hold its connection, and our stop, for ever.
USER_TIMEOUT_MS: Final = 30_000
UNIX: Final = "unix:"
# Owner and group may connect.
UNIX_MODE: Final = 0o660
# The first descriptor that systemd hands over.
SYSTEMD_FIRST: Final = 3
# A machine without IPv6.
NO_IPV6: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


@dataclass(frozen=True, slots=True)
class UnixPath:
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return UNIX + self.path


Address: TypeAlias = tuple[str, int] | UnixPath


def bind(addresses: Sequence[Address]) -> list[socket.socket]:
    """Listening sockets, bound early so that a port in use is one clear line. Raises OperatingError."""
    sockets: list[socket.socket] = []
    for address in addresses:
        try:
            if isinstance(address, UnixPath):
                sockets.append(_bound_path(address.path))
            elif address[0]:
                sockets.append(_bound(*address))
            else:
                sockets += _bound_everywhere(address[1])
        except OSError as error:
            for other in sockets:
                other.close()
            where = f"unix {address.path}" if isinstance(address, UnixPath) else "tcp {}:{}".format(*address)
            reason = (error.strerror or str(error)).lower()
            raise OperatingError(f"listen {where}: bind: {reason}") from None
    return sockets


def _bound_everywhere(port: int) -> list[socket.socket]:
    """Every address of both families, as `:9090` means in Go: a socket each, so that clients keep their addresses."""
    try:
        first = _bound("::", port, only_ipv6=True)
    except OSError as error:
        if error.errno not in NO_IPV6:
            raise
        return [_bound("0.0.0.0", port)]  # noqa: S104 # the user asks for every address
    try:
        return [first, _bound("0.0.0.0", first.getsockname()[1])]  # noqa: S104 # the same
    except OSError:
        first.close()
        raise


def _bound(host: str, port: int, *, only_ipv6: bool = False) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        if host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _bound_path(path: str) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~UNIX_MODE)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _remove_stale(path: str) -> None:
    """Removes a socket that nobody listens on any more: who was killed leaves it behind."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
        except OSError:
            return  # somebody is there, or it may not be asked: binding will say so


class BoundPaths:
    """The paths of Unix sockets that were bound, to be removed at the end unless somebody else has bound them since."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._paths = [
            (address.path, os.lstat(address.path).st_ino)
            for address in addresses
            if isinstance(address, UnixPath)
        ]

    def remove(self) -> None:
        """Removes them."""
        for path, number in self._paths:
            with suppress(OSError):
                if os.lstat(path).st_ino == number:
                    Path(path).unlink()


def systemd_sockets(environment: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd listens on for us. Raises OperatingError when it has handed over none, or others."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID", "") != str(os.getpid()) or not count.isdigit() or int(count) < 1:
        raise OperatingError("no socket file descriptors found: systemd has handed over none")
    sockets = [socket.socket(fileno=SYSTEMD_FIRST + number) for number in range(int(count))]
    for listener in sockets:
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if listener.type != socket.SOCK_STREAM or not listens:
            raise OperatingError(
                f"socket {listener.fileno()} of systemd is not one that accepts connections of streams"
            )
        listener.setblocking(False)
        os.set_inheritable(listener.fileno(), False)
        if listener.family != socket.AF_UNIX:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    return sockets


def shown_address(listener: socket.socket) -> str:
    """Where a socket listens, as people write it."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return UNIX + (name if isinstance(name, str) else name.decode("utf-8", "replace"))
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def is_open(listener: socket.socket) -> bool:
    """Whether others than this machine may reach a socket."""
    return listener.family != socket.AF_UNIX and not is_loopback(str(listener.getsockname()[0]))
