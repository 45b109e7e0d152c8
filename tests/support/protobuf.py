"""A small protobuf encoder, independent of the decoder under test."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any


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


def histogram(fields: Mapping[str, Any]) -> bytes:
    """A Histogram as a field of a TimeSeries: its members by their names in the specification."""
    out = b""
    for number, (name, kind) in enumerate(_HISTOGRAM, 1):
        value = fields.get(name)
        if value is None:
            continue
        if kind == "double":
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif kind == "doubles":
            out += field(number, struct.pack(f"<{len(value)}d", *value))
        elif kind == "spans":
            for span in value:
                offset, length = span.get("offset", 0), span.get("length", 0)
                out += field(number, b"\x08" + varint(zigzag(offset)) + b"\x10" + varint(length))
        elif kind == "deltas":
            out += field(number, b"".join(varint(zigzag(delta)) for delta in value))
        else:
            out += varint(number << 3) + varint(zigzag(value) if kind == "sint" else value)
    return field(4, out)


def zigzag(value: int) -> int:
    """A signed integer as an unsigned one."""
    return (value << 1) ^ (value >> 63)


_HISTOGRAM = (
    ("count_int", "int"),
    ("count_float", "double"),
    ("sum", "double"),
    ("schema", "sint"),
    ("zero_threshold", "double"),
    ("zero_count_int", "int"),
    ("zero_count_float", "double"),
    ("negative_spans", "spans"),
    ("negative_deltas", "deltas"),
    ("negative_counts", "doubles"),
    ("positive_spans", "spans"),
    ("positive_deltas", "deltas"),
    ("positive_counts", "doubles"),
    ("reset_hint", "int"),
    ("timestamp", "int"),
    ("custom_values", "doubles"),
)


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
