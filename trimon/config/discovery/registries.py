"""Registries in which services enter themselves: Consul, Nomad, Eureka, Kuma."""

from __future__ import annotations

from typing import ClassVar

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_SECRET, NO_URL, BasicAuth, HttpClient
from trimon.config.kinds import ADDRESS, DURATION, AnyUrl, Boolean, Hidden, Listed, Mapped, Pairs, Text
from trimon.config.model import AT_END, Shown, setting
from trimon.config.secret import Secret, SecretUrl
from trimon.gotext.urls import scheme_and_host
from trimon.records import dataclass


def is_whole(url: SecretUrl) -> bool:
    """Whether a URL has a scheme and a host."""
    return all(scheme_and_host(url.reveal()))


@dataclass(frozen=True, kw_only=True)
class ConsulSdConfig(HttpClient, SdConfig):
    """Services of Consul. `username` and `password` become `basic_auth`."""

    yaml_type: ClassVar[str] = "consul.plain"
    inherited_before: ClassVar[str] = AT_END

    server: SecretUrl = setting(ADDRESS, SecretUrl("localhost:8500"))
    path_prefix: str = setting(Text(), "")
    token: Secret = setting(Hidden(), NO_SECRET)
    datacenter: str = setting(Text(), "")
    namespace: str = setting(Text(), "")
    partition: str = setting(Text(), "")
    tag_separator: str = setting(Text(), ",")
    scheme: str = setting(Text(), "http")
    username: str = setting(Text(), "")
    password: Secret = setting(Hidden(), NO_SECRET)
    allow_stale: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 30_000)
    services: tuple[str, ...] = setting(Listed(Text()), ())
    tags: tuple[str, ...] = setting(Listed(Text()), ())
    node_meta: Pairs = setting(Mapped(Text()), ())
    filter: str = setting(Text(), "")
    health_filter: str = setting(Text(), "")

    def check(self) -> None:
        """There is a server, and one way of authorization."""
        if not self.server.reveal().strip():
            raise self.refuse("server", "consul SD configuration requires a server address")
        if self.username or self.password:
            if self.basic_auth is not None:
                raise self.refuse(
                    "username",
                    "at most one of consul SD configuration username and password and basic auth can be configured",
                )
            basic = BasicAuth(username=self.username, password=self.password)
            object.__setattr__(self, "basic_auth", basic)
        if self.token and (self.authorization is not None or self.oauth2 is not None):
            raise self.refuse(
                "token", "at most one of consul SD token, authorization, or oauth2 can be configured"
            )
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class NomadSdConfig(HttpClient, SdConfig):
    """Services of Nomad."""

    yaml_type: ClassVar[str] = "nomad.plain"
    inherited_before: ClassVar[str] = "namespace"

    allow_stale: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)
    namespace: str = setting(Text(), "default", shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    region: str = setting(Text(), "global", shown=Shown.ALWAYS)
    server: SecretUrl = setting(ADDRESS, SecretUrl("http://localhost:4646"), shown=Shown.ALWAYS)
    tag_separator: str = setting(Text(), ",")

    def check(self) -> None:
        """There is a server."""
        if not self.server.reveal().strip():
            raise self.refuse("server", "nomad SD configuration requires a server address")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class EurekaSdConfig(HttpClient, SdConfig):
    """Instances of applications of Eureka."""

    yaml_type: ClassVar[str] = "eureka.plain"
    inherited_before: ClassVar[str] = "refresh_interval"

    server: SecretUrl = setting(AnyUrl(), NO_URL)
    refresh_interval: int = setting(DURATION, 30_000)

    def check(self) -> None:
        """There is a server, by a whole URL."""
        if not self.server:
            raise self.refuse("server", "eureka_sd: empty or null eureka server")
        if not is_whole(self.server):
            raise self.refuse("server", "eureka_sd: invalid eureka server URL")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class KumaSdConfig(HttpClient, SdConfig):
    """Data planes of Kuma."""

    yaml_type: ClassVar[str] = "kuma.plain"

    refresh_interval: int = setting(DURATION, 15_000)
    fetch_timeout: int = setting(DURATION, 120_000)
    server: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.ALWAYS)
    client_id: str = setting(Text(), "")

    def check(self) -> None:
        """There is a server, by a whole URL."""
        if not self.server:
            raise self.refuse("server", "kuma SD server must not be empty: ")
        if not is_whole(self.server):
            raise self.refuse("server", f"kuma SD server must not be empty and have a scheme: {self.server}")
        HttpClient.check(self)
