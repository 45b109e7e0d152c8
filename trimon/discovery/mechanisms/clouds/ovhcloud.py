"""Virtual private servers or dedicated servers of OVHcloud (`ovhcloud_sd_configs`).

    time of the server ─ names of all servers ─ of each: details, addresses ─ one group

A server that is in the list and whose details are not to be had leaves everything as it was, but for one that is gone
meanwhile. Source: https://api.ovh.com/console/, https://docs.ovh.com/gb/en/api/first-steps-with-ovh-api/. Labels:
`__meta_ovhcloud_vps_*`: `name`, `display_name`, `offer`, `offer_type`, `datacenter`, `model_name`, `model_vcore`,
`maximum_additional_ip`, `version`, `disk`, `memory`, `memory_limit`, `zone`, `cluster`, `state`, `netboot_mode`, `vcore`,
`ipv4`, `ipv6`; `__meta_ovhcloud_dedicated_server_*`: `name`, `state`, `commercial_range`, `link_speed`, `rack`,
`no_intervention`, `os`, `support_level`, `server_id`, `reverse`, `datacenter`, `ipv4`, `ipv6`. Addresses have no port.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote_plus

from trimon.config.discovery.keyedclouds import OvhCloudSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, Headers, refused
from trimon.discovery.asking.record import Record, SourceError, parsed
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels
from trimon.discovery.mechanisms.fields import flag_text, texts, wholes
from trimon.discovery.plugin import Context, TargetGroup
from trimon.fetch.request import Response
from trimon.records import dataclass

_ENDPOINTS: Final = {
    "ovh-eu": "https://eu.api.ovh.com/1.0",
    "ovh-ca": "https://ca.api.ovh.com/1.0",
    "ovh-us": "https://api.us.ovhcloud.com/1.0",
    "kimsufi-eu": "https://eu.api.kimsufi.com/1.0",
    "kimsufi-ca": "https://ca.api.kimsufi.com/1.0",
    "soyoustart-eu": "https://eu.api.soyoustart.com/1.0",
    "soyoustart-ca": "https://ca.api.soyoustart.com/1.0",
    "runabove-ca": "https://api.runabove.com/1.0",
}
# Requests may take this long, whatever the interval.
_TIMEOUT_S: Final = 180.0
_SERVERS_MAX: Final = 100_000
_PREFIX: Final = "__meta_ovhcloud_"
_VPS: Final = {
    "offer": "model.offer",
    "version": "model.version",
    "model_name": "model.name",
    "zone": "zone",
    "display_name": "displayName",
    "cluster": "cluster",
    "state": "state",
    "name": "name",
    "netboot_mode": "netbootMode",
    "offer_type": "offerType",
}
_VPS_WHOLES: Final = {
    "model_vcore": "model.vcore",
    "maximum_additional_ip": "model.maximumAdditionnalIp",
    "disk": "model.disk",
    "memory": "model.memory",
    "memory_limit": "memoryLimit",
    "vcore": "vcore",
}
_DEDICATED: Final = {
    "state": "state",
    "commercial_range": "commercialRange",
    "rack": "rack",
    "os": "os",
    "support_level": "supportLevel",
    "reverse": "reverse",
    "datacenter": "datacenter",
    "name": "name",
}
_DEDICATED_WHOLES: Final = {"link_speed": "linkSpeed", "server_id": "serverId"}


@dataclass(frozen=True, slots=True)
class _Server:
    details: Record
    of_four: str
    of_six: str


class OvhCloudDiscovery(CloudDiscovery):
    """Asks for the servers of one service, each request signed."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, OvhCloudSdConfig)
        super().__init__(context, config.refresh_interval)
        self.api = Api(context, _TIMEOUT_S)
        self._config = config
        self._path = "/vps" if config.service == "vps" else "/dedicated/server"
        # How far the server's clock is ahead of ours.
        self._ahead_s = 0

    async def refresh(self) -> list[TargetGroup]:
        """One group of all servers that have an address."""
        answer = await self.api.ok(f"{self._endpoint()}/auth/time", self._application())
        self._ahead_s = Record({"time": parsed(answer.body)}).whole("time") - self._now_s()
        names = await self.api.read(await self._asked(self._path), _names)
        if len(names) > _SERVERS_MAX:
            raise SourceError(f"there are {len(names)} servers; at most {_SERVERS_MAX} are asked about")
        servers = [server for name in names if (server := await self._server(name)) is not None]
        mapped = self._vps if self._config.service == "vps" else self._dedicated
        return await self.group(f"ovhcloud_{self._config.service}", servers, mapped)

    def _endpoint(self) -> str:
        given = self._config.endpoint.reveal()
        url = given.rstrip("/") if "/" in given else _ENDPOINTS.get(given)
        if url is None:
            raise SourceError(f"unknown endpoint {given!r}; it is a URL or one of {', '.join(_ENDPOINTS)}")
        return url

    def _now_s(self) -> int:
        return self.context.clock.now_ms() // 1000

    def _application(self) -> Headers:
        return (("Accept", "application/json"), ("X-Ovh-Application", self._config.application_key))

    async def _send(self, path: str) -> Response:
        """The answer to a signed request, whatever its status."""
        config, url = self._config, f"{self._endpoint()}{path}"
        stamp, consumer = str(self._now_s() + self._ahead_s), config.consumer_key.reveal()
        text = f"{config.application_secret.reveal()}+{consumer}+GET+{url}++{stamp}"
        signature = f"$1${hashlib.sha1(text.encode()).hexdigest()}"  # noqa: S324 # what the API wants
        headers = (
            *self._application(),
            ("X-Ovh-Timestamp", stamp),
            ("X-Ovh-Consumer", consumer),
            ("X-Ovh-Signature", signature),
        )
        return await self.api.send(url, headers)

    async def _asked(self, path: str) -> Response:
        answer = await self._send(path)
        if answer.status != 200:
            raise refused(answer, self.context.clock)
        return answer

    async def _server(self, name: str) -> _Server | None:
        """A server; nothing for one that is gone meanwhile, or that has no address."""
        path = f"{self._path}/{quote_plus(name)}"
        answers = []
        for each in (path, f"{path}/ips"):
            answer = await self._send(each)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise refused(answer, self.context.clock)
            answers.append(answer)
        of_four, of_six = _chosen(await self.api.read(answers[1], _names))
        if not of_four and not of_six:
            return None
        return _Server(await self.api.read(answers[0], Record.of_json), of_four, of_six)

    def _vps(self, server: _Server) -> Labels:
        prefix = f"{_PREFIX}vps_"
        centres = " ".join(server.details.record("model").texts("datacenter"))
        return {
            **_common(server, prefix),
            **texts(server.details, prefix, _VPS),
            **wholes(server.details, prefix, _VPS_WHOLES),
            f"{prefix}datacenter": f"[{centres}]",
        }

    def _dedicated(self, server: _Server) -> Labels:
        prefix = f"{_PREFIX}dedicated_server_"
        return {
            **_common(server, prefix),
            **texts(server.details, prefix, _DEDICATED),
            **wholes(server.details, prefix, _DEDICATED_WHOLES),
            f"{prefix}no_intervention": flag_text(server.details.flag("noIntervention")),
        }


def _names(body: bytes) -> list[str]:
    """The strings of a JSON array. Raises SourceError."""
    return Record({"list": parsed(body)}).texts("list")


def _common(server: _Server, prefix: str) -> Labels:
    return {
        "__address__": server.of_four or server.of_six,
        "instance": server.details.text("name"),
        f"{prefix}ipv4": server.of_four,
        f"{prefix}ipv6": server.of_six,
    }


def _chosen(addresses: list[str]) -> tuple[str, str]:
    """The last address of each family; of networks only those of 32 bits. Two empty ones where a text is no address."""
    of_four = of_six = ""
    for text in addresses:
        try:
            found = ipaddress.ip_interface(text)
        except ValueError:
            return "", ""
        if found.ip.is_unspecified or ("/" in text and found.network.prefixlen != 32):
            continue
        if found.version == 4:
            of_four = str(found.ip)
        else:
            of_six = str(found.ip)
    return of_four, of_six
