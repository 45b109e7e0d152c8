"""Instances of Linode (`linode_sd_configs`).

    events since the last time? ── none ── what is known, ten times in a row at most
                  └─ some, or it may not be asked ── instances, addresses and ranges anew

Source: https://techdocs.akamai.com/linode-api/reference. Labels: `__meta_linode_*`: `instance_id`, `instance_label`,
`image`, `region`, `type`, `status`, `group`, `gpus`, `hypervisor`, `backups`, `tags`, `specs_disk_bytes`,
`specs_memory_bytes`, `specs_transfer_bytes`, `specs_vcpus`, `private_ipv4`, `public_ipv4`, `public_ipv6` and their
`…_rdns`, `extra_ips`, `ipv6_ranges`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from trimon.config.discovery.clouds import LinodeSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import refused
from trimon.discovery.asking.naming import surrounded
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import texts, wholes
from trimon.discovery.plugin import Context, TargetGroup
from trimon.records import dataclass

_API: Final = "https://api.linode.com/v4"
_HEADERS: Final = (("Accept", "application/json"), ("Content-Type", "application/json"))
_PER_PAGE: Final = 500
_EVENTS_PER_PAGE: Final = 25
# Some changes make no event, so that everything is asked for this often all the same.
_QUIET_MAX: Final = 10
_PREFIX: Final = "__meta_linode_"
_TEXTS: Final = {
    "instance_label": "label",
    "image": "image",
    "region": "region",
    "type": "type",
    "status": "status",
    "group": "group",
    "hypervisor": "hypervisor",
}
_WHOLES: Final = {"instance_id": "id", "gpus": "specs.gpus", "specs_vcpus": "specs.vcpus"}
_MEBIBYTES: Final = {
    "specs_disk_bytes": "disk",
    "specs_memory_bytes": "memory",
    "specs_transfer_bytes": "transfer",
}


@dataclass(slots=True)
class _Addresses:
    """Of all instances: what is known of addresses, and the ranges that are routed to one."""

    details: dict[str, list[Record]] = field(default_factory=dict)
    ranges: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, addresses: list[Record], ranges: list[Record]) -> _Addresses:
        """What the two lists say."""
        known = cls()
        for each in addresses:
            known.details.setdefault(each.text("address"), []).append(each)
        for each in ranges:
            prefix = f"{each.text('range')}/{each.whole('prefix')}"
            known.ranges.setdefault(each.text("route_target"), []).append(prefix)
        return known


class LinodeDiscovery(CloudDiscovery):
    """Asks for events, and for the three lists where there are some."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, LinodeSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._separator = config.tag_separator
        self._filter = json.dumps({"region": config.region}) if config.region else ""
        self._known: list[TargetGroup] | None = None
        self._may_ask_events = True
        self._quiet = 0
        self._asked_ms = 0

    async def refresh(self) -> list[TargetGroup]:
        """One group of all instances."""
        now_ms = self.context.clock.now_ms()
        if self._known is None or await self._something_happened():
            self._known = await self._everything()
            self._quiet = 0
        self._asked_ms = now_ms
        return self._known

    async def _something_happened(self) -> bool:
        if not self._may_ask_events:
            return True
        since = datetime.fromtimestamp(self._asked_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        headers = (*_HEADERS, ("X-Filter", json.dumps({"created": {"+gte": since}})))
        query = urlencode({"page": 1, "page_size": _EVENTS_PER_PAGE})
        answer = await self.api.send(f"{_API}/account/events?{query}", headers)
        if answer.status == 401:
            self._may_ask_events = False
            return True
        if answer.status != 200:
            raise refused(answer, self.context.clock)
        self._quiet += 1
        events = (await self.api.read(answer, Record.of_json)).records("data")
        return bool(events) or self._quiet >= _QUIET_MAX

    async def _everything(self) -> list[TargetGroup]:
        instances = await self._listed("linode/instances")
        addresses = await self._listed("networking/ips")
        ranges = await self._listed("networking/ipv6/ranges")
        known = await self.worked(len(addresses) + len(ranges), lambda: _Addresses.of(addresses, ranges))
        return await self.group("Linode", instances, lambda instance: self._labels(instance, known))

    async def _listed(self, what: str) -> list[Record]:
        headers = (*_HEADERS, ("X-Filter", self._filter)) if self._filter else _HEADERS

        async def page(number: str) -> Page[Record]:
            query = urlencode({"page": number, "page_size": _PER_PAGE})
            answer = await self.api.record(f"{_API}/{what}?{query}", headers)
            more = int(number) < answer.whole("pages")
            return Page(answer.records("data"), str(int(number) + 1) if more else "")

        return await all_pages(page, "1")

    def _labels(self, instance: Record, known: _Addresses) -> Labels | None:
        if not instance.texts("ipv4"):
            return None
        specs = instance.record("specs")
        enabled = instance.record("backups").flag("enabled")
        labels = {
            **texts(instance, _PREFIX, _TEXTS),
            **wholes(instance, _PREFIX, _WHOLES),
            **{_PREFIX + name: str(specs.whole(path) << 20) for name, path in _MEBIBYTES.items()},
            f"{_PREFIX}backups": "enabled" if enabled else "disabled",
            **self._address_labels(instance, known),
        }
        labels["__address__"] = self.address(labels.get(f"{_PREFIX}public_ipv4", ""))
        if tags := instance.texts("tags"):
            labels[f"{_PREFIX}tags"] = surrounded(tags, self._separator)
        return labels

    def _address_labels(self, instance: Record, known: _Addresses) -> Labels:
        """The first public and private address with their names; the rest are `extra_ips`."""
        labels: Labels = {}
        extra = []
        for address in instance.texts("ipv4"):
            for detail in known.details.get(address, ()):
                kind = "public_ipv4" if detail.flag("public") else "private_ipv4"
                if _PREFIX + kind in labels:
                    extra.append(address)
                else:
                    labels |= _named_address(kind, detail)
        own = instance.text("ipv6").partition("/")[0]
        if own:
            for detail in known.details.get(own, ()):
                labels |= _named_address("public_ipv6", detail)
            if ranges := known.ranges.get(own):
                labels[f"{_PREFIX}ipv6_ranges"] = surrounded(ranges, self._separator)
        if extra:
            labels[f"{_PREFIX}extra_ips"] = surrounded(extra, self._separator)
        return labels


def _named_address(kind: str, detail: Record) -> Labels:
    name = detail.text("rdns")
    labels = {_PREFIX + kind: detail.text("address")}
    return labels | {f"{_PREFIX}{kind}_rdns": name} if name and name != "null" else labels
