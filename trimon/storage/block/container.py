"""A file of named sections, each with a checksum, found through a directory at the end.

A copy: sections, directory (msgpack), then 24 bytes: directory length (u64), CRC-32 of the directory (u32),
zero (u32), magic. A file: magic and two copies of the same; files of older versions have one. A section is raw or one
zstd frame; its checksum is over the stored bytes. What is damaged in one copy is read from the other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
import zstandard

from trimon.files import AppendFile
from trimon.storage.block.damage import DamagedError

MAGIC: Final = b"TRIMIDX1"
_TAIL: Final = struct.Struct("<QII8s")
_ZSTD_LEVEL: Final = 9
_SECTION_BYTES_MAX: Final = 1 << 32


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

    def __init__(self, data: memoryview, end: int) -> None:
        """The copy that ends at a byte. Raises DamagedError."""
        length, checksum, zero, magic = _TAIL.unpack_from(data, end - _TAIL.size)
        directory_end = end - _TAIL.size
        begin = directory_end - length
        directory = data[begin:directory_end] if begin >= 0 else data[:0]
        if magic != MAGIC or zero or not length or zlib.crc32(directory) != checksum:
            raise DamagedError("the directory does not pass its checksum")
        document = msgpack.unpackb(directory)
        self.about: dict[str, Any] = document["about"]
        self.sections: dict[str, list[Any]] = document["sections"]
        self.begin = min((section[0] for section in self.sections.values()), default=begin)

    def read(self, data: memoryview, name: str) -> bytes | None:
        """The stored bytes of a section; None if they do not pass their checksum."""
        offset, length, checksum, _ = self.sections[name]
        stored = data[offset : offset + length]
        return bytes(stored) if len(stored) == length and zlib.crc32(stored) == checksum else None


class Container:
    """Reads sections from a mapped file. `survive` hears of damage that the other copy makes good."""

    def __init__(self, data: memoryview, path: Path, survive: Callable[[str], None]) -> None:
        self._data = data
        self._path = path
        self._survive = survive
        self._copies, damage = _copies(data)
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
            stored = copy.read(self._data, name)
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
        problems = [text for text in (_copies(self._data)[1],) if text]
        for copy in self._copies:
            problems += [
                self._damaged(copy, name) for name in copy.sections if copy.read(self._data, name) is None
            ]
        return [f"{self._path}: {text}" for text in problems]

    def numbers(self, name: str) -> npt.NDArray[np.int64]:
        """A section of integers."""
        planes = np.frombuffer(self.read(name), np.uint8)
        wide = np.ascontiguousarray(planes.reshape(8, -1).T).reshape(-1).view("<i8")
        return np.cumsum(wide, dtype=np.int64)


def _copies(data: memoryview) -> tuple[list[_Copy], str]:
    """The readable copies of a file, the last one first, and what is wrong with its frame."""
    if len(data) < len(MAGIC) + _TAIL.size:
        return [], "cut off"
    damage = "" if bytes(data[: len(MAGIC)]) == MAGIC else "the first bytes are not those of an index"
    found: list[_Copy] = []
    try:
        found.append(_Copy(data, len(data)))
    except DamagedError as error:
        damage = str(error)
        end = len(data)
        while not found and (end := _magic_before(data, end)) > 0:
            try:
                found.append(_Copy(data, end))
            except DamagedError:
                continue
        return found, damage
    if found[0].begin > len(MAGIC):
        try:
            found.append(_Copy(data, found[0].begin))
        except DamagedError as error:
            damage = f"the first copy: {error}"
    return found, damage


def _magic_before(data: memoryview, end: int) -> int:
    """Where the last magic ends that ends before a byte and may end a copy; 0 if there is none."""
    place = bytes(data[:end]).rfind(MAGIC, _TAIL.size, end - 1)
    return place + len(MAGIC) if place > 0 else 0
