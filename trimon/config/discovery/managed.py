"""Managers of machines: OpenStack, Uyuni."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_SECRET, NO_URL, HttpClient, TlsConfig
from trimon.config.kinds import ADDRESS, DURATION, AnyUrl, Boolean, Hidden, Of, Text, Whole
from trimon.config.model import Shown, setting
from trimon.config.secret import Secret, SecretUrl
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

ROLES: Final = ("instance", "hypervisor", "loadbalancer")


def _role(text: str) -> str | None:
    return None if text in ROLES else f"unknown OpenStack SD role {go_quote(text)}"


@dataclass(frozen=True, kw_only=True)
class OpenStackSdConfig(SdConfig):
    """Instances, hypervisors or load balancers of OpenStack."""

    yaml_type: ClassVar[str] = "openstack.plain"

    identity_endpoint: SecretUrl = setting(ADDRESS, NO_URL, shown=Shown.ALWAYS)
    username: str = setting(Text(), "", shown=Shown.ALWAYS)
    userid: str = setting(Text(), "", shown=Shown.ALWAYS)
    password: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    project_name: str = setting(Text(), "", shown=Shown.ALWAYS)
    project_id: str = setting(Text(), "", shown=Shown.ALWAYS)
    domain_name: str = setting(Text(), "", shown=Shown.ALWAYS)
    domain_id: str = setting(Text(), "", shown=Shown.ALWAYS)
    application_credential_name: str = setting(Text(), "", shown=Shown.ALWAYS)
    application_credential_id: str = setting(Text(), "", shown=Shown.ALWAYS)
    application_credential_secret: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    role: str = setting(Text(_role), "", shown=Shown.ALWAYS)
    region: str = setting(Text(), "", shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    all_tenants: bool = setting(Boolean(), default=False)
    tls_config: TlsConfig = setting(Of(TlsConfig), default_factory=TlsConfig)
    availability: str = setting(Text(), "public")

    def check(self) -> None:
        """There are a role and a region."""
        if self.availability not in ("public", "internal", "admin"):
            raise self.refuse(
                "availability",
                f"unknown availability {self.availability}, must be one of admin, internal or public",
            )
        if not self.role:
            raise self.refuse("role", f"role missing (one of: {', '.join(ROLES)})")
        if not self.region:
            raise self.refuse("region", "openstack SD configuration requires a region")


@dataclass(frozen=True, kw_only=True)
class UyuniSdConfig(HttpClient, SdConfig):
    """Systems of Uyuni that are to be monitored."""

    yaml_type: ClassVar[str] = "uyuni.plain"
    inherited_before: ClassVar[str] = "entitlement"

    server: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.ALWAYS)
    username: str = setting(Text(), "", shown=Shown.ALWAYS)
    password: Secret = setting(Hidden(), NO_SECRET, shown=Shown.ALWAYS)
    entitlement: str = setting(Text(), "monitoring_entitled")
    separator: str = setting(Text(), ",")
    refresh_interval: int = setting(DURATION, 60_000)

    def check(self) -> None:
        """The server is named, and who asks it."""
        for name, what in (
            ("server", "server host"),
            ("username", "a username"),
            ("password", "a password"),
        ):
            if not getattr(self, name):
                raise self.refuse(name, f"Uyuni SD configuration requires {what}")
        HttpClient.check(self)
