"""Request parameters: times, durations, limits and selectors, read as Prometheus reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from quart import request
from werkzeug.datastructures import MultiDict

from trimon.errors import UserError
from trimon.model.matcher import Matcher
from trimon.query.selectors import parse_selector
from trimon.units import parse_duration_ms
from trimon.web.envelope import ApiError, bad_parameter

# What clients send for "from the beginning" and "to the end": Go's extreme times.
_FOREVER: Final = {
    "-292273086-05-16T16:47:06Z": -(2**52),
    "+292277025-08-18T07:12:54.999999999Z": 2**52,
    "292277025-08-18T07:12:54.999999999Z": 2**52,
}
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


async def parameters() -> MultiDict[str, str]:
    """The parameters of a request: the form of a POST, then the URL's query."""
    if request.method != "POST":
        return request.args
    merged: MultiDict[str, str] = MultiDict(await request.form)
    for name, values in request.args.lists():
        for value in values:
            merged.add(name, value)
    return merged


def parse_time_ms(text: str) -> int:
    """Milliseconds of float Unix seconds or an RFC 3339 time. Raises UserError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isfinite(seconds) and "_" not in text and abs(seconds) < 2**53:
        return round(seconds * 1000)
    if text in _FOREVER:
        return _FOREVER[text]
    match = _RFC3339.fullmatch(text)
    if match is not None:
        day, clock, fraction, zone = match.groups()
        try:
            whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        except ValueError:
            whole = None
        if whole is not None:
            nanoseconds = int((fraction or "0").ljust(9, "0"))
            elapsed = whole - datetime(1970, 1, 1, tzinfo=UTC)
            return elapsed.days * 86_400_000 + elapsed.seconds * 1000 + nanoseconds // 1_000_000
    raise UserError(f'cannot parse "{text}" to a valid timestamp')


def parse_span_ms(text: str) -> int:
    """Milliseconds of float seconds or a Prometheus duration. Raises UserError."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isnan(seconds) and "_" not in text:
        if abs(seconds) > 2**63 / 1e9:
            raise UserError(f'cannot parse "{text}" to a valid duration. It overflows int64')
        return int(seconds * 1000)
    try:
        return parse_duration_ms(text)
    except UserError:
        raise UserError(f'cannot parse "{text}" to a valid duration') from None


def time_ms(values: MultiDict[str, str], name: str, default_ms: int) -> int:
    """A time parameter of a lookup, or the default. Raises ApiError."""
    text = values.get(name, "")
    if not text:
        return default_ms
    try:
        return parse_time_ms(text)
    except UserError as error:
        raise bad_parameter(name, f"invalid time value for '{name}': {error}") from None


def required_time_ms(values: MultiDict[str, str], name: str) -> int:
    """A time parameter that must be there. Raises ApiError."""
    try:
        return parse_time_ms(values.get(name, ""))
    except UserError as error:
        raise bad_parameter(name, error) from None


def limit(values: MultiDict[str, str]) -> int:
    """The `limit` parameter, 0 when there is none. Raises ApiError."""
    text = values.get("limit", "")
    if not text:
        return 0
    try:
        number = int(text)
    except ValueError:
        raise bad_parameter("limit", f'strconv.Atoi: parsing "{text}": invalid syntax') from None
    if number < 0:
        raise bad_parameter("limit", "limit must be non-negative")
    return number


def boolean(values: MultiDict[str, str], name: str) -> bool:
    """A boolean parameter in Go's spelling, False when there is none. Raises ApiError."""
    text = values.get(name, "")
    if text in ("", "0", "f", "F", "false", "FALSE", "False"):
        return False
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    raise bad_parameter(name, f'strconv.ParseBool: parsing "{text}": invalid syntax')


def selectors(texts: Sequence[str]) -> list[tuple[Matcher, ...]]:
    """The matchers of `match[]` parameters. Raises ApiError."""
    out = []
    for text in texts:
        try:
            matchers = parse_selector(text)
        except UserError as error:
            if "at least one non-empty matcher" in error.message:
                raise ApiError("bad_data", "match[] must contain at least one non-empty matcher") from None
            raise bad_parameter("match[]", error) from None
        if all(matcher.matches_empty for matcher in matchers):
            raise ApiError("bad_data", "match[] must contain at least one non-empty matcher")
        out.append(matchers)
    return out


def truncated(items: list[object], most: int, warnings: list[str]) -> list[object]:
    """At most `most` items (0: all), with Prometheus' warning when some were left out."""
    if most and len(items) > most:
        warnings.append("results truncated due to limit")
        return items[:most]
    return items
