"""Numbers as Go reads and prints them."""

from __future__ import annotations

import math
import re

from trimon.errors import UserError
from trimon.units import parse_duration_ms

_OCTAL = re.compile(r"0[0-7]+")
# An underscore stands between two digits, or between a prefix and a digit.
_ODD_UNDERSCORE = re.compile(r"(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])", re.ASCII)
# Larger ones are no integers to Go.
_INTEGERS = 2**63
_DURATION = re.compile(r"(?:\d+(?:ms|[ywdhms]))+", re.ASCII)


def parse_number(text: str) -> float:
    """The value of a number literal; raises UserError with Prometheus' text."""
    plain = text.replace("_", "")
    lower = plain.lower()
    sign = -1.0 if lower.startswith("-") else 1.0
    body = lower.lstrip("+-")
    if body in ("inf", "infinity"):
        return sign * math.inf
    if body == "nan":
        return math.nan
    complaint = "invalid syntax"
    try:
        if "_" in text and _ODD_UNDERSCORE.search(text):
            raise ValueError
        if body.startswith("0x"):
            whole = int(body, 16)
            if whole < _INTEGERS:
                return sign * float(whole)
        else:
            # Octal as long as it fits an int64, as Go has it.
            whole = int(body, 8) if _OCTAL.fullmatch(body) else _INTEGERS
            value = float(body if whole >= _INTEGERS else whole)
            if math.isfinite(value):
                return sign * value
            complaint = "value out of range"
    except ValueError:
        pass
    raise UserError(f'error parsing number: strconv.ParseFloat: parsing "{text}": {complaint}')


def is_duration(text: str) -> bool:
    """Whether a literal has the shape of a duration."""
    return _DURATION.fullmatch(text) is not None


def parse_duration_s(text: str) -> float:
    """Seconds of a duration literal; raises UserError."""
    return parse_duration_ms(text) / 1000
