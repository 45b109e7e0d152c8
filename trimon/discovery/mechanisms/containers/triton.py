"""Containers or compute nodes of Triton (`triton_sd_configs`).

Source: https://github.com/TritonDataCenter/triton-cmon, `/discover` and `/gz/discover`. Labels `__meta_triton_`: `groups`,
`machine_alias`, `machine_brand`, `machine_id`, `machine_image`, `server_id`; of compute nodes `machine_alias`, `machine_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus

from trimon.config.discovery.containers import TritonSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api
from trimon.discovery.asking.naming import surrounded
from trimon.discovery.asking.record import Record
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context, TargetGroup

PREFIX: Final = "__meta_triton_"
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0


class TritonDiscovery(RefreshDiscovery):
    """Asks for all of the role; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, TritonSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        self._api = Api(context, TIMEOUT_S)
        path = "gz/discover" if config.role == "cn" else "discover"
        self._url = f"https://{config.endpoint.reveal()}:{config.port}/v{config.version}/{path}"
        if config.groups:
            self._url += f"?groups={quote_plus(','.join(config.groups))}"

    async def refresh(self) -> list[TargetGroup]:
        """All containers, or all compute nodes."""
        answer = await self._api.ok(self._url)
        reader = self._nodes if self._config.role == "cn" else self._containers
        return [TargetGroup(self._url, await self._api.read(answer, reader))]

    def _containers(self, body: bytes) -> list[dict[str, str]]:
        return [self._container(each) for each in Record.of_json(body).records("containers")]

    def _container(self, container: Record) -> dict[str, str]:
        groups = container.texts("groups")
        return {
            **self._machine(container.text("vm_uuid"), container.text("vm_alias")),
            PREFIX + "machine_brand": container.text("vm_brand"),
            PREFIX + "machine_image": container.text("vm_image_uuid"),
            PREFIX + "server_id": container.text("server_uuid"),
            **({PREFIX + "groups": surrounded(groups)} if groups else {}),
        }

    def _nodes(self, body: bytes) -> list[dict[str, str]]:
        nodes = Record.of_json(body).records("cns")
        return [self._machine(node.text("server_uuid"), node.text("server_hostname")) for node in nodes]

    def _machine(self, identity: str, alias: str) -> dict[str, str]:
        return {
            "__address__": f"{identity}.{self._config.dns_suffix}:{self._config.port}",
            PREFIX + "machine_id": identity,
            PREFIX + "machine_alias": alias,
        }
