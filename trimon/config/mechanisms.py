"""The table of discovery mechanisms: a row each, from which all the rest follows.

From a row come the field of whatever may have discovery (a scrape job, a set of Alertmanagers), the refusal of
what is not there yet, the discovery that is run, and the list on /debug/plugins. To add a mechanism, write its model
in `trimon/config/discovery.py` and what it does in `trimon/discovery/mechanisms/`, and fill in its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trimon.config.discovery import FileSdConfig, PluginSdConfig, SdConfig, StaticConfig

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
    together: bool = False
    """All of one consumer are one provider."""

    def request(self, configs: Sequence[SdConfig]) -> tuple[str, Mapping[str, object]]:
        """The name and the options of the discovery that configurations ask for; secrets keep their type."""
        if self.together:
            return self.name, {"groups": [config.discovery_options() for config in configs]}
        return configs[0].named_discovery() or self.name, configs[0].discovery_options()


MECHANISMS: Final = (
    Mechanism(
        "static",
        "static_configs",
        StaticConfig,
        "[]*targetgroup.Group",
        f"{_ROOM}.static:StaticDiscovery",
        together=True,
    ),
    Mechanism("file", "file_sd_configs", FileSdConfig, "[]*file.SDConfig", f"{_ROOM}.file:FileDiscovery"),
    Mechanism("plugin", "trimon_sd_configs", PluginSdConfig, "[]*trimon.PluginSDConfig", ""),
)
_BY_MODEL: Final = {row.model: row for row in MECHANISMS}


def mechanism_of(config: SdConfig) -> Mechanism:
    """The row of a configuration."""
    return _BY_MODEL[type(config)]
