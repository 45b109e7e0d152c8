"""Durations, sizes and times as Prometheus writes them."""

from __future__ import annotations

import re
from functools import lru_cache

from trimon.errors import UserError
from trimon.gotext.sizes import descending_size

_UNITS_MS = (
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
_UNIT_RANKS = {unit: rank for rank, (unit, _) in enumerate(_UNITS_MS)}
_DURATION_PART = re.compile(r"([0-9]+)([^0-9]*)")
DURATION_MS_MAX = (2**63 - 1) // 1_000_000
_COUNT_MAX = 2**64 - 1
_COUNT_DIGITS_MAX = 20

_GO_UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_GO_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h)")

_SIZE_PART = re.compile(r"([0-9]*(?:\.[0-9]*)?)([^0-9.]*)", re.ASCII)
_SIZE_POWERS = "KMGTPE"
_SIZE_BYTES_MAX = 2**63 - 1


def parse_duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `1h30m`; units descend, each at most once; a bare `0` is allowed.

    Raises UserError with Prometheus' wording.
    """
    if text == "":
        raise UserError("empty duration string")
    if text == "0":
        return 0
    invalid = UserError(f'not a valid duration string: "{text}"')
    total_ms, rank_before, end = 0, -1, 0
    while end < len(text):
        part = _DURATION_PART.match(text, end)
        if part is None or not part[2]:
            raise invalid
        end = part.end()
        digits = part[1].lstrip("0") or "0"
        # Python refuses to read thousands of digits, with an error of its own.
        if len(digits) > _COUNT_DIGITS_MAX or int(digits) > _COUNT_MAX:
            raise invalid
        rank = _UNIT_RANKS.get(part[2])
        if rank is None:
            raise UserError(f'unknown unit "{part[2]}" in duration "{text}"')
        if rank <= rank_before:
            raise invalid
        rank_before = rank
        total_ms += int(digits) * _UNITS_MS[rank][1]
        if total_ms > DURATION_MS_MAX:
            raise UserError("duration out of range")
    return total_ms


@lru_cache(maxsize=4096)
def format_duration(duration_ms: int) -> str:
    """The shortest form Prometheus prints: largest units first, years and weeks only when exact."""
    if duration_ms == 0:
        return "0s"
    sign, left = ("-", -duration_ms) if duration_ms < 0 else ("", duration_ms)
    out = []
    for unit, unit_ms in _UNITS_MS:
        if unit in "yw" and left % unit_ms:
            continue
        count, left = divmod(left, unit_ms)
        if count:
            out.append(f"{count}{unit}")
    return sign + "".join(out)


def parse_go_duration_ns(text: str) -> int:
    """Nanoseconds of a duration as Go writes it: `1h30m`, `1.5s`, `-2us`. Raises UserError."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    parts = list(_GO_PART.finditer(unsigned))
    if unsigned != "0" and (not parts or "".join(part[0] for part in parts) != unsigned):
        raise UserError(f'time: invalid duration "{text}"')
    total = sum(round(float(part[1]) * _GO_UNITS_NS[part[2]]) for part in parts)
    return -total if text.startswith("-") else total


def parse_size_bytes(text: str) -> int:
    """Bytes of a size such as `512MB` or `1GB512MB`; base 2 with or without the `i`; the unit is required.

    A bare `0` is allowed; a sign and fractions are read. Raises UserError with Prometheus' wording.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total_bytes, end = 0.0, 0
    whole_bytes = 0
    while end < len(unsigned) or not unsigned:
        part = _SIZE_PART.match(unsigned, end)
        if part is None or part[1] in ("", "."):
            raise UserError(f"units: invalid {text}")
        end = part.end()
        unit_bytes = _unit_bytes(part[2])
        if unit_bytes is None:
            raise UserError(f"units: unknown unit {part[2]} in {text}")
        if "." in part[1]:
            total_bytes += float(part[1]) * unit_bytes
        elif len(part[1].lstrip("0")) <= _COUNT_DIGITS_MAX:
            whole_bytes += int(part[1]) * unit_bytes
        else:
            total_bytes = float("inf")
        if total_bytes + whole_bytes > _SIZE_BYTES_MAX:
            raise UserError(f"units: invalid {text}")
    size_bytes = whole_bytes + int(total_bytes)
    return -size_bytes if text.startswith("-") else size_bytes


def _unit_bytes(unit: str) -> int | None:
    """The bytes of `B`, `KB`, `KiB` and so on."""
    if unit == "B":
        return 1
    if unit[1:] in ("B", "iB") and unit[0] in _SIZE_POWERS:
        return int(1024 ** (_SIZE_POWERS.index(unit[0]) + 1))
    return None


def format_size(size_bytes: int) -> str:
    """The form Prometheus prints: `512MiB`, `1KiB512B`; whole numbers of descending units."""
    return f"-{descending_size(-size_bytes)}" if size_bytes < 0 else descending_size(size_bytes)
