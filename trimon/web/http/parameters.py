"""Request parameters: times, durations, limits and selectors, read as Prometheus reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.numbers import INT64_MIN, parse_go_float
from trimon.gotext.strings import go_quote, go_quote_bytes
from trimon.gotext.times import parse_rfc3339_ms
from trimon.model.matcher import Matcher
from trimon.query.language.selectors import parse_selector
from trimon.units import parse_duration_ms
from trimon.web.http.answer import ApiError, bad_parameter
from trimon.web.http.multidict import MultiDict

FORM: Final = "application/x-www-form-urlencoded"
# Of times beyond it nothing is stored; the engine reckons with 64 bits.
TIME_MS_MAX: Final = 2**53 * 1000 - 1
INT_MAX: Final = 2**63 - 1
# The warning of an answer that a `limit` has cut.
TRUNCATED: Final = "results truncated due to limit"
# All threads wait while Python takes one text apart.
_PIECE_BYTES: Final = 16 * 1024
# What clients send for "from the beginning" and "to the end": Go's extreme times.
_FOREVER: Final = {
    "-292273086-05-16T16:47:06Z": -(2**52),
    "+292277025-08-18T07:12:54.999999999Z": 2**52,
    "292277025-08-18T07:12:54.999999999Z": 2**52,
}
# Nothing is given back once it is taken: a million digits that are no number in the end would take hours otherwise.
_NUMBER = re.compile(r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")
_NO_UTF8 = re.compile("[\udc80-\udcff]")
_NS_PER_MS = 1_000_000
# What Go makes of infinities and NaN: the least of 64 bits in nanoseconds.
_NO_NUMBER_MS: Final = -(2**63 // _NS_PER_MS)


def decoded(form: bytes, query: bytes, *, strict: bool = False) -> MultiDict[str, str]:
    """The parameters of a form, then of a URL's query. Raises ApiError for too many, and for bad ones where `strict`.

    Bad ones are left out elsewhere, as Go does: those with `;` and those with a bad escape. What is no UTF-8 is U+FFFD.
    """
    if len(form) > limits.REQUEST_FORM_BYTES_MAX:
        raise form_too_long(len(form))
    given = form.count(b"&") + query.count(b"&") + bool(form) + bool(query)
    if given > limits.REQUEST_PARAMETERS_MAX:
        most = limits.REQUEST_PARAMETERS_MAX
        raise ApiError("bad_data", f"{given} parameters exceed the limit of {most}")
    pairs: list[tuple[str, str]] = []
    for part in (form, query) if form else (query,):
        listed = part.split(b"&")
        if b";" in part or (b"%" in part and _bad_escape(part) >= 0):
            listed = _good(listed, strict=strict)
        for pair in listed:
            if pair:
                name, _, value = pair.partition(b"=")
                pairs.append((_unescaped(name), _unescaped(value)))
    return MultiDict(pairs)


def _good(pairs: Sequence[bytes], *, strict: bool) -> list[bytes]:
    """The pairs without bad ones. Raises ApiError where `strict`, which names a semicolon before an escape."""
    good, fault = [], ""
    for pair in pairs:
        if b";" in pair:
            fault = "invalid semicolon separator in query"
            continue
        bad = next((text[at:] for text in pair.split(b"=", 1) if (at := _bad_escape(text)) >= 0), None)
        if bad is None:
            good.append(pair)
        elif not fault:
            fault = f"invalid URL escape {go_quote_bytes(bad[:3])}"
    if fault and strict:
        raise ApiError("bad_data", f"error parsing form values: {fault}")
    return good


def _bad_escape(raw: bytes) -> int:
    """Where the first bad escape is, -1 when there is none."""
    for start in range(0, len(raw), _PIECE_BYTES):
        # an escape that begins in a piece may end in the next one
        stop = start + _PIECE_BYTES
        found = _BAD_ESCAPE.search(raw, start, stop + 2)
        if found is not None and found.start() < stop:
            return found.start()
    return -1


def _unescaped(raw: bytes) -> str:
    raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        raw = unquote_to_bytes(raw) if len(raw) <= _PIECE_BYTES else _unquoted_in_pieces(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _NO_UTF8.sub("\ufffd", raw.decode("utf-8", "surrogateescape"))


def _unquoted_in_pieces(raw: bytes) -> bytes:
    parts, at = [], 0
    while at < len(raw):
        end = at + _PIECE_BYTES
        split = raw.rfind(b"%", end - 2, end)
        if split >= 0:  # an escape is not cut in two
            end = split
        parts.append(unquote_to_bytes(raw[at:end]))
        at = end
    return b"".join(parts)


def form_too_long(size_bytes: int) -> ApiError:
    """The error of a form that is longer than any may be."""
    most = limits.REQUEST_FORM_BYTES_MAX
    return ApiError("bad_data", f"form of {size_bytes} bytes exceeds the limit of {most} bytes")


def number_of(text: str) -> float | None:
    """A float in Go's spelling, infinities and NaN included; None for anything else, and for what is out of range."""
    if _NUMBER.fullmatch(text) is not None:
        number = float(text)
        return None if math.isinf(number) else number
    try:
        return parse_go_float(text)
    except UserError:
        return None


