"""Times and durations as Go prints and reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

# The first and the last millisecond that has a date.
FIRST_MS: Final = -62_135_596_800_000
LAST_MS: Final = 253_402_300_799_999
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9})\d*)?(Z|[+-]\d{2}:\d{2})", re.ASCII
)


def rfc3339(timestamp_ms: int) -> str:
    """A time in UTC with milliseconds, `2006-01-02T15:04:05.000Z`; of years that have four digits."""
    timestamp_ms = min(max(timestamp_ms, FIRST_MS), LAST_MS)
    return f"{_to_the_second(timestamp_ms)}.{timestamp_ms % 1000:03d}Z"


def _to_the_second(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms // 1000, UTC).isoformat()[: len("2006-01-02T15:04:05")]


def json_time(timestamp_ms: int) -> str:
    """A time as Go's JSON writes it; 0 is Go's zero time. One beyond the years 1 to 9999 is the nearest within them."""
    if not timestamp_ms:
        return "0001-01-01T00:00:00Z"
    timestamp_ms = min(max(timestamp_ms, FIRST_MS), LAST_MS)
    fraction = f".{timestamp_ms % 1000:03d}".rstrip("0") if timestamp_ms % 1000 else ""
    return f"{_to_the_second(timestamp_ms)}{fraction}Z"


def format_go_duration(duration_ms: int) -> str:
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


def moment(time_ms: int) -> str:
    """A time in UTC as Go prints it, to the second."""
    try:
        return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
    except (ValueError, OverflowError, OSError):
        return str(time_ms)


def parse_rfc3339_ms(text: str) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time, further digits cut off; None for what is none."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        return None
    elapsed = whole - datetime(1970, 1, 1, tzinfo=UTC)
    fraction_ms = int((fraction or "0").ljust(9, "0")) // 1_000_000
    return elapsed.days * 86_400_000 + elapsed.seconds * 1000 + fraction_ms
