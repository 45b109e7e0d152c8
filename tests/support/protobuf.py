"""A small protobuf encoder, independent of the decoder under test."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping


def varint(value: int) -> bytes:
    """An unsigned varint; negative numbers as int64."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def sample(timestamp_ms: int, value: float, *, explicit_zero: bool = False) -> bytes:
    """A Sample message as Go writes it: zero fields are left out."""
    out = b""
    if struct.pack("<d", value) != bytes(8) or explicit_zero:
        out += b"\x09" + struct.pack("<d", value)
    if timestamp_ms or explicit_zero:
        out += b"\x10" + varint(timestamp_ms)
    return out


def labels(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Label messages as fields of a TimeSeries."""
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in pairs)


def series(
    pairs: Iterable[tuple[str, str]], samples: Iterable[tuple[int, float]], extra: bytes = b""
) -> bytes:
    """A TimeSeries as a field of a WriteRequest."""
    body = labels(pairs) + b"".join(field(2, sample(time, value)) for time, value in samples) + extra
    return field(1, body)


def exemplar(pairs: Mapping[str, str], value: float, timestamp_ms: int) -> bytes:
    """An Exemplar as a field of a TimeSeries."""
    stamped = b"\x11" + struct.pack("<d", value) + b"\x18" + varint(timestamp_ms)
    return field(3, labels(pairs.items()) + stamped)


def metadata(kind: int, family: str, help_text: str, unit: str) -> bytes:
    """A MetricMetadata as a field of a WriteRequest."""
    return field(
        3,
        b"\x08"
        + varint(kind)
        + field(2, family.encode())
        + field(4, help_text.encode())
        + field(5, unit.encode()),
    )
