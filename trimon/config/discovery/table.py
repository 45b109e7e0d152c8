"""The table of discovery mechanisms: a row each, from which all the rest follows.

From a row come the field of whatever may have discovery (a scrape job, a set of Alertmanagers), the discovery that is
run, and the list on /debug/plugins. To add a mechanism, write its model in a file of this folder and what it does in
one of `trimon/discovery/mechanisms/`, and move its name from NOT_YET to a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from trimon.config.discovery.file import FileSdConfig
from trimon.config.discovery.plugin import PluginSdConfig
from trimon.config.discovery.source import SdConfig
from trimon.config.discovery.static import StaticConfig
from trimon.config.kinds import Listed, Of
from trimon.config.model import Model, setting

C = TypeVar("C", bound=type[Model])

_ROOM: Final = "trimon.discovery.mechanisms"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One way to find targets."""

    name: str
    field: str
    """Its field in the configuration."""
    model: type[SdConfig]
    yaml_type: str
    """What Prometheus calls the list in its errors."""
    factory: str
    """`module:attribute` of what finds the targets; empty when the configuration names it."""
    own: bool = False
    """Whether Prometheus does not have it."""
    together: bool = False
    """All of one consumer are one provider."""

    def request(self, configs: Sequence[SdConfig]) -> tuple[str, Mapping[str, object]]:
        """The name and the options of the discovery that configurations ask for; secrets keep their type."""
        if self.together:
            return self.name, {"groups": [config.discovery_options() for config in configs]}
        return configs[0].named_discovery() or self.name, configs[0].discovery_options()


# In the order in which a configuration shows them: as Prometheus, static ones last.
MECHANISMS: Final = (
    Mechanism("file", "file_sd_configs", FileSdConfig, "[]*file.SDConfig", f"{_ROOM}.file:FileDiscovery"),
    Mechanism("plugin", "trimon_sd_configs", PluginSdConfig, "[]*trimon.PluginSDConfig", "", own=True),
    Mechanism(
        "static",
        "static_configs",
        StaticConfig,
        "[]*targetgroup.Group",
        f"{_ROOM}.static:StaticDiscovery",
        together=True,
    ),
)
# What Prometheus has besides; asking for one is refused by name.
NOT_YET: Final = (
    "aws",
    "azure",
    "consul",
    "digitalocean",
    "dns",
    "docker",
    "dockerswarm",
    "ec2",
    "ecs",
    "elasticache",
    "eureka",
    "gce",
    "hetzner",
    "http",
    "ionos",
    "kubernetes",
    "kuma",
    "lightsail",
    "linode",
    "marathon",
    "msk",
    "nerve",
    "nomad",
    "oci",
    "openstack",
    "outscale",
    "ovhcloud",
    "puppetdb",
    "rds",
    "scaleway",
    "serverset",
    "stackit",
    "triton",
    "uyuni",
    "vultr",
)
_BY_MODEL: Final = {row.model: row for row in MECHANISMS}


def mechanism_of(config: SdConfig) -> Mechanism:
    """The row of a configuration."""
    return _BY_MODEL[type(config)]


def with_discovery(cls: C) -> C:
    """Give a model the fields of all mechanisms, after its own; stands below `dataclass`."""
    for row in MECHANISMS:
        kind = Listed(Of(row.model), row.yaml_type, f"empty or null section in {row.field}")
        cls.__annotations__[row.field] = tuple[row.model, ...]  # type: ignore[name-defined]  # known at run time
        setattr(cls, row.field, setting(kind, (), own=row.own))
    cls.not_yet = tuple(f"{name}_sd_configs" for name in NOT_YET)
    return cls


def sources_of(model: Model) -> tuple[SdConfig, ...]:
    """All sources of targets of a model that has discovery, static ones first."""
    rows = sorted(MECHANISMS, key=lambda row: not row.together)
    return tuple(config for row in rows for config in getattr(model, row.field))


def no_sources() -> dict[str, Any]:
    """The fields of all mechanisms, empty: for `dataclasses.replace`."""
    return {row.field: () for row in MECHANISMS}
