"""Containers of a Docker engine (`docker_sd_configs`): a target for each of their TCP ports in each of their networks.

Source: https://docs.docker.com/reference/api/engine/, "List containers" and "List networks". Labels `__meta_docker_`:
`container_id`, `container_name`, `container_image`, `container_image_id`, `container_network_mode`, `container_label_*`,
`network_id`, `network_name`, `network_scope`, `network_internal`, `network_ingress`, `network_label_*`, `network_ip`,
`port_private`, `port_public`, `port_public_ip`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trimon.config.discovery.containers import DockerSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.mechanisms.containers.dockerapi import DockerApi, canonical_ip
from trimon.discovery.plugin import Context, TargetGroup

PREFIX: Final = "__meta_docker_"
SOURCE: Final = "Docker"
_HOST_MODE: Final = "host"
_SHARED: Final = "container:"

Labels = dict[str, str]


class DockerDiscovery(RefreshDiscovery):
    """Lists the running containers and the networks; one group."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, DockerSdConfig)
        interval_s = config.refresh_interval / 1000
        super().__init__(context, interval_s)
        self._docker = DockerApi(config.host.reveal(), context, interval_s)

    async def refresh(self) -> list[TargetGroup]:
        """All containers."""
        containers = await self._docker.list("containers/json", self._config.filters)
        networks = await self._docker.network_labels(PREFIX)
        targets = await self.context.offload.run(lambda: self._targets(containers, networks))
        return [TargetGroup(SOURCE, targets)]

    def _targets(self, containers: list[Record], networks: Mapping[str, Labels]) -> list[Labels]:
        by_id = {container.text("Id"): container for container in containers}
        return [
            target
            for container in containers
            if container.texts("Names")
            for target in self._of_container(container, by_id, networks)
        ]

    def _of_container(
        self, container: Record, by_id: Mapping[str, Record], networks: Mapping[str, Labels]
    ) -> Iterator[Labels]:
        common = _container(container)
        host_mode = _mode(container) == _HOST_MODE
        ports = [port for port in container.records("Ports") if port.text("Type") == "tcp"]
        for network in self._networks(container, by_id):
            ip = canonical_ip(network.text("IPAddress")) or canonical_ip(network.text("GlobalIPv6Address"))
            labels = {**common, **networks.get(network.text("NetworkID"), {}), PREFIX + "network_ip": ip}
            for port in ports:
                yield {**labels, **_port(port, ip)}
            if not ports:
                address = self._config.host_networking_host if host_mode else host_port(ip, self._config.port)
                yield {**labels, "__address__": address}

    def _networks(self, container: Record, by_id: Mapping[str, Record]) -> list[Record]:
        """The networks of a container, or of the one whose networks it shares; by name, or the first by name."""
        seen = set()
        networks = _attached(container)
        while not networks and (mode := _mode(container)).startswith(_SHARED) and mode not in seen:
            seen.add(mode)
            other = by_id.get(mode.removeprefix(_SHARED))
            if other is None:
                break
            container, networks = other, _attached(other)
        return networks[:1] if self._config.match_first_network else networks


def _mode(container: Record) -> str:
    return container.record("HostConfig").text("NetworkMode")


def _attached(container: Record) -> list[Record]:
    networks = container.record("NetworkSettings").record("Networks")
    return [networks.record(name) for name in sorted(networks.keys()) if name in networks]


def _container(container: Record) -> Labels:
    return {
        **keyed_labels(PREFIX + "container_label_", container.text_map("Labels")),
        PREFIX + "container_id": container.text("Id"),
        PREFIX + "container_name": container.texts("Names")[0],
        PREFIX + "container_network_mode": _mode(container),
        PREFIX + "container_image": container.text("Image"),
        PREFIX + "container_image_id": container.text("ImageID"),
    }


def _port(port: Record, ip: str) -> Labels:
    private, public = port.whole("PrivatePort"), port.whole("PublicPort")
    labels = {"__address__": host_port(ip, private), PREFIX + "port_private": str(private)}
    if public > 0:
        labels |= {
            PREFIX + "port_public": str(public),
            PREFIX + "port_public_ip": canonical_ip(port.text("IP")),
        }
    return labels
