"""Files that are opened for reading: only regular ones, which keep nobody waiting, read by offset.

Nothing is mapped into memory: the kernel kills a process that touches a page of a map whose file was cut meanwhile, or
whose disk fails. A read of the same bytes is short, or an OSError.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

# What a file that is read as a whole may have: the largest there is, of metadata, stays far below.
READ_BYTES_MAX: Final = 512 * 2**20
_PIECE_BYTES: Final = 16 * 2**20
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def os_errors(path: str | Path) -> Iterator[None]:
    """Inside, a path that the system cannot even be asked about, such as one with a NUL, is an OSError like others."""
    try:
        yield
    except UnicodeDecodeError:  # of what is in the file
        raise
    except ValueError:
        raise OSError(errno.EINVAL, "Invalid argument", str(path)) from None


class OddFileError(OSError):
    """Under the name of a file stands something that is none, or that is far larger than such a file ever is."""


def require_regular(path: Path, bytes_max: int | None = None) -> None:
    """Before a file is read that must not keep its reader waiting: a pipe, a device and what is too large are OSErrors."""
    with os_errors(path):
        found = path.stat()
    _check(path, found, bytes_max)


def _check(path: Path, found: os.stat_result, bytes_max: int | None = None) -> None:
    what = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "")
    if what:
        raise OddFileError(
            errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL,
            f"it is {what}, not a regular file",
            str(path),
        )
    if bytes_max is not None and found.st_size > bytes_max:
        raise OddFileError(
            errno.EFBIG, f"it has {found.st_size} bytes, but {bytes_max} are the most", str(path)
        )


def open_regular(path: Path, flags: int = os.O_RDONLY, bytes_max: int | None = None) -> int:
    """The descriptor of a regular file. Never waits, as opening a pipe does. Raises OddFileError, OSError."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OddFileError(errno.ELOOP, "it is a symbolic link in a circle", str(path)) from None
        require_regular(path, bytes_max)
        raise
    try:
        _check(path, os.fstat(descriptor), bytes_max)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class ReadFile(Protocol):
    """An open file that is read by offset, from any thread. It outlives a removal of the file."""

    @property
    def size_bytes(self) -> int:
        """Bytes it had when it was opened."""
        ...

    def read(self, offset: int, size_bytes: int) -> bytes:
        """These bytes, or fewer where the file ends, which it may do earlier than when it was opened. Raises OSError."""
        ...


class DiskReadFile:
    """A regular file of the disk; it is closed with its last reference."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        self._descriptor = open_regular(path)
        self.size_bytes = os.fstat(self._descriptor).st_size

    def read(self, offset: int, size_bytes: int) -> bytes:
        """These bytes, or fewer."""
        data = os.pread(self._descriptor, size_bytes, offset)
        if len(data) == size_bytes or not data:
            return data
        # A signal or the kernel's limit of 2 GiB made it shorter, or the file ends here.
        parts = [data]
        missing = size_bytes - len(data)
        while missing and (data := os.pread(self._descriptor, missing, offset + size_bytes - missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def read_regular(path: Path, bytes_max: int = READ_BYTES_MAX) -> bytes:
    """The content of a regular file. Never waits for it. Raises OddFileError, OSError."""
    descriptor = open_regular(path, bytes_max=bytes_max)
    try:
        data = _read(descriptor, path, bytes_max, wait_s=0.0)
    finally:
        os.close(descriptor)
    if len(data) > bytes_max:  # what the kernel makes up as it is read has no size before
        raise OddFileError(errno.EFBIG, f"it has more than {bytes_max} bytes, which are the most", str(path))
    return data


def read_start(path: Path, size_bytes: int, wait_s: float) -> bytes:
    """The first bytes of a file or of a pipe, which may keep its reader waiting for each piece so long. Raises OSError."""
    with os_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return _read(descriptor, path, size_bytes - 1, wait_s=0.0 if regular else wait_s)
    finally:
        os.close(descriptor)


def read_at_once(path: Path, size_bytes: int) -> bytes:
    """The first bytes of a file, or of a device that has them now. Raises OddFileError for a pipe, OSError."""
    with os_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):  # one that nobody feeds yet looks like an empty file
            raise OddFileError(errno.EINVAL, "it is a pipe, not a regular file", str(path))
        return _read(descriptor, path, size_bytes - 1, wait_s=0.0)
    finally:
        os.close(descriptor)


def _read(descriptor: int, path: Path, bytes_max: int, wait_s: float) -> bytes:
    """All up to a byte more than the most. What looks like a file may have nothing now, as kernel logs do."""
    parts: list[bytes] = []
    left = bytes_max + 1
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while left:
        # A pipe that nobody has opened for writing yet reads as empty: it is waited for first.
        if wait_s and not poll.poll(wait_s * 1000):
            raise OddFileError(errno.ETIMEDOUT, f"nothing came within {wait_s:g} s", str(path))
        try:
            part = os.read(descriptor, min(left, _PIECE_BYTES))
        except BlockingIOError:
            raise OddFileError(
                errno.EAGAIN, "it keeps its reader waiting, as no regular file does", str(path)
            ) from None
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
