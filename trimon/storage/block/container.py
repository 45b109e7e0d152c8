"""A file of named sections, each with a checksum, found through a directory at the end.

Magic, sections, directory (msgpack), then 24 bytes: directory length (u64), CRC-32 of the directory (u32),
zero (u32), magic. A section is raw or one zstd frame; its checksum is over the stored bytes.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np
import numpy.typing as npt
import zstandard

from trimon.errors import OperatingError
from trimon.files import AppendFile

MAGIC: Final = b"TRIMIDX1"
_TAIL: Final = struct.Struct("<QII8s")
_ZSTD_LEVEL: Final = 9
_SECTION_BYTES_MAX: Final = 1 << 32


class DamagedError(OperatingError):
    """Stored bytes that do not pass their check."""


class ContainerWriter:
    """Writes sections one after the other."""

    def __init__(self, file: AppendFile, about: dict[str, Any]) -> None:
        self._file = file
        self._about = about
        self._sections: dict[str, tuple[int, int, int, bool]] = {}
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        self._file.write(MAGIC)

    def add(self, name: str, data: bytes) -> None:
        """Store a section, compressed if that helps."""
        packed = self._compressor.compress(data) if len(data) > 32 else data
        small = len(packed) < len(data)
        stored = packed if small else data
        self._sections[name] = (self._file.size_bytes, len(stored), zlib.crc32(stored), small)
        self._file.write(stored)

    def add_numbers(self, name: str, numbers: npt.NDArray[Any]) -> None:
        """Store integers: differences as byte planes."""
        wide = numbers.astype("<i8")
        wide[1:] -= numbers[:-1].astype(np.int64)
        self.add(name, np.ascontiguousarray(wide.view(np.uint8).reshape(-1, 8).T).tobytes())

    def finish(self) -> None:
        """Write the directory."""
        directory = msgpack.packb({"about": self._about, "sections": self._sections})
        tail = _TAIL.pack(len(directory), zlib.crc32(directory), 0, MAGIC)
        self._file.write(directory + tail)


class Container:
    """Reads sections from a mapped file."""

    def __init__(self, data: memoryview, path: Path) -> None:
        self._data = data
        self._path = path
        if len(data) < len(MAGIC) + _TAIL.size or bytes(data[: len(MAGIC)]) != MAGIC:
            raise DamagedError(f"{path}: not an index file, or cut off")
        length, checksum, _, magic = _TAIL.unpack(data[-_TAIL.size :])
        end = len(data) - _TAIL.size
        directory = data[end - length : end] if length <= end else data[:0]
        if magic != MAGIC or not length or zlib.crc32(directory) != checksum:
            raise DamagedError(f"{path}: the directory does not pass its checksum")
        document = msgpack.unpackb(directory)
        self.about: dict[str, Any] = document["about"]
        self._sections: dict[str, list[Any]] = document["sections"]

    def __contains__(self, name: str) -> bool:
        return name in self._sections

    def names(self) -> list[str]:
        """Names of all sections."""
        return list(self._sections)

    def read(self, name: str) -> bytes:
        """A section's content. Raises DamagedError."""
        if name not in self._sections:
            raise DamagedError(f"{self._path}: there is no section {name}")
        offset, length, checksum, small = self._sections[name]
        stored = self._data[offset : offset + length]
        if len(stored) != length or zlib.crc32(stored) != checksum:
            raise DamagedError(f"{self._path}: section {name} at byte {offset} does not pass its checksum")
        if not small:
            return bytes(stored)
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=_SECTION_BYTES_MAX)

    def numbers(self, name: str) -> npt.NDArray[np.int64]:
        """A section of integers."""
        planes = np.frombuffer(self.read(name), np.uint8)
        wide = np.ascontiguousarray(planes.reshape(8, -1).T).reshape(-1).view("<i8")
        return np.cumsum(wide, dtype=np.int64)
