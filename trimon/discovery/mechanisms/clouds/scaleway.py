"""Instances or bare-metal servers of Scaleway (`scaleway_sd_configs`).

Source: https://www.scaleway.com/en/developers/api/instances/, …/elastic-metal/, …/ipam/. Labels:
`__meta_scaleway_instance_*`: `id`, `name`, `hostname`, `status`, `type`, `zone`, `region`, `boot_type`, `organization_id`,
`project_id`, `image_*`, `location_*`, `security_group_*`, `tags`, `private_ipv4`, `public_ipv4`, `public_ipv6`,
`public_ipv4_addresses`, `public_ipv6_addresses`; `__meta_scaleway_baremetal_*`: `id`, `name`, `zone`, `status`,
`project_id`, `type`, `os_name`, `os_version`, `tags`, `public_ipv4`, `public_ipv6`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

from trimon.config.discovery.keyedclouds import ScalewaySdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import surrounded
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import ip_text, texts
from trimon.discovery.plugin import Context, TargetGroup
from trimon.peers.files import read_header

_ZONE: Final = re.compile(r"([a-z]{2}-[a-z]{3})-[1-9]")
# As many network interfaces are named in one request: a URL has an end.
_RESOURCES_MAX: Final = 100
_INSTANCE: Final = "__meta_scaleway_instance_"
_INSTANCE_TEXTS: Final = {
    "boot_type": "boot_type",
    "hostname": "hostname",
    "id": "id",
    "name": "name",
    "organization_id": "organization",
    "project_id": "project",
    "status": "state",
    "type": "commercial_type",
    "zone": "zone",
    "image_arch": "image.arch",
    "image_id": "image.id",
    "image_name": "image.name",
    "location_cluster_id": "location.cluster_id",
    "location_hypervisor_id": "location.hypervisor_id",
    "location_node_id": "location.node_id",
    "security_group_id": "security_group.id",
    "security_group_name": "security_group.name",
}
_BAREMETAL: Final = "__meta_scaleway_baremetal_"
_BAREMETAL_TEXTS: Final = {
    "id": "id",
    "name": "name",
    "zone": "zone",
    "status": "status",
    "project_id": "project_id",
}


class ScalewayDiscovery(CloudDiscovery):
    """Asks for the servers of one kind in one zone, and for what belongs to them."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, ScalewaySdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._config = config
        self._url = config.api_url.reveal().rstrip("/")
        self._token = ""

    async def refresh(self) -> list[TargetGroup]:
        """One group of all servers that have an address."""
        config = self._config
        if file := config.secret_key_file:
            self._token = await self.context.offload.run(lambda: read_header(file))
        else:
            self._token = config.secret_key.reveal()
        return await (self._instances() if config.role == "instance" else self._baremetals())

    async def _listed(self, path: str, key: str, query: Sequence[tuple[str, str]]) -> list[Record]:
        """All items of a list; its answers say how many there are in all."""
        found = 0

        async def page(number: str) -> Page[Record]:
            nonlocal found
            text = urlencode(sorted([*query, ("page", number)]))
            answer = await self.api.record(f"{self._url}/{path}?{text}", (("X-Auth-Token", self._token),))
            items = answer.records(key)
            found += len(items)
            more = items and found < answer.whole("total_count")
            return Page(items, str(int(number) + 1) if more else "")

        return await all_pages(page, "1")

    def _name(self) -> list[tuple[str, str]]:
        return [("name", self._config.name_filter)] if self._config.name_filter else []

    async def _instances(self) -> list[TargetGroup]:
        tags = self._config.tags_filter
        query = [*self._name(), ("order", "creation_date_desc")]
        query += [("tags", ",".join(tags))] if tags else []
        servers = await self._listed(f"instance/v1/zones/{self._config.zone}/servers", "servers", query)
        addresses = await self._interface_addresses(servers)
        return await self.group("scaleway", servers, lambda server: self._instance(server, addresses))

    async def _interface_addresses(self, servers: list[Record]) -> dict[str, str]:
        """The IPv4 address of each private interface of servers that say no address themselves."""
        wanted = await self.worked(len(servers), lambda: _interfaces(servers))
        found = {}
        for region, ids in wanted.items():
            for start in range(0, len(ids), _RESOURCES_MAX):
                for each in await self._owned(region, ids[start : start + _RESOURCES_MAX]):
                    if "resource" in each and not each.flag("is_ipv6"):
                        owner = each.record("resource").text("id")
                        found[owner] = ip_text(each.text("address").partition("/")[0])
        return found

    async def _owned(self, region: str, ids: Sequence[str]) -> list[Record]:
        query = [
            ("order_by", "created_at_desc"),
            *(("resource_ids", each) for each in ids),
            ("resource_type", "unknown_type"),
            ("resource_types", "instance_private_nic"),
        ]
        return await self._listed(f"ipam/v1/regions/{region}/ips", "ips", query)

    def _instance(self, server: Record, addresses: Mapping[str, str]) -> Labels | None:
        labels = texts(server, _INSTANCE, _INSTANCE_TEXTS)
        if zone := _ZONE.fullmatch(server.text("zone")):
            labels[f"{_INSTANCE}region"] = zone[1]
        if tags := server.texts("tags"):
            labels[f"{_INSTANCE}tags"] = surrounded(tags)
        for name, family in (("public_ipv4_addresses", "inet"), ("public_ipv6_addresses", "inet6")):
            of_family = [each for each in server.records("public_ips") if each.text("family") == family]
            if of_family:
                labels[_INSTANCE + name] = surrounded(ip_text(each.text("address")) for each in of_family)
        address = ""
        if "ipv6" in server:
            address = labels[f"{_INSTANCE}public_ipv6"] = ip_text(server.record("ipv6").text("address"))
        if "public_ip" in server:
            public = server.record("public_ip")
            address = ip_text(public.text("address"))
            if public.text("family") != "inet6":
                labels[f"{_INSTANCE}public_ipv4"] = address
        if "private_ip" in server:
            address = labels[f"{_INSTANCE}private_ipv4"] = server.text("private_ip")
        if not address:
            ids = (each.text("id") for each in server.records("private_nics"))
            address = next((addresses[each] for each in ids if addresses.get(each)), "")
            labels |= {f"{_INSTANCE}private_ipv4": address} if address else {}
        return {"__address__": self.address(address), **labels} if address else None

    async def _baremetals(self) -> list[TargetGroup]:
        config = self._config
        path = f"baremetal/v1/zones/{config.zone}"
        query = [
            *self._name(),
            ("order_by", "created_at_asc"),
            *(("tags", tag) for tag in config.tags_filter),
        ]
        servers = await self._listed(f"{path}/servers", "servers", query)
        period = [("subscription_period", "unknown_subscription_period")]
        offers = _by_id(await self._listed(f"{path}/offers", "offers", period))
        systems = _by_id(await self._listed(f"{path}/os", "os", []))
        return await self.group("scaleway", servers, lambda each: self._baremetal(each, offers, systems))

    def _baremetal(self, server: Record, offers: dict[str, Record], systems: dict[str, Record]) -> Labels:
        labels = texts(server, _BAREMETAL, _BAREMETAL_TEXTS)
        if offer := offers.get(server.text("offer_id")):
            labels[f"{_BAREMETAL}type"] = offer.text("name")
        if system := systems.get(server.record("install").text("os_id")):
            labels |= texts(system, f"{_BAREMETAL}os_", {"name": "name", "version": "version"})
        if tags := server.texts("tags"):
            labels[f"{_BAREMETAL}tags"] = surrounded(tags)
        for each in server.records("ips"):
            version = each.text("version") or "IPv4"
            if version not in ("IPv4", "IPv6"):
                raise SourceError(f"unknown IP version: {version[:20]!r}")
            labels.setdefault(f"{_BAREMETAL}public_{version.lower()}", ip_text(each.text("address")))
        for name in ("public_ipv6", "public_ipv4"):
            if address := labels.get(_BAREMETAL + name):
                labels["__address__"] = self.address(address)
        return labels


def _interfaces(servers: list[Record]) -> dict[str, list[str]]:
    """The private interfaces of servers that say no address themselves, by region."""
    wanted: dict[str, list[str]] = {}
    for server in servers:
        if any(name in server for name in ("private_ip", "public_ip", "ipv6")):
            continue
        if not (zone := _ZONE.fullmatch(server.text("zone"))):
            raise SourceError(f"server {server.text('id')} is in zone {server.text('zone')!r}")
        ids = [identity for each in server.records("private_nics") if (identity := each.text("id"))]
        if ids:
            wanted.setdefault(zone[1], []).extend(ids)
    return wanted


def _by_id(items: list[Record]) -> dict[str, Record]:
    """The first item of each id."""
    return {each.text("id"): each for each in reversed(items)}
