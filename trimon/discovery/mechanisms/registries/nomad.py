"""Services that are registered in Nomad itself (`nomad_sd_configs`).

Source: https://developer.hashicorp.com/nomad/api-docs/services. Labels `__meta_nomad_`: `address`, `dc`, `namespace`,
`node_id`, `service`, `service_address`, `service_id`, `service_port`, `tags` (none where there are none).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from trimon.config.discovery.registries import NomadSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.naming import host_port, surrounded
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context, TargetGroup

PREFIX: Final = "__meta_nomad_"
SOURCE: Final = "Nomad"
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0
SERVICES_MAX: Final = 20_000


class NomadDiscovery(RefreshDiscovery):
    """Asks for the names of all services, then for the instances of each; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, NomadSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        self._api = Api(context, TIMEOUT_S)
        parameters = {"namespace": config.namespace, "region": config.region}
        if config.allow_stale:
            parameters["stale"] = ""
        self._query = urlencode(
            {name: value for name, value in parameters.items() if value or name == "stale"}
        )
        self._server = config.server.reveal().strip().rstrip("/")

    async def refresh(self) -> list[TargetGroup]:
        """All services."""
        answer = await self._api.ok(f"{self._server}/v1/services?{self._query}")
        names = await self._api.read(answer, _names)
        if len(names) > SERVICES_MAX:
            raise SourceError(f"{len(names)} services; at most {SERVICES_MAX} are asked for")
        targets: list[dict[str, str]] = []
        for name in names:
            path = f"/v1/service/{quote(name, safe='')}"
            answer = await self._api.ok(f"{self._server}{path}?{self._query}")
            targets += await self._api.read(answer, self._targets)
        return [TargetGroup(SOURCE, targets)]

    def _targets(self, body: bytes) -> list[dict[str, str]]:
        return [self._target(instance) for instance in Record.list_of_json(body)]

    def _target(self, instance: Record) -> dict[str, str]:
        address, port, tags = instance.text("Address"), str(instance.whole("Port")), instance.texts("Tags")
        return {
            "__address__": host_port(address, port),
            PREFIX + "address": address,
            PREFIX + "dc": instance.text("Datacenter"),
            PREFIX + "node_id": instance.text("NodeID"),
            PREFIX + "namespace": instance.text("Namespace"),
            PREFIX + "service": instance.text("ServiceName"),
            PREFIX + "service_address": address,
            PREFIX + "service_id": instance.text("ID"),
            PREFIX + "service_port": port,
            **({PREFIX + "tags": surrounded(tags, self._config.tag_separator)} if tags else {}),
        }


def _names(body: bytes) -> list[str]:
    """The names of services; one that is in two namespaces is there twice, as each is asked for."""
    return [
        service.text("ServiceName")
        for namespace in Record.list_of_json(body)
        for service in namespace.records("Services")
    ]
