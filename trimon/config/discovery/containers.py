"""What runs containers: Docker, Docker Swarm, Marathon, Triton."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_SECRET, NO_URL, HttpClient, TlsConfig
from trimon.config.kinds import ADDRESS, DURATION, AnyUrl, Boolean, FilePath, Hidden, Listed, Of, Text, Whole
from trimon.config.model import AT_END, Model, Shown, setting
from trimon.config.secret import Secret, SecretUrl
from trimon.records import dataclass

SWARM_ROLES: Final = ("services", "nodes", "tasks")


@dataclass(frozen=True, kw_only=True)
class DockerFilter(Model):
    """What things must have to be found."""

    yaml_type: ClassVar[str] = "moby.Filter"

    name: str = setting(Text(), "", shown=Shown.ALWAYS)
    values: tuple[str, ...] = setting(Listed(Text()), (), shown=Shown.ALWAYS)


_FILTERS: Final = Listed(Of(DockerFilter), "[]moby.Filter")


@dataclass(frozen=True, kw_only=True)
class DockerSdConfig(HttpClient, SdConfig):
    """Containers of a Docker engine."""

    yaml_type: ClassVar[str] = "moby.plain"

    host: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    filters: tuple[DockerFilter, ...] = setting(_FILTERS, (), shown=Shown.ALWAYS)
    host_networking_host: str = setting(Text(), "localhost", shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)
    match_first_network: bool = setting(Boolean(), default=True, shown=Shown.ALWAYS)

    def check(self) -> None:
        """There is a host."""
        if not self.host:
            raise self.refuse("host", "host missing")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class DockerSwarmSdConfig(HttpClient, SdConfig):
    """Services, nodes or tasks of a swarm."""

    yaml_type: ClassVar[str] = "moby.plain"

    host: SecretUrl = setting(AnyUrl(), NO_URL, shown=Shown.ALWAYS)
    role: str = setting(Text(), "", shown=Shown.ALWAYS)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    filters: tuple[DockerFilter, ...] = setting(_FILTERS, (), shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000, shown=Shown.ALWAYS)

    def check(self) -> None:
        """There are a host and a role."""
        if not self.host:
            raise self.refuse("host", "host missing")
        if not self.role:
            raise self.refuse("role", "role missing (one of: tasks, services, nodes)")
        if self.role not in SWARM_ROLES:
            raise self.refuse("role", f"invalid role {self.role}, expected tasks, services, or nodes")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class MarathonSdConfig(HttpClient, SdConfig):
    """Tasks of Marathon."""

    yaml_type: ClassVar[str] = "marathon.plain"
    inherited_before: ClassVar[str] = AT_END

    servers: tuple[SecretUrl, ...] = setting(Listed(ADDRESS), ())
    refresh_interval: int = setting(DURATION, 30_000)
    auth_token: Secret = setting(Hidden(), NO_SECRET)
    auth_token_file: str = setting(FilePath(), "")

    def check(self) -> None:
        """There are servers, and one way of authorization."""
        if not self.servers:
            raise self.refuse("servers", "marathon_sd: must contain at least one Marathon server")
        tokens = [name for name in ("auth_token", "auth_token_file") if getattr(self, name)]
        if len(tokens) > 1:
            raise self.refuse(tokens[1], f"marathon_sd: at most one of {_TOKENS} must be configured")
        if tokens:
            self._refuse_besides(tokens[0])
        HttpClient.check(self)

    def _refuse_besides(self, token: str) -> None:
        other = ""
        if self.basic_auth is not None:
            other = f"basic_auth, {_TOKENS}"
        elif self.bearer_token or self.bearer_token_file:
            other = f"bearer_token, bearer_token_file, {_TOKENS}"
        elif self.authorization is not None:
            other = f"{_TOKENS} & authorization".replace(" &", ",", 1)
        if other:
            raise self.refuse(token, f"marathon_sd: at most one of {other} must be configured")


_TOKENS: Final = "auth_token & auth_token_file"


@dataclass(frozen=True, kw_only=True)
class TritonSdConfig(SdConfig):
    """Containers or compute nodes of Triton."""

    yaml_type: ClassVar[str] = "triton.plain"

    account: str = setting(Text(), "", shown=Shown.ALWAYS)
    role: str = setting(Text(), "container", shown=Shown.ALWAYS)
    dns_suffix: str = setting(Text(), "", shown=Shown.ALWAYS)
    endpoint: SecretUrl = setting(ADDRESS, NO_URL, shown=Shown.ALWAYS)
    groups: tuple[str, ...] = setting(Listed(Text()), ())
    port: int = setting(Whole(), 9163, shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000)
    tls_config: TlsConfig = setting(Of(TlsConfig), default_factory=TlsConfig)
    version: int = setting(Whole(), 1, shown=Shown.ALWAYS)

    def check(self) -> None:
        """The account, the place and the suffix of names are there."""
        if self.role not in ("container", "cn"):
            raise self.refuse("role", "triton SD configuration requires role to be 'container' or 'cn'")
        for name, what in (
            ("account", "an account"),
            ("dns_suffix", "a dns_suffix"),
            ("endpoint", "an endpoint"),
        ):
            if not getattr(self, name):
                raise self.refuse(name, f"triton SD configuration requires {what}")
        if self.refresh_interval <= 0:
            raise self.refuse(
                "refresh_interval",
                "triton SD configuration requires RefreshInterval to be a positive integer",
            )
