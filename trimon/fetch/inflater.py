"""Gzip bodies as they come: any number of members, a bounded piece of work at a time. Source: RFC 1952."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from trimon.compiled.library import BYTES, INT64, fresh_bytes, function
from trimon.fetch.request import BodyError, BodyTooBig

# A body is inflated so much at a stretch: a few milliseconds.
INFLATED_BYTES_AT_ONCE: Final = 2**20
# What a member costs beside its bytes, in bytes that are inflated in the same time.
_MEMBER_COST_BYTES: Final = 4096
# A decompressor copies what it leaves of its input: bodies of tiny members are given to it in small windows.
_WINDOW_BYTES: Final = 64 * 1024
_WINDOW_BYTES_MIN: Final = 4096
_MAGIC: Final = b"\x1f\x8b\x08"
_HEAD_BYTES: Final = 10
# Checksum and size of a member stand at its end.
_TAIL: Final = struct.Struct("<II")
_gunzip: Final = function("trimon_gunzip", INT64, (BYTES, INT64, BYTES, INT64))
_crc32: Final = function("trimon_crc32", INT64, (BYTES, INT64))


class Inflater:
    """Gunzips a body in pieces; members that follow one another are one body."""

    def __init__(self) -> None:
        self.rest = memoryview(b"")
        """What is to be fed next, before anything new."""
        self._member = zlib.decompressobj(31)
        self._window = _WINDOW_BYTES
        # the first bytes of the member
        self._began = b""

    def feed(self, data: bytes | memoryview, bytes_max: int) -> bytes:
        """What the beginning of `data` inflates to, at most `bytes_max` and perhaps nothing. Raises BodyError."""
        if self._member.eof and data:
            self._member = zlib.decompressobj(31)
            self._window, self._began = _WINDOW_BYTES_MIN, b""
        view = memoryview(data)
        window = view[: self._window]
        if len(self._began) < _HEAD_BYTES:
            self._began += bytes(window[: _HEAD_BYTES - len(self._began)])
        member = self._member
        try:
            inflated = member.decompress(window, bytes_max)
        except zlib.error:
            raise BodyError(self._fault()) from None
        # at its end a member may tell what it left twice
        left = member.unused_data if member.eof else member.unconsumed_tail
        self.rest = view[len(window) - len(left) :]
        if not member.eof:
            self._window = _WINDOW_BYTES
        return inflated

    def _fault(self) -> str:
        if not self._began.startswith(_MAGIC):
            return "gzip: invalid header" if len(self._began) == _HEAD_BYTES else "unexpected EOF"
        return "gzip: invalid data"

    def end(self) -> None:
        """There is nothing more. Raises BodyError when that cannot be."""
        if not self._member.eof:
            raise BodyError("unexpected EOF" if self._began else "EOF")


def gunzipped(data: bytes, bytes_max: int) -> bytes | None:
    """A whole body of one plain member that is not long; None for any other, and for one that is not sound."""
    if _gunzip is None or len(data) < _HEAD_BYTES + _TAIL.size:
        return None
    checksum, size = _TAIL.unpack_from(data, len(data) - _TAIL.size)
    if size > min(bytes_max, INFLATED_BYTES_AT_ONCE):
        return None
    body = fresh_bytes(None, size)
    if _gunzip(data, len(data), body, size) < 0:
        return None
    return body if checksum_of(body) == checksum else None


def checksum_of(data: bytes) -> int:
    """The CRC-32 of some bytes; the loop, where the processor can, takes a tenth of zlib's time."""
    found = _crc32(data, len(data)) if _crc32 is not None else -1
    return found if found >= 0 else zlib.crc32(data)


def inflated(data: bytes, bytes_max: int) -> Iterator[bytes]:
    """A whole body in pieces; each step is a bounded piece of work. Raises BodyError, BodyTooBig."""
    whole = gunzipped(data, bytes_max)
    if whole is not None:
        yield whole
        return
    inflater = Inflater()
    rest = memoryview(data)
    pieces: list[bytes] = []
    size = work = 0
    while rest:
        piece = inflater.feed(rest, min(INFLATED_BYTES_AT_ONCE, bytes_max + 1 - size))
        pieces.append(piece)
        size += len(piece)
        work += len(piece) + _MEMBER_COST_BYTES
        if size > bytes_max:
            raise BodyTooBig(bytes_max)
        rest = inflater.rest
        if rest and work >= INFLATED_BYTES_AT_ONCE:
            yield b"".join(pieces)
            pieces, work = [], 0
    inflater.end()
    yield b"".join(pieces) if len(pieces) != 1 else pieces[0]
