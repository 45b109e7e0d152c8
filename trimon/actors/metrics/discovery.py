"""Families about discovery, read from the hub and the providers when /metrics is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

from trimon.actors.discovery import Discovery
from trimon.selfmetrics import Reading

_NAME: Final = ("scrape",)


def discovery_readings(discovery: Discovery) -> Callable[[], Iterator[Reading]]:
    """prometheus_sd_*."""

    def readings() -> Iterator[Reading]:
        hub, actor = discovery.hub, discovery.hub_actor
        yield Reading(
            "prometheus_sd_discovered_targets",
            "Current number of discovered targets.",
            "gauge",
            [(("scrape", job), float(count)) for job, count in hub.counts().items()],
            ("name", "config"),
        )
        figures: tuple[tuple[str, str, Literal["counter", "gauge"], float], ...] = (
            (
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
                "counter",
                hub.updates,
            ),
            (
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
                "counter",
                actor.sends,
            ),
            (
                "prometheus_sd_updates_delayed_total",
                "Total number of update events that couldn't be sent immediately.",
                "counter",
                actor.delayed,
            ),
            (
                "prometheus_sd_failed_configs",
                "Current number of service discovery configurations that failed to load.",
                "gauge",
                discovery.failed(),
            ),
        )
        for name, text, kind, value in figures:
            yield Reading(name, text, kind, [(_NAME, float(value))], ("name",))
        yield from _of_providers(discovery)

    return readings


def _of_providers(discovery: Discovery) -> Iterator[Reading]:
    runs = discovery.runs()
    newest_ms = max((run.stats.last_ms for run in runs.values()), default=0)
    yield Reading(
        "prometheus_sd_last_update_timestamp_seconds",
        "Timestamp of the last update sent by a service discovery.",
        "gauge",
        [((), newest_ms / 1000)],
    )
    failures: Counter[tuple[str, str]] = Counter()
    restarts = discovery.failures()
    for key, run in runs.items():
        failures[run.plugin, "+".join(run.consumers)] += restarts.get(key, 0)
    yield Reading(
        "prometheus_sd_refresh_failures_total",
        "Number of times a service discovery failed and was started again.",
        "counter",
        [(labels, float(count)) for labels, count in failures.items()],
        ("mechanism", "config"),
    )
    yield from _of_files([run.own_fields() for run in runs.values() if run.plugin == "file"])


def _sum(fields: list[Mapping[str, object]], name: str) -> float:
    return sum(float(str(each.get(name, 0))) for each in fields)


def _of_files(fields: list[Mapping[str, object]]) -> Iterator[Reading]:
    for name, text, field in (
        ("prometheus_sd_file_read_errors_total", "The number of File-SD read errors.", "read_errors"),
        (
            "prometheus_sd_file_watcher_errors_total",
            "The number of File-SD errors caused by filesystem watch failures.",
            "watch_errors",
        ),
    ):
        yield Reading(name, text, "counter", [((), _sum(fields, field))])
    yield Reading(
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
    yield Reading(
        "prometheus_sd_file_mtime_seconds",
        "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
        "gauge",
        [((path,), mtime_s) for path, mtime_s in mtimes.items()],
        ("filename",),
    )