def parse_time_ms(text: str) -> int:
    """Milliseconds of float Unix seconds, rounded half away from zero, or of an RFC 3339 time. Raises UserError."""
    seconds = number_of(text)
    if seconds is not None:
        if not math.isfinite(seconds):
            return _NO_NUMBER_MS
        if abs(seconds) >= 2**63:
            return 0  # what Go's nanoseconds are when the seconds exceed their 64 bits
        fraction_s, whole_s = math.modf(seconds)
        fraction_ms = math.copysign(math.floor(abs(fraction_s) * 1000 + 0.5), fraction_s)
        return max(-TIME_MS_MAX, min(TIME_MS_MAX, int(whole_s) * 1000 + int(fraction_ms)))
    if text in _FOREVER:
        return _FOREVER[text]
    moment_ms = parse_rfc3339_ms(text)
    if moment_ms is not None:
        return moment_ms
    raise UserError(f"cannot parse {go_quote(text)} to a valid timestamp")


def parse_span_ns(text: str) -> int:
    """Nanoseconds of float seconds or a Prometheus duration. Raises UserError."""
    seconds = number_of(text)
    if seconds is None:
        try:
            return parse_duration_ms(text) * _NS_PER_MS
        except UserError:
            raise UserError(f"cannot parse {go_quote(text)} to a valid duration") from None
    span_ns = seconds * 1e9
    if abs(span_ns) > 2**63:
        raise UserError(f"cannot parse {go_quote(text)} to a valid duration. It overflows int64")
    # 64 bits in Go, where what is beyond them, and no number, is the least.
    return int(span_ns) if span_ns < 2**63 else INT64_MIN


def parse_span_ms(text: str) -> int:
    """As `parse_span_ns`, in whole milliseconds, cut."""
    span_ns = parse_span_ns(text)
    return span_ns // _NS_PER_MS if span_ns >= 0 else -(-span_ns // _NS_PER_MS)


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
    """A time parameter that must be there, an end of a range. Raises ApiError."""
    text = values.get(name, "")
    try:
        time_ms = parse_time_ms(text)
    except UserError as error:
        raise bad_parameter(name, error) from None
    seconds = number_of(text)
    # Where two times are compared, those beyond Go's seconds are before all others.
    return time_ms if seconds is None or abs(seconds) < 2**63 else -TIME_MS_MAX


def limit(values: MultiDict[str, str]) -> int:
    """The `limit` parameter, 0 when there is none. Raises ApiError."""
    text = values.get("limit", "")
    if not text:
        return 0
    number = integer(text)
    if number is None:
        raise bad_parameter("limit", f'strconv.Atoi: parsing "{text}": invalid syntax')
    if abs(number) > INT_MAX:
        raise bad_parameter("limit", f'strconv.Atoi: parsing "{text}": value out of range')
    if number < 0:
        raise bad_parameter("limit", "limit must be non-negative")
    return number


def integer(text: str) -> int | None:
    """An integer in Go's spelling, None for anything else."""
    # longer ones are out of every range; Python refuses to read very long ones
    return int(text[:40]) if _INTEGER.fullmatch(text) else None


def boolean(values: MultiDict[str, str], name: str) -> bool:
    """A boolean parameter in Go's spelling, False when there is none. Raises ApiError."""
    return boolean_of(values.get(name, ""), name, "unable to parse boolean")


def boolean_of(text: str, name: str, failure: str) -> bool:
    """A boolean in Go's spelling, False when it is empty. Raises ApiError, which names the parameter and the failure."""
    if text in ("", "0", "f", "F", "false", "FALSE", "False"):
        return False
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    raise bad_parameter(name, f'{failure}: strconv.ParseBool: parsing "{text}": invalid syntax')


def selectors(
    texts: Sequence[str], check: Callable[[], None], *, named: bool = False
) -> list[tuple[Matcher, ...]]:
    """The matchers of `match[]` parameters. Raises ApiError, which names the parameter where `named`.

    Patterns are compiled, which takes its time: in a thread. `check` is called before each, and may raise.
    """
    out = []
    try:
        for text in texts:
            check()
            out.append(parse_selector(text))
        if any(all(matcher.matches_empty for matcher in matchers) for matchers in out):
            raise UserError("match[] must contain at least one non-empty matcher")
    except UserError as error:
        raise bad_parameter("match[]", error) if named else ApiError("bad_data", str(error)) from None
    return out
