"""The sections `global` and `runtime`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

from trimon.config.discovery import label_name, label_value
from trimon.config.kinds import DURATION, SIZE, Boolean, FilePath, Listed, Mapped, Text, Whole
from trimon.config.model import Model, Shown, setting
from trimon.gotext.strings import go_quote
from trimon.model.labels import is_legacy_label_name
from trimon.records import dataclass

DEFAULT_INTERVAL_MS: Final = 60_000
DEFAULT_TIMEOUT_MS: Final = 10_000
PROTOCOLS: Final = (
    "OpenMetricsText1.0.0",
    "OpenMetricsText0.0.1",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
)
PROTOCOLS_PROTO_FIRST: Final = ("PrometheusProto", *PROTOCOLS)
_SCHEMES: Final = ("", "legacy", "utf8")
ESCAPINGS: Final = ("", "allow-utf-8", "underscores", "dots", "values")


def _scheme(text: str) -> str | None:
    return None if text in _SCHEMES else f"unrecognized ValidationScheme: {go_quote(text)}"


PROTOCOL: Final = Text(go_type="config.ScrapeProtocol")
SCHEME: Final = Text(_scheme)
"""How names of metrics and labels are checked."""
LIMIT: Final = Whole(0, 2**63 - 1, "uint")
KEEP_KNOWN: Final = "keep_known"
_ON_LIMIT: Final = ("", "fail", KEEP_KNOWN)


def _on_limit(text: str) -> str | None:
    if text in _ON_LIMIT:
        return None
    return f"on_limit must be fail or {KEEP_KNOWN}, got {go_quote(text)}"


ON_LIMIT: Final = Text(_on_limit)
"""What happens when a target brings more than it may: the scrape fails, or only new series are refused."""
# Go's os.Expand: ${name}, ${*}, $name, $1; `${}` and `${` without an end vanish.
_VARIABLE = re.compile(r"\$(?:\{([^}]+)\}|(\{\}?)|([*#$@!?\-0-9])|([A-Za-z_][A-Za-z0-9_]*))", re.ASCII)


def unknown_protocol(protocol: str) -> str | None:
    """The error of one scrape protocol."""
    if protocol in PROTOCOLS_PROTO_FIRST:
        return None
    return f"unknown scrape protocol {protocol}, supported: [{' '.join(sorted(PROTOCOLS_PROTO_FIRST))}]"


def protocol_error(protocols: tuple[str, ...]) -> str | None:
    """What is wrong with a list of scrape protocols."""
    if not protocols:
        return "scrape_protocols cannot be empty"
    for index, protocol in enumerate(protocols):
        if protocol.lower() in [before.lower() for before in protocols[:index]]:
            return f"duplicated protocol in scrape_protocols, got [{' '.join(protocols)}]"
        if message := unknown_protocol(protocol):
            return f"scrape_protocols: {message}"
    return None


@dataclass(frozen=True, kw_only=True)
class GlobalConfig(Model):
    """Defaults of all jobs, and what concerns the whole server. Intervals in ms; a limit of 0 means none."""

    section: ClassVar[str] = "global"

    scrape_interval: int = setting(DURATION, 0)
    scrape_timeout: int = setting(DURATION, 0)
    scrape_protocols: tuple[str, ...] = setting(Listed(PROTOCOL, "[]config.ScrapeProtocol"), ())
    evaluation_interval: int = setting(DURATION, 0)
    rule_query_offset: int = setting(DURATION, 0)
    query_log_file: str = setting(FilePath(), "")
    scrape_failure_log_file: str = setting(FilePath(), "")
    external_labels: tuple[tuple[str, str], ...] = setting(
        Mapped(Text(label_value), "map[string]string", label_name), ()
    )
    body_size_limit: int = setting(SIZE, 0)
    sample_limit: int = setting(LIMIT, 0)
    target_limit: int = setting(LIMIT, 0)
    label_limit: int = setting(LIMIT, 0)
    label_name_length_limit: int = setting(LIMIT, 0)
    label_value_length_limit: int = setting(LIMIT, 0)
    on_limit: str = setting(ON_LIMIT, "", own=True)
    exposed_sample_limit: int = setting(LIMIT, 0, own=True)
    metric_name_limit: int = setting(LIMIT, 0, own=True)
    new_series_limit: int = setting(LIMIT, 0, own=True)
    keep_dropped_targets: int = setting(LIMIT, 0)
    metric_name_validation_scheme: str = setting(SCHEME, "")
    metric_name_escaping_scheme: str = setting(Text(), "")
    scrape_native_histograms: bool | None = setting(Boolean(), None, shown=Shown.ALWAYS)
    convert_classic_histograms_to_nhcb: bool = setting(Boolean(), default=False)
    always_scrape_classic_histograms: bool = setting(Boolean(), default=False)
    extra_scrape_metrics: bool | None = setting(Boolean(), None, shown=Shown.ALWAYS)

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
        self._fill("metric_name_validation_scheme", self.metric_name_validation_scheme or "utf8")
        if self.metric_name_validation_scheme == "legacy":
            for name, _ in self.external_labels:
                if not is_legacy_label_name(name):
                    raise self.refuse("external_labels", f"{go_quote(name)} is not a valid label name")
        self._fill("scrape_native_histograms", bool(self.scrape_native_histograms))
        self._fill("extra_scrape_metrics", bool(self.extra_scrape_metrics))

    def _fill(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def expanded(self, environment: Mapping[str, str]) -> tuple[GlobalConfig, tuple[str, ...]]:
        """The same with variables of the environment in the values of external_labels, and the names of empty ones."""
        unset: list[str] = []
        expanded = tuple(
            (name, expand_variables(value, environment, unset)) for name, value in self.external_labels
        )
        return replace(self, external_labels=expanded), tuple(unset)


def expand_variables(text: str, environment: Mapping[str, str], unset: list[str]) -> str:
    """Replace `$NAME` and `${NAME}`; `$$` is a dollar; an unset or empty variable is empty and added to `unset`."""

    def value(match: re.Match[str]) -> str:
        if match[2]:
            return ""
        name = match[1] or match[3] or match[4]
        if name == "$":
            return "$"
        found = environment.get(name, "")
        if not found:
            unset.append(name)
        return found

    return _VARIABLE.sub(value, text)


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig(Model):
    """Settings of Prometheus' own runtime. They are read, and mean nothing here."""

    yaml_type: ClassVar[str] = "config.RuntimeConfig"

    gogc: int = setting(Whole(), 75)
