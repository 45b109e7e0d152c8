"""Families about remote read, read from the endpoints when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from trimon.actors.remoteread.endpoint import ReadEndpoint
from trimon.selfmetrics import MetricFamily

_PREFIX: Final = "prometheus_remote_read_client_"
_LABELS: Final = ("remote_name", "url")


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
        took = [((*who, kind), each) for who, endpoint in listed for kind, each in endpoint.took.items()]
        yield MetricFamily(
            _PREFIX + "request_duration_seconds",
            "Histogram of the latency for remote read requests, until the whole answer has come.",
            "histogram",
            [(labels, each.sum) for labels, each in took],
            (*_LABELS, "response_type"),
            buckets=[each.buckets() for _, each in took],
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
