"""What an example target shows: families of counters, gauges and histograms, each a formula of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from trimon.demo.flows import Floats, Flow
from trimon.records import dataclass

# Four buckets an octave, from 1/256 s to 8 s: bucket i ends at 2^(i/4), and classic bounds are those of whole octaves.
SCHEMA: Final = 2
ZERO_THRESHOLD: Final = 2.938735877055719e-39
BUCKETS: Final = np.arange(-31, 13)
BOUNDS: Final = 2.0 ** (BUCKETS / 4)
CLASSIC: Final = np.flatnonzero(BUCKETS % 4 == 0)
# The texts of the classic bounds, as storage has them.
BOUND_TEXTS: Final = (*(repr(float(bound)) for bound in BOUNDS[CLASSIC]), "+Inf")

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Counter:
    """A series that only grows, until its process starts again."""

    labels: Labels
    flow: Flow
    # When the series is first seen, as seconds since the fleet began.
    first_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """A series of any values."""

    labels: Labels
    value: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Durations:
    """How long some things last: so many of them a second about `median_s`, within a factor of e^`spread`."""

    flow: Flow
    median_s: float
    spread: float

    @property
    def mean_s(self) -> float:
        """The mean of a lognormal distribution."""
        return self.median_s * math.exp(self.spread**2 / 2)

    def shares(self) -> Floats:
        """The part of all that falls in each bucket; the first has all that are shorter, the last all that are longer."""
        below = [
            0.5 * (1 + math.erf(math.log(bound / self.median_s) / (self.spread * math.sqrt(2))))
            for bound in BOUNDS
        ]
        below[-1] = 1.0
        return np.diff(np.array(below), prepend=0.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """A distribution of durations; each bucket is a whole number that grows."""

    labels: Labels
    parts: tuple[Durations, ...]

    def counts(self, times_s: Floats, since_s: Floats) -> Floats:
        """How many fell in each bucket since a process began: a row a bucket, a column a time."""
        fallen = sum(
            part.shares()[:, None] * (part.flow.total(times_s) - part.flow.total(since_s))[None, :]
            for part in self.parts
        )
        return np.floor(np.asarray(fallen, np.float64))

    def sums(self, times_s: Floats, since_s: Floats) -> Floats:
        """The seconds of all of them."""
        return np.asarray(
            sum(part.mean_s * (part.flow.total(times_s) - part.flow.total(since_s)) for part in self.parts),
            np.float64,
        )


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one name."""

    name: str
    kind: str
    help: str
    series: tuple[Counter | Gauge | Histogram, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """An example target. Times are seconds since the fleet began."""

    job: str
    name: str
    labels: Labels
    families: tuple[Family, ...]
    # How long its process lives before it starts again.
    life_s: float = math.inf
    # From when on nobody listens, or the body has a line that cannot be read.
    gone_from_s: float = math.inf
    broken_from_s: float = math.inf
    delay_s: float = 0.0
    # Whether its histograms are native, too, and shown in protobuf.
    native: bool = False

    @property
    def path(self) -> str:
        """Where it shows itself."""
        return f"/{self.name}/metrics"

    def since(self, times_s: Floats) -> Floats:
        """When the process that runs at a time began."""
        if math.isinf(self.life_s):
            return np.zeros_like(times_s)
        return np.floor(times_s / self.life_s) * self.life_s

    def is_up(self, times_s: Floats) -> Floats:
        """1 where a scrape succeeds, else 0."""
        return (times_s < min(self.gone_from_s, self.broken_from_s)).astype(np.float64)


def counted(series: Counter, times_s: Floats, since_s: Floats) -> Floats:
    """The values of a counter."""
    begin = np.maximum(since_s, series.first_s)
    return np.floor(series.flow.total(np.maximum(times_s, begin)) - series.flow.total(begin))
