"""A disk in memory that tells apart what was written and what a power failure leaves of it.

    write, truncate ──> content of a file ── fsync of the file ──────────> synced content
    create, rename, link, remove ──> names ── fsync of any directory ────> synced names

A file's content is what the system's page cache holds. A power failure keeps the synced content and of what was
appended since nothing, all, the beginning, or the full length with zeros where the data was still on its way; what was
cut off since may be back. Names are journalled in order, as file systems do: of those changed since the last sync of a
directory a power failure keeps the first few. Syncing a file does not sync its name. A process that is killed loses
nothing that was written, but a write may have stopped half way.

Faults are armed from outside: a crash at the n-th change from now, no room, errors, stalls.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trimon.files import AppendFile, DirectoryLock, OverwrittenFile
from trimon.openfiles import READ_BYTES_MAX, ReadFile

TOTAL_BYTES: Final = 1 << 40
SECTOR_BYTES: Final = 512


def _nothing() -> None:
    """Nobody wants to know."""


class _Node:
    """A file: what was written, and what of it a power failure leaves for certain."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.synced = b""

    def sync(self) -> None:
        self.synced = bytes(self.content)

    def after_power_failure(self, pick: random.Random) -> bytes:
        content, synced = bytes(self.content), self.synced
        if len(content) == len(synced) != 0:
            # It was overwritten: the medium has taken any of its sectors.
            sectors = range(0, len(content), SECTOR_BYTES)
            return b"".join(pick.choice((content, synced))[at : at + SECTOR_BYTES] for at in sectors)
        if not content.startswith(synced):
            return pick.choice((content, synced))
        kept = pick.choice((len(synced), len(content), pick.randint(len(synced), len(content))))
        zeros = len(content) - kept if pick.random() < 0.2 else 0
        return content[:kept] + bytes(zeros)


class _OpenFile:
    """An append file of the disk."""

    def __init__(self, disk: SimulatedDisk, node: _Node) -> None:
        self._disk = disk
        self._node = node

    @property
    def size_bytes(self) -> int:
        return len(self._node.content)

    def write(self, data: bytes) -> None:
        written = self._disk.change(len(data))
        self._node.content += data[:written]
        if written < len(data):
            self._disk.fail()

    def truncate(self, size_bytes: int) -> None:
        self._disk.change()
        del self._node.content[size_bytes:]

    def sync(self) -> None:
        self._disk.sync_node(self._node)

    def close(self) -> None:
        """Nothing to do."""


class _OverwrittenNode:
    """A file that is written in place."""

    def __init__(self, disk: SimulatedDisk, node: _Node) -> None:
        self._disk = disk
        self._node = node

    def write_at(self, offset: int, data: bytes) -> None:
        written = self._disk.change(len(data))
        self._node.content[offset : offset + written] = data[:written]
        if written < len(data):
            self._disk.fail()

    def sync(self) -> None:
        self._disk.sync_node(self._node)

    def close(self) -> None:
        """Nothing to do."""


