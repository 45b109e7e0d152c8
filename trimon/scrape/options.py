"""What a scrape pool asks of its targets: the part of a scrape config that the engine needs, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final

from trimon import limits
from trimon.model.relabel import Relabeling
from trimon.records import dataclass

# (name in the configuration, media type, parameters); in the order of the negotiation where native histograms are wanted
PROTOCOLS: Final[Mapping[str, str]] = {
    "PrometheusProto": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "PrometheusText1.0.0": "text/plain;version=1.0.0",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
}
_ESCAPED: Final = frozenset(("OpenMetricsText1.0.0", "PrometheusText1.0.0"))


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """One job. A limit of 0 means none, except `body_bytes_max`, which always holds."""

    job: str
    interval_ms: int = 60_000
    timeout_ms: int = 10_000
    metrics_path: str = "/metrics"
    scheme: str = "http"
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()
    protocols: tuple[str, ...] = tuple(PROTOCOLS)[1:]
    fallback_protocol: str = ""
    escaping: str = "allow-utf-8"
    legacy_names: bool = False
    compression: bool = True
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    native_histograms: bool = False
    always_classic_histograms: bool = False
    convert_classic_histograms: bool = False
    native_histogram_bucket_limit: int = 0
    native_histogram_min_bucket_factor: float = 0.0
    start_timestamps_as_zeros: bool = False
    extra_metrics: bool = False
    type_and_unit_labels: bool = False
    sample_limit: int = 0
    keep_known: bool = False
    """Beyond a limit only new series are refused; otherwise the scrape fails."""
    exposed_sample_limit: int = 0
    metric_name_limit: int = 0
    new_series_limit: int = 0
    """New series a minute."""
    target_limit: int = 0
    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    body_size_limit: int = 0
    body_bytes_max: int = limits.SCRAPE_BODY_BYTES_MAX
    keep_dropped_targets: int = 0
    relabeling: Relabeling = field(default_factory=lambda: Relabeling(()))
    metric_relabeling: Relabeling = field(default_factory=lambda: Relabeling(()))
    sent_secrets: Callable[[], tuple[str, ...]] = field(default=tuple, repr=False, compare=False)
    """The credentials of the job's last request."""

    @property
    def limits_series(self) -> bool:
        """Whether series are refused beyond limits of our own."""
        limits = (self.exposed_sample_limit, self.metric_name_limit, self.new_series_limit)
        return self.keep_known or any(limits)

    @property
    def accept(self) -> str:
        """The Accept header: protocols in order with falling weights."""
        parts = []
        tenths = 6
        for protocol in self.protocols:
            escaping = f";escaping={self.escaping}" if protocol in _ESCAPED else ""
            parts.append(f"{PROTOCOLS[protocol]}{escaping};q=0.{tenths}")
            tenths -= 1
        parts.append(f"*/*;q=0.{tenths}")
        return ",".join(parts)
