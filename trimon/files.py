"""The disk as a seam: every file operation of storage goes through here, so that a test can make it fail.

Paths are `pathlib.Path`. Every operation raises `OSError`, as the system does; storage turns it into an
OperatingError where it knows what was being done.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Protocol

from trimon.errors import OperatingError
from trimon.openfiles import READ_BYTES_MAX, DiskReadFile, ReadFile, open_regular, read_regular


def is_full(error: OSError) -> bool:
    """Whether there was no room on the disk, or none left for this user."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class AppendFile(Protocol):
    """A file that only grows, except for cutting off a torn end."""

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: bytes) -> None:
        """Write all of `data` at the end; what was written of it stays in the file when it fails."""
        ...

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to `size_bytes`; writing goes on from there."""
        ...

    def sync(self) -> None:
        """Wait until the medium holds everything written."""
        ...

    def close(self) -> None:
        """Close; without syncing."""
        ...


class OverwrittenFile(Protocol):
    """A file whose bytes are written anew in place."""

    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data` from `offset` on; a crash may leave any part of it."""
        ...

    def sync(self) -> None:
        """Wait until the medium holds everything written."""
        ...

    def close(self) -> None:
        """Close; without syncing. A closed one may be closed again."""
        ...


class DirectoryLock(Protocol):
    """A lock that ends with the process that holds it."""

    def release(self) -> None:
        """Give the lock back and remove its file."""
        ...

    def abandon(self) -> None:
        """Give the lock back; its file may be another one by now, and stays."""
        ...


class Files(Protocol):
    """The file system."""

    def create(self, path: Path) -> AppendFile:
        """A new, empty file; it must not exist."""
        ...

    def read(self, path: Path, bytes_max: int = READ_BYTES_MAX) -> bytes:
        """The whole content. Raises OddFileError where the name is not that of a regular file, or of one far too large."""
        ...

    def open(self, path: Path) -> ReadFile:
        """A file to read parts of; closed with the last reference. Raises OddFileError if it is no regular file."""
        ...

    def write_atomic(self, path: Path, data: bytes) -> None:
        """Replace `path` by a file that holds `data`: all of it or, after a crash, the old content. Its mode and owner stay."""
        ...

    def overwrite(self, path: Path) -> OverwrittenFile:
        """An existing file, to be written in place."""
        ...

    def names(self, directory: Path) -> list[str]:
        """Names in a directory, ascending; empty if there is no such directory."""
        ...

    def is_directory(self, path: Path) -> bool:
        """Whether `path` is a directory."""
        ...

    def size(self, path: Path) -> int:
        """Bytes of a file."""
        ...

    def identity(self, path: Path) -> Hashable | None:
        """Stands for a directory as long as it is open, also after a move; None if there is no directory."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents; no error if it exists."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Move a file or directory within one file system, atomically."""
        ...

    def link(self, existing: Path, new: Path) -> None:
        """A second name for the same content."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file; no error if it is gone."""
        ...

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and all below it; no error if it is gone."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Wait until the medium holds the directory's names."""
        ...

    def truncate(self, path: Path, size_bytes: int) -> None:
        """Cut a closed file to `size_bytes`."""
        ...

    def sync(self, path: Path) -> None:
        """Wait until the medium holds what was written to a closed file."""
        ...

    def lock(self, path: Path) -> DirectoryLock:
        """Take the lock file. Raises OperatingError with the owner's pid if another process has it."""
        ...

    def disk_bytes(self, path: Path) -> tuple[int, int]:
        """Total and free bytes of the file system."""
        ...


class _Descriptor:
    """A plain descriptor that is written to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _DiskAppendFile(_Descriptor):
    """One that is written to at its end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        return self._size_bytes

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self._size_bytes += written
            view = view[written:]

    def truncate(self, size_bytes: int) -> None:
        os.ftruncate(self._descriptor, size_bytes)
        self._size_bytes = size_bytes


