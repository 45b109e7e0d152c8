"""Warnings and infos that a query gives beside its result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from trimon.query.language.errors import positions_of
from trimon.records import dataclass

ANNOTATIONS_MAX = 10


@dataclass(slots=True)
class Annotations:
    """The distinct messages of one evaluation, in the order they came.

    Each has the byte offset of the sub-expression that it spoke of last.
    """

    text: str = ""
    _warnings: dict[str, int] = field(default_factory=dict)
    _infos: dict[str, int] = field(default_factory=dict)
    _missing: dict[str, None] = field(default_factory=dict)

    def miss(self, messages: Iterable[str]) -> None:
        """Add warnings of storage, which are about no part of the query."""
        self._missing.update(dict.fromkeys(messages))

    def warn(self, message: str, start: int) -> None:
        """Add a warning about the sub-expression at `start`."""
        self._warnings[message] = start

    def info(self, message: str, start: int) -> None:
        """Add an info about the sub-expression at `start`."""
        self._infos[message] = start

    def warnings(self) -> tuple[str, ...]:
        """The warnings as Prometheus prints them, with positions; those of storage first."""
        return (*self._missing, *self._render("PromQL warning", self._warnings))

    def infos(self) -> tuple[str, ...]:
        """The infos as Prometheus prints them, with positions."""
        return self._render("PromQL info", self._infos)

    def _render(self, kind: str, entries: dict[str, int]) -> tuple[str, ...]:
        if not self.text:
            return tuple(f"{kind}: {message}" for message in entries)
        places = positions_of(self.text, list(entries.values()))
        return tuple(f"{kind}: {message} ({place})" for message, place in zip(entries, places, strict=True))


def limited(entries: tuple[str, ...], kind: str) -> list[str]:
    """At most ten entries and a line that counts the rest, as the API returns them."""
    if len(entries) <= ANNOTATIONS_MAX:
        return list(entries)
    rest = len(entries) - ANNOTATIONS_MAX
    return [*entries[:ANNOTATIONS_MAX], f"{rest} more {kind} annotations omitted"]
