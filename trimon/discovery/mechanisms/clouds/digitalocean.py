"""Droplets or managed databases of DigitalOcean (`digitalocean_sd_configs`).

Source: https://docs.digitalocean.com/reference/api/. Labels: `__meta_digitalocean_droplet_id`, `_droplet_name`, `_image`,
`_image_name`, `_private_ipv4`, `_public_ipv4`, `_public_ipv6`, `_region`, `_size`, `_status`, `_vpc`, `_features`, `_tags`;
of databases `__meta_digitalocean_db_*`: `id`, `name`, `engine`, `version`, `status`, `region`, `size`, `num_nodes`, `host`,
`private_host`, `tag_<tag>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from trimon.config.discovery.clouds import DigitalOceanSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import surrounded
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import texts, wholes
from trimon.discovery.plugin import Context, TargetGroup

_API: Final = "https://api.digitalocean.com/v2"
_HEADERS: Final = (("Accept", "application/json"),)
_PREFIX: Final = "__meta_digitalocean_"
_DROPLET: Final = {
    "droplet_name": "name",
    "image": "image.slug",
    "image_name": "image.name",
    "region": "region.slug",
    "size": "size_slug",
    "status": "status",
    "vpc": "vpc_uuid",
}
_DATABASE: Final = {name: name for name in ("id", "name", "engine", "version", "status", "region", "size")}
_DATABASES_PER_PAGE: Final = 100


class DigitalOceanDiscovery(CloudDiscovery):
    """Asks for one of the two lists."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, DigitalOceanSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._databases = config.role == "databases"

    async def refresh(self) -> list[TargetGroup]:
        """One group of all droplets or databases."""
        if self._databases:
            found = await all_pages(self._database_page, "1")
            return await self.group("DigitalOcean Databases", found, self._database)
        return await self.group("DigitalOcean", await all_pages(self._droplet_page), self._droplet)

    async def _droplet_page(self, number: str) -> Page[Record]:
        query = f"?page={number}" if number else ""
        answer = await self.api.record(f"{_API}/droplets{query}", _HEADERS)
        more = answer.record("links").record("pages").text("last")
        return Page(answer.records("droplets"), str(int(number or "1") + 1) if more else "")

    async def _database_page(self, number: str) -> Page[Record]:
        query = urlencode({"page": number, "per_page": _DATABASES_PER_PAGE})
        answer = await self.api.record(f"{_API}/databases?{query}", _HEADERS)
        found = answer.records("databases")
        return Page(found, str(int(number) + 1) if found else "")

    def _droplet(self, droplet: Record) -> Labels | None:
        networks = droplet.record("networks")
        of_four, of_six = networks.records("v4"), networks.records("v6")
        if not of_four:
            return None
        public = _first(of_four, "public")
        labels = {
            "__address__": self.address(public),
            **texts(droplet, _PREFIX, _DROPLET),
            **wholes(droplet, _PREFIX, {"droplet_id": "id"}),
            f"{_PREFIX}private_ipv4": _first(of_four, "private"),
            f"{_PREFIX}public_ipv4": public,
            f"{_PREFIX}public_ipv6": _first(of_six, "public"),
        }
        for name in ("features", "tags"):
            if items := droplet.texts(name):
                labels[_PREFIX + name] = surrounded(items)
        return labels

    def _database(self, database: Record) -> Labels:
        prefix = f"{_PREFIX}db_"
        private = database.record("private_connection").text("host")
        public = database.record("connection").text("host")
        labels = {
            **texts(database, prefix, _DATABASE),
            **wholes(database, prefix, {"num_nodes": "num_nodes"}),
            f"{prefix}host": public,
            f"{prefix}private_host": private,
            **{f"{prefix}tag_{tag}": "true" for tag in database.texts("tags")},
        }
        if host := private or public:
            labels["__address__"] = self.address(host)
        return labels


def _first(networks: list[Record], kind: str) -> str:
    return next((each.text("ip_address") for each in networks if each.text("type") == kind), "")
