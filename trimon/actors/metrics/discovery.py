"""Families about discovery, read from the hub and the providers when /metrics is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal

from trimon.actors.discovery.manager import DiscoveryManager
from trimon.actors.discovery.totals import ConfigTotals
from trimon.config.discovery.selectors import SELECTED
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


# Mechanism, what it counts, and the family that shows it.
OF_MECHANISMS: Final = (
    (
        "azure",
        "refresh_failures",
        "prometheus_sd_azure_failures_total",
        "Number of Azure service discovery refresh failures.",
    ),
    (
        "azure",
        "cache_hits",
        "prometheus_sd_azure_cache_hit_total",
        "Number of cache hits during refreshes of Azure service discovery.",
    ),
    (
        "consul",
        "rpc_failures",
        "prometheus_sd_consul_rpc_failures_total",
        "The number of Consul calls that failed.",
    ),
    ("dns", "lookups", "prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups."),
    (
        "dns",
        "lookup_failures",
        "prometheus_sd_dns_lookup_failures_total",
        "The number of DNS-SD lookup failures.",
    ),
    (
        "http",
        "refresh_failures",
        "prometheus_sd_http_failures_total",
        "Number of HTTP service discovery refresh failures.",
    ),
    (
        "kubernetes",
        "failures",
        "prometheus_sd_kubernetes_failures_total",
        "The number of requests to Kubernetes that failed.",
    ),
    (
        "kuma",
        "fetch_failures",
        "prometheus_sd_kuma_fetch_failures_total",
        "The number of Kuma fetch call failures.",
    ),
    (
        "kuma",
        "fetch_skipped_updates",
        "prometheus_sd_kuma_fetch_skipped_updates_total",
        "The number of Kuma fetch calls that resulted in no updates to the targets.",
    ),
    (
        "linode",
        "refresh_failures",
        "prometheus_sd_linode_failures_total",
        "Number of Linode service discovery refresh failures.",
    ),
    (
        "nomad",
        "refresh_failures",
        "prometheus_sd_nomad_failures_total",
        "Number of Nomad service discovery refresh failures.",
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
    counts = Counter[tuple[str, str]]()
    configs: dict[tuple[str, str], ConfigTotals] = {}
    for discovery in discoveries:
        totals = discovery.totals()
        configs |= totals.configs
        counts.update(totals.counts)
    refreshed = {labels: each for labels, each in configs.items() if each.is_refreshed}
    yield MetricFamily(
        "prometheus_sd_last_update_timestamp_seconds",
        "Timestamp of the last update that was sent to consumers.",
        "gauge",
        [
            ((consumer, discovery.kind), discovery.sent_ms / 1000)
            for discovery in discoveries
            if discovery.sent_ms
            for consumer in discovery.hub.consumers
        ],
        ("config", "name"),
    )
    yield MetricFamily(
        "prometheus_sd_refresh_failures_total",
        "Number of times a service discovery failed to refresh, or failed and was started again.",
        "counter",
        [(labels, float(each.failures)) for labels, each in configs.items()],
        ("mechanism", "config"),
    )
    yield MetricFamily(
        "prometheus_sd_refresh_duration_seconds",
        "The duration of refreshes, failed ones too.",
        "summary",
        [(labels, each.refresh_s) for labels, each in refreshed.items()],
        ("mechanism", "config"),
        counts=[each.refreshes for each in refreshed.values()],
    )
    for mechanism, name, family, text in OF_MECHANISMS:
        yield MetricFamily(family, text, "counter", [((), float(counts[mechanism, name]))])
    yield from _of_files(counts)
    yield _mtimes(discoveries)
    yield MetricFamily(
        "prometheus_sd_kubernetes_events_total",
        "The number of Kubernetes events handled.",
        "counter",
        [
            ((role, event), float(counts["kubernetes", f"events_{role}_{event}"]))
            for role in SELECTED
            for event in ("add", "update", "delete")
        ],
        ("role", "event"),
    )
    yield MetricFamily(
        "prometheus_treecache_zookeeper_failures_total",
        "The total number of ZooKeeper failures.",
        "counter",
        [((), float(sum(counts[mechanism, "zookeeper_failures"] for mechanism in ("serverset", "nerve"))))],
    )


def _of_files(counts: Mapping[tuple[str, str], float]) -> Iterator[MetricFamily]:
    for name, text, field in (
        ("prometheus_sd_file_read_errors_total", "The number of File-SD read errors.", "read_errors"),
        (
            "prometheus_sd_file_watcher_errors_total",
            "The number of File-SD errors caused by filesystem watch failures.",
            "watch_errors",
        ),
    ):
        yield MetricFamily(name, text, "counter", [((), float(counts["file", field]))])
    yield MetricFamily(
        "prometheus_sd_file_scan_duration_seconds",
        "The duration of the File-SD scan in seconds.",
        "summary",
        [((), float(counts["file", "scan_s"]))],
        counts=[int(counts["file", "readings"])],
    )


def _mtimes(discoveries: Sequence[DiscoveryManager]) -> MetricFamily:
    mtimes: dict[str, float] = {}
    for run in [run for discovery in discoveries for run in discovery.runs().values()]:
        files = run.own_fields().get("files") if run.plugin == "file" else None
        if isinstance(files, Mapping):
            mtimes |= {path: float(about["mtime_s"]) for path, about in files.items() if about["mtime_s"]}
    return MetricFamily(
        "prometheus_sd_file_mtime_seconds",
        "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
        "gauge",
        [((path,), mtime_s) for path, mtime_s in mtimes.items()],
        ("filename",),
    )
