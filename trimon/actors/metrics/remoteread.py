"""Families about remote read, read from the endpoints when /metrics is asked; latencies are observed as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from trimon.actors.remoteread.endpoint import Observe, ReadEndpoint
from trimon.selfmetrics import MetricFamily, SelfMetrics

_PREFIX: Final = "prometheus_remote_read_client_"
_LABELS: Final = ("remote_name", "url")
_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)


def remote_read_seconds(metrics: SelfMetrics) -> Observe:
    """What takes the latencies of answers."""
    seconds = metrics.histogram(
        _PREFIX + "request_duration_seconds",
        "Histogram of the latency for remote read requests, until the whole answer has come.",
        (*_LABELS, "response_type"),
        _BUCKETS_S,
    )
    return lambda labels, took_s: seconds.labels(*labels).observe(took_s)


def remote_read_metrics(
    endpoints: Callable[[], Iterable[ReadEndpoint]],
) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_remote_read_client_*, and how many failed."""

    def families() -> Iterator[MetricFamily]:
        listed = [((each.name, each.shown_url), each) for each in endpoints()]
        if not listed:
            return
        answers = [
            ((*who, *kind), float(count)) for who, each in listed for kind, count in each.answers.items()
        ]
        yield MetricFamily(
            _PREFIX + "queries_total",
            "The total number of remote read queries.",
            "counter",
            answers,
            (*_LABELS, "response_type", "code"),
        )
        yield MetricFamily(
            _PREFIX + "queries",
            "The number of in-flight remote read queries.",
            "gauge",
            [(who, float(each.in_flight)) for who, each in listed],
            _LABELS,
        )
        yield MetricFamily(
            "trimon_remote_read_failed_total",
            "Remote read queries that gave no usable answer; queries went on without it.",
            "counter",
            [(who, float(each.failed)) for who, each in listed],
            _LABELS,
        )

    return families