class _DiskOverwrittenFile(_Descriptor):
    """One that is written to by offset."""

    def write_at(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            offset += written
            view = view[written:]

    def __del__(self) -> None:
        self.close()


class _FlockedFile:
    """A lock file held with flock; it holds the pid in decimal, if there is room for it.

    Its directory is held, too, and alone where the disk has no room for a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptors: list[int] = []
        try:
            self._take(open_regular(path, os.O_RDWR | os.O_CREAT))
        except OSError as error:
            if not is_full(error):
                raise
        else:
            self._write_pid(self._descriptors[0])
        try:
            self._take(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OperatingError:
            self._close()
            raise

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise OperatingError(f"{self._path.parent} is in use by another process{self._owner()}") from None
        self._descriptors.append(descriptor)

    def _owner(self) -> str:
        try:
            owner = read_regular(self._path)[:32].decode("ascii", "replace").strip()
        except OSError:
            return ""
        return f" (pid {owner})" if owner.isdecimal() else ""

    def _write_pid(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        try:
            os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        except OSError as error:
            if not is_full(error):
                raise

    def _close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def release(self) -> None:
        if self._descriptors:
            self._path.unlink(missing_ok=True)
            self._close()

    def abandon(self) -> None:
        self._close()


def _keep_access(old: Path, new: Path) -> None:
    """Give an empty file the mode and, where the process may, the owner of the one it replaces."""
    try:
        found = old.stat()
    except OSError:
        return
    made = new.stat()
    if (found.st_uid, found.st_gid) != (made.st_uid, made.st_gid):
        with contextlib.suppress(PermissionError):
            os.chown(new, found.st_uid, found.st_gid)
    if found.st_mode != made.st_mode:
        new.chmod(stat.S_IMODE(found.st_mode))


class DiskFiles:
    """The real file system."""

    def create(self, path: Path) -> AppendFile:
        """A new, empty file."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return _DiskAppendFile(os.open(path, flags, 0o644))

    def read(self, path: Path, bytes_max: int = READ_BYTES_MAX) -> bytes:
        """The whole content."""
        return read_regular(path, bytes_max)

    def open(self, path: Path) -> ReadFile:
        """A file to read parts of."""
        return DiskReadFile(path)

    def write_atomic(self, path: Path, data: bytes) -> None:
        """Write beside, sync, rename, sync the directory."""
        beside = path.with_name(path.name + ".tmp")
        self.remove(beside)
        file = self.create(beside)
        try:
            _keep_access(path, beside)
            file.write(data)
            file.sync()
        finally:
            file.close()
        self.rename(beside, path)
        self.sync_directory(path.parent)

    def overwrite(self, path: Path) -> OverwrittenFile:
        """An existing file, to be written in place."""
        return _DiskOverwrittenFile(open_regular(path, os.O_WRONLY))

    def names(self, directory: Path) -> list[str]:
        """Names in a directory, ascending."""
        try:
            return sorted(path.name for path in directory.iterdir())
        except FileNotFoundError:
            return []

    def is_directory(self, path: Path) -> bool:
        """Whether `path` is a directory."""
        return path.is_dir()

    def size(self, path: Path) -> int:
        """Bytes of a file."""
        return path.stat().st_size

    def identity(self, path: Path) -> Hashable | None:
        """Stands for a directory."""
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents."""
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, old: Path, new: Path) -> None:
        """Move atomically."""
        old.replace(new)

    def link(self, existing: Path, new: Path) -> None:
        """A second name for the same content."""
        new.hardlink_to(existing)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and all below it."""
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            return

    def sync_directory(self, path: Path) -> None:
        """Sync the directory's names."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def truncate(self, path: Path, size_bytes: int) -> None:
        """Cut a closed file."""
        descriptor = open_regular(path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, size_bytes)
        finally:
            os.close(descriptor)

    def sync(self, path: Path) -> None:
        """Sync a closed file."""
        descriptor = open_regular(path)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> DirectoryLock:
        """Take the lock file."""
        return _FlockedFile(path)

    def disk_bytes(self, path: Path) -> tuple[int, int]:
        """Total and free bytes of the file system."""
        usage = shutil.disk_usage(path)
        return usage.total, usage.free


def is_in_use(directory: Path) -> bool:
    """Whether a process holds the lock of a data directory, be it ours or Prometheus'. Nothing is written."""
    for path in (directory / "lock", directory):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            # There is no asking without taking; it is given back at once.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no file system with locks
            continue
        finally:
            os.close(descriptor)
    return False
