"""The replacement of a match, as `Regexp.Expand` of Go writes it."""

from __future__ import annotations

import re
from typing import Final

import re2

_DIGITS_MAX: Final = 8
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


class Replacement:
    """Go's template of a replacement: `$1`, `${1}`, `$name`, `$$`; an unknown reference is empty."""

    def __init__(self, text: str) -> None:
        self._parts: list[str] = []
        # Where the parts are references, and to what.
        self._references: list[tuple[int, int | str]] = []
        at = 0
        for found in _REFERENCE.finditer(text):
            self._parts.append(text[at : found.start()])
            at = found.end()
            name = found.group(1) or found.group(2)
            if name is not None:
                key = int(name) if name.isdigit() and len(name) <= _DIGITS_MAX else name
                self._references.append((len(self._parts), key))
            self._parts.append("" if name is not None else "$")
        self._parts.append(text[at:])

    def expand(self, match: re2._Match) -> str:
        """The text for a match."""
        parts, groups = self._parts.copy(), {}
        for place, key in self._references:
            if key not in groups:
                groups[key] = _group(match, key)
            parts[place] = groups[key]
        return "".join(parts)


def _group(match: re2._Match, key: int | str) -> str:
    try:
        return match.group(key) or ""
    except (IndexError, KeyError, re2.error):
        return ""
