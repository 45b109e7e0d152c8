"""Servers of Hetzner's cloud, or dedicated ones that its Robot knows (`hetzner_sd_configs`).

Source: https://docs.hetzner.cloud/, https://robot.hetzner.com/doc/webservice/en.html. Labels: `__meta_hetzner_role`,
`_server_id`, `_server_name`, `_server_status`, `_public_ipv4`, `_public_ipv6_network`, of Robot `_datacenter`;
`__meta_hetzner_hcloud_*`: `location`, `datacenter_location` and their `…_network_zone`, `server_type`, `cpu_cores`,
`cpu_type`, `memory_size_gb`, `disk_size_gb`, `image_*`, `private_ipv4_<network>`, `label_<key>`, `labelpresent_<key>`;
`__meta_hetzner_robot_*`: `datacenter`, `product`, `cancelled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from trimon.config.discovery.clouds import HetznerSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import keyed_labels, sanitized
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import flag_text, ip_text, network_text, texts, wholes
from trimon.discovery.plugin import Context, TargetGroup

_CLOUD: Final = "https://api.hetzner.cloud/v1"
_ROBOT: Final = "https://robot-ws.your-server.de"
_JSON: Final = (("Accept", "application/json"),)
_PER_PAGE: Final = 50
_PREFIX: Final = "__meta_hetzner_"
_HCLOUD: Final = f"{_PREFIX}hcloud_"
_HCLOUD_TEXTS: Final = {
    "location": "location.name",
    "location_network_zone": "location.network_zone",
    # Names of before data centres went out of the API.
    "datacenter_location": "location.name",
    "datacenter_location_network_zone": "location.network_zone",
    "server_type": "server_type.name",
    "cpu_type": "server_type.cpu_type",
}
_HCLOUD_WHOLES: Final = {"cpu_cores": "server_type.cores", "disk_size_gb": "server_type.disk"}
_IMAGE: Final = {
    "image_name": "name",
    "image_description": "description",
    "image_os_flavor": "os_flavor",
    "image_os_version": "os_version",
}


class HetznerDiscovery(CloudDiscovery):
    """Asks one of the two APIs."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, HetznerSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._robot = config.role == "robot"
        self._selector = {"label_selector": config.label_selector} if config.label_selector else {}

    async def refresh(self) -> list[TargetGroup]:
        """One group of all servers."""
        if self._robot:
            items = await self.api.records(f"{_ROBOT}/server")
            return await self.group("hetzner", items, self._robot_server)
        servers = await self._listed("servers", self._selector)
        networks = await self._listed("networks", {})
        names = {each.whole("id"): each.text("name") for each in networks}
        return await self.group("hetzner", servers, lambda server: self._cloud_server(server, names))

    async def _listed(self, what: str, selector: dict[str, str]) -> list[Record]:
        async def page(number: str) -> Page[Record]:
            query = urlencode({**selector, "page": number, "per_page": _PER_PAGE})
            answer = await self.api.record(f"{_CLOUD}/{what}?{query}", _JSON)
            following = answer.record("meta").record("pagination").whole("next_page")
            return Page(answer.records(what), str(following) if following else "")

        return await all_pages(page, "1")

    def _cloud_server(self, server: Record, networks: Mapping[int, str]) -> Labels:
        public = server.record("public_net")
        address = ip_text(public.record("ipv4").text("ip"))
        labels = {
            "__address__": self.address(address),
            **_common(server, "hcloud", "id", "name"),
            f"{_PREFIX}public_ipv4": address,
            f"{_PREFIX}public_ipv6_network": network_text(public.record("ipv6").text("ip")),
            **texts(server, _HCLOUD, _HCLOUD_TEXTS),
            **wholes(server, _HCLOUD, _HCLOUD_WHOLES),
            f"{_HCLOUD}memory_size_gb": str(int(server.record("server_type").number("memory"))),
        }
        if "image" in server:
            labels |= texts(server.record("image"), _HCLOUD, _IMAGE)
        for each in server.records("private_net"):
            name = networks.get(each.whole("network"))
            if name is not None:
                labels[f"{_HCLOUD}private_ipv4_{sanitized(name)}"] = ip_text(each.text("ip"))
        own = server.text_map("labels")
        labels |= keyed_labels(f"{_HCLOUD}labelpresent_", dict.fromkeys(own, "true"))
        return labels | keyed_labels(f"{_HCLOUD}label_", own)

    def _robot_server(self, item: Record) -> Labels:
        server = item.record("server")
        address, datacenter = server.text("server_ip"), server.text("dc").lower()
        labels = {
            "__address__": self.address(address),
            **_common(server, "robot", "server_number", "server_name"),
            f"{_PREFIX}public_ipv4": address,
            f"{_PREFIX}datacenter": datacenter,
            f"{_PREFIX}robot_datacenter": datacenter,
            f"{_PREFIX}robot_product": server.text("product"),
            f"{_PREFIX}robot_cancelled": flag_text(server.flag("cancelled")),
        }
        of_six = (each for each in server.records("subnet") if ":" in each.text("ip"))
        if (subnet := next(of_six, None)) is not None:
            labels[f"{_PREFIX}public_ipv6_network"] = f"{subnet.text('ip')}/{subnet.text('mask')}"
        return labels


def _common(server: Record, role: str, number: str, name: str) -> Labels:
    return {
        f"{_PREFIX}role": role,
        f"{_PREFIX}server_id": str(server.whole(number)),
        f"{_PREFIX}server_name": server.text(name),
        f"{_PREFIX}server_status": server.text("status"),
    }
