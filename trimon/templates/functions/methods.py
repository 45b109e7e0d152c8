"""Methods that templates may call, by the type of the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus

from trimon.gotext.civiltime import (
    DAY_S,
    NS_PER_S,
    Civil,
    civil,
    days_from_civil,
    duration_text,
    format_time,
    time_literal,
    time_text,
)
from trimon.gotext.numbers import INT64_MAX, INT64_MIN
from trimon.gotext.values import (
    INT,
    INT32,
    INT64,
    STRING,
    GoScalar,
    GoType,
    Pointer,
    Struct,
    Table,
    Value,
    text_bytes,
)
from trimon.model.histogram import FloatHistogram
from trimon.model.histogramtext import histogram_expression, histogram_text
from trimon.templates.errors import CallError
from trimon.templates.functions.function import Function
from trimon.templates.types import (
    BUCKET,
    DURATION,
    HISTOGRAM,
    HISTOGRAM_POINTER,
    MONTH,
    TIME,
    URL_VALUES,
    WEEKDAY,
)

# The first instant of the year 1, Go's zero time.
_ZERO_TIME_NS: Final = -62_135_596_800 * NS_PER_S


def _method(
    name: str, call: Callable[..., Any], *parameters: GoType, shown_refusal: str = ""
) -> tuple[str, Function]:
    return name, Function(name, lambda _, *given: call(*given), parameters, refusal=shown_refusal)


def _refused(name: str, count: int, *parameters: GoType, second: str = "") -> tuple[str, Function]:
    """A method of Go that gives more values than a template can take."""
    refusal = f"function {name} has {count} return values; should be 1 or 2"
    if second:
        refusal = f"invalid function signature for {name}: second return value should be error; is {second}"
    return _method(name, lambda *_: None, *parameters, shown_refusal=refusal)


def _part(read: Callable[[Civil], int]) -> Callable[[Struct], int]:
    return lambda time: read(civil(time.payload))


def _wrapped(number: int) -> int:
    """An integer of 64 bits, overflown as Go's do."""
    return (number + 2**63) % 2**64 - 2**63


def _clamped(number: int) -> GoScalar:
    return GoScalar(DURATION, max(INT64_MIN, min(INT64_MAX, number)))


