"""A scrape config: one job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimon.config.discovery import FileSdConfig, PluginSdConfig, SdConfig, StaticConfig
from trimon.config.globals import ESCAPINGS, LIMIT, PROTOCOLS, SCHEMES, GlobalConfig, protocol_error
from trimon.config.http import HttpClient, scheme_check
from trimon.config.kinds import DURATION, SIZE, FilePath, Flag, Listed, Mapped, Of, Text, quoted
from trimon.config.model import Model, setting
from trimon.config.relabel import RelabelConfig
from trimon.model.labels import is_legacy_label_name

_INHERITED_NUMBERS = (
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
)


@dataclass(frozen=True, kw_only=True)
class ScrapeConfig(HttpClient, Model):
    """One job. After `complete` nothing is left to inherit: intervals, protocols, limits and schemes are set.

    Intervals in ms, sizes in bytes; a limit of 0 means none.
    """

    section: ClassVar[str] = "scrape"
    inherited_before: ClassVar[str] = "relabel_configs"

    job_name: str = setting(Text(), "", omit_empty=False)
    scrape_interval: int = setting(DURATION, 0)
    scrape_timeout: int = setting(DURATION, 0)
    scrape_protocols: tuple[str, ...] = setting(Listed(Text(), "[]config.ScrapeProtocol"), ())
    fallback_scrape_protocol: str = setting(Text(), "")
    metrics_path: str = setting(Text(), "/metrics")
    scheme: str = setting(Text(scheme_check), "http")
    params: tuple[tuple[str, tuple[str, ...]], ...] = setting(
        Mapped(Listed(Text()), "map[string][]string"), ()
    )
    honor_labels: bool = setting(Flag(), default=False)
    honor_timestamps: bool = setting(Flag(), default=True, omit_empty=False)
    track_timestamps_staleness: bool = setting(Flag(), default=False, omit_empty=False)
    enable_compression: bool = setting(Flag(), default=True, omit_empty=False)
    body_size_limit: int = setting(SIZE, 0)
    sample_limit: int = setting(LIMIT, 0)
    target_limit: int = setting(LIMIT, 0)
    label_limit: int = setting(LIMIT, 0)
    label_name_length_limit: int = setting(LIMIT, 0)
    label_value_length_limit: int = setting(LIMIT, 0)
    keep_dropped_targets: int = setting(LIMIT, 0)
    metric_name_validation_scheme: str = setting(Text(), "")
    metric_name_escaping_scheme: str = setting(Text(), "")
    extra_scrape_metrics: bool = setting(Flag(), default=False)
    scrape_failure_log_file: str = setting(FilePath(), "")
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
    static_configs: tuple[StaticConfig, ...] = setting(
        Listed(Of(StaticConfig), "[]*targetgroup.Group", "empty or null section in static_configs"), ()
    )
    file_sd_configs: tuple[FileSdConfig, ...] = setting(
        Listed(Of(FileSdConfig), "[]*file.SDConfig", "empty or null section in file_sd_configs"), ()
    )
    trimon_sd_configs: tuple[PluginSdConfig, ...] = setting(
        Listed(Of(PluginSdConfig), "[]*trimon.PluginSDConfig", "empty or null section in trimon_sd_configs"),
        (),
    )

    def check(self) -> None:
        """What can be said without the global section."""
        HttpClient.check(self)
        if not self.job_name:
            raise self.refuse("job_name", "job_name is empty")
        if self.track_timestamps_staleness:
            field = "track_timestamps_staleness"
            raise self.refuse(field, f"field {field} is not supported by this version of trimon")
        if not self.relabel_configs:
            for group in self.static_configs:
                for target in group.targets:
                    if "/" in target:
                        raise group.refuse("targets", f"{quoted(target)} is not a valid hostname")
        message = protocol_error((self.fallback_scrape_protocol,)) if self.fallback_scrape_protocol else None
        if message:
            raise self.refuse(
                "fallback_scrape_protocol",
                f"invalid fallback_scrape_protocol for scrape config with job name "
                f"{quoted(self.job_name)}: {message}",
            )

    def discovery(self) -> tuple[SdConfig, ...]:
        """All sources of targets, in the order static, file, plug-ins."""
        return (*self.static_configs, *self.file_sd_configs, *self.trimon_sd_configs)

    def without_discovery(self) -> ScrapeConfig:
        """The job as its pool sees it: where targets come from is not the pool's business."""
        return replace(self, static_configs=(), file_sd_configs=(), trimon_sd_configs=())

    def complete(self, base: GlobalConfig) -> ScrapeConfig:
        """The job with everything inherited from the global section. Raises UserError."""
        job = quoted(self.job_name)
        interval = self.scrape_interval or base.scrape_interval
        timeout = self.scrape_timeout or min(base.scrape_timeout, interval)
        if timeout > interval:
            raise self.refuse(
                "scrape_timeout",
                f"scrape timeout greater than scrape interval for scrape config with job name {job}",
            )
        protocols = self.scrape_protocols or base.scrape_protocols or PROTOCOLS
        if self.given("scrape_protocols"):
            message = protocol_error(self.scrape_protocols)
            if message:
                raise self.refuse("scrape_protocols", f"{message} for scrape config with job name {job}")
        scheme, escaping = self._schemes(base)
        inherited = {name: getattr(self, name) or getattr(base, name) for name in _INHERITED_NUMBERS}
        done = replace(
            self,
            scrape_interval=interval,
            scrape_timeout=timeout,
            scrape_protocols=protocols,
            metric_name_validation_scheme=scheme,
            metric_name_escaping_scheme=escaping,
            extra_scrape_metrics=(
                self.extra_scrape_metrics if self.given("extra_scrape_metrics") else base.extra_scrape_metrics
            ),
            scrape_failure_log_file=self.scrape_failure_log_file or base.scrape_failure_log_file,
            **inherited,
        )
        if scheme == "legacy":
            done._check_legacy_names()
        return done

    def _schemes(self, base: GlobalConfig) -> tuple[str, str]:
        scheme, escaping = self.metric_name_validation_scheme, self.metric_name_escaping_scheme
        if scheme not in SCHEMES:
            raise self.refuse(
                "metric_name_validation_scheme",
                "unknown scrape config name validation method specified, must be either '', 'legacy' or "
                f"'utf8', got {scheme}",
            )
        if escaping not in ESCAPINGS:
            raise self.refuse(
                "metric_name_escaping_scheme",
                "unknown scrape config name escaping method specified, must be one of 'allow-utf-8', "
                f"'underscores', 'dots', or 'values', got {quoted(escaping)}",
            )
        scheme = scheme or base.metric_name_validation_scheme
        if not escaping:
            escaping = base.metric_name_escaping_scheme
            if escaping == "allow-utf-8" and scheme == "legacy":
                escaping = "underscores"
        if scheme == "legacy" and escaping == "allow-utf-8":
            raise self.refuse(
                "metric_name_escaping_scheme",
                "utf8 metric names requested but validation scheme is not set to UTF8",
            )
        return scheme, escaping

    def _check_legacy_names(self) -> None:
        for rule in (*self.relabel_configs, *self.metric_relabel_configs):
            rule.check_names(legacy=True)
        for group in self.static_configs:
            for name, _ in group.labels:
                if not is_legacy_label_name(name):
                    raise group.refuse("labels", f"{quoted(name)} is not a valid label name")
