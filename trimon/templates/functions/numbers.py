"""Numbers for human eyes, durations and times."""

from __future__ import annotations

import math

from trimon.errors import UserError
from trimon.gotext.civiltime import NS_PER_S, time_text
from trimon.gotext.floats import format_g
from trimon.gotext.numbers import INT64_MAX, INT64_MIN, parse_go_float
from trimon.gotext.values import (
    ANY,
    INT,
    INT64,
    STRING,
    UINT64,
    GoScalar,
    Pointer,
    Struct,
    Value,
    inside,
    type_of,
)
from trimon.templates.errors import CallError
from trimon.templates.functions.function import Calling, Function
from trimon.templates.types import DURATION, DURATION_POINTER, TIME, TIME_POINTER
from trimon.units import parse_duration_ms

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")


def to_float(value: Value) -> float:
    """A number, or a string that is one. Raises CallError."""
    value = inside(value)
    if isinstance(value, bool) or value is None:
        raise CallError(f"can't convert {'bool' if value is not None else '<nil>'} to float")
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return parse_go_float(value)
        except UserError as error:
            raise CallError(error.message) from None
    if isinstance(value, GoScalar):
        if value.type in (INT, INT64, UINT64):
            return float(value.value)
        if value.type is DURATION:
            return float(value.value / NS_PER_S)
    raise CallError(f"can't convert {type_of(value)} to float")


def _four(value: float) -> str:
    """Four significant digits."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.4g}"


def _int64(value: float) -> int:
    """A float as the processors of most servers convert it: what does not fit is the lowest number."""
    if not math.isfinite(value):
        return INT64_MIN
    whole = int(value)
    return whole if INT64_MIN <= whole <= INT64_MAX else INT64_MIN


def _scaled(value: float, prefixes: tuple[str, ...], step: float) -> tuple[float, str]:
    """The value divided until it is below a step, and the prefix for that."""
    prefix = ""
    for following in prefixes:
        if abs(value) < step:
            break
        prefix = following
        value /= step
    return value, prefix


def _shrunk(value: float) -> tuple[float, str]:
    """The value multiplied until it is at least 1, and the prefix for that."""
    prefix = ""
    for following in _SMALL:
        if abs(value) >= 1:
            break
        prefix = following
        value *= 1000
    return value, prefix


def _humanize(_: Calling, number: Value) -> str:
    value = to_float(number)
    if value == 0 or not math.isfinite(value):
        return _four(value)
    value, prefix = _scaled(value, _LARGE, 1000) if abs(value) >= 1 else _shrunk(value)
    return _four(value) + prefix


def _humanize1024(_: Calling, number: Value) -> str:
    value = to_float(number)
    if abs(value) <= 1 or not math.isfinite(value):
        return _four(value)
    value, prefix = _scaled(value, _LARGE, 1024)
    return _four(value) + (f"{prefix}i" if prefix else "")


def _humanize_percentage(_: Calling, number: Value) -> str:
    return f"{_four(to_float(number) * 100)}%"


def _humanize_duration(_: Calling, number: Value) -> str:
    value = to_float(number)
    if not math.isfinite(value):
        return _four(value)
    if value == 0:
        return f"{_four(value)}s"
    if abs(value) < 1:
        value, prefix = _shrunk(value)
        return f"{_four(value)}{prefix}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole = _int64(value)
    # Go rounds quotients towards zero, which shows where a duration overflows.
    minutes, seconds = _quotient(whole, 60)
    hours, minutes = _quotient(minutes, 60)
    days, hours = _quotient(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_four(value)}s"


def _quotient(dividend: int, divisor: int) -> tuple[int, int]:
    quotient, remainder = divmod(abs(dividend), divisor)
    return (-quotient, -remainder) if dividend < 0 else (quotient, remainder)


def _instant_ns(value: float) -> int:
    """Seconds since the epoch in nanoseconds, to the millisecond. Raises CallError when Go's integers cannot hold it."""
    nanoseconds = value * 1e9
    if nanoseconds > INT64_MAX or nanoseconds < INT64_MIN:
        shown = format_g(value)
        raise CallError(f"{shown} cannot be represented as a nanoseconds timestamp since it overflows int64")
    milliseconds, _ = _quotient(_int64(nanoseconds), 1_000_000)
    return milliseconds * 1_000_000


def _humanize_timestamp(_: Calling, number: Value) -> str:
    value = to_float(number)
    if not math.isfinite(value):
        return _four(value)
    return time_text(_instant_ns(value))


def _to_time(_: Calling, number: Value) -> Value:
    value = to_float(number)
    if not math.isfinite(value):
        raise CallError("value is NaN or Inf")
    return Pointer(TIME_POINTER, Struct(TIME, _instant_ns(value)))


def _to_duration(_: Calling, number: Value) -> Value:
    return Pointer(DURATION_POINTER, GoScalar(DURATION, _int64(to_float(number) * 1e9)))


def _now(calling: Calling) -> float:
    return calling.time_ms / 1000


def _parse_duration(_: Calling, text: str) -> float:
    try:
        if text.startswith("-"):
            return -parse_duration_ms(text[1:]) / 1000
        return parse_duration_ms(text) / 1000
    except UserError as error:
        raise CallError(error.message) from None


FUNCTIONS = (
    Function("humanize", _humanize, (ANY,)),
    Function("humanize1024", _humanize1024, (ANY,)),
    Function("humanizeDuration", _humanize_duration, (ANY,)),
    Function("humanizePercentage", _humanize_percentage, (ANY,)),
    Function("humanizeTimestamp", _humanize_timestamp, (ANY,)),
    Function("now", _now),
    Function("parseDuration", _parse_duration, (STRING,)),
    Function("toDuration", _to_duration, (ANY,)),
    Function("toTime", _to_time, (ANY,)),
)
