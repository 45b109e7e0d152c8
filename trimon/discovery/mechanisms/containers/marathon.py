"""Tasks of applications that Marathon runs (`marathon_sd_configs`): a target for each of their ports.

Source: https://mesosphere.github.io/marathon/api-console/index.html, `/v2/apps`. Labels `__meta_marathon_`: `app`, `image`,
`app_label_*`, `task`, `port_index`, `port_definition_label_*`, `port_mapping_label_*`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final

from trimon.config.discovery.containers import MarathonSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import Api, Headers, refused
from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.plugin import Context, TargetGroup
from trimon.peers.files import read_header

PREFIX: Final = "__meta_marathon_"
PATH: Final = "/v2/apps/?embed=apps.tasks"
# Prometheus waits for ever.
TIMEOUT_S: Final = 30.0


class MarathonDiscovery(RefreshDiscovery):
    """Asks any of the servers for all applications and their tasks; a group for each application."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, MarathonSdConfig)
        super().__init__(context, config.refresh_interval / 1000)
        self._api = Api(context, TIMEOUT_S)
        self._chance = random.Random()  # noqa: S311 # which server is asked is no secret

    async def refresh(self) -> list[TargetGroup]:
        """All applications."""
        server = self._chance.choice(self._config.servers).reveal()
        answer = await self._api.send(server + PATH, await self._token())
        if answer.status // 100 != 2:
            raise refused(answer, self.context.clock)
        return await self._api.read(answer, _groups)

    async def _token(self) -> Headers:
        """The header that names the token, which is not written as that of other peers is."""
        token, path = self._config.auth_token.reveal(), self._config.auth_token_file
        if path:
            token = await self.context.offload.run(lambda: read_header(path))
        return (("Authorization", f"token={token}"),) if token else ()


def _groups(body: bytes) -> list[TargetGroup]:
    groups = {app.text("id"): _group(app) for app in Record.of_json(body).records("apps")}
    return list(groups.values())


def _group(app: Record) -> TargetGroup:
    labels = {
        **keyed_labels(PREFIX + "app_label_", app.text_map("labels")),
        PREFIX + "app": app.text("id"),
        PREFIX + "image": app.record("container").record("docker").text("image"),
    }
    return TargetGroup(app.text("id"), tuple(_targets(app)), labels)


def _targets(app: Record) -> Iterator[dict[str, str]]:
    networks = app.records("networks")
    in_container = bool(networks) and networks[0].text("mode") == "container"
    ports = _ports(app, in_container=in_container)
    for task in app.records("tasks"):
        own = task.wholes("ports")
        # An application without a list of its ports has those of its first task that has any.
        ports = ports or [(port, {}) for port in own]
        addresses = task.records("ipAddresses") if in_container else []
        host = addresses[0].text("ipAddress") if addresses else task.text("host")
        for index, (port, labels) in enumerate(ports):
            chosen = own[index] if port == 0 and len(own) == len(ports) else port
            yield {
                **labels,
                "__address__": host_port(host, chosen),
                PREFIX + "task": task.text("id"),
                PREFIX + "port_index": str(index),
            }


def _ports(app: Record, *, in_container: bool) -> list[tuple[int, dict[str, str]]]:
    """The ports of an application with their labels; 0 where each task has its own."""
    container = app.record("container")
    # Before version 1.5 of Marathon they were among what is Docker's.
    mappings = container.records("portMappings") or container.record("docker").records("portMappings")
    if mappings:
        field = "containerPort" if in_container else "hostPort"
        return [(each.whole(field), _labels(each, "port_mapping_label_")) for each in mappings]
    fixed = app.flag("requirePorts")
    return [
        (each.whole("port") if fixed else 0, _labels(each, "port_definition_label_"))
        for each in app.records("portDefinitions")
    ]


def _labels(port: Record, prefix: str) -> dict[str, str]:
    return keyed_labels(PREFIX + prefix, port.text_map("labels"))