def _unix(unit_ns: int) -> Callable[[Struct], GoScalar]:
    return lambda time: GoScalar(INT64, _wrapped(time.payload // unit_ns))


def _add_date(time: Struct, years: int, months: int, days: int) -> Struct:
    if max(abs(years), abs(months), abs(days)) > 10_000_000:
        raise CallError("date is out of range")
    fields = civil(time.payload)
    moved = days_from_civil(fields.year + years, fields.month + months, fields.day + days)
    return Struct(TIME, moved * DAY_S * NS_PER_S + time.payload % (DAY_S * NS_PER_S))


def _compare(left: Struct, right: Struct) -> int:
    return int(left.payload > right.payload) - int(left.payload < right.payload)


def _truncated(time: Struct, unit: GoScalar) -> Struct:
    """Down to a multiple of a duration, counted from the year 1."""
    if unit.value <= 0:
        return time
    return Struct(TIME, time.payload - (time.payload - _ZERO_TIME_NS) % unit.value)


def _rounded(time: Struct, unit: GoScalar) -> Struct:
    if unit.value <= 0:
        return time
    rest = (time.payload - _ZERO_TIME_NS) % unit.value
    return Struct(TIME, time.payload - rest + (unit.value if rest * 2 >= unit.value else 0))


def _format(time: Struct, layout: str) -> str:
    return format_time(time.payload, layout)


_TIME: Final = (
    _method("Add", lambda time, span: Struct(TIME, time.payload + span.value), DURATION),
    _method("AddDate", _add_date, INT, INT, INT),
    _method("After", lambda time, other: time.payload > other.payload, TIME),
    _method("Before", lambda time, other: time.payload < other.payload, TIME),
    _method("Compare", _compare, TIME),
    _method("Day", _part(lambda fields: fields.day)),
    _method("Equal", lambda time, other: time.payload == other.payload, TIME),
    _method("Format", _format, STRING),
    _method("GoString", lambda time: time_literal(time.payload)),
    _method("Hour", _part(lambda fields: fields.hour)),
    _method("IsDST", lambda _: False),
    _method("IsZero", lambda time: time.payload == _ZERO_TIME_NS),
    _method("Minute", _part(lambda fields: fields.minute)),
    _method("Month", lambda time: GoScalar(MONTH, civil(time.payload).month)),
    _method("Nanosecond", _part(lambda fields: fields.nanosecond)),
    _method("Round", _rounded, DURATION),
    _method("Second", _part(lambda fields: fields.second)),
    _method("String", lambda time: time_text(time.payload)),
    _method("Sub", lambda time, other: _clamped(time.payload - other.payload), TIME),
    _method("Truncate", _truncated, DURATION),
    _method("UTC", lambda time: time),
    _method("Unix", _unix(NS_PER_S)),
    _method("UnixMicro", _unix(1_000)),
    _method("UnixMilli", _unix(1_000_000)),
    _method("UnixNano", _unix(1)),
    _method("Weekday", lambda time: GoScalar(WEEKDAY, civil(time.payload).weekday)),
    _method("Year", _part(lambda fields: fields.year)),
    _method("YearDay", _part(lambda fields: fields.year_day)),
    _refused("Clock", 3),
    _refused("Date", 3),
    _refused("ISOWeek", 2, second="int"),
    _refused("Zone", 2, second="int"),
)


def _towards_zero(number: int, unit: int) -> int:
    quotient = abs(number) // unit
    return -quotient if number < 0 else quotient


def _floating(unit_ns: int) -> Callable[[GoScalar], float]:
    """Whole units and the rest are divided apart, as Go does."""

    def read(span: GoScalar) -> float:
        whole = _towards_zero(span.value, unit_ns)
        return float(whole) + float(span.value - whole * unit_ns) / unit_ns

    return read


def _duration_truncated(span: GoScalar, unit: GoScalar) -> GoScalar:
    if unit.value <= 0:
        return span
    return GoScalar(DURATION, _towards_zero(span.value, unit.value) * unit.value)


def _duration_rounded(span: GoScalar, unit: GoScalar) -> GoScalar:
    if unit.value <= 0:
        return span
    rest = abs(span.value) % unit.value
    amount = abs(span.value) - rest + (unit.value if rest * 2 >= unit.value else 0)
    return _clamped(-amount if span.value < 0 else amount)


def _count(unit_ns: int) -> Callable[[GoScalar], GoScalar]:
    return lambda span: GoScalar(INT64, _towards_zero(span.value, unit_ns))


_DURATION: Final = (
    _method("Abs", lambda span: _clamped(abs(span.value))),
    _method("Hours", _floating(3600 * NS_PER_S)),
    _method("Microseconds", _count(1_000)),
    _method("Milliseconds", _count(1_000_000)),
    _method("Minutes", _floating(60 * NS_PER_S)),
    _method("Nanoseconds", _count(1)),
    _method("Round", _duration_rounded, DURATION),
    _method("Seconds", _floating(NS_PER_S)),
    _method("String", lambda span: duration_text(span.value)),
    _method("Truncate", _duration_truncated, DURATION),
)


def _zero_bucket(histogram: Struct) -> Struct:
    held: FloatHistogram = histogram.payload
    if held.custom:
        raise CallError("histograms with custom buckets have no zero bucket")
    fields = (-held.zero_threshold, held.zero_threshold, True, True, held.zero_count, GoScalar(INT32, 0))
    return Struct(BUCKET, fields)


_HISTOGRAM: Final = (
    _method("Copy", lambda histogram: Pointer(HISTOGRAM_POINTER, Struct(HISTOGRAM, histogram.payload))),
    _method("String", lambda histogram: histogram_text(histogram.payload)),
    _method("TestExpression", lambda histogram: histogram_expression(histogram.payload)),
    _method("UsesCustomBuckets", lambda histogram: histogram.payload.custom),
    _method("ZeroBucket", _zero_bucket),
)


def _encoded(values: Any) -> str:
    return "&".join(
        f"{quote_plus(text_bytes(name), safe='')}={quote_plus(text_bytes(value), safe='')}"
        for name in sorted(values.entries)
        for value in values.entries[name].items
    )


def _first_of(values: Any, name: str) -> str:
    found = values.entries.get(name)
    text: str = found.items[0] if found is not None and found.items else ""
    return text


_URL_VALUES: Final = (
    _method("Encode", _encoded),
    _method("Get", _first_of, STRING),
    _method("Has", lambda values, name: name in values.entries, STRING),
    _refused("Add", 0, STRING, STRING),
    _refused("Del", 0, STRING),
    _refused("Set", 0, STRING, STRING),
)


def _shown_method(of: GoType) -> tuple[tuple[str, Function], ...]:
    assert of.shown is not None
    shown = of.shown
    return (
        _method("String", lambda value: shown(value.payload if isinstance(value, Struct) else value.value)),
    )


METHODS: Final[dict[GoType, dict[str, Function]]] = {
    TIME: dict(_TIME),
    DURATION: dict(_DURATION),
    HISTOGRAM: dict(_HISTOGRAM),
    URL_VALUES: dict(_URL_VALUES),
    MONTH: dict(_shown_method(MONTH)),
    WEEKDAY: dict(_shown_method(WEEKDAY)),
    BUCKET: dict(_shown_method(BUCKET)),
}


def method_of(value: Value, name: str) -> Function | None:
    """A method of a value that pointers and interfaces were followed to."""
    methods = METHODS.get(value.type) if isinstance(value, Struct | GoScalar | Table) else None
    return methods.get(name) if methods is not None else None
