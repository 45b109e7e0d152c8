"""Instances of applications that are registered in Eureka (`eureka_sd_configs`).

Source: https://github.com/Netflix/eureka/wiki/Eureka-REST-operations. Labels: `instance`; `__meta_eureka_app_name`, and
`__meta_eureka_app_instance_` with `id`, `hostname`, `homepage_url`, `statuspage_url`, `healthcheck_url`, `ip_addr`,
`vip_address`, `secure_vip_address`, `status`, `port`, `port_enabled`, `secure_port`, `secure_port_enabled`, `country_id`,
`metadata_*`, `datacenterinfo_name`, `datacenterinfo_metadata_*`. Metadata are as they are written in the XML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.config.discovery.registries import EurekaSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.naming import host_port, sanitized
from trimon.discovery.asking.record import SourceError
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.asking.xmltree import Element, tree_of
from trimon.discovery.mechanisms.fields import flag_text
from trimon.discovery.plugin import Context, TargetGroup

PREFIX: Final = "__meta_eureka_app_instance_"
SOURCE: Final = "eureka"
PORT_DEFAULT: Final = 80
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0

_TEXTS: Final = {
    "hostName": "hostname",
    "homePageUrl": "homepage_url",
    "statusPageUrl": "statuspage_url",
    "healthCheckUrl": "healthcheck_url",
    "ipAddr": "ip_addr",
    "vipAddress": "vip_address",
    "secureVipAddress": "secure_vip_address",
    "status": "status",
    "instanceId": "id",
}
# As they are written for a flag in XML.
_FLAGS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False, "": False}


class EurekaDiscovery(RefreshDiscovery):
    """Asks for all applications; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, EurekaSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        self._api = Api(context, TIMEOUT_S)
        self._url = f"{config.server.reveal()}/apps"

    async def refresh(self) -> list[TargetGroup]:
        """All instances."""
        answer = await self._api.send(self._url)
        if answer.status // 100 != 2:
            raise refused(answer, self.context.clock)
        return [TargetGroup(SOURCE, await self._api.read(answer, _targets))]


def _targets(body: bytes) -> list[dict[str, str]]:
    return [
        _target(application.text_of("name"), instance, body)
        for application in tree_of(body).children
        if application.name == "application"
        for instance in application.children
        if instance.name == "instance"
    ]


def _target(application: str, instance: Element, body: bytes) -> dict[str, str]:
    port = instance.child("port")
    country = instance.child("countryId")
    return {
        "__address__": host_port(
            instance.text_of("hostName"), PORT_DEFAULT if port is None else port.whole()
        ),
        "instance": instance.text_of("instanceId"),
        "__meta_eureka_app_name": application,
        **{PREFIX + label: instance.text_of(name) for name, label in _TEXTS.items()},
        PREFIX + "country_id": str(country.whole() if country is not None else 0),
        **_port(port, "port"),
        **_port(instance.child("securePort"), "secure_port"),
        **_data_center(instance.child("dataCenterInfo"), body),
        **_metadata(instance.child("metadata"), "metadata_", body),
    }


def _port(port: Element | None, label: str) -> dict[str, str]:
    if port is None:
        return {}
    enabled = port.attributes.get("enabled", "").strip()
    if enabled.lower() not in _FLAGS:
        raise SourceError(f"attribute enabled of {port.name} is {enabled[:40]!r}; it has to be true or false")
    return {
        PREFIX + label: str(port.whole()),
        PREFIX + label + "_enabled": flag_text(_FLAGS[enabled.lower()]),
    }


def _data_center(info: Element | None, body: bytes) -> dict[str, str]:
    if info is None:
        return {}
    metadata = _metadata(info.child("metadata"), "datacenterinfo_metadata_", body)
    return {PREFIX + "datacenterinfo_name": info.text_of("name"), **metadata}


def _metadata(metadata: Element | None, prefix: str, body: bytes) -> dict[str, str]:
    children = metadata.children if metadata is not None else []
    return {PREFIX + prefix + sanitized(each.name): each.inner(body) for each in children}
