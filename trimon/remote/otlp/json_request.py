"""A request in JSON, as the OTLP specification maps it: turned into protobuf, so that there is one way to read both.

Names are in lower camel case, ids in hexadecimal digits, 64-bit integers decimal texts or numbers, enumerations numbers (names
are taken too), bytes in base 64. Unknown fields are ignored.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson

from trimon.errors import UserError
from trimon.records import dataclass
from trimon.wire import put_block, put_double, put_fixed64, put_number, zigzag

# Values within values: deeper ones are no request of anybody.
DEPTH_MAX: Final = 200


class JsonError(UserError):
    """A body that is no request in JSON."""


Put: TypeAlias = Callable[[int, Any, int], bytes]


@dataclass(frozen=True, slots=True)
class _Field:
    number: int
    put: Put
    repeated: bool = False
    packed: str = ""
    """How repeated numbers are packed (struct); empty where they are not."""


# Of a whole number, with its sign.
_DIGITS_MAX: Final = 40


def _whole(value: object, low: int, high: int) -> int:
    if isinstance(value, str) and len(value) <= _DIGITS_MAX:
        try:
            value = int(value)
        except ValueError:
            raise JsonError(f"not a whole number: {value!r}") from None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise JsonError(f"not a whole number from {low} to {high}: {str(value)[:50]}")
    return value


def _unsigned(value: object) -> int:
    return _whole(value, 0, 2**64 - 1)


def _signed(value: object) -> int:
    return _whole(value, -(2**63), 2**63 - 1)


_SPECIAL: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _double(value: object) -> float:
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]
        try:
            return float(value)
        except ValueError:
            raise JsonError(f"not a number: {value[:50]!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise JsonError(f"not a number: {str(value)[:50]}")
    try:
        return float(value)
    except OverflowError:
        raise JsonError("a number that is too large") from None


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise JsonError(f"not a text: {str(value)[:50]}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise JsonError("a text with half of a surrogate pair") from None


def _put_text(number: int, value: object, _: int) -> bytes:
    return put_block(number, _text(value))


def _put_hex(number: int, value: object, _: int) -> bytes:
    text = _text(value)
    try:
        return put_block(number, binascii.unhexlify(text))
    except binascii.Error:
        raise JsonError(f"not hexadecimal digits: {text[:50]!r}") from None


def _put_bytes(number: int, value: object, _: int) -> bytes:
    text = _text(value).replace(b"-", b"+").replace(b"_", b"/")
    try:
        return put_block(number, base64.b64decode(text + b"=" * (-len(text) % 4), validate=True))
    except binascii.Error:
        raise JsonError("bytes that are not in base 64") from None


def _put_fixed(number: int, value: object, _: int) -> bytes:
    return put_fixed64(number, _unsigned(value))


def _put_signed_fixed(number: int, value: object, _: int) -> bytes:
    return put_fixed64(number, _signed(value) & 0xFFFFFFFFFFFFFFFF)


def _put_signed(number: int, value: object, _: int) -> bytes:
    return put_number(number, _signed(value))


def _put_unsigned(number: int, value: object, _: int) -> bytes:
    return put_number(number, _unsigned(value))


def _put_zigzag(number: int, value: object, _: int) -> bytes:
    return put_number(number, zigzag(_whole(value, -(2**31), 2**31 - 1)))


def _put_double(number: int, value: object, _: int) -> bytes:
    return put_double(number, _double(value))


def _put_bool(number: int, value: object, _: int) -> bytes:
    if not isinstance(value, bool):
        raise JsonError(f"not true or false: {str(value)[:50]}")
    return put_number(number, int(value))


_TEMPORALITIES: Final = (
    "AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE",
)  # fmt: skip


def _put_temporality(number: int, value: object, _: int) -> bytes:
    if isinstance(value, str) and value in _TEMPORALITIES:
        value = _TEMPORALITIES.index(value)
    return put_number(number, _whole(value, -(2**31), 2**31 - 1))


def _message(name: str) -> Put:
    def put(number: int, value: object, depth: int) -> bytes:
        return put_block(number, _put_message(_MESSAGES[name], value, depth + 1))

    return put


def _put_message(known: Mapping[str, _Field], value: object, depth: int) -> bytes:
    if not isinstance(value, dict):
        raise JsonError(f"not an object: {str(value)[:50]}")
    if depth > DEPTH_MAX:
        raise JsonError(f"objects are nested deeper than {DEPTH_MAX}")
    parts = []
    for name, inner in value.items():
        field = known.get(name)
        if field is None or inner is None:
            continue
        if not field.repeated:
            parts.append(field.put(field.number, inner, depth))
        elif not isinstance(inner, list):
            raise JsonError(f"{name} is not a list")
        elif field.packed:
            parts.append(_put_packed(field, inner))
        else:
            parts.extend(field.put(field.number, each, depth) for each in inner)
    return b"".join(parts)


def _put_packed(field: _Field, values: list[object]) -> bytes:
    numbers: list[float] = [_double(each) if field.packed == "d" else _unsigned(each) for each in values]
    return put_block(field.number, struct.pack(f"<{len(numbers)}{field.packed}", *numbers))


_POINT: Final = {
    "attributes": _Field(7, _message("KeyValue"), repeated=True),
    "startTimeUnixNano": _Field(2, _put_fixed),
    "timeUnixNano": _Field(3, _put_fixed),
    "exemplars": _Field(5, _message("Exemplar"), repeated=True),
    "flags": _Field(8, _put_unsigned),
}
_AGGREGATED: Final = {
    "startTimeUnixNano": _Field(2, _put_fixed),
    "timeUnixNano": _Field(3, _put_fixed),
    "count": _Field(4, _put_fixed),
    "sum": _Field(5, _put_double),
}
_DATA: Final = {"aggregationTemporality": _Field(2, _put_temporality)}
_MESSAGES: Final[dict[str, dict[str, _Field]]] = {
    "Request": {"resourceMetrics": _Field(1, _message("ResourceMetrics"), repeated=True)},
    "ResourceMetrics": {
        "resource": _Field(1, _message("Resource")),
        "scopeMetrics": _Field(2, _message("ScopeMetrics"), repeated=True),
    },
    "Resource": {"attributes": _Field(1, _message("KeyValue"), repeated=True)},
    "ScopeMetrics": {
        "scope": _Field(1, _message("Scope")),
        "metrics": _Field(2, _message("Metric"), repeated=True),
        "schemaUrl": _Field(3, _put_text),
    },
    "Scope": {
        "name": _Field(1, _put_text),
        "version": _Field(2, _put_text),
        "attributes": _Field(3, _message("KeyValue"), repeated=True),
    },
    "Metric": {
        "name": _Field(1, _put_text),
        "description": _Field(2, _put_text),
        "unit": _Field(3, _put_text),
        "gauge": _Field(5, _message("Gauge")),
        "sum": _Field(7, _message("Sum")),
        "histogram": _Field(9, _message("Histogram")),
        "exponentialHistogram": _Field(10, _message("ExponentialHistogram")),
        "summary": _Field(11, _message("Summary")),
    },
    "Gauge": {"dataPoints": _Field(1, _message("NumberDataPoint"), repeated=True)},
    "Sum": {
        "dataPoints": _Field(1, _message("NumberDataPoint"), repeated=True),
        **_DATA,
        "isMonotonic": _Field(3, _put_bool),
    },
    "Histogram": {"dataPoints": _Field(1, _message("HistogramDataPoint"), repeated=True), **_DATA},
    "ExponentialHistogram": {
        "dataPoints": _Field(1, _message("ExponentialHistogramDataPoint"), repeated=True),
        **_DATA,
    },
    "Summary": {"dataPoints": _Field(1, _message("SummaryDataPoint"), repeated=True)},
    "NumberDataPoint": {
        **_POINT,
        "asDouble": _Field(4, _put_double),
        "asInt": _Field(6, _put_signed_fixed),
    },
    "HistogramDataPoint": {
        **_AGGREGATED,
        "bucketCounts": _Field(6, _put_fixed, repeated=True, packed="Q"),
        "explicitBounds": _Field(7, _put_double, repeated=True, packed="d"),
        "exemplars": _Field(8, _message("Exemplar"), repeated=True),
        "attributes": _Field(9, _message("KeyValue"), repeated=True),
        "flags": _Field(10, _put_unsigned),
    },
    "ExponentialHistogramDataPoint": {
        **_AGGREGATED,
        "attributes": _Field(1, _message("KeyValue"), repeated=True),
        "scale": _Field(6, _put_zigzag),
        "zeroCount": _Field(7, _put_fixed),
        "positive": _Field(8, _message("Buckets")),
        "negative": _Field(9, _message("Buckets")),
        "flags": _Field(10, _put_unsigned),
        "exemplars": _Field(11, _message("Exemplar"), repeated=True),
    },
    "Buckets": {
        "offset": _Field(1, _put_zigzag),
        "bucketCounts": _Field(2, _put_unsigned, repeated=True),
    },
    "SummaryDataPoint": {
        **_AGGREGATED,
        "quantileValues": _Field(6, _message("Quantile"), repeated=True),
        "attributes": _Field(7, _message("KeyValue"), repeated=True),
        "flags": _Field(8, _put_unsigned),
    },
    "Quantile": {"quantile": _Field(1, _put_double), "value": _Field(2, _put_double)},
    "Exemplar": {
        "timeUnixNano": _Field(2, _put_fixed),
        "asDouble": _Field(3, _put_double),
        "spanId": _Field(4, _put_hex),
        "traceId": _Field(5, _put_hex),
        "asInt": _Field(6, _put_signed_fixed),
        "filteredAttributes": _Field(7, _message("KeyValue"), repeated=True),
    },
    "KeyValue": {"key": _Field(1, _put_text), "value": _Field(2, _message("AnyValue"))},
    "AnyValue": {
        "stringValue": _Field(1, _put_text),
        "boolValue": _Field(2, _put_bool),
        "intValue": _Field(3, _put_signed),
        "doubleValue": _Field(4, _put_double),
        "arrayValue": _Field(5, _message("ArrayValue")),
        "kvlistValue": _Field(6, _message("KeyValueList")),
        "bytesValue": _Field(7, _put_bytes),
    },
    "ArrayValue": {"values": _Field(1, _message("AnyValue"), repeated=True)},
    "KeyValueList": {"values": _Field(1, _message("KeyValue"), repeated=True)},
}


def protobuf_of(body: bytes) -> bytes:
    """The same request in protobuf. Raises JsonError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise JsonError(f"invalid JSON: {error}") from None
    return _put_message(_MESSAGES["Request"], value, 0)
