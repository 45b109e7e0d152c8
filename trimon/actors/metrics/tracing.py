"""Families about spans, read when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trimon.actors.tracing import SpanExporter
from trimon.selfmetrics import MetricFamily
from trimon.tracing.tracer import Tracer


def tracing_metrics(tracer: Tracer, exporter: SpanExporter) -> Callable[[], Iterator[MetricFamily]]:
    """trimon_tracing_*."""

    def families() -> Iterator[MetricFamily]:
        counts = exporter.counts
        results = (("sent", counts.sent), ("failed", counts.failed), ("dropped", tracer.dropped))
        yield MetricFamily(
            "trimon_tracing_spans_total",
            "Spans that were done, by what became of them; dropped are those beyond the bound of the queue.",
            "counter",
            [((result,), float(count)) for result, count in results],
            ("result",),
        )

    return families
