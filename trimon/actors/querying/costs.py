"""What queries have cost in all, under Prometheus' names."""

from __future__ import annotations

from trimon.query.execution.stats import QueryStats
from trimon.selfmetrics import SelfMetrics


class QueryCosts:
    """Time by part of the work, and samples, of the queries that were answered. On the loop's thread."""

    def __init__(self, metrics: SelfMetrics) -> None:
        seconds = metrics.summary("prometheus_engine_query_duration_seconds", "Query timings.", ["slice"])
        self._queue, self._preparation, self._evaluation, self._sort = (
            seconds.labels(part) for part in ("queue_time", "prepare_time", "inner_eval", "result_sort")
        )
        self._samples = metrics.counter(
            "prometheus_engine_query_samples_total", "The total number of samples loaded by all queries."
        )
        self._read = metrics.counter(
            "prometheus_engine_query_samples_read_total", "The total number of samples read by all queries."
        )

    def add(self, stats: QueryStats) -> None:
        """Counts a query; some microseconds."""
        self._queue.observe(stats.queue_s)
        self._preparation.observe(stats.preparation_s)
        self._evaluation.observe(stats.evaluation_s)
        self._sort.observe(stats.sort_s)
        self._samples.inc(stats.samples_total)
        self._read.inc(stats.samples_read)
