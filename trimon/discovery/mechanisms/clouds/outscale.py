"""Machines of Outscale (`outscale_sd_configs`).

Source: https://docs.outscale.com/api.html#readvms. Labels: `__meta_outscale_vm_*`: `instance_id`, `region`, `subregion`,
`state`, `private_ip`, `public_ip`, `tag_<key>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from trimon.config.discovery.keyedclouds import OutscaleSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import texts
from trimon.discovery.plugin import Context, TargetGroup
from trimon.peers.aws.signature import AwsKeys, signed
from trimon.peers.files import read_secret

# The region that signatures are for; the API takes it for those of all regions.
_SIGNED_REGION: Final = "eu-west-2"
_SERVICE: Final = "oapi"
_JSON: Final = "application/json"
_PREFIX: Final = "__meta_outscale_vm_"
_TEXTS: Final = {
    "instance_id": "VmId",
    "state": "State",
    "subregion": "Placement.SubregionName",
    "private_ip": "PrivateIp",
    "public_ip": "PublicIp",
}


class OutscaleDiscovery(CloudDiscovery):
    """Asks for the machines of an account."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, OutscaleSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._config = config
        self._url = f"{config.endpoint.reveal().rstrip('/')}/ReadVms"
        self._keys = AwsKeys(config.access_key, "")

    async def refresh(self) -> list[TargetGroup]:
        """One group of all machines that have an address; its source is the region."""
        config = self._config
        if file := config.secret_key_file:
            secret = await self.context.offload.run(lambda: read_secret(file))
        else:
            secret = config.secret_key.reveal()
        self._keys = AwsKeys(config.access_key, secret)
        return await self.group(config.region, await all_pages(self._page), self._labels)

    async def _page(self, token: str) -> Page[Record]:
        asked = {"NextPageToken": token} if token else {}
        body = json.dumps(asked, separators=(",", ":")).encode() + b"\n"
        at = datetime.fromtimestamp(self.context.clock.now_ms() / 1000, UTC)
        url = urlsplit(self._url)
        headers = (
            ("Accept", _JSON),
            ("Content-Type", _JSON),
            ("X-Amz-Date", at.strftime("%Y%m%dT%H%M%SZ")),
        )
        host = ("Host", url.netloc.rpartition("@")[2])
        authorization = signed(self._keys, _SIGNED_REGION, _SERVICE, "POST", url, (*headers, host), body, at)
        answer = await self.api.record(
            self._url, (*headers, ("Authorization", authorization)), method="POST", body=body
        )
        return Page(answer.records("Vms"), answer.text("NextPageToken"))

    def _labels(self, machine: Record) -> Labels | None:
        labels = {f"{_PREFIX}region": self._config.region, **texts(machine, _PREFIX, _TEXTS)}
        address = labels[f"{_PREFIX}private_ip"] or labels[f"{_PREFIX}public_ip"]
        if not address:
            return None
        pairs = {tag.text("Key"): tag.text("Value") for tag in machine.records("Tags")}
        named = {key: value for key, value in pairs.items() if key and value}
        return {"__address__": self.address(address), **labels, **keyed_labels(f"{_PREFIX}tag_", named)}
