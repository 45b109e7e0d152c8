"""The section `alerting`: what becomes of alerts, and which Alertmanagers get them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from trimon.config.cloudauth import SigV4Config
from trimon.config.discovery.source import SdConfig
from trimon.config.discovery.static import StaticConfig, refuse_bad_targets
from trimon.config.discovery.table import no_sources, sources_of, with_discovery
from trimon.config.http import HttpClient
from trimon.config.kinds import DURATION, Listed, Of, Text
from trimon.config.model import Model, setting
from trimon.config.relabel import RelabelConfig
from trimon.records import dataclass

API_VERSIONS: Final = ("v2",)
TIMEOUT_MS: Final = 10_000


def _api_version(text: str) -> str | None:
    if text in API_VERSIONS:
        return None
    return f"expected Alertmanager api version to be one of {_listed(API_VERSIONS)} but got {text}"


def _listed(texts: tuple[str, ...]) -> str:
    return f"[{' '.join(texts)}]"


def _rules(what: str) -> Listed:
    return Listed(Of(RelabelConfig), "[]*relabel.Config", f"empty or null {what} relabeling rule")


@dataclass(frozen=True, kw_only=True)
@with_discovery
class AlertmanagerConfig(HttpClient, Model):
    """A set of Alertmanagers, found as targets are, and how they are reached. The timeout is in ms."""

    yaml_type: ClassVar[str] = "config.AlertmanagerConfig"
    section: ClassVar[str] = "alertmanager"
    inherited_before: ClassVar[str] = "sigv4"

    sigv4: SigV4Config | None = setting(Of(SigV4Config))
    scheme: str = setting(Text(), "http")
    path_prefix: str = setting(Text(), "")
    timeout: int = setting(DURATION, TIMEOUT_MS)
    api_version: str = setting(Text(_api_version), "v2")
    relabel_configs: tuple[RelabelConfig, ...] = setting(_rules("Alertmanager target"), ())
    alert_relabel_configs: tuple[RelabelConfig, ...] = setting(_rules("Alertmanager alert"), ())
    if TYPE_CHECKING:
        # All mechanisms are added from their table; the checks below name this one.
        static_configs: tuple[StaticConfig, ...] = ()

    def check(self) -> None:
        """Credentials come from one place, and fixed addresses are no URLs."""
        HttpClient.check(self)
        if self.sigv4 is not None and (self.basic_auth or self.authorization or self.oauth2):
            raise self.refuse(
                "sigv4", "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured"
            )
        refuse_bad_targets(self.static_configs, relabeled=bool(self.relabel_configs))

    def discovery(self) -> tuple[SdConfig, ...]:
        """All sources of addresses."""
        return sources_of(self)

    def without_discovery(self) -> AlertmanagerConfig:
        """The section as its senders see it: where addresses come from is not their business."""
        return replace(self, **no_sources())


@dataclass(frozen=True, kw_only=True)
class AlertingConfig(Model):
    """Everything under `alerting`."""

    yaml_type: ClassVar[str] = "config.plain"

    alert_relabel_configs: tuple[RelabelConfig, ...] = setting(_rules("alert"), ())
    alertmanagers: tuple[AlertmanagerConfig, ...] = setting(
        Listed(Of(AlertmanagerConfig), "config.AlertmanagerConfigs", "empty or null Alertmanager section"), ()
    )

    def validate(self, *, legacy: bool) -> None:
        """The relabeling rules under the validation scheme of names. Raises UserError."""
        for rule in self.alert_relabel_configs:
            rule.validate(legacy=legacy)
        for manager in self.alertmanagers:
            for rule in (*manager.relabel_configs, *manager.alert_relabel_configs):
                rule.validate(legacy=legacy)
