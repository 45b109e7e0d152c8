"""A scrape config: one job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from trimon.config.discovery.source import SdConfig
from trimon.config.discovery.static import StaticConfig, refuse_bad_targets
from trimon.config.discovery.table import no_sources, sources_of, with_discovery
from trimon.config.globals import (
    ESCAPINGS,
    LIMIT,
    ON_LIMIT,
    PROTOCOL,
    PROTOCOLS,
    PROTOCOLS_PROTO_FIRST,
    SCHEME,
    GlobalConfig,
    protocol_error,
    unknown_protocol,
)
from trimon.config.http import HttpClient
from trimon.config.kinds import DURATION, SIZE, Boolean, FilePath, Listed, Mapped, Number, Of, Text
from trimon.config.model import Model, Shown, setting
from trimon.config.relabel import RelabelConfig
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

if TYPE_CHECKING:
    from trimon.config.discovery.kubernetes import KubernetesSdConfig

_INHERITED = (
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
    "on_limit",
    "exposed_sample_limit",
    "metric_name_limit",
    "new_series_limit",
)
_INHERITED_FLAGS = (
    "scrape_native_histograms",
    "always_scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "extra_scrape_metrics",
)


@dataclass(frozen=True, kw_only=True)
@with_discovery
class ScrapeConfig(HttpClient, Model):
    """One job. After `complete` nothing is left to inherit: intervals, protocols, limits and schemes are set.

    Intervals in ms, sizes in bytes; a limit of 0 means none.
    """

    yaml_type: ClassVar[str] = "config.ScrapeConfig"
    section: ClassVar[str] = "scrape"
    inherited_before: ClassVar[str] = "relabel_configs"

    job_name: str = setting(Text(), "", shown=Shown.ALWAYS)
    honor_labels: bool = setting(Boolean(), default=False)
    honor_timestamps: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    track_timestamps_staleness: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    params: tuple[tuple[str, tuple[str, ...]], ...] = setting(
        Mapped(Listed(Text()), "map[string][]string"), ()
    )
    scrape_interval: int = setting(DURATION, 0)
    scrape_timeout: int = setting(DURATION, 0)
    scrape_protocols: tuple[str, ...] = setting(Listed(PROTOCOL, "[]config.ScrapeProtocol"), ())
    fallback_scrape_protocol: str = setting(PROTOCOL, "")
    scrape_native_histograms: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    always_scrape_classic_histograms: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    convert_classic_histograms_to_nhcb: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    scrape_failure_log_file: str = setting(FilePath(), "")
    metrics_path: str = setting(Text(), "/metrics")
    scheme: str = setting(Text(), "http")
    enable_compression: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    body_size_limit: int = setting(SIZE, 0)
    sample_limit: int = setting(LIMIT, 0)
    target_limit: int = setting(LIMIT, 0)
    label_limit: int = setting(LIMIT, 0)
    label_name_length_limit: int = setting(LIMIT, 0)
    label_value_length_limit: int = setting(LIMIT, 0)
    native_histogram_bucket_limit: int = setting(LIMIT, 0)
    native_histogram_min_bucket_factor: float = setting(Number(), 0.0)
    on_limit: str = setting(ON_LIMIT, "", own=True)
    exposed_sample_limit: int = setting(LIMIT, 0, own=True)
    metric_name_limit: int = setting(LIMIT, 0, own=True)
    new_series_limit: int = setting(LIMIT, 0, own=True)
    keep_dropped_targets: int = setting(LIMIT, 0)
    metric_name_validation_scheme: str = setting(SCHEME, "")
    metric_name_escaping_scheme: str = setting(Text(), "")
    extra_scrape_metrics: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    relabel_configs: tuple[RelabelConfig, ...] = setting(
        Listed(
            Of(RelabelConfig),
            "[]*relabel.Config",
            "empty or null target relabeling rule in scrape config",
        ),
        (),
    )
    metric_relabel_configs: tuple[RelabelConfig, ...] = setting(
        Listed(
            Of(RelabelConfig),
            "[]*relabel.Config",
            "empty or null metric relabeling rule in scrape config",
        ),
        (),
    )
    if TYPE_CHECKING:
        # All mechanisms are added from their table; checks name these.
        static_configs: tuple[StaticConfig, ...] = ()
        kubernetes_sd_configs: tuple[KubernetesSdConfig, ...] = ()

    def check(self) -> None:
        """What can be said without the global section."""
        if not self.job_name:
            raise self.refuse("job_name", "job_name is empty")
        HttpClient.check(self)
        refuse_bad_targets(self.static_configs, relabeled=bool(self.relabel_configs))

    def discovery(self) -> tuple[SdConfig, ...]:
        """All sources of targets."""
        return sources_of(self)

    def without_discovery(self) -> ScrapeConfig:
        """The job as its pool sees it: where targets come from is not the pool's business."""
        return replace(self, **no_sources())

    def complete(self, base: GlobalConfig) -> ScrapeConfig:
        """The job with everything inherited from the global section. Raises UserError."""
        job = go_quote(self.job_name)
        interval = self.scrape_interval or base.scrape_interval
        timeout = self.scrape_timeout or min(base.scrape_timeout, interval)
        if timeout > interval:
            raise self.refuse(
                "scrape_timeout",
                f"scrape timeout greater than scrape interval for scrape config with job name {job}",
            )
        flags: dict[str, Any] = {
            name: getattr(self if self.given(name) else base, name) or False for name in _INHERITED_FLAGS
        }
        natural = PROTOCOLS_PROTO_FIRST if flags["scrape_native_histograms"] else PROTOCOLS
        protocols = self.scrape_protocols or base.scrape_protocols or natural
        if self.given("scrape_protocols"):
            message = protocol_error(self.scrape_protocols)
            if message:
                raise self.refuse("scrape_protocols", f"{message} for scrape config with job name {job}")
        fallback = self.fallback_scrape_protocol
        if fallback and (message := unknown_protocol(fallback)):
            raise self.refuse(
                "fallback_scrape_protocol",
                f"invalid fallback_scrape_protocol for scrape config with job name {job}: {message}",
            )
        scheme, escaping = self._schemes(base)
        inherited = {name: getattr(self, name) or getattr(base, name) for name in _INHERITED}
        done = replace(
            self,
            scrape_interval=interval,
            scrape_timeout=timeout,
            scrape_protocols=protocols,
            metric_name_validation_scheme=scheme,
            metric_name_escaping_scheme=escaping,
            scrape_failure_log_file=self.scrape_failure_log_file or base.scrape_failure_log_file,
            **inherited,
            **flags,
        )
        for rule in (*done.relabel_configs, *done.metric_relabel_configs):
            rule.validate(legacy=scheme == "legacy")
        return done

    def _schemes(self, base: GlobalConfig) -> tuple[str, str]:
        scheme = self.metric_name_validation_scheme or base.metric_name_validation_scheme or "utf8"
        general, escaping = base.metric_name_escaping_scheme, self.metric_name_escaping_scheme
        natural = "underscores" if scheme == "legacy" else "allow-utf-8"
        for whose, found, model in (("global", general, base), ("scrape config", escaping, self)):
            if found not in ESCAPINGS:
                raise model.refuse(
                    "metric_name_escaping_scheme",
                    f"unknown {whose} name escaping method specified, must be one of 'allow-utf-8', "
                    f"'underscores', 'dots', or 'values', got {go_quote(found)}",
                )
        if not escaping:
            # A job that asks for legacy names alone does not get the general leave for all names.
            alone = scheme == "legacy" and base.metric_name_validation_scheme != "legacy"
            escaping = natural if not general or (alone and general == "allow-utf-8") else general
        if scheme == "legacy" and escaping == "allow-utf-8":
            raise self.refuse(
                "metric_name_escaping_scheme",
                "utf8 metric names requested but validation scheme is not set to UTF8",
            )
        return scheme, escaping
