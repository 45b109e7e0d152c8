"""The base of the configurations of all discovery mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar

from trimon.config.model import Model
from trimon.config.secret import Secret, SecretUrl
from trimon.records import dataclass

C = TypeVar("C", bound="SdConfig")

# What tells one section from another of the same mechanism: where is asked, then what for.
_PLACES: Final = (
    "url",
    "api_server",
    "kubeconfig_file",
    "server",
    "servers",
    "host",
    "endpoint",
    "identity_endpoint",
    "api_url",
    "files",
    "names",
    "plugin",
)
_ASKED_FOR: Final = (
    "role",
    "region",
    "zone",
    "project",
    "project_id",
    "datacenter",
    "datacenter_id",
    "subscription_id",
    "resource_group",
    "tenancy",
    "compartments",
    "account",
    "service",
    "namespace",
    "namespaces",
    "partition",
    "clusters",
    "services",
    "paths",
    "type",
    "query",
    "label_selector",
)
# An address is for one line.
_CHARACTERS_MAX: Final = 300


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

    def address(self) -> str:
        """What tells it from its siblings, for people: where it asks, then what for; passwords masked."""
        places = [_shown(getattr(self, name, "")) for name in _PLACES]
        wanted = {name: _shown(getattr(self, name, "")) for name in _ASKED_FOR}
        told = [*filter(None, places), *(f"{name}={text}" for name, text in wanted.items() if text)]
        text = ", ".join(told)
        return text if len(text) <= _CHARACTERS_MAX else text[: _CHARACTERS_MAX - 1] + "…"

    def discovery_options(self) -> Mapping[str, object]:
        """What its discovery is given; secrets keep their type."""
        return {"config": self}


def config_option(options: Mapping[str, object], model: type[C]) -> C:
    """The configuration among the options of a discovery that comes with trimon."""
    config = options.get("config")
    assert isinstance(config, model), f"{model.__name__} is needed"
    return config


def _shown(value: object) -> str:
    """A field of a section in a line; empty where nothing may be said of it."""
    match value:
        case SecretUrl():
            return str(value)
        case Secret() | None:
            return ""
        case tuple():
            return " ".join(filter(None, map(_shown, value)))
        case Model():
            return _shown(getattr(value, "names", ""))
        case _:
            return str(value)
