"""Families about discovery, read from the hub and the providers when /metrics is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

from trimon.actors.discovery import DiscoveryManager
from trimon.selfmetrics import MetricFamily

_FIGURES: Final[
    tuple[tuple[str, str, Literal["counter", "gauge"], Callable[[DiscoveryManager], float]], ...]
] = (
    (
        "prometheus_sd_received_updates_total",
        "Total number of update events received from the SD providers.",
        "counter",
        lambda discovery: discovery.hub.updates,
    ),
    (
        "prometheus_sd_updates_total",
        "Total number of update events sent to the SD consumers.",
        "counter",
        lambda discovery: discovery.hub_actor.sends,
    ),
    (
        "prometheus_sd_updates_delayed_total",
        "Total number of update events that couldn't be sent immediately.",
        "counter",
        lambda discovery: discovery.hub_actor.delayed,
    ),
    (
        "prometheus_sd_failed_configs",
        "Current number of service discovery configurations that failed to load.",
        "gauge",
        lambda discovery: discovery.failed(),
    ),
)


def discovery_metrics(discoveries: Sequence[DiscoveryManager]) -> Callable[[], Iterator[MetricFamily]]:
    """prometheus_sd_*, of each kind of consumers."""

    def families() -> Iterator[MetricFamily]:
        yield MetricFamily(
            "prometheus_sd_discovered_targets",
            "Current number of discovered targets.",
            "gauge",
            [
                ((discovery.kind, consumer), float(count))
                for discovery in discoveries
                for consumer, count in discovery.hub.counts().items()
            ],
            ("name", "config"),
        )
        for name, text, kind, read in _FIGURES:
            samples = [((discovery.kind,), float(read(discovery))) for discovery in discoveries]
            yield MetricFamily(name, text, kind, samples, ("name",))
        yield from _of_providers(discoveries)

    return families


def _of_providers(discoveries: Sequence[DiscoveryManager]) -> Iterator[MetricFamily]:
    newest_ms, failures = 0, Counter[tuple[str, str]]()
    fields = []
    for discovery in discoveries:
        restarts = discovery.failures()
        for key, run in discovery.runs().items():
            newest_ms = max(newest_ms, run.stats.last_ms)
            failures[run.plugin, "+".join(run.consumers)] += restarts.get(key, 0)
            if run.plugin == "file":
                fields.append(run.own_fields())
    yield MetricFamily(
        "prometheus_sd_last_update_timestamp_seconds",
        "Timestamp of the last update sent by a service discovery.",
        "gauge",
        [((), newest_ms / 1000)],
    )
    yield MetricFamily(
        "prometheus_sd_refresh_failures_total",
        "Number of times a service discovery failed and was started again.",
        "counter",
        [(labels, float(count)) for labels, count in failures.items()],
        ("mechanism", "config"),
    )
    yield from _of_files(fields)


def _sum(fields: list[Mapping[str, object]], name: str) -> float:
    return sum(float(str(each.get(name, 0))) for each in fields)


def _of_files(fields: list[Mapping[str, object]]) -> Iterator[MetricFamily]:
    for name, text, field in (
        ("prometheus_sd_file_read_errors_total", "The number of File-SD read errors.", "read_errors"),
        (
            "prometheus_sd_file_watcher_errors_total",
            "The number of File-SD errors caused by filesystem watch failures.",
            "watch_errors",
        ),
    ):
        yield MetricFamily(name, text, "counter", [((), _sum(fields, field))])
    yield MetricFamily(
        "prometheus_sd_file_scan_duration_seconds",
        "The duration of the File-SD scan in seconds.",
        "summary",
        [((), _sum(fields, "scan_s"))],
        counts=[int(_sum(fields, "readings"))],
    )
    mtimes: dict[str, float] = {}
    for each in fields:
        files = each.get("files")
        if isinstance(files, Mapping):
            mtimes |= {path: float(about["mtime_s"]) for path, about in files.items() if about["mtime_s"]}
    yield MetricFamily(
        "prometheus_sd_file_mtime_seconds",
        "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
        "gauge",
        [((path,), mtime_s) for path, mtime_s in mtimes.items()],
        ("filename",),
    )
