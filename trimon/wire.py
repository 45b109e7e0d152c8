"""Protobuf's wire format: just what reading and writing messages by hand needs.

Source: the protocol buffers encoding specification. Generated code makes an object for every sample, which costs more than
storing it does; a request is read in place instead.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from trimon.errors import UserError

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5


WIRE_TYPES: Final = frozenset((VARINT, FIXED64, LENGTH, FIXED32))


class WireError(UserError):
    """Bytes that are not the message they claim to be."""


class TooManyFields(WireError):
    """A message that costs more to read than any sender's does."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned varint and the position after it. Raises WireError."""
    value = shift = 0
    while True:
        try:
            byte = data[position]
        except IndexError:
            raise WireError("unexpected EOF") from None
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift > 63:
            raise WireError("proto: integer overflow")


class FieldCount:
    """How many fields may still be read one by one, each of which costs a microsecond; two bytes are enough for one."""

    __slots__ = ("_left", "_most")

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def tag(self, data: bytes, position: int) -> tuple[int, int]:
        """The tag of a field and the position after it. Raises WireError for one that no field has, TooManyFields."""
        self._left -= 1
        if self._left < 0:
            raise TooManyFields(f"more than {self._most} fields of unusual form in a message")
        tag, position = varint(data, position)
        if tag & 7 not in WIRE_TYPES:
            raise WireError(f"proto: illegal wireType {tag & 7}")
        if not 8 <= tag < 1 << 32:
            raise WireError(f"proto: illegal tag {tag >> 3} (wire type {tag & 7})")
        return tag, position


def signed(value: int) -> int:
    """An int64 from its unsigned varint."""
    return value - (1 << 64) if value >= 1 << 63 else value


def block(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Start and end of a length-delimited field whose length is at `position`. Raises WireError."""
    size = data[position] if position < len(data) else 0x80
    start = position + 1
    if size >= 0x80:  # a longer one than most are
        if start < len(data) and data[start] < 0x80:
            size, start = size & 0x7F | data[start] << 7, start + 1
        else:
            size, start = varint(data, position)
    if start + size > end:
        raise WireError("unexpected EOF")
    return start, start + size


def skip_unknown(data: bytes, position: int, end: int, tag: int, known: Mapping[int, str]) -> int:
    """The position after a field that nobody knows. Raises WireError, also for one that is known by another wire type.

    A message of another kind would else be one in which nothing is said.
    """
    name = known.get(tag >> 3)
    if name is not None:
        raise WireError(f"proto: wrong wireType = {tag & 7} for field {name}")
    return skip(data, position, end, tag & 7)


def skip(data: bytes, position: int, end: int, wire_type: int) -> int:
    """The position after a field that is of no interest. Raises WireError."""
    if wire_type == VARINT:
        _, after = varint(data, position)
    elif wire_type == FIXED64:
        after = position + 8
    elif wire_type == LENGTH:
        _, after = block(data, position, end)
    elif wire_type == FIXED32:
        after = position + 4
    else:
        raise WireError(f"proto: illegal wireType {wire_type}")
    if after > end:
        raise WireError("unexpected EOF")
    return after


def put_varint(value: int) -> bytes:
    """A whole number as a varint; negative ones as 64 bits."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    """The form of a signed integer of 64 bits in which small ones are short."""
    return (value << 1) ^ (value >> 63)


def put_block(number: int, content: bytes) -> bytes:
    """A length-delimited field: a message, a text, bytes, packed numbers."""
    return put_varint(number << 3 | LENGTH) + put_varint(len(content)) + content


def put_number(number: int, value: int) -> bytes:
    """A field that is a varint."""
    return put_varint(number << 3 | VARINT) + put_varint(value)


def put_double(number: int, value: float) -> bytes:
    """A field that is a float64."""
    return put_varint(number << 3 | FIXED64) + struct.pack("<d", value)


def put_fixed64(number: int, value: int) -> bytes:
    """A field that is an unsigned number of eight bytes."""
    return put_varint(number << 3 | FIXED64) + struct.pack("<Q", value)
