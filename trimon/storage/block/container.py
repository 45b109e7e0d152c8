"""A file of named sections, each with a checksum, found through a directory at the end.

A copy: sections, directory (msgpack), then 24 bytes: directory length (u64), CRC-32 of the directory (u32),
zero (u32), magic. A file: magic and two copies of the same; files of older versions have one. A section is raw or one
zstd frame; its checksum is over the stored bytes. What is damaged in one copy is read from the other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
import zstandard

from trimon.files import AppendFile
from trimon.openfiles import ReadFile
from trimon.storage.block.damage import DamagedError

MAGIC: Final = b"TRIMIDX1"
_TAIL: Final = struct.Struct("<QII8s")
_ZSTD_LEVEL: Final = 9
_SECTION_BYTES_MAX: Final = 1 << 32
# How much is read at once where a directory is looked for.
_SEARCH_BYTES: Final = 1 << 20
# And where of that something cannot be read.
_SECTOR_BYTES: Final = 512


class ContainerWriter:
    """Writes sections one after the other, and at the end all of them once more."""

    def __init__(self, file: AppendFile, about: dict[str, Any]) -> None:
        self._file = file
        self._about = about
        self._sections: list[tuple[str, bytes, bool]] = []
        self._directory: dict[str, tuple[int, int, int, bool]] = {}
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        self._file.write(MAGIC)

    def add(self, name: str, data: bytes) -> None:
        """Store a section, compressed if that helps."""
        packed = self._compressor.compress(data) if len(data) > 32 else data
        small = len(packed) < len(data)
        self._sections.append((name, packed if small else data, small))
        self._write(*self._sections[-1])

    def add_numbers(self, name: str, numbers: npt.NDArray[Any]) -> None:
        """Store integers: differences as byte planes."""
        wide = numbers.astype("<i8")
        wide[1:] -= numbers[:-1].astype(np.int64)
        self.add(name, np.ascontiguousarray(wide.view(np.uint8).reshape(-1, 8).T).tobytes())

    def finish(self) -> None:
        """Write the directory, and the second copy."""
        self._write_directory()
        for section in self._sections:
            self._write(*section)
        self._write_directory()

    def _write(self, name: str, stored: bytes, small: bool) -> None:  # as in the directory
        self._directory[name] = (self._file.size_bytes, len(stored), zlib.crc32(stored), small)
        self._file.write(stored)

    def _write_directory(self) -> None:
        directory = msgpack.packb({"about": self._about, "sections": self._directory})
        tail = _TAIL.pack(len(directory), zlib.crc32(directory), 0, MAGIC)
        self._file.write(directory + tail)


class _Copy:
    """One copy of the sections, found through its directory."""

    def __init__(self, file: ReadFile, end: int) -> None:
        """The copy that ends at a byte. Raises DamagedError."""
        directory_end = end - _TAIL.size
        tail = _bytes_at(file, directory_end, _TAIL.size)
        length, checksum, zero, magic = _TAIL.unpack(tail or bytes(_TAIL.size))
        begin = directory_end - length
        if magic != MAGIC or zero or not length or begin < 0:
            raise DamagedError("the directory does not pass its checksum")
        directory = _bytes_at(file, begin, length)
        if directory is None or zlib.crc32(directory) != checksum:
            raise DamagedError("the directory does not pass its checksum")
        document = msgpack.unpackb(directory)
        self.about: dict[str, Any] = document["about"]
        self.sections: dict[str, list[Any]] = document["sections"]
        self.begin = min((section[0] for section in self.sections.values()), default=begin)

    def read(self, file: ReadFile, name: str) -> bytes | None:
        """The stored bytes of a section; None if they cannot be read or do not pass their checksum."""
        offset, length, checksum, _ = self.sections[name]
        stored = _bytes_at(file, offset, length)
        return stored if stored is not None and zlib.crc32(stored) == checksum else None


class Container:
    """Reads sections from a file. `survive` hears of damage that the other copy makes good.

    What the file does not have any more, or the disk fails to read, is damaged like what does not pass its checksum.
    """

    def __init__(self, file: ReadFile, path: Path, survive: Callable[[str], None]) -> None:
        self._file = file
        self._path = path
        self._survive = survive
        self._copies, damage = _copies(file)
        if not self._copies:
            raise DamagedError(f"{path}: {damage or 'not an index file, or cut off'}")
        if damage:
            survive(f"{path.name}: {damage}")
        self.about = self._copies[0].about

    def __contains__(self, name: str) -> bool:
        return name in self._copies[0].sections

    def names(self) -> list[str]:
        """Names of all sections."""
        return list(self._copies[0].sections)

    def read(self, name: str) -> bytes:
        """A section's content. Raises DamagedError if no copy of it passes its checksum."""
        if name not in self:
            raise DamagedError(f"{self._path}: there is no section {name}")
        for copy in self._copies:
            stored = copy.read(self._file, name)
            if stored is not None:
                if not copy.sections[name][3]:
                    return stored
                return zstandard.ZstdDecompressor().decompress(stored, max_output_size=_SECTION_BYTES_MAX)
            if copy is not self._copies[-1]:
                self._survive(self._damaged(copy, name))
        raise DamagedError(f"{self._path}: {self._damaged(self._copies[-1], name)}")

    def _damaged(self, copy: _Copy, name: str) -> str:
        return f"index section {name} at byte {copy.sections[name][0]} does not pass its checksum"

    def verify(self) -> list[str]:
        """Every part of every copy that does not pass its checksum, a line each."""
        problems = [text for text in (_copies(self._file)[1],) if text]
        for copy in self._copies:
            problems += [
                self._damaged(copy, name) for name in copy.sections if copy.read(self._file, name) is None
            ]
        return [f"{self._path}: {text}" for text in problems]

    def numbers(self, name: str) -> npt.NDArray[np.int64]:
        """A section of integers."""
        planes = np.frombuffer(self.read(name), np.uint8)
        wide = np.ascontiguousarray(planes.reshape(8, -1).T).reshape(-1).view("<i8")
        return np.cumsum(wide, dtype=np.int64)


