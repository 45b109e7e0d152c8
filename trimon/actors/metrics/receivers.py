"""Families about what older programs push, read when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from trimon.actors.receivers.lines import LineCounts
from trimon.selfmetrics import MetricFamily


def receiver_metrics(counts: Mapping[str, LineCounts]) -> Callable[[], Iterator[MetricFamily]]:
    """trimon_receiver_*, without samples where nothing is received."""

    def families() -> Iterator[MetricFamily]:
        yield MetricFamily(
            "trimon_receiver_lines_total",
            "Lines that were received, by protocol and whether they were understood.",
            "counter",
            [
                sample
                for name, each in counts.items()
                for sample in (
                    ((name, "taken"), float(each.lines - each.malformed)),
                    ((name, "malformed"), float(each.malformed)),
                )
            ],
            ("receiver", "result"),
        )
        yield MetricFamily(
            "trimon_receiver_samples_total",
            "Samples of what was received, by protocol and whether they were stored.",
            "counter",
            [
                sample
                for name, each in counts.items()
                for sample in (
                    ((name, "stored"), float(each.samples)),
                    ((name, "refused"), float(each.refused)),
                )
            ],
            ("receiver", "result"),
        )
        yield MetricFamily(
            "trimon_receiver_connections",
            "Open TCP connections, by protocol.",
            "gauge",
            [((name,), float(each.connections)) for name, each in counts.items()],
            ("receiver",),
        )

    return families
