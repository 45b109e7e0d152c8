"""The base of the configurations of all discovery mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from trimon.config.model import Model


@dataclass(frozen=True, kw_only=True)
class SdConfig(Model):
    """One source of targets."""

    name_field: ClassVar[str] = ""
    """The field that names the discovery, where the mechanism does not."""

    def named_discovery(self) -> str:
        """The discovery that the configuration names; empty where the mechanism says which it is."""
        return ""

    def discovery_options(self) -> Mapping[str, object]:
        """What its discovery is given; secrets keep their type."""
        raise NotImplementedError
