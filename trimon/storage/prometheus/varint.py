"""Variable-length integers, many at once or one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from trimon.errors import OperatingError
from trimon.storage.head.arena import Int64s, UInt64s

Bytes = npt.NDArray[np.uint8]


class FormatError(OperatingError):
    """Bytes that are not what Prometheus writes."""


def read_at(data: Bytes, offsets: Int64s) -> tuple[UInt64s, Int64s]:
    """The unsigned integers that begin at the offsets, and where each ends. Raises FormatError."""
    values = np.zeros(len(offsets), np.uint64)
    ends = offsets.copy()
    going = np.arange(len(offsets))
    for place in range(10):
        if len(going) == 0:
            return values, ends
        at = ends[going]
        if int(at.max()) >= len(data):
            raise FormatError("a variable-length integer runs past the end")
        byte = data[at].astype(np.uint64)
        values[going] |= (byte & np.uint64(0x7F)) << np.uint64(7 * place)
        ends[going] += 1
        going = going[byte >= 0x80]
    if len(going):
        raise FormatError("a variable-length integer of more than ten bytes")
    return values, ends


def uvarint_at(data: bytes | memoryview, offset: int) -> tuple[int, int]:
    """The unsigned integer at an offset, and where it ends. Raises FormatError."""
    value = 0
    try:
        for shift in range(0, 70, 7):
            byte = data[offset]
            value |= (byte & 0x7F) << shift
            offset += 1
            if byte < 0x80:
                return value, offset
    except IndexError:
        raise FormatError("a variable-length integer runs past the end") from None
    raise FormatError("a variable-length integer of more than ten bytes")


def read_all(data: Bytes) -> tuple[UInt64s, Int64s]:
    """All unsigned integers of a run of bytes that holds nothing else, and where each ends."""
    ends = np.flatnonzero(data < 0x80) + 1
    if len(ends) == 0:
        return np.zeros(0, np.uint64), ends
    starts = np.concatenate(([0], ends[:-1]))
    data = data[: ends[-1]]
    place = np.arange(len(data)) - np.repeat(starts, ends - starts)
    parts = (data & 0x7F).astype(np.uint64) << (7 * np.minimum(place, 9)).astype(np.uint64)
    return np.add.reduceat(parts, starts), ends


def zigzag_decoded(values: UInt64s) -> Int64s:
    """Signed integers as Go writes them."""
    one = np.uint64(1)
    decoded: Int64s = ((values >> one) ^ (~(values & one) + one)).view(np.int64)
    return decoded


def zigzag_encoded(values: Int64s) -> UInt64s:
    """The inverse of `zigzag_decoded`."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def write_all(values: UInt64s) -> tuple[Bytes, Int64s]:
    """The bytes of unsigned integers, one after the other, and the length of each."""
    lengths = np.ones(len(values), np.int64)
    for place in range(1, 10):
        lengths += values >= np.uint64(1) << np.uint64(7 * place)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    place_of = np.arange(total) - np.repeat(ends - lengths, lengths)
    spread = np.repeat(values, lengths) >> (7 * place_of).astype(np.uint64)
    out = (spread & np.uint64(0x7F)).astype(np.uint8)
    more = np.ones(total, np.bool_)
    more[ends - 1] = False
    out[more] |= 0x80
    return out, lengths
