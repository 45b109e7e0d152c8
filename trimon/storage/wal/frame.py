"""Records in a segment file: found again after damage, checked before use.

A record is a head of 16 bytes and a payload. The head: two bytes of mark, type, flags, length (u32), CRC-32
of the payload (u32), CRC-32 of the 12 bytes before, started from the segment's seed (u32); little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import zstandard

from trimon.errors import OperatingError
from trimon.openfiles import ReadFile
from trimon.records import dataclass

MAGIC: Final = b"TRIMWAL1"
HEAD_BYTES: Final = 16
_MARK: Final = b"\xa9\x57"
_HEAD: Final = struct.Struct("<2sBBII")
_CRC: Final = struct.Struct("<I")
_FLAG_ZSTD: Final = 1
_COMPRESS_MIN: Final = 64
# A record is one append; a million new series with long labels stay far below.
_PAYLOAD_BYTES_MAX: Final = 1 << 30
# A segment is full at 256 MiB or earlier, no record begins beyond; a file of more than that and a record was not written here.
_RECORDS_END: Final = 256 << 20
SEGMENT_BYTES_MAX: Final = _RECORDS_END + HEAD_BYTES + _PAYLOAD_BYTES_MAX
_WINDOW_BYTES: Final = 1 << 20

RECORD_SEGMENT: Final = 1
RECORD_BATCH: Final = 2


@dataclass(frozen=True, slots=True)
class DamagedBytes:
    """Bytes of a segment that hold no readable record."""

    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record that passed its checks."""

    offset: int
    end: int
    type: int
    payload: bytes


def segment_seed(epoch: int, segment: int) -> int:
    """Where the head checksums of a segment start: a record copied from another segment fails."""
    return zlib.crc32(struct.pack("<QQ", epoch, segment))


def wrap(kind: int, payload: bytes, seed: int, compressor: zstandard.ZstdCompressor) -> bytes:
    """The record of a payload, compressed if that makes it smaller."""
    flags = 0
    if len(payload) >= _COMPRESS_MIN:
        packed = compressor.compress(payload)
        if len(packed) < len(payload):
            payload, flags = packed, _FLAG_ZSTD
    head = _HEAD.pack(_MARK, kind, flags, len(payload), zlib.crc32(payload))
    return b"".join((head, _CRC.pack(zlib.crc32(head, seed)), payload))


class _Window:
    """The bytes of a segment, read in pieces: of each only a window is in memory."""

    def __init__(self, file: ReadFile, end: int | None = None) -> None:
        self._file = file
        self.end = min(file.size_bytes if end is None else end, SEGMENT_BYTES_MAX)
        self._begin = 0
        self._held = b""

    def take(self, offset: int, size_bytes: int) -> bytes:
        """These bytes; fewer at the end, and where the file was cut or the disk fails."""
        size_bytes = min(size_bytes, self.end - offset)
        if size_bytes > _WINDOW_BYTES:
            return self._read(offset, size_bytes)
        place = offset - self._begin
        if place < 0 or place + size_bytes > len(self._held):
            self._begin, place = offset, 0
            self._held = self._read(offset, min(_WINDOW_BYTES, self.end - offset))
            if len(self._held) < size_bytes:
                # Of a window that cannot be read as a whole these bytes may be.
                self._held = self._read(offset, size_bytes)
        return self._held[place : place + size_bytes]

    def _read(self, offset: int, size_bytes: int) -> bytes:
        try:
            return self._file.read(offset, size_bytes)
        except OSError:
            return b""


def begins_right(file: ReadFile) -> bool:
    """Whether the first bytes are those of a segment."""
    return _Window(file).take(0, len(MAGIC)) == MAGIC


def records(
    file: ReadFile, seed: int, begin: int = len(MAGIC), end: int | None = None
) -> Iterator[LogRecord | DamagedBytes]:
    """Every readable record of a segment after its magic, and what lies unreadable between them.

    Where no record can begin none is looked for, and what is beyond SEGMENT_BYTES_MAX is not told of. `begin` and `end`, which
    are where records begin and end, bound what is read.
    """
    window = _Window(file, end)
    offset = begin
    damaged_from = -1
    decompressor = zstandard.ZstdDecompressor()
    while offset < min(window.end, _RECORDS_END):
        record = _record_at(window, offset, seed, decompressor)
        if record is None:
            if damaged_from < 0:
                damaged_from = offset
            offset = _next_mark(window, offset + 1)
            continue
        if damaged_from >= 0:
            yield DamagedBytes(damaged_from, offset - damaged_from)
            damaged_from = -1
        yield record
        offset = record.end
    if damaged_from < 0 and offset < window.end:
        damaged_from = offset
    if damaged_from >= 0:
        yield DamagedBytes(damaged_from, window.end - damaged_from)


def record_payload(file: ReadFile, offset: int) -> bytes:
    """The payload of a record that passed its checks before. Raises OperatingError if it does not any more, OSError."""
    head = file.read(offset, HEAD_BYTES)
    _, _, flags, length, checksum = _HEAD.unpack_from(head.ljust(HEAD_BYTES, b"\0"))
    payload = b"" if length > _PAYLOAD_BYTES_MAX else file.read(offset + HEAD_BYTES, length)
    if len(head) < HEAD_BYTES or len(payload) < length or zlib.crc32(payload) != checksum:
        raise OperatingError(f"WAL record at byte {offset} has changed since it was first read")
    if not flags & _FLAG_ZSTD:
        return payload
    return zstandard.ZstdDecompressor().decompress(payload, max_output_size=_PAYLOAD_BYTES_MAX)


def _next_mark(window: _Window, offset: int) -> int:
    end = min(window.end, _RECORDS_END)
    while offset < end:
        size_bytes = min(_WINDOW_BYTES, end - offset)
        found = window.take(offset, size_bytes).find(_MARK)
        if found >= 0:
            return offset + found
        # A mark may lie across the edge.
        offset += max(1, size_bytes - 1)
        if offset >= end - 1:
            break
    return end


def _record_at(
    window: _Window, offset: int, seed: int, decompressor: zstandard.ZstdDecompressor
) -> LogRecord | None:
    head = window.take(offset, HEAD_BYTES)
    if len(head) < HEAD_BYTES or head[:2] != _MARK:
        return None
    if _CRC.unpack_from(head, 12)[0] != zlib.crc32(head[:12], seed):
        return None
    _, kind, flags, length, checksum = _HEAD.unpack_from(head)
    begin = offset + HEAD_BYTES
    if length > min(_PAYLOAD_BYTES_MAX, window.end - begin):
        return None
    plain = window.take(begin, length)
    if len(plain) < length or zlib.crc32(plain) != checksum:
        return None
    if flags & _FLAG_ZSTD:
        try:
            plain = decompressor.decompress(plain, max_output_size=_PAYLOAD_BYTES_MAX)
        except zstandard.ZstdError as error:
            raise OperatingError(
                f"WAL record at byte {offset} passes its checksum but not zstd: {error}"
            ) from None
    return LogRecord(offset, begin + length, kind, plain)
