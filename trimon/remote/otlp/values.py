"""Attributes as text: what a label says of a value of OpenTelemetry.

AnyValue  1 string  2 bool  3 int64  4 double  5 ArrayValue {1 AnyValue …}  6 KeyValueList {1 KeyValue …}  7 bytes
KeyValue  1 key  2 AnyValue
"""

from __future__ import annotations

import base64
import json
import math
import struct
from typing import Final, TypeAlias

from trimon.gotext.floats import format_e, format_plain
from trimon.wire import FIXED64, LENGTH, VARINT, FieldCount, WireError, block, signed, skip, varint

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value] | None"
Attributes: TypeAlias = list[tuple[str, str]]

# Lists within lists, as deep as protobuf's own readers go.
DEPTH_MAX: Final = 100
_STRING: Final = 1 << 3 | LENGTH
_BOOL: Final = 2 << 3 | VARINT
_INT: Final = 3 << 3 | VARINT
_DOUBLE: Final = 4 << 3 | FIXED64
_ARRAY: Final = 5 << 3 | LENGTH
_MAP: Final = 6 << 3 | LENGTH
_BYTES: Final = 7 << 3 | LENGTH
_ITEM: Final = 1 << 3 | LENGTH
_KEY: Final = 1 << 3 | LENGTH
_VALUE: Final = 2 << 3 | LENGTH


def text_of(data: bytes, start: int, end: int) -> str:
    """A text field. Raises WireError."""
    try:
        return data[start:end].decode()
    except UnicodeDecodeError:
        raise WireError("proto: field contains invalid UTF-8") from None


def attribute(data: bytes, start: int, end: int, fields: FieldCount) -> tuple[str, str]:
    """The key of a KeyValue, and its value as text. Raises WireError."""
    key, value = _pair(data, start, end, fields, 0)
    return key, shown(value)


def _pair(data: bytes, position: int, end: int, fields: FieldCount, depth: int) -> tuple[str, Value]:
    key, value = "", None
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == _KEY:
            start, position = block(data, position, end)
            key = text_of(data, start, position)
        elif tag == _VALUE:
            start, position = block(data, position, end)
            value = _value(data, start, position, fields, depth)
        else:
            position = skip(data, position, end, tag & 7)
    return key, value


def _value(data: bytes, position: int, end: int, fields: FieldCount, depth: int) -> Value:
    """Of several alternatives the last counts."""
    if depth > DEPTH_MAX:
        raise WireError(f"proto: a value of an attribute is nested deeper than {DEPTH_MAX}")
    value: Value = None
    while position < end:
        tag, position = fields.tag(data, position)
        if tag & 7 == LENGTH:
            start, position = block(data, position, end)
            if tag == _STRING:
                value = text_of(data, start, position)
            elif tag == _BYTES:
                value = data[start:position]
            elif tag == _ARRAY:
                value = _array(data, start, position, fields, depth + 1)
            elif tag == _MAP:
                value = _map(data, start, position, fields, depth + 1)
        elif tag in (_BOOL, _INT):
            raw, position = varint(data, position)
            value = raw != 0 if tag == _BOOL else signed(raw)
        elif tag == _DOUBLE and position + 8 <= end:
            (value,) = struct.unpack_from("<d", data, position)
            position += 8
        else:
            position = skip(data, position, end, tag & 7)
    return value


def _array(data: bytes, position: int, end: int, fields: FieldCount, depth: int) -> list[Value]:
    items: list[Value] = []
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == _ITEM:
            start, position = block(data, position, end)
            items.append(_value(data, start, position, fields, depth))
        else:
            position = skip(data, position, end, tag & 7)
    return items


def _map(data: bytes, position: int, end: int, fields: FieldCount, depth: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    while position < end:
        tag, position = fields.tag(data, position)
        if tag == _ITEM:
            start, position = block(data, position, end)
            key, value = _pair(data, start, position, fields, depth)
            found[key] = value
        else:
            position = skip(data, position, end, tag & 7)
    return found


def shown(value: Value) -> str:
    """A value as a label has it: lists and maps as JSON, bytes in base 64; empty where a list or map has NaN or ±Inf in it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value) if math.isfinite(value) else _special(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    try:
        return _json(value)
    except _NoJson:
        return ""


class _NoJson(Exception):
    """A number within a list or map that JSON has no form for: nothing of the value is shown."""


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _number(value: float) -> str:
    """As JavaScript prints it: an exponent below 1e-6 and from 1e21 on."""
    if value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = format_e(value).partition("e")
        return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return format_plain(value)


def _json(value: Value) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(key)}:{_json(value[key])}' for key in sorted(value))}}}"
    if value is None:
        return "null"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _NoJson
        return _number(value)
    if isinstance(value, bool | int):
        return shown(value)
    return _quoted(shown(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
