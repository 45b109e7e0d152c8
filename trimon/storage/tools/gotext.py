"""Numbers, durations and sizes as promtool prints them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


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
