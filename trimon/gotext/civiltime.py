"""Instants in UTC as Go's `time.Time` shows them: calendar fields, and layouts such as `2006-01-02 15:04:05`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from trimon.records import dataclass

NS_PER_S: Final = 1_000_000_000
DAY_S: Final = 86_400
DEFAULT_LAYOUT: Final = "2006-01-02 15:04:05.999999999 -0700 MST"
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


@dataclass(frozen=True, slots=True)
class Civil:
    """An instant in calendar fields; `weekday` 0 is Sunday, `year_day` counts from 1."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    nanosecond: int
    weekday: int
    year_day: int


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar; months and days may be out of their range."""
    carried, month = divmod(month - 1, 12)
    year += carried
    # The year begins in March, so that the leap day is its last.
    shifted, passed = (year, month - 2) if month >= 2 else (year - 1, month + 10)
    leap_days = shifted // 4 - shifted // 100 + shifted // 400
    return shifted * 365 + leap_days + (153 * passed + 2) // 5 + day - 1 - 719_468


def civil(instant_ns: int) -> Civil:
    """The calendar fields of nanoseconds since the Unix epoch."""
    seconds, nanosecond = divmod(instant_ns, NS_PER_S)
    days, of_day = divmod(seconds, DAY_S)
    era, in_era = divmod(days + 719_468, 146_097)
    year_of_era = (in_era - in_era // 1460 + in_era // 36_524 - in_era // 146_096) // 365
    passed_days = in_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    passed = (5 * passed_days + 2) // 153
    day = passed_days - (153 * passed + 2) // 5 + 1
    month = passed + 3 if passed < 10 else passed - 9
    year = year_of_era + era * 400 + (month <= 2)
    return Civil(
        *(year, month, day, of_day // 3600, of_day // 60 % 60, of_day % 60, nanosecond),
        weekday=(days + 4) % 7,
        year_day=days - days_from_civil(year, 1, 1) + 1,
    )


def time_text(instant_ns: int) -> str:
    """`2006-01-02 15:04:05.999 +0000 UTC`: what the String method says."""
    return format_time(instant_ns, DEFAULT_LAYOUT)


def time_literal(instant_ns: int) -> str:
    """`time.Date(2006, time.January, 2, …, time.UTC)`: an instant as Go's source has it."""
    fields = civil(instant_ns)
    parts = (fields.day, fields.hour, fields.minute, fields.second, fields.nanosecond)
    numbers = ", ".join(map(str, parts))
    return f"time.Date({fields.year}, time.{MONTHS[fields.month - 1]}, {numbers}, time.UTC)"


def format_time(instant_ns: int, layout: str) -> str:
    """An instant in a layout, which shows how it would write 15:04:05 of 2 January 2006."""
    fields = civil(instant_ns)
    return "".join(piece if isinstance(piece, str) else piece(fields) for piece in _compiled(layout))


def _year(fields: Civil) -> str:
    sign = "-" if fields.year < 0 else ""
    return f"{sign}{abs(fields.year):04d}"


def _hour12(fields: Civil) -> int:
    return fields.hour % 12 or 12


