"""Machines of Lightsail (`lightsail_sd_configs`, `aws_sd_configs` with the role lightsail).

Source: https://docs.aws.amazon.com/lightsail/2016-11-28/api-reference/API_GetInstances.html. Labels: `__meta_lightsail_*`:
`availability_zone`, `blueprint_id`, `bundle_id`, `instance_name`, `instance_state`, `instance_support_code`,
`ipv6_addresses`, `private_ip`, `public_ip`, `region`, `tag_<key>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.config.discovery.aws import LightsailSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import keyed_labels, surrounded
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.aws.service import AwsDiscovery
from trimon.discovery.mechanisms.clouds.paged import Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import texts
from trimon.discovery.plugin import Context, TargetGroup

_TARGET: Final = "Lightsail_20161128.GetInstances"
_PREFIX: Final = "__meta_lightsail_"
_TEXTS: Final = {
    "availability_zone": "location.availabilityZone",
    "blueprint_id": "blueprintId",
    "bundle_id": "bundleId",
    "instance_name": "name",
    "instance_state": "state.name",
    "instance_support_code": "supportCode",
    "private_ip": "privateIpAddress",
    "public_ip": "publicIpAddress",
}


class LightsailDiscovery(AwsDiscovery):
    """Asks for the machines of a region."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        super().__init__(config_option(options, LightsailSdConfig), context, "lightsail")

    async def refresh(self) -> list[TargetGroup]:
        """One group of all machines that have a private address; its source is the region."""
        region = await self.keys.region()
        machines = await all_pages(self._page)
        return await self.group(region, machines, lambda machine: self._labels(machine, region))

    async def _page(self, token: str) -> Page[Record]:
        answer = await self.client.json(_TARGET, {"pageToken": token} if token else {})
        return Page(answer.records("instances"), answer.text("nextPageToken"))

    def _labels(self, machine: Record, region: str) -> Labels | None:
        labels = texts(machine, _PREFIX, _TEXTS)
        address = labels[f"{_PREFIX}private_ip"]
        if not address:
            return None
        if of_six := machine.texts("ipv6Addresses"):
            labels[f"{_PREFIX}ipv6_addresses"] = surrounded(of_six)
        tags = {each.text("key"): each.text("value") for each in machine.records("tags") if "value" in each}
        return {
            "__address__": self.address(address),
            f"{_PREFIX}region": region,
            **labels,
            **keyed_labels(f"{_PREFIX}tag_", tags),
        }
