"""The server's own metrics, under the names that dashboards and alerts for Prometheus use.

Counters that something else already keeps (storage, kernel, scrape pools) are not kept twice: they are read
when `/metrics` is asked, through `collect`.
"""

from __future__ import annotations

import math
import platform
import resource
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final, Literal

import prometheus_client
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from trimon import PROMETHEUS_VERSION, __version__
from trimon.clock import Clock, WallClock
from trimon.records import dataclass

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
BUILD_TEXT: Final = "Constant 1, labeled by what was built; version is that of the Prometheus it stands for."
BUILD: Final = {
    "branch": "",
    "goarch": platform.machine(),
    "goos": sys.platform,
    "goversion": "",
    "pythonversion": platform.python_version(),
    "revision": "",
    "tags": "trimon",
    "trimon": __version__,
    "version": PROMETHEUS_VERSION,
}
QUANTILES: Final = (0.5, 0.9, 0.99)
WIDE_QUANTILES: Final = (0.01, 0.05, 0.5, 0.9, 0.99)
# Quantiles are those of the newest observations: as many as these, and not older than that.
OBSERVATIONS_KEPT: Final = 1000
OBSERVATIONS_AGE_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One family read at the moment of exposition: samples are (label values, value)."""

    name: str
    help: str
    type: Literal["counter", "gauge", "summary", "histogram", "unknown"]
    """A summary has no quantiles here: the value of a sample is its sum, and `counts` has the counts. So it is with a
    histogram, of which `buckets` has the cumulative counts by upper bound."""
    samples: Sequence[tuple[tuple[str, ...], float]]
    label_names: tuple[str, ...] = ()
    counts: Sequence[int] = ()
    buckets: Sequence[Sequence[tuple[str, int]]] = ()


_FAMILIES: Final[dict[str, type[CounterMetricFamily | GaugeMetricFamily | UnknownMetricFamily]]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "unknown": UnknownMetricFamily,
}


class _Readings(Collector):
    def __init__(self, read: Callable[[], Iterable[MetricFamily]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for reading in self._read():
            if reading.type == "summary":
                yield _summary(reading)
                continue
            if reading.type == "histogram":
                yield _histogram(reading)
                continue
            family = _FAMILIES[reading.type](reading.name, reading.help, labels=reading.label_names)
            for label_values, value in reading.samples:
                family.add_metric(label_values, value)
            yield family

    def describe(self) -> Iterable[Metric]:
        return ()


def _summary(reading: MetricFamily) -> SummaryMetricFamily:
    family = SummaryMetricFamily(reading.name, reading.help, labels=reading.label_names)
    for (label_values, total), count in zip(reading.samples, reading.counts, strict=True):
        family.add_metric(label_values, count_value=count, sum_value=total)
    return family


def _histogram(reading: MetricFamily) -> HistogramMetricFamily:
    family = HistogramMetricFamily(reading.name, reading.help, labels=reading.label_names)
    for (label_values, total), buckets in zip(reading.samples, reading.buckets, strict=True):
        family.add_metric(label_values, buckets, total)
    return family


class Durations:
    """How many observations were at most so long, by upper bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Take one in."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, int]]:
        """(upper bound, how many were at most that), the last of them `+Inf`."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))


class Observations:
    """The observations of a summary under one set of label values."""

    __slots__ = ("_newest", "_now_s", "count", "sum")

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.count = 0
        self.sum = 0.0
        self._now_s = now_s
        self._newest: deque[tuple[float, float]] = deque(maxlen=OBSERVATIONS_KEPT)

    def observe(self, value: float) -> None:
        """Take one in; less than a microsecond."""
        self.count += 1
        self.sum += value
        self._newest.append((self._now_s(), value))

    def quantiles(self, wanted: Sequence[float]) -> list[float]:
        """Of the newest observations; NaN when there were none lately."""
        since_s = self._now_s() - OBSERVATIONS_AGE_S
        values = sorted(value for at_s, value in self._newest if at_s >= since_s)
        if not values:
            return [math.nan] * len(wanted)
        return [values[max(0, math.ceil(quantile * len(values)) - 1)] for quantile in wanted]


class Summary(Collector):
    """Sum, count and quantiles of what was observed, by label values."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        quantiles: Sequence[float],
        now_s: Callable[[], float],
    ) -> None:
        self._name, self._text, self._labels = name, text, tuple(labels)
        self._quantiles = quantiles
        self._now_s = now_s
        self._children: dict[tuple[str, ...], Observations] = {}
        if not labels:
            self.labels()

    def labels(self, *values: str) -> Observations:
        """The observations of these values of the labels."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = Observations(self._now_s)
        return child

    def remove(self, *values: str) -> None:
        """Forgets what was observed under these values of the labels, if anything was."""
        self._children.pop(values, None)

    def observe(self, value: float) -> None:
        """Take one in, where there are no labels."""
        self.labels().observe(value)

    def collect(self) -> Iterable[Metric]:
        """The family."""
        family = Metric(self._name, self._text, "summary")
        for values, child in list(self._children.items()):
            labels = dict(zip(self._labels, values, strict=True))
            found = child.quantiles(self._quantiles)
            for quantile, value in zip(self._quantiles, found, strict=True):
                family.add_sample(self._name, {**labels, "quantile": f"{quantile:g}"}, value)
            family.add_sample(f"{self._name}_sum", labels, child.sum)
            family.add_sample(f"{self._name}_count", labels, child.count)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Nothing: names are not checked against others."""
        return ()


class SelfMetrics:
    """One registry a server; a test makes its own."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._now_s = (clock or WallClock()).monotonic_s
        self._registry = prometheus_client.CollectorRegistry(auto_describe=False)

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> prometheus_client.Counter:
        """A counter; `name` ends in `_total`."""
        return prometheus_client.Counter(name, documentation, labels, registry=self._registry)

    def gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> prometheus_client.Gauge:
        """A gauge."""
        return prometheus_client.Gauge(name, documentation, labels, registry=self._registry)

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> prometheus_client.Histogram:
        """A classic histogram with the given upper bounds."""
        return prometheus_client.Histogram(
            name, documentation, labels, registry=self._registry, buckets=buckets
        )

    def summary(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        quantiles: Sequence[float] = QUANTILES,
    ) -> Summary:
        """A summary with quantiles of the last ten minutes."""
        made = Summary(name, documentation, labels, quantiles, self._now_s)
        self._registry.register(made)
        return made

    def collect(self, read: Callable[[], Iterable[MetricFamily]]) -> None:
        """Adds families that are read on exposition; `read` is synchronous and quick."""
        self._registry.register(_Readings(read))

    def process(self) -> None:
        """Adds process_* (CPU, memory, descriptors, start time), Python's own families, and what was built."""
        build = self.gauge("prometheus_build_info", BUILD_TEXT, tuple(BUILD))
        build.labels(*BUILD.values()).set(1)
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        self.gauge(
            "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes."
        ).set(2**64 if limit == resource.RLIM_INFINITY else limit)
        prometheus_client.ProcessCollector(registry=self._registry)
        prometheus_client.PlatformCollector(registry=self._registry)
        prometheus_client.GCCollector(registry=self._registry)

    def value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """The present value of one sample, None if it does not exist. For status pages and tests."""
        return self._registry.get_sample_value(name, labels or {})

    def collected(self) -> Iterable[Metric]:
        """All families as they are now, in no order."""
        return self._registry.collect()

    def expose(self) -> bytes:
        """The text format 0.0.4."""
        return prometheus_client.generate_latest(self._registry)
