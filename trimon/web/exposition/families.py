"""Metric families with their metrics, before they are written in some format."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import numpy as np

from trimon.model.histogram import FloatHistogram
from trimon.records import dataclass


class FamilyType(Enum):
    """The type of a family, with its number in protobuf."""

    COUNTER = 0
    GAUGE = 1
    SUMMARY = 2
    UNTYPED = 3
    HISTOGRAM = 4
    GAUGE_HISTOGRAM = 5

    @property
    def word(self) -> str:
        """The name in lower case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a family: a value, or what a summary or a classic histogram has instead."""

    labels: Sequence[tuple[str, str]] = ()
    value: float = 0.0
    count: int = 0
    sum: float = 0.0
    points: Sequence[tuple[float, float]] = ()
    """(quantile, value) of a summary, (upper bound, cumulative count) of a histogram."""
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A family."""

    name: str
    help: str
    type: FamilyType
    metrics: Sequence[Metric]


class Encoding(Protocol):
    """A way to write families: pieces of labels that are put together, metrics of them, and what stands around a family."""

    @property
    def content_type(self) -> str:
        """The media type with its parameters."""
        ...

    @property
    def needs_size(self) -> bool:
        """Whether the begin of a family tells how long it is."""
        ...

    def label(self, name: str, value: str) -> bytes:
        """One label."""
        ...

    def values(
        self, name: str, labels: Sequence[bytes], values: Sequence[float], times_ms: Sequence[int]
    ) -> bytes:
        """Untyped metrics of one family, a line of labels, a value and a time each."""
        ...

    @property
    def shows_native(self) -> bool:
        """Whether histograms with exponential buckets can be written; those with custom bounds always can."""
        ...

    def histograms(
        self,
        name: str,
        labels: Sequence[bytes],
        histograms: Sequence[FloatHistogram],
        times_ms: Sequence[int],
    ) -> bytes:
        """Histograms of one family, as `values`; those with custom bounds become classic ones."""
        ...

    def metric(self, family: MetricFamily, metric: Metric) -> bytes:
        """One metric."""
        ...

    def begin(self, name: str, about: str, kind: FamilyType, metrics_bytes: int) -> bytes:
        """What stands before the metrics of a family."""
        ...

    @property
    def end(self) -> bytes:
        """What stands after the metrics of a family."""
        ...


def classic_points(histogram: FloatHistogram) -> list[tuple[float, float]]:
    """(upper bound, cumulative count) of the finite bounds of a histogram with custom ones."""
    bounds = histogram.custom_values
    found = histogram.positive
    within = (found.index >= 0) & (found.index < len(bounds))
    counts = np.bincount(found.index[within], found.counts[within], len(bounds))
    return list(zip(bounds, np.cumsum(counts).tolist(), strict=True))


def written(encoding: Encoding, families: Sequence[MetricFamily]) -> bytes:
    """Families as a whole."""
    out = []
    for family in families:
        body = b"".join(encoding.metric(family, metric) for metric in family.metrics)
        out += [encoding.begin(family.name, family.help, family.type, len(body)), body, encoding.end]
    return b"".join(out)
