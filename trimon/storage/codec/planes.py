"""Unsigned integers as planes: of bytes, or of 1, 2 or 4 bits each. The layout is in docs/storage-format.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trimon.storage.head.arena import Bools, Int64s, UInt64s

Bytes = npt.NDArray[np.uint8]
Unsigned = npt.NDArray[np.unsignedinteger[Any]]

# Codes 0 to 3 are widths of 1 << code bytes, codes 4 to 6 of 1 << (code - 4) bits.
EIGHT_BYTES: Final = 3
_ONE_BIT: Final = 4
_TYPES: Final = (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"), np.dtype("<u8"))
_NARROW_LIMIT: Final = 16
_WIDTH_LIMITS: Final = np.array([2, 4, _NARROW_LIMIT, 1 << 8, 1 << 16, 1 << 32], np.uint64)
_WIDTH_CODES: Final = np.array([4, 5, 6, 0, 1, 2, 3], np.uint8)


def _expansion(code: int) -> Unsigned:
    """For every byte the numbers in it, a byte each, the lowest bits first, as one integer."""
    bits = 1 << (code - _ONE_BIT)
    shifts = np.arange(0, 8, bits)
    numbers = (np.arange(256)[:, None] >> shifts) & ((1 << bits) - 1)
    return np.ascontiguousarray(numbers.astype(np.uint8)).view(f"<u{len(shifts)}")[:, 0]


_EXPANSIONS: Final = {code: _expansion(code) for code in (4, 5, 6)}


def width_codes(largest: UInt64s) -> Bytes:
    """The code of the least width for each of some largest numbers."""
    codes: Bytes = _WIDTH_CODES[np.searchsorted(_WIDTH_LIMITS, largest, side="right")]
    return codes


def is_narrow(numbers: Int64s) -> Bools:
    """Which of some numbers take less than a byte."""
    narrow: Bools = numbers < _NARROW_LIMIT
    return narrow


def is_narrow_code(code: int) -> bool:
    """Whether a code is of a width of less than a byte."""
    return code >= _ONE_BIT


def frame_count(code: int) -> int:
    """How many planes numbers of a width make."""
    return 1 if code >= _ONE_BIT else 1 << code


def row_bytes(code: int, samples: int) -> int:
    """How many bytes of a plane so many numbers take; a row begins with a whole byte."""
    return -(-samples >> (7 - code)) if code >= _ONE_BIT else samples


def number_type(code: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The type of numbers of a width before they are packed and when they are unpacked."""
    return _TYPES[0] if code >= _ONE_BIT else _TYPES[code]


def zigzagged(numbers: Int64s) -> UInt64s:
    """Small magnitudes as small numbers."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def unzigzagged(numbers: Unsigned) -> npt.NDArray[np.signedinteger[Any]]:
    """The inverse of `zigzagged`, of numbers of any width."""
    one = numbers.dtype.type(1)
    signed: npt.NDArray[np.signedinteger[Any]] = (numbers >> one) ^ (~(numbers & one) + one)
    return signed.view(f"<i{numbers.itemsize}")


def pack(numbers: Unsigned, code: int) -> Iterator[bytes]:
    """The planes of a matrix of numbers, of the type of their width."""
    if code < _ONE_BIT:
        raw = numbers.view(np.uint8).reshape(-1, 1 << code)
        for plane in range(1 << code):
            yield raw[:, plane].tobytes()
        return
    count, samples = numbers.shape
    size = row_bytes(code, samples)
    bits = 1 << (code - _ONE_BIT)
    single = np.zeros((count, size * (8 // bits)), np.uint8)
    single[:, :samples] = numbers
    packed = np.zeros((count, size), np.uint8)
    for place in range(8 // bits):
        packed |= single[:, place :: 8 // bits] << np.uint8(place * bits)
    yield packed.tobytes()


def joined(
    planes: Sequence[Bytes], picked: slice | npt.NDArray[np.intp], code: int, samples: int
) -> Unsigned:
    """The numbers of some rows from their planes."""
    if code >= _ONE_BIT:
        return _EXPANSIONS[code][planes[0][picked]].view(np.uint8)[:, :samples]
    if len(planes) == 1:
        return planes[0][picked]
    parts = [plane[picked] for plane in planes]
    raw = np.empty((*parts[0].shape, len(planes)), np.uint8)
    for number, part in enumerate(parts):
        raw[:, :, number] = part
    return raw.view(_TYPES[code])[:, :, 0]


def planar(numbers: Int64s) -> bytes:
    """Integers of 8 bytes as byte planes."""
    return np.ascontiguousarray(numbers.astype("<i8").view(np.uint8).reshape(-1, 8).T).tobytes()


def unplanar(planes: Bytes, count: int) -> Int64s:
    """The inverse of `planar`."""
    return np.ascontiguousarray(planes.reshape(8, count).T).reshape(-1).view("<i8").astype(np.int64)
