"""The base of the configurations of all discovery mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from trimon.config.model import Model

C = TypeVar("C", bound="SdConfig")


@dataclass(frozen=True, kw_only=True)
class SdConfig(Model):
    """One source of targets."""

    name_field: ClassVar[str] = ""
    """The field that names the discovery, where the mechanism does not."""
    proxy_of_environment: ClassVar[bool] = False
    """Whether the environment says which proxy is taken, for want of HTTP options."""

    def named_discovery(self) -> str:
        """The discovery that the configuration names; empty where the mechanism says which it is."""
        return ""

    def discovery_options(self) -> Mapping[str, object]:
        """What its discovery is given; secrets keep their type."""
        return {"config": self}


def config_option(options: Mapping[str, object], model: type[C]) -> C:
    """The configuration among the options of a discovery that comes with trimon."""
    config = options.get("config")
    assert isinstance(config, model), f"{model.__name__} is needed"
    return config
