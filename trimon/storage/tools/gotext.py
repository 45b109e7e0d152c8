"""Numbers, durations and sizes as promtool prints them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def number(value: float) -> str:
    """A float as Go's `%g`: shortest digits, an exponent below 1e-4 and from 1e+06 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + int(exponent)
    lead = "-" if sign else ""
    if value == 0:
        return lead + "0"
    stripped = text.lstrip("0")
    point -= len(text) - len(stripped)
    text = stripped
    if point - 1 < -4 or point - 1 >= 6:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        power = point - 1
        return f"{lead}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{lead}0.{'0' * -point}{text}"
    if point >= len(text):
        return lead + text + "0" * (point - len(text))
    return f"{lead}{text[:point]}.{text[point:]}"


def duration(duration_ms: int) -> str:
    """Milliseconds as Go prints a duration: `1h39m45.001s`."""
    if duration_ms == 0:
        return "0s"
    if abs(duration_ms) < 1000:
        return f"{duration_ms}ms"
    lead, left = ("-", -duration_ms) if duration_ms < 0 else ("", duration_ms)
    hours, left = divmod(left, 3_600_000)
    minutes, left = divmod(left, 60_000)
    seconds = f"{left / 1000:.3f}".rstrip("0").rstrip(".")
    if hours:
        return f"{lead}{hours}h{minutes}m{seconds}s"
    return f"{lead}{minutes}m{seconds}s" if minutes else f"{lead}{seconds}s"


def size(size_bytes: int) -> str:
    """Bytes in descending units: `72KiB238B`."""
    if size_bytes == 0:
        return "0B"
    parts: list[str] = []
    left = size_bytes
    for power, unit in reversed(list(enumerate(_UNITS))):
        count, left = divmod(left, 1024**power)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def moment(time_ms: int) -> str:
    """A time in UTC as Go prints it, to the second."""
    try:
        return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
    except (ValueError, OverflowError, OSError):
        return str(time_ms)
