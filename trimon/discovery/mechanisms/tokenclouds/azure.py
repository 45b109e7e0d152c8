"""Machines of a subscription of Azure, those of scale sets too (`azure_sd_configs`).

    machines, scale sets ─ machines of each scale set ─ interfaces of each machine, kept for a while ─ one group

Source: https://learn.microsoft.com/rest/api/compute and https://learn.microsoft.com/rest/api/virtualnetwork. Labels
`__meta_azure_`: `subscription_id`, `tenant_id`, `machine_*` (`id`, `name`, `location`, `computer_name`, `os_type`, `size`,
`resource_group`, `scale_set`, `private_ip`, `public_ip`, `tag_*`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import trio

from trimon.config.discovery.clouds import AzureSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.record import ExactRecord, Record, SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.asking.sidebyside import of_each
from trimon.discovery.mechanisms.clouds.paged import Page, all_pages
from trimon.discovery.mechanisms.tokenclouds.azuremachines import PREFIX, Labels, Machine, ResourceId
from trimon.discovery.mechanisms.tokenclouds.azuretoken import AzureTokens, cloud_of
from trimon.discovery.mechanisms.tokenclouds.tokens import KeptToken
from trimon.discovery.plugin import Context, TargetGroup
from trimon.fetch.request import Response

SOURCE: Final = "azure"
COMPUTE: Final = "/providers/Microsoft.Compute"
COMPUTE_VERSION: Final = "api-version=2024-03-01"
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0
CLIENTS_MAX: Final = 16
# Interfaces are kept for ten to thirteen refreshes, so that not all are asked for again at once.
KEPT_REFRESHES: Final = (10.0, 13.0)
_UNAUTHORIZED: Final = 401
_MISSING: Final = 404


class AzureDiscovery(RefreshDiscovery):
    """Lists all machines, and asks for their interfaces, several at once; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, AzureSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        self._token = KeptToken(AzureTokens(config, context).ask)
        self._api = Api(context, TIMEOUT_S)
        self._resources = cloud_of(config.environment).resources
        self._base = f"{self._resources}/subscriptions/{quote(config.subscription_id, safe='')}"
        self._kept: dict[str, tuple[Record, float]] = {}
        self._chance = random.Random()  # noqa: S311 # when something is asked for again is no secret

    async def refresh(self) -> list[TargetGroup]:
        """All machines that have an address."""
        machines = await self._machines()
        await self._learn_interfaces(machines)
        targets = await self.context.offload.run(lambda: self._targets(machines))
        return [TargetGroup(SOURCE, targets)]

    async def _machines(self) -> list[Machine]:
        group = self._config.resource_group
        within = f"/resourceGroups/{quote(group, safe='')}" if group else ""
        machines = [Machine(each) for each in await self._list(f"{within}{COMPUTE}/virtualMachines")]
        for scale_set in await self._list(f"{within}{COMPUTE}/virtualMachineScaleSets"):
            there, name = ResourceId.of(scale_set.text("id")), scale_set.text("name")
            path = f"/resourceGroups/{quote(there.group, safe='')}{COMPUTE}/virtualMachineScaleSets"
            found = await self._list(f"{path}/{quote(name, safe='')}/virtualMachines")
            machines += [Machine(each, name) for each in found]
        return machines

    async def _list(self, path: str) -> list[Record]:
        """All items of a list; its links have to lead to where resources are listed, since the token goes along."""

        async def page(url: str) -> Page[Record]:
            if not url.startswith(f"{self._resources}/"):
                raise SourceError(f"the list goes on at {url[:100]!r}, which is not below {self._resources}")
            answer = await self._answer(self._api, url)
            if answer.status != 200:
                raise refused(answer, self.context.clock)
            said = await self._api.read(answer, ExactRecord.of_json)
            return Page(said.records("value"), said.text("nextLink"))

        return await all_pages(page, f"{self._base}{path}?{COMPUTE_VERSION}")

    async def _answer(self, api: Api, url: str) -> Response:
        answer = await api.send(url, await self._token.authorization())
        if answer.status == _UNAUTHORIZED:
            self._token.forget()
        return answer

    async def _learn_interfaces(self, machines: list[Machine]) -> None:
        """Ask for the interfaces that are not known, and forget those that no machine has any more."""
        now_s = trio.current_time()
        wanted = {identity: machine for machine in machines for identity in machine.interfaces()}
        kept = self._kept
        self._kept = {each: kept[each] for each in wanted if each in kept and kept[each][1] > now_s}
        self.stats.counts["cache_hits"] += len(self._kept)
        unknown = [(identity, machine) for identity, machine in wanted.items() if identity not in self._kept]

        async def ask(api: Api, one: tuple[str, Machine]) -> None:
            identity, machine = one
            answer = await self._answer(api, self._base + machine.interface_path(identity))
            if answer.status == _MISSING:
                self.context.log.warning("Network interface does not exist", name=identity[:300])
                return
            if answer.status != 200:
                raise refused(answer, self.context.clock)
            until_s = now_s + self._chance.uniform(*KEPT_REFRESHES) * self.interval_s
            self._kept[identity] = (await api.read(answer, ExactRecord.of_json), until_s)

        await of_each(self.context, unknown, ask, CLIENTS_MAX, TIMEOUT_S)

    def _targets(self, machines: list[Machine]) -> list[Labels]:
        common = {
            PREFIX + "subscription_id": self._config.subscription_id,
            PREFIX + "tenant_id": self._config.tenant_id,
        }
        targets = []
        for machine in machines:
            interfaces = (self._kept.get(identity, (None, 0.0))[0] for identity in machine.interfaces())
            labels = machine.labels(interfaces, self._config.port)
            if labels is not None:
                targets.append({**labels, **common})
        return targets
