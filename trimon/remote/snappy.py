"""Snappy's block format: a length, then the compressed bytes."""

from __future__ import annotations

from typing import Final

import cramjam

from trimon.errors import UserError
from trimon.wire import WireError, varint

CORRUPT: Final = "s2: corrupt input"
# A copy of 64 bytes takes three: no block holds more than so many times its own bytes.
EXPANSION_MAX: Final = 22


class CorruptError(UserError):
    """Bytes that are no block."""


def decompressed_size(body: bytes) -> int:
    """How many bytes a block claims to hold. Raises CorruptError when it is no block."""
    try:
        return varint(body, 0)[0]
    except WireError:
        raise CorruptError(CORRUPT) from None


def decompress(body: bytes, size_max: int) -> bytes:
    """The bytes of a block.

    Raises CorruptError when it is no block, UserError when it claims to hold more than `size_max` bytes: the claim is read
    before anything is decompressed, and a block that does not hold what it claims is corrupt.
    """
    size = decompressed_size(body)
    if size > size_max:
        raise UserError(f"snappy: decoded block of {size} bytes exceeds the limit of {size_max}")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise CorruptError(CORRUPT) from None


def compress(data: bytes) -> bytes:
    """The block of some bytes."""
    return bytes(cramjam.snappy.compress_raw(data))
