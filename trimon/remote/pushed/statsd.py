"""StatsD's lines: `name:value|type|@rate|#tag:value`.

Sources: StatsD's metric types and export specification, DogStatsD's datagram format.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.remote.pushed.graphite import decoded, number, quoted
from trimon.remote.pushed.names import Naming

COUNTER: Final = "c"
GAUGE: Final = "g"
TIMER: Final = "ms"
SET: Final = "s"
HISTOGRAM: Final = "h"
_TYPES: Final = {
    "c": COUNTER,
    "m": COUNTER,
    "g": GAUGE,
    "ms": TIMER,
    "h": HISTOGRAM,
    "d": HISTOGRAM,
    "s": SET,
}
_UNSUPPORTED: Final = {b"_e{": "events", b"_sc|": "service checks"}
_MS: Final = 1000.0
_SET_VALUES_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Observation:
    """One value for one series: `weight` is how many such there were, by the rate at which they are sampled."""

    series: Labels
    type: str
    text: bytes
    """The value as it was sent: a sign is a change of a gauge, and values of sets are texts."""
    weight: float

    @property
    def value(self) -> float:
        """The value as a number, that of a timer in seconds. Raises UserError."""
        value = number(self.text)
        if not math.isfinite(value):
            raise UserError(f"{quoted(self.text[:40])} is no finite number")
        return value / _MS if self.type == TIMER else value

    @property
    def is_change(self) -> bool:
        """Whether a gauge is told how much it changed."""
        return self.text[:1] in (b"+", b"-")


class StatsdReader:
    """Reads lines. Synchronous, for one thread."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming

    def observations(self, line: bytes) -> Iterator[Observation]:
        """What a line says; nothing where a mapping drops it. Raises UserError."""
        for prefix, what in _UNSUPPORTED.items():
            if line.startswith(prefix):
                raise UserError(f"{what} are not metrics")
        head, *sections = line.split(b"|")
        name, colon, values = head.partition(b":")
        if not colon or not sections:
            raise UserError("name:value|type is wanted")
        kind = _TYPES.get(decoded(sections[0]))
        if kind is None:
            raise UserError(f"unknown type {quoted(sections[0][:20])}")
        shown, tags = _tagged(decoded(name))
        weight = 1.0
        for section in sections[1:]:
            if section[:1] == b"@":
                weight = 1 / _rate(section[1:])
            elif section[:1] == b"#":
                tags |= _pairs(decoded(section[1:]), ":")
            # Others are of newer versions: container ids, timestamps, fields that say nothing of the series.
        labels = self._naming.labels(shown, tags)
        if labels is not None:
            for text in values.split(b":"):
                yield Observation(labels, kind, text, weight)


def _rate(text: bytes) -> float:
    rate = number(text)
    if not 0 < rate <= 1:
        raise UserError(f"rate {quoted(text[:20])} is not in (0, 1]")
    return rate


def _tagged(name: str) -> tuple[str, dict[str, str]]:
    """The tags that some clients write behind the name: `name,tag=value` or `name#tag=value`."""
    places = [place for sign in ",#" if (place := name.find(sign)) >= 0]
    place = min(places, default=len(name))
    shown, rest = name[:place], name[place + 1 :]
    if not shown:
        raise UserError("no name")
    return shown, _pairs(rest, "=")


def _pairs(text: str, sign: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in filter(None, text.split(",")):
        tag, _, value = pair.partition(sign)
        if not tag:
            raise UserError(f"tag {pair[:80]!r} has no name")
        pairs[tag] = value
    return pairs


@dataclass(slots=True)
class Distribution:
    """What timers and histograms observed: counts by the bucket of a native histogram of a schema."""

    count: float = 0.0
    sum: float = 0.0
    zeros: float = 0.0
    positive: dict[int, float] = field(default_factory=dict)
    negative: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """The series that a distribution is stored as: the same until it has another bucket."""

    series: tuple[Labels, ...]
    marker: float = 0.0
    """Of a native histogram, the value of the first one."""
    positive: tuple[int, ...] = ()
    """The buckets in the order of their series; none where bounds are configured."""
    negative: tuple[int, ...] = ()


@dataclass(slots=True)
class StatsdSeries:
    """The state of a series: it is stored at every flush until nothing was heard of it for long."""

    type: str
    heard_ms: int
    value: float = 0.0
    members: set[bytes] = field(default_factory=set)
    distribution: Distribution | None = None
    stored: Stored | None = None
    """As what a distribution was stored last."""

    def add_member(self, text: bytes) -> None:
        """Another value of a set. Raises UserError beyond a limit."""
        if len(self.members) >= _SET_VALUES_MAX and text not in self.members:
            raise UserError(f"a set has more than {_SET_VALUES_MAX} values")
        self.members.add(text)
