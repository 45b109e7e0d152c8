"""`serverset_sd_configs` and `nerve_sd_configs`: targets in the tree of ZooKeeper."""

from __future__ import annotations

from typing import ClassVar

from trimon.config.discovery.source import SdConfig
from trimon.config.kinds import DURATION, Listed, Text
from trimon.config.model import Shown, setting
from trimon.records import dataclass


@dataclass(frozen=True, kw_only=True)
class _ZooKeeperSdConfig(SdConfig):
    """Paths that are watched."""

    yaml_type: ClassVar[str] = "zookeeper.plain"
    mechanism: ClassVar[str] = ""

    servers: tuple[str, ...] = setting(Listed(Text()), (), shown=Shown.ALWAYS)
    paths: tuple[str, ...] = setting(Listed(Text()), (), shown=Shown.ALWAYS)
    timeout: int = setting(DURATION, 10_000)

    def check(self) -> None:
        """There are servers and absolute paths."""
        if not self.servers:
            raise self.refuse(
                "servers", f"{self.mechanism} SD config must contain at least one Zookeeper server"
            )
        if not self.paths:
            raise self.refuse("paths", f"{self.mechanism} SD config must contain at least one path")
        for path in self.paths:
            if not path.startswith("/"):
                raise self.refuse("paths", f"{self.mechanism} SD config paths must begin with '/': {path}")


@dataclass(frozen=True, kw_only=True)
class ServersetSdConfig(_ZooKeeperSdConfig):
    """Members as Finagle writes them."""

    mechanism: ClassVar[str] = "serverset"


@dataclass(frozen=True, kw_only=True)
class NerveSdConfig(_ZooKeeperSdConfig):
    """Members as AirBnB's Nerve writes them."""

    mechanism: ClassVar[str] = "nerve"
