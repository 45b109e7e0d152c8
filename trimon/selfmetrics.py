"""The server's own metrics, under the names that dashboards and alerts for Prometheus use.

Counters that something else already keeps (storage, kernel, scrape pools) are not kept twice: they are read
when `/metrics` is asked, through `collect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped in the library

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


@dataclass(frozen=True, slots=True)
class Reading:
    """One family read at the moment of exposition: samples are (label values, value)."""

    name: str
    help: str
    type: Literal["counter", "gauge", "unknown"]
    samples: Sequence[tuple[tuple[str, ...], float]]
    label_names: tuple[str, ...] = ()


_FAMILIES: dict[str, type[CounterMetricFamily | GaugeMetricFamily | UnknownMetricFamily]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "unknown": UnknownMetricFamily,
}


class _Readings(Collector):
    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for reading in self._read():
            family = _FAMILIES[reading.type](reading.name, reading.help, labels=reading.label_names)
            for label_values, value in reading.samples:
                family.add_metric(label_values, value)
            yield family

    def describe(self) -> Iterable[Metric]:
        return ()


class SelfMetrics:
    """One registry a server; a test makes its own."""

    def __init__(self) -> None:
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

    def summary(self, name: str, documentation: str, labels: Sequence[str] = ()) -> prometheus_client.Summary:
        """A summary without quantiles: sum and count."""
        return prometheus_client.Summary(name, documentation, labels, registry=self._registry)

    def collect(self, read: Callable[[], Iterable[Reading]]) -> None:
        """Adds families that are read on exposition; `read` is synchronous and quick."""
        self._registry.register(_Readings(read))

    def process(self) -> None:
        """Adds process_* (CPU, memory, descriptors, start time) and Python's own families."""
        prometheus_client.ProcessCollector(registry=self._registry)
        prometheus_client.PlatformCollector(registry=self._registry)
        prometheus_client.GCCollector(registry=self._registry)

    def value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """The present value of one sample, None if it does not exist. For status pages and tests."""
        return self._registry.get_sample_value(name, labels or {})

    def expose(self) -> bytes:
        """The text format 0.0.4."""
        return prometheus_client.generate_latest(self._registry)
