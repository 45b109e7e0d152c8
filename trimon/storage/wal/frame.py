"""Records in a segment file: found again after damage, checked before use.

A record is a head of 16 bytes and a payload. The head: two bytes of mark, type, flags, length (u32), CRC-32
of the payload (u32), CRC-32 of the 12 bytes before, started from the segment's seed (u32); little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import zstandard

from trimon.errors import OperatingError

MAGIC: Final = b"TRIMWAL1"
HEAD_BYTES: Final = 16
_MARK: Final = b"\xa9\x57"
_HEAD: Final = struct.Struct("<2sBBII")
_CRC: Final = struct.Struct("<I")
_FLAG_ZSTD: Final = 1
_COMPRESS_MIN: Final = 64
# A record is one append; a million new series with long labels stay far below.
_PAYLOAD_BYTES_MAX: Final = 1 << 30

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


def records(data: memoryview, seed: int) -> Iterator[LogRecord | DamagedBytes]:
    """Every readable record of a segment after its magic, and what lies unreadable between them."""
    offset = len(MAGIC)
    damaged_from = -1
    decompressor = zstandard.ZstdDecompressor()
    while offset < len(data):
        record = _record_at(data, offset, seed, decompressor)
        if record is None:
            if damaged_from < 0:
                damaged_from = offset
            offset = _next_mark(data, offset + 1)
            continue
        if damaged_from >= 0:
            yield DamagedBytes(damaged_from, offset - damaged_from)
            damaged_from = -1
        yield record
        offset = record.end
    if damaged_from >= 0:
        yield DamagedBytes(damaged_from, len(data) - damaged_from)


def record_payload(data: memoryview, offset: int) -> bytes:
    """The payload of a record that passed its checks before. Raises OperatingError if it does not any more."""
    _, _, flags, length, checksum = _HEAD.unpack_from(data, offset)
    payload = data[offset + HEAD_BYTES : offset + HEAD_BYTES + length]
    if len(payload) < length or zlib.crc32(payload) != checksum:
        raise OperatingError(f"WAL record at byte {offset} has changed since it was first read")
    if not flags & _FLAG_ZSTD:
        return bytes(payload)
    return zstandard.ZstdDecompressor().decompress(payload, max_output_size=_PAYLOAD_BYTES_MAX)


def _next_mark(data: memoryview, offset: int) -> int:
    window = 1 << 20
    while offset < len(data):
        found = bytes(data[offset : offset + window]).find(_MARK)
        if found >= 0:
            return offset + found
        offset += max(1, min(window, len(data) - offset) - 1)
        if offset >= len(data) - 1:
            break
    return len(data)


def _record_at(
    data: memoryview, offset: int, seed: int, decompressor: zstandard.ZstdDecompressor
) -> LogRecord | None:
    head = bytes(data[offset : offset + HEAD_BYTES])
    if len(head) < HEAD_BYTES or head[:2] != _MARK:
        return None
    if _CRC.unpack_from(head, 12)[0] != zlib.crc32(head[:12], seed):
        return None
    _, kind, flags, length, checksum = _HEAD.unpack_from(head)
    begin = offset + HEAD_BYTES
    payload = data[begin : begin + length]
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    plain = bytes(payload)
    if flags & _FLAG_ZSTD:
        try:
            plain = decompressor.decompress(plain, max_output_size=_PAYLOAD_BYTES_MAX)
        except zstandard.ZstdError as error:
            raise OperatingError(
                f"WAL record at byte {offset} passes its checksum but not zstd: {error}"
            ) from None
    return LogRecord(offset, begin + length, kind, plain)
