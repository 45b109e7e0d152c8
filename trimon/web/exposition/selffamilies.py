"""The server's own metrics as families."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client.core import Metric as Collected

from trimon.web.exposition.families import FamilyType, Metric, MetricFamily

_TYPES: Final = {
    "counter": FamilyType.COUNTER,
    "gauge": FamilyType.GAUGE,
    "info": FamilyType.GAUGE,
    "summary": FamilyType.SUMMARY,
    "histogram": FamilyType.HISTOGRAM,
}
_DISTINGUISHING: Final = {FamilyType.SUMMARY: "quantile", FamilyType.HISTOGRAM: "le"}


def families_of(collected: Iterable[Collected]) -> list[MetricFamily]:
    """Families with at least one metric, by name."""
    found = [family for family in map(_family, collected) if family.metrics]
    return sorted(found, key=lambda family: family.name)


def _family(collected: Collected) -> MetricFamily:
    kind = _TYPES.get(collected.type, FamilyType.UNTYPED)
    suffix = {"counter": "_total", "info": "_info"}.get(collected.type, "")
    name = collected.name + suffix
    if kind in _DISTINGUISHING:
        return MetricFamily(name, collected.documentation, kind, _composed(collected, _DISTINGUISHING[kind]))
    metrics = [
        Metric(sorted(sample.labels.items()), float(sample.value))
        for sample in collected.samples
        if sample.name == name
    ]
    return MetricFamily(name, collected.documentation, kind, metrics)


def _composed(collected: Collected, distinguishing: str) -> Sequence[Metric]:
    """Summaries or histograms put together from their lines."""
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    points: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for sample in collected.samples:
        labels = tuple(sorted(item for item in sample.labels.items() if item[0] != distinguishing))
        if sample.name.endswith("_count"):
            counts[labels] = int(sample.value)
        elif sample.name.endswith("_sum"):
            sums[labels] = float(sample.value)
        elif distinguishing in sample.labels:
            points.setdefault(labels, []).append((float(sample.labels[distinguishing]), float(sample.value)))
    return [
        Metric(labels, count=count, sum=sums.get(labels, 0.0), points=points.get(labels, ()))
        for labels, count in counts.items()
    ]
