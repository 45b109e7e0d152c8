"""Sizes as promtool prints them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def descending_size(size_bytes: int) -> str:
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
