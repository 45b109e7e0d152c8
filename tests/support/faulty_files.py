"""A file system that fails on demand: at the n-th change it errs, tears a write, or the process dies."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from trimon.files import AppendFile, DirectoryLock, DiskFiles

Fault = Literal["error", "torn", "kill", "kill-torn"]


class Killed(BaseException):
    """The process dies here; nothing after it happens."""


class _FaultyAppendFile:
    """An append file whose changes count and fail as its file system's."""

    def __init__(self, owner: FaultyFiles, file: AppendFile, path: Path) -> None:
        self._owner = owner
        self._file = file
        self._path = path

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes

    def write(self, data: bytes) -> None:
        torn = self._owner.change(f"write {self._path.name}", may_tear=True)
        if torn:
            self._file.write(data[: len(data) // 2])
            torn()
        if self._owner.room_bytes is not None and len(data) > self._owner.room_bytes:
            self._file.write(data[: self._owner.room_bytes])
            self._owner.room_bytes = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        if self._owner.room_bytes is not None:
            self._owner.room_bytes -= len(data)
        self._file.write(data)

    def truncate(self, size_bytes: int) -> None:
        self._owner.change(f"truncate {self._path.name}")
        self._file.truncate(size_bytes)

    def sync(self) -> None:
        self._owner.change(f"sync {self._path.name}")
        if self._owner.sync_fails:
            raise OSError(errno.EIO, "Input/output error")
        self._file.sync()
        self._owner.synced[self._path] = self._file.size_bytes

    def close(self) -> None:
        self._file.close()


class FaultyFiles(DiskFiles):
    """The real file system, with a fault at the `fault_at`-th change (counted from 1; 0: none).

    `error` raises EIO, `torn` writes half and then raises; `kill` and `kill-torn` raise Killed there and at
    every later change. `room_bytes` is what still fits on the disk, `read_only` refuses every change,
    `sync_fails` fails every fsync of a file. `power_loss` cuts files back to what was synced.
    """

    def __init__(self, fault: Fault = "error", fault_at: int = 0) -> None:
        self.fault = fault
        self.fault_at = fault_at
        self.changes = 0
        self.dead = False
        self.read_only = False
        self.sync_fails = False
        self.room_bytes: int | None = None
        self.synced: dict[Path, int] = {}
        self.log: list[str] = []

    def change(self, what: str, *, may_tear: bool = False) -> Callable[[], None] | None:
        """Count a change and fail if it is its turn. For a torn write: what to call after half of it."""
        if self.dead:
            raise Killed(what)
        if self.read_only:
            raise OSError(errno.EROFS, "Read-only file system")
        self.changes += 1
        self.log.append(what)
        if self.changes != self.fault_at:
            return None
        if self.fault in {"torn", "kill-torn"} and may_tear:
            return self._fail
        self._fail()
        return None

    def _fail(self) -> None:
        if self.fault.startswith("kill"):
            self.dead = True
            raise Killed(self.log[-1])
        raise OSError(errno.EIO, "Input/output error")

    def power_loss(self) -> None:
        """Every file loses what was written to it since its last sync."""
        for path, size_bytes in self.synced.items():
            if path.exists() and path.stat().st_size > size_bytes:
                super().truncate(path, size_bytes)

    def create(self, path: Path) -> AppendFile:
        self.change(f"create {path.name}")
        file = super().create(path)
        self.synced.setdefault(path, 0)
        return _FaultyAppendFile(self, file, path)

    def make_directory(self, path: Path) -> None:
        self.change(f"make directory {path.name}")
        super().make_directory(path)

    def rename(self, old: Path, new: Path) -> None:
        self.change(f"rename {old.name}")
        super().rename(old, new)
        if old in self.synced:
            self.synced[new] = self.synced.pop(old)

    def link(self, existing: Path, new: Path) -> None:
        self.change(f"link {existing.name}")
        super().link(existing, new)

    def remove(self, path: Path) -> None:
        self.change(f"remove {path.name}")
        super().remove(path)
        self.synced.pop(path, None)

    def remove_tree(self, path: Path) -> None:
        self.change(f"remove tree {path.name}")
        super().remove_tree(path)

    def sync_directory(self, path: Path) -> None:
        self.change(f"sync directory {path.name}")
        super().sync_directory(path)

    def truncate(self, path: Path, size_bytes: int) -> None:
        self.change(f"truncate {path.name}")
        super().truncate(path, size_bytes)

    def sync(self, path: Path) -> None:
        self.change(f"sync {path.name}")
        super().sync(path)
        self.synced[path] = self.size(path)

    def lock(self, path: Path) -> DirectoryLock:
        self.change("lock")
        return super().lock(path)
