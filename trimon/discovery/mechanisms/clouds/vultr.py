"""Instances of Vultr (`vultr_sd_configs`).

Source: https://www.vultr.com/api/#tag/instances. Labels: `__meta_vultr_instance_*`: `id`, `label`, `os`, `os_id`, `region`,
`plan`, `main_ip`, `main_ipv6`, `internal_ip`, `hostname`, `server_status`, `vcpu_count`, `ram_mb`,
`allowed_bandwidth_gb`, `disk_gb`, `features`, `tags`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from trimon.config.discovery.clouds import VultrSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import surrounded
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import texts, wholes
from trimon.discovery.plugin import Context, TargetGroup

_URL: Final = "https://api.vultr.com/v2/instances"
_HEADERS: Final = (("Accept", "application/json"), ("Content-Type", "application/json"))
_PER_PAGE: Final = 100
_PREFIX: Final = "__meta_vultr_instance_"
_TEXTS: Final = {
    "id": "id",
    "label": "label",
    "os": "os",
    "region": "region",
    "plan": "plan",
    "main_ip": "main_ip",
    "main_ipv6": "v6_main_ip",
    "internal_ip": "internal_ip",
    "hostname": "hostname",
    "server_status": "server_status",
}
_WHOLES: Final = {
    "os_id": "os_id",
    "vcpu_count": "vcpu_count",
    "ram_mb": "ram",
    "allowed_bandwidth_gb": "allowed_bandwidth",
    "disk_gb": "disk",
}


class VultrDiscovery(CloudDiscovery):
    """Asks for the list of instances."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, VultrSdConfig)
        super().__init__(context, config.refresh_interval, config.port)

    async def refresh(self) -> list[TargetGroup]:
        """One group of all instances."""
        return await self.group("Vultr", await all_pages(self._page), self._labels)

    async def _page(self, cursor: str) -> Page[Record]:
        query = urlencode({**({"cursor": cursor} if cursor else {}), "per_page": _PER_PAGE})
        answer = await self.api.record(f"{_URL}?{query}", _HEADERS)
        return Page(answer.records("instances"), answer.record("meta").record("links").text("next"))

    def _labels(self, instance: Record) -> Labels:
        labels = {
            "__address__": self.address(instance.text("main_ip")),
            **texts(instance, _PREFIX, _TEXTS),
            **wholes(instance, _PREFIX, _WHOLES),
        }
        for name in ("features", "tags"):
            if items := instance.texts(name):
                labels[_PREFIX + name] = surrounded(items)
        return labels
