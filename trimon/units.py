"""Durations, sizes and times as Prometheus writes them."""

from __future__ import annotations

import re

from trimon.errors import UserError

_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_UNITS_MS = (
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
DURATION_MS_MAX = (2**63 - 1) // 1_000_000
_DIGITS_MAX = 19

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTPE]i?)?B", re.ASCII)
_SIZE_POWERS = "KMGTPE"


def parse_duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `1h30m`; units descend, each at most once; a bare `0` is allowed.

    Raises UserError with Prometheus' wording.
    """
    if text == "":
        raise UserError("empty duration string")
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UserError(f'not a valid duration string: "{text}"')
    counts = match.groups(default="0")
    # Python refuses to read thousands of digits, with an error of its own.
    if any(len(count) > _DIGITS_MAX and len(count.lstrip("0")) > _DIGITS_MAX for count in counts):
        raise UserError("duration out of range")
    total_ms = sum(
        int(count[-_DIGITS_MAX:]) * unit_ms for count, (_, unit_ms) in zip(counts, _UNITS_MS, strict=True)
    )
    if total_ms > DURATION_MS_MAX:
        raise UserError("duration out of range")
    return total_ms


def format_duration(duration_ms: int) -> str:
    """The shortest form Prometheus prints: largest units first, years, weeks and days only when exact."""
    if duration_ms == 0:
        return "0s"
    sign, left = ("-", -duration_ms) if duration_ms < 0 else ("", duration_ms)
    out = []
    for unit, unit_ms in _UNITS_MS:
        if unit in "ywd" and left % unit_ms:
            continue
        count, left = divmod(left, unit_ms)
        if count:
            out.append(f"{count}{unit}")
    return sign + "".join(out)


def parse_size_bytes(text: str) -> int:
    """Bytes of a size such as `512MB`; base 2 with or without the `i`; the unit is required.

    Raises UserError.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UserError(f'not a valid size: "{text}" (a number with B, KB, MB, GB, TB, PB or EB)')
    number, prefix = match.groups()
    power = _SIZE_POWERS.index(prefix[0]) + 1 if prefix else 0
    size_bytes = int(float(number) * 1024**power) if "." in number else int(number) * 1024**power
    if size_bytes >= 2**63:
        raise UserError(f'size out of range: "{text}"')
    return size_bytes


def format_size(size_bytes: int) -> str:
    """The form Prometheus prints, `512MiB`: the largest unit that keeps the number at least 1."""
    power = 0
    value = float(size_bytes)
    while value >= 1024 and power < len(_SIZE_POWERS):
        value /= 1024
        power += 1
    unit = f"{_SIZE_POWERS[power - 1]}iB" if power else "B"
    return f"{value:.10g}{unit}"
