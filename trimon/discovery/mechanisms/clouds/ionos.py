"""Servers of a data centre of IONOS (`ionos_sd_configs`).

Source: https://api.ionos.com/docs/cloud/v6/. Labels: `__meta_ionos_server_*`: `id`, `name`, `servers_id`, `state`,
`lifecycle`, `type`, `cpu_family`, `availability_zone`, `ip`, `nic_ip_<interface>`, `boot_cdrom_id`, `boot_volume_id`,
`boot_image_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from trimon.config.discovery.clouds import IonosSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import sanitized, surrounded
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import texts
from trimon.discovery.plugin import Context, TargetGroup

_API: Final = "https://api.ionos.com/cloudapi/v6"
_HEADERS: Final = (("Accept", "application/json"),)
_PER_PAGE: Final = 1000
_DEPTH: Final = 3
_PREFIX: Final = "__meta_ionos_server_"
_NAMELESS: Final = "unnamed"
_TEXTS: Final = {
    "availability_zone": "properties.availabilityZone",
    "boot_cdrom_id": "properties.bootCdrom.id",
    "boot_volume_id": "properties.bootVolume.id",
    "cpu_family": "properties.cpuFamily",
    "id": "id",
    "lifecycle": "metadata.state",
    "name": "properties.name",
    "state": "properties.vmState",
    "type": "properties.type",
}


class IonosDiscovery(CloudDiscovery):
    """Asks for the servers with all that is in them."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, IonosSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._url = f"{_API}/datacenters/{quote(config.datacenter_id, safe='')}/servers"
        self._list_id = ""

    async def refresh(self) -> list[TargetGroup]:
        """One group of all servers that have an address."""
        return await self.group("ionos", await all_pages(self._page, "0"), self._labels)

    async def _page(self, offset: str) -> Page[Record]:
        query = urlencode({"depth": _DEPTH, "limit": _PER_PAGE, "offset": offset, "pretty": "true"})
        answer = await self.api.record(f"{self._url}?{query}", _HEADERS)
        self._list_id = answer.text("id")
        items = answer.records("items")
        return Page(items, str(int(offset) + len(items)) if len(items) >= _PER_PAGE else "")

    def _labels(self, server: Record) -> Labels | None:
        # What an interface that comes later has stands in front.
        addresses: list[str] = []
        by_name: dict[str, list[str]] = {}
        entities = server.record("entities")
        for interface in entities.record("nics").records("items"):
            if "properties" not in interface:
                continue
            properties = interface.record("properties")
            own = properties.texts("ips")
            name = properties.text("name") if "name" in properties else _NAMELESS
            addresses = own + addresses
            by_name[name] = own + by_name.get(name, [])
        if not addresses:
            return None
        labels = {
            "__address__": self.address(addresses[0]),
            **texts(server, _PREFIX, _TEXTS),
            f"{_PREFIX}servers_id": self._list_id,
            f"{_PREFIX}ip": surrounded(addresses),
            **{f"{_PREFIX}nic_ip_{sanitized(name)}": surrounded(own) for name, own in by_name.items()},
        }
        if volumes := entities.record("volumes").records("items"):
            labels |= texts(volumes[0], _PREFIX, {"boot_image_id": "properties.image"})
        return labels
