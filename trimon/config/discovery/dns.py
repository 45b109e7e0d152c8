"""`dns_sd_configs`: targets in records of the DNS."""

from __future__ import annotations

from typing import ClassVar, Final

from trimon.config.discovery.source import SdConfig
from trimon.config.kinds import DURATION, Listed, Text, Whole
from trimon.config.model import Shown, setting
from trimon.records import dataclass

RECORDS: Final = ("SRV", "A", "AAAA", "MX", "NS")


@dataclass(frozen=True, kw_only=True)
class DnsSdConfig(SdConfig):
    """Names whose records are targets; all but SRV records need a port."""

    yaml_type: ClassVar[str] = "dns.plain"

    names: tuple[str, ...] = setting(Listed(Text()), ())
    refresh_interval: int = setting(DURATION, 30_000, shown=Shown.ALWAYS)
    type: str = setting(Text(), "SRV", shown=Shown.ALWAYS)
    port: int = setting(Whole(), 0, shown=Shown.ALWAYS)

    def check(self) -> None:
        """There are names, of records that are known."""
        if not self.names:
            raise self.refuse("names", "DNS-SD config must contain at least one SRV record name")
        kind = self.type.upper()
        if kind not in RECORDS:
            raise self.refuse("type", f"invalid DNS-SD records type {self.type}")
        if kind != "SRV" and not self.port:
            raise self.refuse("type", "a port is required in DNS-SD configs for all record types except SRV")