def _bytes_at(file: ReadFile, offset: int, size_bytes: int) -> bytes | None:
    """These bytes; None if the file ends before, or cannot be read there."""
    try:
        data = file.read(offset, size_bytes)
    except OSError:
        return None
    return data if len(data) == size_bytes else None


def _copies(file: ReadFile) -> tuple[list[_Copy], str]:
    """The readable copies of a file, the last one first, and what is wrong with its frame."""
    size_bytes = file.size_bytes
    if size_bytes < len(MAGIC) + _TAIL.size:
        return [], "cut off"
    damage = "" if _bytes_at(file, 0, len(MAGIC)) == MAGIC else "the first bytes are not those of an index"
    found: list[_Copy] = []
    try:
        found.append(_Copy(file, size_bytes))
    except DamagedError as error:
        damage = str(error)
        end = size_bytes
        while not found and (end := _magic_before(file, end)) > 0:
            try:
                found.append(_Copy(file, end))
            except DamagedError:
                continue
        return found, damage
    if found[0].begin > len(MAGIC):
        try:
            found.append(_Copy(file, found[0].begin))
        except DamagedError as error:
            damage = f"the first copy: {error}"
    return found, damage


def _readable(file: ReadFile, begin: int, stop: int) -> bytes:
    """The bytes between two places, with zeros for those that the disk does not give."""
    whole = _bytes_at(file, begin, stop - begin)
    if whole is not None:
        return whole
    first = begin // _SECTOR_BYTES + 1
    edges = [begin, *range(first * _SECTOR_BYTES, stop, _SECTOR_BYTES), stop]
    return b"".join(_bytes_at(file, one, next_ - one) or bytes(next_ - one) for one, next_ in pairwise(edges))


def _magic_before(file: ReadFile, end: int) -> int:
    """Where the last magic ends that ends before a byte and may end a copy; 0 if there is none."""
    stop = end - 1
    while stop - len(MAGIC) >= _TAIL.size:
        begin = max(_TAIL.size, stop - _SEARCH_BYTES)
        place = _readable(file, begin, stop).rfind(MAGIC)
        if place >= 0:
            return begin + place + len(MAGIC)
        if begin == _TAIL.size:
            break
        # A magic may lie across the edge.
        stop = begin + len(MAGIC) - 1
    return 0
