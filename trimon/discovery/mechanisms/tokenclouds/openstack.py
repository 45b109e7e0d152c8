"""Instances, hypervisors or load balancers of OpenStack (`openstack_sd_configs`).

Source: https://docs.openstack.org/api-ref/, "Compute", "Networking" and "Load Balancer". Labels `__meta_openstack_`:
hypervisors: `hypervisor_*` (`id`, `hostname`, `host_ip`, `status`, `state`, `type`);
instances: `instance_*` (`id`, `status`, `name`, `flavor`, `image`), `project_id`, `user_id`, `tag_*`, `address_pool`,
`private_ip`, `public_ip`;
load balancers: `loadbalancer_*` (`id`, `name`, `operating_status`, `provisioning_status`, `availability_zone`, `vip`,
`provider`, `floating_ip`, `tags`), `project_id`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import trio

from trimon.config.discovery.managed import OpenStackSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.record import Record
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.mechanisms.clouds.paged import Page, all_pages
from trimon.discovery.mechanisms.tokenclouds.keystone import (
    TOKEN_HEADER,
    Account,
    Session,
    Unauthorized,
    log_in,
)
from trimon.discovery.mechanisms.tokenclouds.openstacktargets import (
    FloatingAddresses,
    Labels,
    hypervisor_target,
    instance_targets,
    loadbalancer_targets,
)
from trimon.discovery.plugin import Context, TargetGroup

# Tokens count for an hour unless Keystone is told otherwise; one that was refused before is told by type.
SESSION_S: Final = 600.0
_GOOD: Final = (200, 204, 300)
_UNAUTHORIZED: Final = 401


class OpenStackDiscovery(RefreshDiscovery):
    """Logs in, finds the services of the region, and lists what the role says; one group.

    A session is used for ten minutes, and given up with the first refresh that fails.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, OpenStackSdConfig)
        interval_s = config.refresh_interval / 1000
        super().__init__(context, interval_s)
        self._api = Api(context, interval_s)
        self._account = Account.of(config)
        # What is wrong with the account is said at once, and not at the first refresh.
        self._account.url()
        self._account.request()
        roles: dict[str, Callable[[Session], Awaitable[list[Labels]]]] = {
            "hypervisor": self._hypervisors,
            "instance": self._instances,
            "loadbalancer": self._loadbalancers,
        }
        self._find = roles[config.role]
        self._session: Session | None = None
        self._session_until_s = 0.0

    async def refresh(self) -> list[TargetGroup]:
        """All of the role."""
        kept, self._session = self._session, None
        if kept is not None and trio.current_time() >= self._session_until_s:
            kept = None
        session = kept or await self._log_in()
        try:
            targets = await self._find(session)
        except Unauthorized:
            if kept is None:
                raise
            session = await self._log_in()
            targets = await self._find(session)
        self._session = session
        return [TargetGroup(f"OS_{self._config.region}", targets)]

    async def _log_in(self) -> Session:
        self._session_until_s = trio.current_time() + SESSION_S
        return await log_in(self._account, self.context, self.interval_s)

    async def _hypervisors(self, session: Session) -> list[Labels]:
        compute = self._endpoint(session, "compute")
        found = await self._list(session, f"{compute}/os-hypervisors/detail", "hypervisors")
        return await self._mapped(lambda: (hypervisor_target(each, self._config.port) for each in found))

    async def _instances(self, session: Session) -> list[Labels]:
        compute = self._endpoint(session, "compute")
        network = _versioned(self._endpoint(session, "network"))
        ports = await self._list(session, f"{network}/ports", "ports")
        addresses = await self._list(session, f"{network}/floatingips", "floatingips")
        query = "?all_tenants=true" if self._config.all_tenants else ""
        servers = await self._list(session, f"{compute}/servers/detail{query}", "servers")

        def targets() -> Iterable[Labels]:
            floating = FloatingAddresses.of(addresses, ports)
            for each in servers:
                yield from instance_targets(each, floating, self._config.port)

        return await self._mapped(targets)

    async def _loadbalancers(self, session: Session) -> list[Labels]:
        balancing = _versioned(self._endpoint(session, "load-balancer"))
        network = _versioned(self._endpoint(session, "network"))
        balancers = await self._list(session, f"{balancing}/lbaas/loadbalancers", "loadbalancers")
        listeners = await self._list(session, f"{balancing}/lbaas/listeners", "listeners")
        addresses = await self._list(session, f"{network}/floatingips", "floatingips")
        return await self._mapped(lambda: loadbalancer_targets(balancers, listeners, addresses))

    def _endpoint(self, session: Session, service: str) -> str:
        return session.endpoint(service, self._config.region, self._config.availability)

    async def _list(self, session: Session, url: str, name: str) -> list[Record]:
        """All items of a list. Where it goes on is asked of the same service: a link names only what is asked."""
        headers = (("Accept", "application/json"), (TOKEN_HEADER, session.token))

        async def page(at: str) -> Page[Record]:
            answer = await self._api.send(at, headers)
            if answer.status == _UNAUTHORIZED:
                raise Unauthorized(f"server returned HTTP status {answer.status_line}")
            if answer.status not in _GOOD:
                raise refused(answer, self.context.clock)
            said = await self._api.read(answer, Record.of_json)
            links = said.records(f"{name}_links")
            further = next((link.text("href") for link in links if link.text("rel") == "next"), "")
            query = further.partition("#")[0].partition("?")[2]
            return Page(said.records(name), urlsplit(url)._replace(query=query).geturl() if query else "")

        return await all_pages(page, url)

    async def _mapped(self, targets: Callable[[], Iterable[Labels]]) -> list[Labels]:
        return await self.context.offload.run(lambda: list(targets()))


def _versioned(endpoint: str) -> str:
    """An endpoint with the version of the service, which catalogs mostly leave out."""
    return endpoint if endpoint.endswith(("/v2.0", "/v2")) else f"{endpoint}/v2.0"