_Show = Callable[[Civil], str]
# Longer ones stand before those that they begin with.
_PIECES: Final[tuple[tuple[str, _Show], ...]] = (
    ("January", lambda fields: MONTHS[fields.month - 1]),
    ("Jan", lambda fields: MONTHS[fields.month - 1][:3]),
    ("Monday", lambda fields: WEEKDAYS[fields.weekday]),
    ("Mon", lambda fields: WEEKDAYS[fields.weekday][:3]),
    ("MST", lambda _: "UTC"),
    ("002", lambda fields: f"{fields.year_day:03d}"),
    ("01", lambda fields: f"{fields.month:02d}"),
    ("02", lambda fields: f"{fields.day:02d}"),
    ("03", lambda fields: f"{_hour12(fields):02d}"),
    ("04", lambda fields: f"{fields.minute:02d}"),
    ("05", lambda fields: f"{fields.second:02d}"),
    ("06", lambda fields: f"{fields.year % 100:02d}"),
    ("15", lambda fields: f"{fields.hour:02d}"),
    ("1", lambda fields: str(fields.month)),
    ("2006", _year),
    ("2", lambda fields: str(fields.day)),
    ("_2006", lambda fields: "_" + _year(fields)),
    ("__2", lambda fields: f"{fields.year_day:3d}"),
    ("_2", lambda fields: f"{fields.day:2d}"),
    ("3", lambda fields: str(_hour12(fields))),
    ("4", lambda fields: str(fields.minute)),
    ("5", lambda fields: str(fields.second)),
    ("PM", lambda fields: "PM" if fields.hour >= 12 else "AM"),
    ("pm", lambda fields: "pm" if fields.hour >= 12 else "am"),
    ("-070000", lambda _: "+000000"),
    ("-07:00:00", lambda _: "+00:00:00"),
    ("-0700", lambda _: "+0000"),
    ("-07:00", lambda _: "+00:00"),
    ("-07", lambda _: "+00"),
    ("Z070000", lambda _: "Z"),
    ("Z07:00:00", lambda _: "Z"),
    ("Z0700", lambda _: "Z"),
    ("Z07:00", lambda _: "Z"),
    ("Z07", lambda _: "Z"),
)
_FIRST: Final = frozenset(text[0] for text, _ in _PIECES)


@lru_cache(maxsize=64)
def _compiled(layout: str) -> tuple[str | _Show, ...]:
    """The fields of a layout, and the text between."""
    pieces: list[str | _Show] = []
    at, begin = 0, 0
    while at < len(layout):
        width, show = _piece(layout, at)
        if show is None:
            at += 1
            continue
        if at > begin:
            pieces.append(layout[begin:at])
        pieces.append(show)
        at = begin = at + width
    pieces.append(layout[begin:])
    return tuple(pieces)


def _piece(layout: str, at: int) -> tuple[int, _Show | None]:
    character = layout[at]
    if character in ".,":
        return _fraction(layout, at)
    if character in _FIRST:
        for text, show in _PIECES:
            if layout.startswith(text, at):
                # The short name of a month or day is none at the begin of a longer word.
                if text in ("Jan", "Mon") and "a" <= layout[at + 3 : at + 4] <= "z":
                    return 0, None
                return len(text), show
    return 0, None


def _fraction(layout: str, at: int) -> tuple[int, _Show | None]:
    """A fraction of the second: zeros keep its width, nines drop what is 0 at the end."""
    digit = layout[at + 1 : at + 2]
    end = at + 1
    while digit and digit in "09" and layout[end : end + 1] == digit:
        end += 1
    if end == at + 1 or layout[end : end + 1].isdigit():
        return 0, None
    point, width, trimmed = layout[at], end - at - 1, digit == "9"

    def show(fields: Civil) -> str:
        digits = f"{fields.nanosecond:09d}"[:width].ljust(width, "0")
        if trimmed:
            digits = digits.rstrip("0")
        return point + digits if digits else ""

    return width + 1, show


def duration_text(duration_ns: int) -> str:
    """`1h2m3.5s`, `1.5ms`, `0s`: what the String method of a duration says."""
    if duration_ns == 0:
        return "0s"
    sign, left = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    if left < NS_PER_S:
        for unit, unit_ns in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if left >= unit_ns:
                return f"{sign}{_decimal(left, unit_ns)}{unit}"
    seconds, fraction = divmod(left, NS_PER_S)
    minutes, seconds = divmod(seconds, 60)
    text = f"{_decimal(seconds * NS_PER_S + fraction, NS_PER_S)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        if hours:
            text = f"{hours}h{text}"
    return sign + text


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).rjust(len(str(unit)) - 1, '0').rstrip('0')}"
