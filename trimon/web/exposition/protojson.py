"""`io.prometheus.client.MetricFamily` as protobuf's JSON, which /api/v1/status/self_metrics answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from trimon.gotext.floats import format_plain
from trimon.query.answer.jsonlabels import json_quoted
from trimon.web.exposition.families import FamilyType, Metric, MetricFamily


def protojson(family: MetricFamily) -> bytes:
    """A family; 64-bit whole numbers are texts, as everywhere in protobuf's JSON."""
    parts = [f'"name":{json_quoted(family.name)}']
    if family.help:
        parts.append(f'"help":{json_quoted(family.help)}')
    parts.append(f'"type":"{family.type.name}"')
    parts.append(f'"metric":{_list([_metric(family.type, metric) for metric in family.metrics])}')
    return _object(parts).encode()


def _object(members: Sequence[str]) -> str:
    return "{" + ", ".join(members) + "}"


def _list(items: Sequence[str]) -> str:
    return "[" + ", ".join(items) + "]"


def _number(value: float) -> str:
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    return format_plain(value) if abs(value) < 1e21 else repr(value)


def _metric(kind: FamilyType, metric: Metric) -> str:
    members = []
    if metric.labels:
        labels = [
            _object([f'"name":{json_quoted(name)}', f'"value":{json_quoted(value)}'])
            for name, value in metric.labels
        ]
        members.append(f'"label":{_list(labels)}')
    members.append(f'"{kind.word}":{_object(_held(kind, metric))}')
    if metric.time_ms is not None:
        members.append(f'"timestampMs":"{metric.time_ms}"')
    return _object(members)


def _held(kind: FamilyType, metric: Metric) -> list[str]:
    if kind not in (FamilyType.SUMMARY, FamilyType.HISTOGRAM):
        return [f'"value":{_number(metric.value)}']
    members = [f'"sampleCount":"{metric.count}"', f'"sampleSum":{_number(metric.sum)}']
    if not metric.points:
        return members
    if kind is FamilyType.SUMMARY:
        points = [
            _object([f'"quantile":{_number(at)}', f'"value":{_number(value)}']) for at, value in metric.points
        ]
        return [*members, f'"quantile":{_list(points)}']
    points = [
        _object([f'"cumulativeCount":"{int(value)}"', f'"upperBound":{_number(at)}'])
        for at, value in metric.points
    ]
    return [*members, f'"bucket":{_list(points)}']
