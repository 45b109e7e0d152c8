"""Discovery of what runs at AWS: one mechanism a service, and one for all."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.http import NO_SECRET, NO_URL, HttpClient
from trimon.config.kinds import ADDRESS, DURATION, Boolean, Hidden, Listed, Of, Text, Whole
from trimon.config.model import AT_END, Model, Shown, setting
from trimon.config.secret import Secret, SecretUrl
from trimon.gotext.strings import go_quote
from trimon.records import dataclass

ROLES: Final = ("ec2", "lightsail", "ecs", "msk", "elasticache", "rds")


@dataclass(frozen=True, kw_only=True)
class AwsFilter(Model):
    """What things must have to be found."""

    yaml_type: ClassVar[str] = "aws.EC2Filter"

    name: str = setting(Text(), "", shown=Shown.ALWAYS)
    values: tuple[str, ...] = setting(Listed(Text()), (), shown=Shown.ALWAYS)


_FILTERS: Final = Listed(Of(AwsFilter), "[]*aws.EC2Filter")


@dataclass(frozen=True, kw_only=True)
class _Machines(HttpClient, SdConfig):
    """What machines are found by."""

    yaml_type: ClassVar[str] = "aws.plain"
    inherited_before: ClassVar[str] = AT_END

    endpoint: SecretUrl = setting(ADDRESS, NO_URL, shown=Shown.ALWAYS)
    region: str = setting(Text(), "", shown=Shown.ALWAYS)
    access_key: str = setting(Text(), "")
    secret_key: Secret = setting(Hidden(), NO_SECRET)
    profile: str = setting(Text(), "")
    role_arn: str = setting(Text(), "")
    external_id: str = setting(Text(), "")
    refresh_interval: int = setting(DURATION, 60_000)
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)


@dataclass(frozen=True, kw_only=True)
class LightsailSdConfig(_Machines):
    """Machines of Lightsail."""


@dataclass(frozen=True, kw_only=True)
class Ec2SdConfig(_Machines):
    """Machines of EC2."""

    filters: tuple[AwsFilter, ...] = setting(_FILTERS, (), shown=Shown.ALWAYS)

    def check(self) -> None:
        """A filter has values."""
        if any(not each.values for each in self.filters):
            raise self.refuse("filters", "EC2 SD configuration filter values cannot be empty")
        HttpClient.check(self)


@dataclass(frozen=True, kw_only=True)
class _Clusters(HttpClient, SdConfig):
    """What clusters of a service are found by."""

    yaml_type: ClassVar[str] = "aws.plain"
    inherited_before: ClassVar[str] = AT_END

    region: str = setting(Text(), "", shown=Shown.ALWAYS)
    endpoint: SecretUrl = setting(ADDRESS, NO_URL, shown=Shown.ALWAYS)
    access_key: str = setting(Text(), "")
    secret_key: Secret = setting(Hidden(), NO_SECRET)
    profile: str = setting(Text(), "")
    role_arn: str = setting(Text(), "")
    external_id: str = setting(Text(), "")
    clusters: tuple[str, ...] = setting(Listed(Text()), ())
    port: int = setting(Whole(), 80, shown=Shown.ALWAYS)
    refresh_interval: int = setting(DURATION, 60_000)


@dataclass(frozen=True, kw_only=True)
class EcsSdConfig(_Clusters):
    """Tasks of ECS."""

    request_concurrency: int = setting(Whole(), 20)


@dataclass(frozen=True, kw_only=True)
class MskSdConfig(_Clusters):
    """Brokers of MSK."""

    request_concurrency: int = setting(Whole(), 10)


@dataclass(frozen=True, kw_only=True)
class ElasticacheSdConfig(_Clusters):
    """Nodes of ElastiCache."""

    request_concurrency: int = setting(Whole(), 10)


@dataclass(frozen=True, kw_only=True)
class RdsSdConfig(_Clusters):
    """Instances of RDS."""

    filters: tuple[AwsFilter, ...] = setting(_FILTERS, (), shown=Shown.ALWAYS)
    request_concurrency: int = setting(Whole(), 10)


@dataclass(frozen=True, kw_only=True)
class AwsSdConfig(HttpClient, SdConfig):
    """Any of them, by its role."""

    yaml_type: ClassVar[str] = "aws.plain"
    inherited_before: ClassVar[str] = "filters"

    role: str = setting(Text(), "")
    region: str = setting(Text(), "", shown=Shown.ALWAYS)
    endpoint: SecretUrl = setting(ADDRESS, NO_URL)
    access_key: str = setting(Text(), "")
    secret_key: Secret = setting(Hidden(), NO_SECRET)
    profile: str = setting(Text(), "")
    role_arn: str = setting(Text(), "")
    external_id: str = setting(Text(), "")
    refresh_interval: int = setting(DURATION, 0)
    port: int = setting(Whole(), 0)
    # Neither is on by itself here.
    follow_redirects: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    enable_http2: bool = setting(Boolean(), default=False, shown=Shown.ALWAYS)
    filters: tuple[AwsFilter, ...] = setting(_FILTERS, ())
    clusters: tuple[str, ...] = setting(Listed(Text()), ())

    def check(self) -> None:
        """The role is known."""
        if self.role not in ROLES:
            raise self.refuse("role", f"unknown AWS SD role {go_quote(self.role)}")
        HttpClient.check(self)
