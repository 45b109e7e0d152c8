"""Any of the services by its role (`aws_sd_configs`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Final

from trimon.config.discovery.aws import (
    AwsSdConfig,
    Ec2SdConfig,
    EcsSdConfig,
    ElasticacheSdConfig,
    LightsailSdConfig,
    MskSdConfig,
    RdsSdConfig,
)
from trimon.config.discovery.source import config_option
from trimon.discovery.mechanisms.aws.ec2 import Ec2Discovery
from trimon.discovery.mechanisms.aws.ecs import EcsDiscovery
from trimon.discovery.mechanisms.aws.elasticache import ElasticacheDiscovery
from trimon.discovery.mechanisms.aws.lightsail import LightsailDiscovery
from trimon.discovery.mechanisms.aws.msk import MskDiscovery
from trimon.discovery.mechanisms.aws.rds import RdsDiscovery
from trimon.discovery.mechanisms.aws.service import AwsDiscovery, ServiceConfig
from trimon.discovery.plugin import Context

_Made = Callable[[Mapping[str, object], Context], AwsDiscovery]
_ROLES: Final[Mapping[str, tuple[type[ServiceConfig], _Made]]] = {
    "ec2": (Ec2SdConfig, Ec2Discovery),
    "ecs": (EcsSdConfig, EcsDiscovery),
    "elasticache": (ElasticacheSdConfig, ElasticacheDiscovery),
    "lightsail": (LightsailSdConfig, LightsailDiscovery),
    "msk": (MskSdConfig, MskDiscovery),
    "rds": (RdsSdConfig, RdsDiscovery),
}


def aws_discovery(options: Mapping[str, object], context: Context) -> AwsDiscovery:
    """The discovery of the role, with what is said for all roles; what is not said is as the service has it."""
    config = config_option(options, AwsSdConfig)
    model, discovery = _ROLES[config.role]
    names = {each.name for each in fields(model)} & {each.name for each in fields(config)}
    # Nobody says 0 for a port or an interval but by saying nothing.
    said = {
        name: value
        for name in names
        if (value := getattr(config, name)) or name not in ("port", "refresh_interval")
    }
    return discovery({"config": model(**said)}, context)
