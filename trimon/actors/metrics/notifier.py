"""Families about notifications, read from the notifier when /metrics is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

from trimon.actors.alertsender import SenderCounts
from trimon.actors.notifier import Notifier
from trimon.selfmetrics import MetricFamily

_COUNTERS: Final[tuple[tuple[str, str, Callable[[SenderCounts], float]], ...]] = (
    (
        "prometheus_notifications_sent_total",
        "Total number of alerts sent.",
        lambda counts: counts.sent,
    ),
    (
        "prometheus_notifications_errors_total",
        "Total number of sent alerts affected by errors.",
        lambda counts: counts.errors,
    ),
    (
        "prometheus_notifications_dropped_total",
        "Total number of alerts dropped due to errors when sending to Alertmanager.",
        lambda counts: counts.dropped,
    ),
)


def notifier_metrics(notifier: Notifier) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_notifications_*."""

    def families() -> Iterator[MetricFamily]:
        label = ("alertmanager",)
        kind: Literal["counter"] = "counter"
        for name, text, value in _COUNTERS:
            samples = [((url,), float(value(counts))) for url, counts in notifier.counts.items()]
            yield MetricFamily(name, text, kind, samples, label)
        waiting = notifier.waiting()
        lengths = [((url,), float(count)) for url, count in waiting.items()]
        text = "The number of alert notifications in the queue."
        yield MetricFamily("prometheus_notifications_queue_length", text, "gauge", lengths, label)
        capacity = float(notifier.settings.queue_alerts_max)
        text = "The capacity of the alert notifications queue."
        yield MetricFamily("prometheus_notifications_queue_capacity", text, "gauge", [((), capacity)])
        found = float(len(notifier.active))
        text = "The number of alertmanagers discovered and active."
        yield MetricFamily("prometheus_notifications_alertmanagers_discovered", text, "gauge", [((), found)])

    return families
