"""Requests of OTLP metrics, made by the classes that OpenTelemetry generates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from trimon.model.labels import Labels, format_labels
from trimon.remote.otlp.request import OtlpRequest

RESOURCE = {"service.name": "shop", "service.namespace": "ns", "service.instance.id": "i-1", "zone": "a"}
NS = 1_000_000


def attributes(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def point(time_ms: int, value: float, start_ms: int = 0, **labels: str) -> dict[str, Any]:
    """A data point of a gauge or sum."""
    found: dict[str, Any] = {"timeUnixNano": str(time_ms * NS), "attributes": attributes(labels)}
    found["asInt" if isinstance(value, int) else "asDouble"] = str(value) if isinstance(value, int) else value
    return found | ({"startTimeUnixNano": str(start_ms * NS)} if start_ms else {})


def gauge(name: str, *points: dict[str, Any], **head: str) -> dict[str, Any]:
    return {"name": name, **head, "gauge": {"dataPoints": list(points)}}


def sum_(
    name: str, *points: dict[str, Any], temporality: int = 2, monotonic: bool = True, **head: str
) -> dict[str, Any]:
    data = {"dataPoints": list(points), "aggregationTemporality": temporality, "isMonotonic": monotonic}
    return {"name": name, **head, "sum": data}


def histogram(
    name: str, *points: dict[str, Any], temporality: int = 2, kind: str = "histogram"
) -> dict[str, Any]:
    return {"name": name, kind: {"dataPoints": list(points), "aggregationTemporality": temporality}}


def buckets(
    time_ms: int, counts: Sequence[int], bounds: Sequence[float], total: float = 1.5, **labels: str
) -> dict[str, Any]:
    """A data point of a histogram of explicit bounds."""
    return {
        "timeUnixNano": str(time_ms * NS),
        "count": str(sum(counts)),
        "sum": total,
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": list(bounds),
        "attributes": attributes(labels),
    }


def request(
    metrics: Sequence[dict[str, Any]], resource: Mapping[str, str] | None = None, **scope: Any
) -> dict[str, Any]:
    """As JSON has it."""
    said = RESOURCE if resource is None else resource
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": attributes(said)},
                "scopeMetrics": [{"scope": scope, "metrics": list(metrics)}],
            }
        ]
    }


def encoded(message: dict[str, Any]) -> bytes:
    """In protobuf."""
    return bytes(json_format.ParseDict(message, ExportMetricsServiceRequest()).SerializeToString())


def samples(found: OtlpRequest) -> list[tuple[str, int, str]]:
    """Series, time and value of everything in order of series; NaNs are equal."""
    batch = found.batch
    series: list[Labels] = [batch.series[index] for index in batch.series_index.tolist()]
    rows = zip(series, batch.timestamps_ms.tolist(), batch.values.tolist(), strict=True)
    return sorted(
        (format_labels(labels), time_ms, "NaN" if math.isnan(value) else repr(value))
        for labels, time_ms, value in rows
    )
