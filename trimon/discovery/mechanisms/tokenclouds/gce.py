"""Instances of a zone of Google's cloud (`gce_sd_configs`).

Source: https://cloud.google.com/compute/docs/reference/rest/v1/instances/list. Labels `__meta_gce_`: `project`, `zone`,
`instance_id`, `instance_name`, `instance_status`, `machine_type`, `network`, `subnetwork`, `private_ip`, `public_ip`,
`interface_ipv4_*`, `tags`, `metadata_*`, `label_*`. The proxy and the authorities are those of the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from trimon.config.discovery.clouds import GceSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.naming import keyed_labels, sanitized, surrounded
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.mechanisms.clouds.paged import Page, all_pages
from trimon.discovery.mechanisms.fields import texts
from trimon.discovery.mechanisms.tokenclouds.googletoken import GoogleTokens
from trimon.discovery.mechanisms.tokenclouds.tokens import KeptToken
from trimon.discovery.plugin import Context, TargetGroup

PREFIX: Final = "__meta_gce_"
SCOPE: Final = "https://www.googleapis.com/auth/compute.readonly"
BASE: Final = "https://compute.googleapis.com/compute/v1"
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0
_UNAUTHORIZED: Final = 401

Labels = dict[str, str]

_INSTANCE: Final = {
    "zone": "zone",
    "instance_name": "name",
    "instance_status": "status",
    "machine_type": "machineType",
}
_INTERFACE: Final = {"network": "network", "subnetwork": "subnetwork", "private_ip": "networkIP"}


class GceDiscovery(RefreshDiscovery):
    """Lists the instances of the zone that pass the filter; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, GceSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        self._api = Api(context, TIMEOUT_S)
        self._token = KeptToken(GoogleTokens(SCOPE, context).ask)
        project, zone = quote(config.project, safe=":"), quote(config.zone, safe="")
        self._url = f"{BASE}/projects/{project}/zones/{zone}/instances"

    async def refresh(self) -> list[TargetGroup]:
        """All instances."""
        instances = await all_pages(self._page)

        def targets() -> list[Labels]:
            return [self._target(instance) for instance in instances if instance.records("networkInterfaces")]

        source = f"GCE_{self._config.project}_{self._config.zone}"
        return [TargetGroup(source, await self.context.offload.run(targets))]

    async def _page(self, name: str) -> Page[Record]:
        parameters = {"alt": "json", "filter": self._config.filter, "pageToken": name, "prettyPrint": "false"}
        query = urlencode({key: value for key, value in parameters.items() if value})
        answer = await self._api.send(f"{self._url}?{query}", await self._token.authorization())
        if answer.status == _UNAUTHORIZED:
            self._token.forget()
        if answer.status != 200:
            raise refused(answer, self.context.clock)
        said = await self._api.read(answer, Record.of_json)
        return Page(said.records("items"), said.text("nextPageToken"))

    def _target(self, instance: Record) -> Labels:
        interfaces = instance.records("networkInterfaces")
        first = interfaces[0]
        tags = instance.record("tags").texts("items")
        return {
            **texts(instance, PREFIX, _INSTANCE),
            **texts(first, PREFIX, _INTERFACE),
            **{
                f"{PREFIX}interface_ipv4_{sanitized(each.text('name'))}": each.text("networkIP")
                for each in interfaces
            },
            **_metadata(instance),
            **keyed_labels(PREFIX + "label_", instance.text_map("labels")),
            **({PREFIX + "tags": surrounded(tags, self._config.tag_separator)} if tags else {}),
            "__address__": f"{first.text('networkIP')}:{self._config.port}",
            PREFIX + "project": self._config.project,
            PREFIX + "instance_id": _identity(instance),
            PREFIX + "public_ip": _public_address(first),
        }


def _identity(instance: Record) -> str:
    """The number of an instance, which is a text in JSON."""
    text = instance.text("id") or "0"
    if not (text.isascii() and text.isdigit()):
        raise SourceError(f"the id of an instance is {text[:40]!r}; it has to be a whole number")
    return text.lstrip("0") or "0"


def _metadata(instance: Record) -> Labels:
    items = instance.record("metadata").records("items")
    return {
        PREFIX + "metadata_" + sanitized(item.text("key")): item.text("value")
        for item in items
        if "value" in item
    }


def _public_address(interface: Record) -> str:
    """The address of the first access to an interface, if it is one of the outside."""
    accesses = interface.records("accessConfigs")
    return accesses[0].text("natIP") if accesses and accesses[0].text("type") == "ONE_TO_ONE_NAT" else ""
