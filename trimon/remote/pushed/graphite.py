"""Graphite's plaintext protocol: `name;tag=value 1.5 1700000000`, a sample a line.

Source: Graphite's manual, "Feeding In Your Data".
"""

from __future__ import annotations

import math
from typing import Final

from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.remote.pushed.names import Naming

# Names that are remembered with their series; a flood of new ones forgets all.
_NAMES_MAX: Final = 100_000
# -1 and N stand for the time at which a line came.
_NOW: Final = frozenset((b"-1", b"N", b"n"))
_TIME_S_MAX: Final = 1 << 43
_PARTS: Final = 3


class GraphiteReader:
    """Reads lines. Synchronous, for one thread."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._known: dict[bytes, Labels | None] = {}

    def sample(self, line: bytes, now_ms: int) -> tuple[Labels, int, float] | None:
        """Series, time in ms and value of a line; None where a mapping drops it. Raises UserError."""
        parts = line.split()
        if len(parts) not in (_PARTS - 1, _PARTS):
            raise UserError(f"{len(parts)} parts, name, value and time are wanted")
        try:
            labels = self._known[parts[0]]
        except KeyError:
            labels = self._series(parts[0])
        value = number(parts[1])
        time_ms = now_ms if len(parts) < _PARTS or parts[2] in _NOW else _time_ms(parts[2])
        return None if labels is None else (labels, time_ms, value)

    def _series(self, text: bytes) -> Labels | None:
        name, *pairs = decoded(text).split(";")
        if not name:
            raise UserError("no name")
        tags: dict[str, str] = {}
        for pair in pairs:
            tag, equals, value = pair.partition("=")
            if not equals or not tag:
                raise UserError(f"tag {pair[:80]!r} is not name=value")
            tags[tag] = value
        if len(self._known) >= _NAMES_MAX:
            self._known.clear()
        labels = self._known[text] = self._naming.labels(name, tags)
        return labels


def decoded(text: bytes) -> str:
    """Text that is UTF-8. Raises UserError."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise UserError("not valid UTF-8") from None


def quoted(text: bytes) -> str:
    """Bytes of a line as people read them, in quotes; what is no text is replaced."""
    return repr(text.decode(errors="replace"))


def number(text: bytes) -> float:
    """A float, infinities and NaN too. Raises UserError."""
    try:
        if b"_" not in text:
            return float(text)
    except ValueError:
        pass
    raise UserError(f"{quoted(text[:40])} is no number")


def _time_ms(text: bytes) -> int:
    time_s = number(text)
    if not math.isfinite(time_s) or not 0 <= time_s <= _TIME_S_MAX:
        raise UserError(f"{quoted(text[:40])} is no time in seconds")
    return round(time_s * 1000)
