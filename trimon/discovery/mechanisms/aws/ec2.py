"""Machines of EC2 (`ec2_sd_configs`, `aws_sd_configs` with the role ec2).

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html. Labels: `__meta_ec2_*`: `ami`,
`architecture`, `availability_zone`, `availability_zone_id`, `default_ipv6_address`, `instance_id`, `instance_lifecycle`,
`instance_state`, `instance_type`, `ipv6_addresses`, `owner_id`, `platform`, `primary_ipv6_addresses`, `primary_subnet_id`,
`private_dns_name`, `private_ip`, `public_dns_name`, `public_ip`, `region`, `subnet_id`, `tag_<key>`, `vpc_id`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from trimon.config.discovery.aws import Ec2SdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import keyed_labels, surrounded
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.xmltree import Element
from trimon.discovery.mechanisms.aws.client import AwsClient, AwsError
from trimon.discovery.mechanisms.aws.fields import pairs
from trimon.discovery.mechanisms.aws.service import AwsDiscovery
from trimon.discovery.mechanisms.clouds.paged import Labels, Page, all_pages
from trimon.discovery.plugin import Context, TargetGroup

T = TypeVar("T")

VERSION: Final = "2016-11-15"
# A machine has no more network interfaces than this by far; places of their addresses are kept.
_DEVICE_MAX: Final = 1000
_PREFIX: Final = "__meta_ec2_"
_TEXTS: Final = {
    "ami": "imageId",
    "architecture": "architecture",
    "availability_zone": "placement.availabilityZone",
    "instance_id": "instanceId",
    "instance_lifecycle": "instanceLifecycle",
    "instance_state": "instanceState.name",
    "instance_type": "instanceType",
    "platform": "platform",
    "private_dns_name": "privateDnsName",
    "private_ip": "privateIpAddress",
    "public_ip": "ipAddress",
    "vpc_id": "vpcId",
}


class Ec2Discovery(AwsDiscovery):
    """Asks for the machines of a region, and once for the ids of its zones."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, Ec2SdConfig)
        super().__init__(config, context, "ec2")
        self._filters = {
            name: value
            for at, each in enumerate(config.filters, 1)
            for name, value in [
                (f"Filter.{at}.Name", each.name),
                *((f"Filter.{at}.Value.{of}", value) for of, value in enumerate(each.values, 1)),
            ]
        }
        self._zones: dict[str, str] | None = None

    async def refresh(self) -> list[TargetGroup]:
        """One group of all machines that have an address; its source is the region."""
        region = await self.keys.region()
        if self._zones is None:
            self._zones = await self._asked_zones()
        zones = self._zones or {}
        # A machine takes a hundred times as much as its labels, so that each page is forgotten at once.
        found = await all_machines(
            self.client, self._filters, lambda owner, machine: self._labels(owner, machine, region, zones)
        )
        return [TargetGroup(region, found)]

    async def _asked_zones(self) -> dict[str, str] | None:
        """The ids of zones by their names; none where they may not be asked for, which is tried again."""
        try:
            answer = await self.client.query(VERSION, "DescribeAvailabilityZones")
        except AwsError as error:
            if error.status >= 500:
                raise
            self.context.log.debug("Unable to describe availability zones", err=str(error))
            return None
        return pairs(answer, "availabilityZoneInfo.item", "zoneName", "zoneId")

    def _labels(self, owner: str, machine: Element, region: str, zones: Mapping[str, str]) -> Labels | None:
        labels = {_PREFIX + name: machine.text_at(path) for name, path in _TEXTS.items()}
        primary, all_of_six = _addresses_of_six(machine)
        of_six = next((each for each in (*primary, *all_of_six) if each), "")
        address = labels[f"{_PREFIX}private_ip"] or of_six
        if not address:
            return None
        labels |= {
            "__address__": self.address(address),
            f"{_PREFIX}region": region,
            f"{_PREFIX}owner_id": owner,
            f"{_PREFIX}availability_zone_id": zones.get(labels[f"{_PREFIX}availability_zone"], ""),
            f"{_PREFIX}default_ipv6_address": of_six,
        }
        if labels[f"{_PREFIX}public_ip"]:
            labels[f"{_PREFIX}public_dns_name"] = machine.text_at("dnsName")
        for name, addresses in (("primary_ipv6_addresses", primary), ("ipv6_addresses", all_of_six)):
            if addresses:
                labels[_PREFIX + name] = surrounded(addresses)
        if labels[f"{_PREFIX}vpc_id"]:
            labels[f"{_PREFIX}primary_subnet_id"] = machine.text_at("subnetId")
            subnets = (each.text_at("subnetId") for each in machine.each("networkInterfaceSet.item"))
            labels[f"{_PREFIX}subnet_id"] = surrounded(dict.fromkeys(each for each in subnets if each))
        return labels | keyed_labels(f"{_PREFIX}tag_", pairs(machine, "tagSet.item", "key", "value"))


async def all_machines(
    client: AwsClient, form: Mapping[str, str], made_of: Callable[[str, Element], T | None]
) -> list[T]:
    """What is made of each machine that a form selects and of the owner of its reservation."""

    def read(answer: Element) -> Page[T]:
        found = [
            made
            for each in answer.each("reservationSet.item")
            for machine in each.each("instancesSet.item")
            if (made := made_of(each.text_at("ownerId"), machine)) is not None
        ]
        return Page(found, answer.text_at("nextToken"))

    async def page(token: str) -> Page[T]:
        more = {"NextToken": token} if token else {}
        return await client.read(VERSION, "DescribeInstances", {**form, **more}, read)

    return await all_pages(page)


def _addresses_of_six(machine: Element) -> tuple[list[str], list[str]]:
    """Primary IPv6 addresses at the places of their interfaces, and all of them; none outside of a VPC."""
    primary: list[str] = []
    found: list[str] = []
    if not machine.text_at("vpcId"):
        return primary, found
    for interface in machine.each("networkInterfaceSet.item"):
        if not interface.text_at("subnetId"):
            continue
        for each in interface.each("ipv6AddressesSet.item"):
            address = each.text_at("ipv6Address")
            found.append(address)
            if each.text_at("isPrimaryIpv6") == "true":
                place = _device(interface.text_at("attachment.deviceIndex"))
                primary += [""] * (place + 1 - len(primary))
                primary[place] = address
    return primary, found


def _device(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or int(text) > _DEVICE_MAX:
        raise SourceError(f"deviceIndex is {text[:20]!r}; it has to be a number up to {_DEVICE_MAX}")
    return int(text)
