"""Exporters of systems that Uyuni manages (`uyuni_sd_configs`).

Source: https://www.uyuni-project.org/uyuni-docs-api/uyuni/, namespaces `auth`, `system` and `system.monitoring`. Labels
`__meta_uyuni_`: `endpoint_name`, `exporter`, `groups`, `metrics_path`, `minion_hostname`, `primary_fqdn`, `proxy_module`,
`scheme`, `system_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import trio

from trimon.config.discovery.managed import UyuniSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.asking.xmlrpc import Argument, call, result
from trimon.discovery.plugin import Context, TargetGroup
from trimon.redaction import REDACTOR

PREFIX: Final = "__meta_uyuni_"
SESSION_S: Final = 600
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0
_HEADERS: Final = (("Content-Type", "text/xml"),)


class UyuniDiscovery(RefreshDiscovery):
    """Logs in, and asks for the systems of an entitlement, their endpoints and their networks; one group.

    A session is used for half of its time, and given up with the first call that fails.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, UyuniSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        # The body of a call has a password or a session in it.
        self._api = Api(context, TIMEOUT_S, follow_redirects=False)
        url = urlsplit(config.server.reveal())
        self._url = url._replace(path=url.path.rstrip("/") + "/rpc/api").geturl()
        self._session = ""
        self._session_until_s = 0.0

    async def refresh(self) -> list[TargetGroup]:
        """All endpoints."""
        if not self._session or trio.current_time() > self._session_until_s:
            self._session = await self._log_in()
            self._session_until_s = trio.current_time() + SESSION_S / 2
        try:
            targets = await self._targets(self._session)
        except Exception:
            self._session = ""
            raise
        return [TargetGroup(self._url, targets)]

    async def _log_in(self) -> str:
        config = self._config
        session = await self._call("auth.login", config.username, config.password.reveal(), SESSION_S)
        if not isinstance(session, str) or not session:
            raise SourceError("the answer to auth.login is no session")
        REDACTOR.add(session)
        return session

    async def _targets(self, session: str) -> list[dict[str, str]]:
        method = "system.listSystemGroupsForSystemsWithEntitlement"
        systems = _records(await self._call(method, session, self._config.entitlement))
        groups = {system.whole("id"): system.records("system_groups") for system in systems}
        identities = list(groups)
        endpoints = _records(await self._call("system.monitoring.listEndpoints", session, identities))
        found = _records(await self._call("system.getNetworkForSystems", session, identities))

        def targets() -> list[dict[str, str]]:
            networks = {network.whole("system_id"): network for network in found}
            return [self._target(endpoint, groups, networks) for endpoint in endpoints]

        return await self.context.offload.run(targets)

    async def _call(self, method: str, *arguments: Argument) -> object:
        """What a call says. Raises SourceError, FetchError."""
        answer = await self._api.send(self._url, _HEADERS, method="POST", body=call(method, arguments))
        if answer.status // 100 != 2:
            raise refused(answer, self.context.clock)
        return await self._api.read(answer, result)

    def _target(
        self, endpoint: Record, groups: Mapping[int, list[Record]], networks: Mapping[int, Record]
    ) -> dict[str, str]:
        system = endpoint.whole("system_id")
        network = networks.get(system, Record({}))
        names = [group.text("name") for group in groups.get(system, [])]
        return {
            "__address__": f"{network.text('hostname')}:{endpoint.whole('port')}",
            PREFIX + "minion_hostname": network.text("hostname"),
            PREFIX + "primary_fqdn": network.text("primary_fqdn"),
            PREFIX + "system_id": str(system),
            PREFIX + "groups": self._config.separator.join(names),
            PREFIX + "endpoint_name": endpoint.text("endpoint_name"),
            PREFIX + "exporter": endpoint.text("exporter_name"),
            PREFIX + "proxy_module": endpoint.text("module"),
            PREFIX + "metrics_path": endpoint.text("path"),
            PREFIX + "scheme": "https" if endpoint.flag("tls_enabled") else "http",
        }


def _records(said: object) -> list[Record]:
    return Record({"answer": said}).records("answer")
