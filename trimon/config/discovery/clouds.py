"""Clouds that are asked over HTTP with a token or a password: one mechanism each."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_SECRET, HttpClient
from trimon.config.kinds import DURATION, Hidden, Nothing, Text, Whole
from trimon.config.model import AT_END, Shown, setting
from trimon.config.secret import Secret
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

AZURE_METHODS: Final = ("OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity")


@dataclass(frozen=True, kw_only=True)
class _CloudSdConfig(HttpClient, SdConfig):
    """How often a cloud is asked, and the port of what it finds."""

    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)


@dataclass(frozen=True, kw_only=True)
class DigitalOceanSdConfig(_CloudSdConfig):
    """Droplets or databases of DigitalOcean."""

    yaml_type: ClassVar[str] = "digitalocean.plain"

    role: str = setting(Text(), "droplets", shown=Shown.ALWAYS)
    # A field of Prometheus' own workings that the file has all the same.
    httpclient: None = setting(Nothing(), shown=Shown.NULL)

    def check(self) -> None:
        """The role is known."""
        if self.role not in ("droplets", "databases"):
            raise self.refuse("role", f"unknown DigitalOcean SD role {go_quote(self.role)}")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class VultrSdConfig(_CloudSdConfig):
    """Instances of Vultr."""

    yaml_type: ClassVar[str] = "vultr.plain"


@dataclass(frozen=True, kw_only=True)
class LinodeSdConfig(_CloudSdConfig):
    """Instances of Linode."""

    yaml_type: ClassVar[str] = "linode.plain"

    tag_separator: str = setting(Text(), ",")
    region: str = setting(Text(), "")


def _hetzner_role(text: str) -> str | None:
    return None if text in ("robot", "hcloud") else f"unknown role {go_quote(text)}"


@dataclass(frozen=True, kw_only=True)
class HetznerSdConfig(_CloudSdConfig):
    """Servers of Hetzner's cloud, or those that Hetzner's robot knows."""

    yaml_type: ClassVar[str] = "hetzner.plain"

    role: str = setting(Text(_hetzner_role), "", shown=Shown.ALWAYS)
    label_selector: str = setting(Text(), "")

    def check(self) -> None:
        """There is a role."""
        if not self.role:
            raise self.refuse("role", "role missing (one of: robot, hcloud)")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class IonosSdConfig(HttpClient, SdConfig):
    """Servers of a data centre of IONOS."""

    yaml_type: ClassVar[str] = "ionos.plain"
    inherited_before: ClassVar[str] = "refresh_interval"

    datacenter_id: str = setting(Text(), "", shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)

    def check(self) -> None:
        """The data centre is named."""
        if not self.datacenter_id:
            raise self.refuse("datacenter_id", "datacenter id can't be empty")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class GceSdConfig(SdConfig):
    """Instances of a zone of Google's cloud."""

    yaml_type: ClassVar[str] = "gce.plain"
    proxy_of_environment: ClassVar[bool] = True

    project: str = setting(Text(), "", shown=Shown.ALWAYS)
    zone: str = setting(Text(), "", shown=Shown.ALWAYS)
    filter: str = setting(Text(), "")
    refresh_interval: int = setting(DURATION, 60_000)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    tag_separator: str = setting(Text(), ",")

    def check(self) -> None:
        """Project and zone are named."""
        for name in ("project", "zone"):
            if not getattr(self, name):
                raise self.refuse(name, f"GCE SD configuration requires a {name}")


@dataclass(frozen=True, kw_only=True)
class AzureSdConfig(HttpClient, SdConfig):
    """Machines of a subscription of Azure."""

    yaml_type: ClassVar[str] = "azure.plain"
    inherited_before: ClassVar[str] = AT_END

    environment: str = setting(Text(), "AzurePublicCloud")
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    subscription_id: str = setting(Text(), "", shown=Shown.ALWAYS)
    tenant_id: str = setting(Text(), "")
    client_id: str = setting(Text(), "")
    client_secret: Secret = setting(Hidden(), NO_SECRET)
    refresh_interval: int = setting(DURATION, 300_000)
    authentication_method: str = setting(Text(), "OAuth")
    resource_group: str = setting(Text(), "")

    def check(self) -> None:
        """What the method of authentication needs is there."""
        needed = ["subscription_id"]
        if self.authentication_method == "OAuth":
            needed += ["tenant_id", "client_id", "client_secret"]
        for name in needed:
            if not getattr(self, name):
                raise self.refuse(name, f"azure SD configuration requires a {name}")
        if self.authentication_method not in AZURE_METHODS:
            raise self.refuse(
                "authentication_method",
                f"unknown authentication_type {go_quote(self.authentication_method)}. Supported types are "
                '"OAuth", "ManagedIdentity", "SDK" or "WorkloadIdentity"',
            )
        HttpClient.check(self)
