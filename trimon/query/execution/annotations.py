"""Warnings and infos that a query gives beside its result."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import field
from typing import NamedTuple

from trimon.gotext.floats import format_g
from trimon.gotext.times import rfc3339
from trimon.query.language.errors import positions_of
from trimon.records import dataclass

ANNOTATIONS_MAX = 10


class Fall(NamedTuple):
    """How far cumulative counts fell from one bucket to the next: the bounds of the buckets, the largest difference, where."""

    low: float
    high: float
    most: float
    samples: int
    first_ms: int
    last_ms: int

    def merged(self, other: Fall) -> Fall:
        """Both in one."""
        return Fall(
            min(self.low, other.low),
            max(self.high, other.high),
            max(self.most, other.most),
            self.samples + other.samples,
            min(self.first_ms, other.first_ms),
            max(self.last_ms, other.last_ms),
        )

    def text(self) -> str:
        """As Prometheus says it behind the info."""
        return (
            f", from buckets {format_g(self.low)} to {format_g(self.high)}, with a max diff of {self.most:.2g}"
            f", over {self.samples} samples from {_second(self.first_ms)} to {_second(self.last_ms)}"
        )


def _second(time_ms: int) -> str:
    """A time without its milliseconds, cut off as Go's division does."""
    return f"{rfc3339(int(time_ms / 1000) * 1000)[:-5]}Z"


@dataclass(slots=True)
class Annotations:
    """The distinct messages of one evaluation, in the order they came.

    Each has the byte offset of the sub-expression that it spoke of last.
    """

    text: str = ""
    _warnings: dict[str, int] = field(default_factory=dict)
    _infos: dict[str, int] = field(default_factory=dict)
    _missing: dict[str, None] = field(default_factory=dict)
    _worst: dict[int, tuple[float, ...]] = field(default_factory=dict)
    _falls: dict[str, Fall] = field(default_factory=dict)

    def miss(self, messages: Iterable[str]) -> None:
        """Add warnings of storage, which are about no part of the query."""
        self._missing.update(dict.fromkeys(messages))

    def warn(self, message: str, start: int) -> None:
        """Add a warning about the sub-expression at `start`."""
        self._warnings[message] = start

    def warn_of_worst(self, text: str, values: Iterable[float], start: int) -> None:
        """Add warnings about the worst of some values, which may come part by part.

        A NaN is one, and so are the highest above 1 and the lowest below 0; what was said of parts before is taken back.
        """
        before = self._worst.get(start, ())
        every = [*before, *values]
        known = [value for value in every if not math.isnan(value)]
        worst = [math.nan] if len(known) < len(every) else []
        worst += [value for value in (max(known, default=0.0),) if value > 1]
        worst += [value for value in (min(known, default=0.0),) if value < 0]
        for value in before:
            message = f"{text}{format_g(value)}"
            if self._warnings.get(message) == start:
                del self._warnings[message]
        for value in worst:
            self.warn(f"{text}{format_g(value)}", start)
        self._worst[start] = tuple(worst)

    def info(self, message: str, start: int) -> None:
        """Add an info about the sub-expression at `start`."""
        self._infos[message] = start

    def info_of_fall(self, message: str, fall: Fall, start: int) -> None:
        """Add an info that is one for the whole query, with what all falls have together; its place is that of the first."""
        known = self._falls.get(message)
        self._falls[message] = fall if known is None else known.merged(fall)
        self._infos.setdefault(message, start)

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
        return tuple(
            f"{kind}: {message}{self._falls[message].text() if message in self._falls else ''} ({place})"
            for message, place in zip(entries, places, strict=True)
        )


def limited(entries: tuple[str, ...], kind: str) -> list[str]:
    """At most ten entries and a line that counts the rest, as the API returns them."""
    if len(entries) <= ANNOTATIONS_MAX:
        return list(entries)
    rest = len(entries) - ANNOTATIONS_MAX
    return [*entries[:ANNOTATIONS_MAX], f"{rest} more {kind} annotations omitted"]