class _Lock:
    """A lock that ends with the process."""

    def __init__(self, disk: SimulatedDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def abandon(self) -> None:
        """Nothing is held that would have to be closed."""

    def release(self) -> None:
        if not self._disk.dead:
            self._disk.names_now.pop(self._path, None)


class _ReadNode:
    """A file that is read by offset; it outlives its name."""

    def __init__(self, node: _Node) -> None:
        self._node = node
        self.size_bytes = len(node.content)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """These bytes, or fewer."""
        return bytes(self._node.content[offset : offset + size_bytes])


class SimulatedDisk:
    """`Files` in memory. One process at a time has it; `start` begins with what the last one left.

    After `dead` every call is an OSError and changes nothing: what the process does then never happened.
    """

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self.names_now: dict[str, _Node] = {}
        self._names_synced: dict[str, _Node] = {}
        self._directories: set[str] = set()
        self._journal: list[tuple[str, str, _Node | None]] = []
        self.dead = False
        self.changes = 0
        self.crash_in: int | None = None
        self.on_death: Callable[[], None] = _nothing
        self.room_bytes: int | None = None
        self.error_share = 0.0
        self.on_change: Callable[[], None] = _nothing
        self.on_sync_failed: Callable[[], None] = _nothing

    # ---- faults

    def die(self) -> None:
        """The process, or the machine, stops here."""
        if not self.dead:
            self.dead = True
            self.on_death()

    def start(self, *, power_failed: bool) -> None:
        """What is left is what the next process finds; no fault is armed."""
        if power_failed:
            kept = self._pick.randint(0, len(self._journal))
            for change in self._journal[:kept]:
                _apply(self._names_synced, change)
            self.names_now = dict(self._names_synced)
            for node in {id(node): node for node in self.names_now.values()}.values():
                node.content = bytearray(node.after_power_failure(self._pick))
                node.sync()
            self._journal = []
        self.dead, self.crash_in = False, None
        self.heal()

    def heal(self) -> None:
        """There is room again, and nothing fails."""
        self.room_bytes, self.error_share = None, 0.0

    def flip(self, names: Callable[[str], bool]) -> str:
        """Flip a bit of a file whose path fits; the path, empty if there is none."""
        files = sorted(path for path, node in self.names_now.items() if names(path) and node.content)
        if not files:
            return ""
        path = self._pick.choice(files)
        content = self.names_now[path].content
        content[self._pick.randrange(len(content))] ^= 1 << self._pick.randrange(8)
        self.names_now[path].sync()
        return path

    def fail(self) -> None:
        """What a change that cannot be made raises."""
        if self.room_bytes is not None and not self.dead:
            raise OSError(errno.ENOSPC, "No space left on device")
        raise OSError(errno.EIO, "Input/output error")

    def change(self, size_bytes: int = 0) -> int:
        """Count a change, and let it fail when it is its turn; how many bytes of it are written."""
        if self.dead:
            self.fail()
        self.changes += 1
        self.on_change()
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in <= 0:
                self.die()
                if size_bytes:
                    return self._pick.randint(0, size_bytes - 1)
                self.fail()
        if self.error_share and self._pick.random() < self.error_share:
            if size_bytes:
                return self._pick.randint(0, size_bytes - 1)
            self.fail()
        if self.room_bytes is not None:
            if not size_bytes and not self.room_bytes:
                return 0
            written = min(size_bytes, self.room_bytes)
            self.room_bytes -= written
            return written
        return size_bytes

    def _note(self, kind: str, path: Path | str, node: _Node | None = None) -> None:
        entry = kind, str(path), node
        self._journal.append(entry)
        _apply(self.names_now, entry)

    def _node(self, path: Path) -> _Node:
        if self.dead:
            self.fail()
        node = self.names_now.get(str(path))
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return node

    # ---- Files

    def create(self, path: Path) -> AppendFile:
        """A new, empty file."""
        if self.room_bytes == 0:
            self.fail()
        self.change()
        if str(path) in self.names_now:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        node = _Node()
        self._note("name", path, node)
        return _OpenFile(self, node)

    def read(self, path: Path, bytes_max: int = READ_BYTES_MAX) -> bytes:
        """The whole content."""
        del bytes_max
        return bytes(self._node(path).content)

    def open(self, path: Path) -> ReadFile:
        """A file to read parts of, as its content is then."""
        return _ReadNode(self._node(path))

    def write_atomic(self, path: Path, data: bytes) -> None:
        """Write beside, sync, rename, sync the directory."""
        beside = path.with_name(path.name + ".tmp")
        self.remove(beside)
        file = self.create(beside)
        file.write(data)
        file.sync()
        self.rename(beside, path)
        self.sync_directory(path.parent)

    def overwrite(self, path: Path) -> OverwrittenFile:
        """An existing file, to be written in place."""
        return _OverwrittenNode(self, self._node(path))

    def names(self, directory: Path) -> list[str]:
        """Names in a directory, ascending."""
        if self.dead:
            self.fail()
        prefix = f"{directory}/"
        paths = [*self.names_now, *self._directories]
        return sorted({path[len(prefix) :].partition("/")[0] for path in paths if path.startswith(prefix)})

    def is_directory(self, path: Path) -> bool:
        """Whether `path` is a directory."""
        return str(path) in self._directories

    def identity(self, path: Path) -> str | None:
        """Stands for a directory."""
        return str(path) if self.is_directory(path) else None

    def size(self, path: Path) -> int:
        """Bytes of a file."""
        return len(self._node(path).content)

    def make_directory(self, path: Path) -> None:
        """Make a directory and its parents, which are there after a power failure."""
        if str(path) not in self._directories:
            self.change()
            self._directories.update(str(each) for each in (path, *path.parents))

    def rename(self, old: Path, new: Path) -> None:
        """Move a file, or a directory with all below it, in one step."""
        self.change()
        if str(old) in self._directories:
            self._directories = {_moved(path, str(old), str(new)) for path in self._directories}
            self._note(f"move {old}", new)
            return
        node = self._node(old)
        self._note(f"rename {old}", new, node)

    def link(self, existing: Path, new: Path) -> None:
        """A second name for the same content."""
        self.change()
        self._note("name", new, self._node(existing))

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self.change()
        if str(path) in self.names_now:
            self._note("remove", path)

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and all below it, file by file."""
        for name in [name for name in self.names_now if name.startswith(f"{path}/")]:
            self.remove(Path(name))
        self._directories = {
            each for each in self._directories if each != str(path) and not each.startswith(f"{path}/")
        }

    def sync_directory(self, path: Path) -> None:
        """Make all names last that were changed until now."""
        self.change()
        for entry in self._journal:
            _apply(self._names_synced, entry)
        self._journal = []

    def truncate(self, path: Path, size_bytes: int) -> None:
        """Cut a closed file."""
        self.change()
        del self._node(path).content[size_bytes:]

    def sync(self, path: Path) -> None:
        """Sync a closed file."""
        self.sync_node(self._node(path))

    def sync_node(self, node: _Node) -> None:
        """Sync a file; one that fails is told to who wants to know."""
        try:
            self.change()
        except OSError:
            self.on_sync_failed()
            raise
        node.sync()

    def lock(self, path: Path) -> DirectoryLock:
        """Take the lock file."""
        self.change()
        if str(path) not in self.names_now:
            self._note("name", path, _Node())
        return _Lock(self, str(path))

    def disk_bytes(self, path: Path) -> tuple[int, int]:
        """Total and free bytes."""
        return TOTAL_BYTES, TOTAL_BYTES // 2 if self.room_bytes is None else self.room_bytes


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path


def _apply(names: dict[str, _Node], entry: tuple[str, str, _Node | None]) -> None:
    """One change of the names. Of a synced table some old names may be missing: the change is as far as it can be."""
    kind, path, node = entry
    if kind == "name" and node is not None:
        names[path] = node
    elif kind == "remove":
        names.pop(path, None)
    elif kind.startswith("rename ") and node is not None:
        names.pop(kind.removeprefix("rename "), None)
        names[path] = node
    else:
        old = kind.removeprefix("move ")
        for name in [name for name in names if name.startswith(f"{old}/")]:
            names[_moved(name, old, path)] = names.pop(name)
