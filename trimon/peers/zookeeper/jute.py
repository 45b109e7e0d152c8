"""The bytes of ZooKeeper's protocol: what is asked, and what comes back.

Source: zookeeper.jute and the programmer's guide (https://zookeeper.apache.org/doc/current/zookeeperProgrammers.html). All
is big-endian; a text or a buffer has its length before it, -1 for none; before each message stands its length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from trimon.errors import OperatingError
from trimon.records import dataclass

# A server answers at most jute.maxbuffer (1 MiB unless it is set), and somewhat more for the rest.
FRAME_BYTES_MAX: Final = 16 * 2**20
NO_NODE: Final = -101
SESSION_EXPIRED: Final = -112
PASSWORD_BYTES: Final = 16
_ERRORS: Final = {
    -4: "connection lost",
    -5: "request cannot be read",
    -6: "unknown request",
    -7: "operation timed out",
    -8: "bad arguments",
    -102: "no permission",
    SESSION_EXPIRED: "session expired",
    -115: "authentication failed",
    -118: "session moved",
}


class ZooKeeperError(OperatingError):
    """The server cannot be reached, refused something, or says what cannot be understood. `code` is 0 without one."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class NoNode(ZooKeeperError):
    """There is no such path."""


class Xid(IntEnum):
    """Numbers of messages that are no answer to a request of its own number."""

    EVENT = -1
    PING = -2
    SET_WATCHES = -8


class Op(IntEnum):
    """What is asked for."""

    GET_DATA = 4
    PING = 11
    GET_CHILDREN = 12
    SET_WATCHES = 101
    CLOSE = -11


class Change(IntEnum):
    """What an event tells of a path."""

    CREATED = 1
    DELETED = 2
    DATA = 3
    CHILDREN = 4


@dataclass(frozen=True, slots=True)
class Session:
    """What a server knows a client by."""

    id: int = 0
    password: bytes = bytes(PASSWORD_BYTES)
    timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before each answer."""

    xid: int
    zxid: int
    error: int


class Reader:
    """Fields of one message, one after the other. Raises ZooKeeperError when there is no more."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _unpacked(self, form: struct.Struct) -> int:
        try:
            (value,) = form.unpack_from(self._data, self._at)
        except struct.error:
            raise ZooKeeperError(f"a message of {len(self._data)} bytes is too short") from None
        self._at += form.size
        return int(value)

    def int32(self) -> int:
        """A number of 4 bytes."""
        return self._unpacked(_INT)

    def int64(self) -> int:
        """A number of 8 bytes."""
        return self._unpacked(_LONG)

    def buffer(self) -> bytes:
        """Bytes with their length; none is empty."""
        length = self.int32()
        if length < 0:
            return b""
        if length > len(self._data) - self._at:
            raise ZooKeeperError(f"a field of {length} bytes in a message of {len(self._data)}")
        self._at += length
        return self._data[self._at - length : self._at]

    def text(self) -> str:
        """A text."""
        try:
            return self.buffer().decode("utf-8")
        except UnicodeDecodeError:
            raise ZooKeeperError("a path is not UTF-8") from None

    def texts(self) -> list[str]:
        """A list of texts."""
        count = self.int32()
        if count > (len(self._data) - self._at) // _INT.size:
            raise ZooKeeperError(f"a list of {count} texts in a message of {len(self._data)} bytes")
        return [self.text() for _ in range(count)]

    def header(self) -> Header:
        """The header of an answer."""
        return Header(self.int32(), self.int64(), self.int32())

    def session(self) -> Session:
        """The answer to a greeting."""
        self.int32()
        timeout_ms, number = self.int32(), self.int64()
        return Session(number, self.buffer() or bytes(PASSWORD_BYTES), timeout_ms)


_INT: Final = struct.Struct(">i")
_LONG: Final = struct.Struct(">q")


def framed(message: bytes) -> bytes:
    """A message with its length before it."""
    return _INT.pack(len(message)) + message


def greeting(session: Session, last_zxid: int, timeout_ms: int) -> bytes:
    """The first message of a connection: a new session, or one that goes on."""
    return framed(
        struct.pack(">iqiq", 0, last_zxid, timeout_ms, session.id) + _buffer(session.password) + b"\0"
    )


def request(xid: int, op: Op, body: bytes = b"") -> bytes:
    """A request."""
    return framed(struct.pack(">ii", xid, op) + body)


def watched_path(path: str) -> bytes:
    """The body of a request about a path that is to be watched."""
    return _buffer(path.encode()) + b"\1"


def set_watches(last_zxid: int, data: Iterable[str], children: Iterable[str]) -> bytes:
    """The body of a request to go on watching, and to be told of what changed since a transaction."""
    return _LONG.pack(last_zxid) + _vector(data) + _vector(()) + _vector(children)


def error_of(code: int, path: str) -> ZooKeeperError:
    """The error of an answer."""
    if code == NO_NODE:
        return NoNode(f"path {path} does not exist", code)
    return ZooKeeperError(f"{path}: {_ERRORS.get(code, f'error {code}')}", code)


def _buffer(data: bytes) -> bytes:
    return _INT.pack(len(data)) + data


def _vector(texts: Iterable[str]) -> bytes:
    parts = [_buffer(text.encode()) for text in texts]
    return _INT.pack(len(parts)) + b"".join(parts)
