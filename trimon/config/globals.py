"""The sections that are there once: global, runtime, storage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from trimon.config.discovery import label_name
from trimon.config.kinds import (
    DURATION,
    SIZE,
    FilePath,
    Flag,
    Listed,
    Mapped,
    Number,
    Of,
    Text,
    Whole,
    quoted,
)
from trimon.config.model import Model, setting
from trimon.config.support import UNSUPPORTED_PROTOCOLS
from trimon.model.labels import is_legacy_label_name

DEFAULT_INTERVAL_MS: Final = 60_000
DEFAULT_TIMEOUT_MS: Final = 10_000
PROTOCOLS: Final = (
    "OpenMetricsText1.0.0",
    "OpenMetricsText0.0.1",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
)
_ALL_PROTOCOLS: Final = ("PrometheusProto", *PROTOCOLS)
SCHEMES: Final = ("", "legacy", "utf8")
ESCAPINGS: Final = ("", "allow-utf-8", "underscores", "dots", "values")
LIMIT: Final = Whole(0, 2**63 - 1, "uint")
# Go's os.Expand: ${name}, ${*}, $name, $1; `${}` and `${` without an end vanish.
_VARIABLE = re.compile(r"\$(?:\{([^}]+)\}|(\{\}?)|([*#$@!?\-0-9])|([A-Za-z_][A-Za-z0-9_]*))", re.ASCII)


def protocol_error(protocols: tuple[str, ...]) -> str | None:
    """What is wrong with a list of scrape protocols."""
    if not protocols:
        return "scrape_protocols cannot be empty"
    for index, protocol in enumerate(protocols):
        if protocol in UNSUPPORTED_PROTOCOLS:
            return f"scrape protocol {protocol} is not supported by this version of trimon"
        if protocol not in _ALL_PROTOCOLS:
            return f"unknown scrape protocol {protocol}, supported: [{' '.join(sorted(PROTOCOLS))}]"
        if protocol in protocols[:index]:
            return f"duplicated protocol in scrape_protocols, got [{' '.join(protocols)}]"
    return None


@dataclass(frozen=True, kw_only=True)
class GlobalConfig(Model):
    """Defaults of all jobs, and what concerns the whole server. Intervals in ms; a limit of 0 means none."""

    section: ClassVar[str] = "global"

    scrape_interval: int = setting(DURATION, 0)
    scrape_timeout: int = setting(DURATION, 0)
    scrape_protocols: tuple[str, ...] = setting(Listed(Text(), "[]config.ScrapeProtocol"), ())
    evaluation_interval: int = setting(DURATION, 0)
    rule_query_offset: int = setting(DURATION, 0)
    external_labels: tuple[tuple[str, str], ...] = setting(
        Mapped(Text(), "map[string]string", label_name), ()
    )
    query_log_file: str = setting(FilePath(), "")
    scrape_failure_log_file: str = setting(FilePath(), "")
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

    def check(self) -> None:
        """Fill in the defaults that depend on one another, and check what remains."""
        interval = self.scrape_interval or DEFAULT_INTERVAL_MS
        timeout = self.scrape_timeout or min(DEFAULT_TIMEOUT_MS, interval)
        if timeout > interval:
            raise self.refuse("scrape_timeout", "global scrape timeout greater than scrape interval")
        self._fill("scrape_interval", interval)
        self._fill("scrape_timeout", timeout)
        self._fill("evaluation_interval", self.evaluation_interval or DEFAULT_INTERVAL_MS)
        if self.given("scrape_protocols"):
            message = protocol_error(self.scrape_protocols)
            if message:
                raise self.refuse("scrape_protocols", f"{message} for global config")
        self._check_schemes()
        if self.metric_name_validation_scheme == "legacy":
            for name, _ in self.external_labels:
                if not is_legacy_label_name(name):
                    raise self.refuse("external_labels", f"{quoted(name)} is not a valid label name")

    def _check_schemes(self) -> None:
        if self.metric_name_validation_scheme not in SCHEMES:
            raise self.refuse(
                "metric_name_validation_scheme",
                "unknown global name validation method specified, must be either '', 'legacy' or 'utf8', "
                f"got {self.metric_name_validation_scheme}",
            )
        if self.metric_name_escaping_scheme not in ESCAPINGS:
            raise self.refuse(
                "metric_name_escaping_scheme",
                "unknown global name escaping method specified, must be one of 'allow-utf-8', 'underscores', "
                f"'dots', or 'values', got {quoted(self.metric_name_escaping_scheme)}",
            )
        legacy = self.metric_name_validation_scheme == "legacy"
        if legacy and self.metric_name_escaping_scheme == "allow-utf-8":
            raise self.refuse(
                "metric_name_escaping_scheme",
                "utf8 metric names requested but validation scheme is not set to UTF8",
            )
        self._fill("metric_name_validation_scheme", "legacy" if legacy else "utf8")
        self._fill(
            "metric_name_escaping_scheme",
            self.metric_name_escaping_scheme or ("underscores" if legacy else "allow-utf-8"),
        )

    def _fill(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def expanded(self, environment: Mapping[str, str]) -> tuple[GlobalConfig, tuple[str, ...]]:
        """The same with variables of the environment in the values of external_labels, and warnings."""
        warnings: list[str] = []
        expanded = tuple(
            (name, expand_variables(value, environment, warnings)) for name, value in self.external_labels
        )
        return replace(self, external_labels=expanded), tuple(warnings)


def expand_variables(text: str, environment: Mapping[str, str], warnings: list[str]) -> str:
    """Replace `$NAME` and `${NAME}`; `$$` is a dollar; an unset or empty variable is empty and a warning."""

    def value(match: re.Match[str]) -> str:
        if match[2]:
            return ""
        name = match[1] or match[3] or match[4]
        if name == "$":
            return "$"
        found = environment.get(name, "")
        if not found:
            warnings.append(f"Empty environment variable: {name}")
        return found

    return _VARIABLE.sub(value, text)


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig(Model):
    """Settings of Prometheus' own runtime. They are read, and mean nothing here."""

    gogc: int = setting(Whole(), 75)


@dataclass(frozen=True, kw_only=True)
class RetentionConfig(Model):
    """How long blocks are kept. 0 means no limit of that kind."""

    time: int = setting(DURATION, 0)
    size: int = setting(SIZE, 0)
    percentage: float = setting(
        Number(0, 100, "'storage.tsdb.retention.percentage' must be in the range [0, 100]"), 0.0
    )


@dataclass(frozen=True, kw_only=True)
class TsdbConfig(Model):
    """Local storage. `retention` is None when the file does not have it: then flags and defaults apply."""

    section: ClassVar[str] = "storage.tsdb"

    out_of_order_time_window: int = setting(DURATION, 0)
    retention: RetentionConfig | None = setting(Of(RetentionConfig))


@dataclass(frozen=True, kw_only=True)
class ExemplarsConfig(Model):
    """The exemplar store."""

    max_exemplars: int = setting(Whole(go_type="int64"), 100_000)


@dataclass(frozen=True, kw_only=True)
class StorageConfig(Model):
    """Everything under `storage`."""

    tsdb: TsdbConfig = setting(Of(TsdbConfig), default_factory=TsdbConfig)
    exemplars: ExemplarsConfig = setting(Of(ExemplarsConfig), default_factory=ExemplarsConfig)
