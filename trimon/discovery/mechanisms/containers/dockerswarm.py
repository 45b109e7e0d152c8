"""Services, tasks or nodes of a Docker swarm (`dockerswarm_sd_configs`).

Source: https://docs.docker.com/reference/api/engine/, "List services", "List tasks", "List nodes" and "List networks".
Labels `__meta_dockerswarm_`:
services: `service_*` (`id`, `name`, `mode`, `label_*`, `endpoint_port_name`, `endpoint_port_publish_mode`,
`task_container_hostname`, `task_container_image`, `updating_status`), `network_*`;
tasks: `task_*` (`id`, `container_id`, `desired_state`, `slot`, `state`, `port_publish_mode`), `container_label_*`, and those
of the service, the node and the network;
nodes: `node_*` (`id`, `hostname`, `address`, `availability`, `engine_version`, `label_*`, `manager_address`, `manager_leader`,
`manager_reachability`, `platform_architecture`, `platform_os`, `role`, `status`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from trimon.config.discovery.containers import DockerSwarmSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.refresh import RefreshDiscovery
from trimon.discovery.mechanisms.containers.dockerapi import DockerApi
from trimon.discovery.mechanisms.containers.swarmtargets import (
    PREFIX,
    Labels,
    Swarm,
    node_target,
    service_targets,
    task_targets,
)
from trimon.discovery.plugin import Context, TargetGroup

SOURCE: Final = "DockerSwarm"


class DockerSwarmDiscovery(RefreshDiscovery):
    """Lists what the role says, and all that it refers to; one group. Filters are for what the role says alone."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config = config_option(options, DockerSwarmSdConfig)
        interval_s = config.refresh_interval / 1000
        super().__init__(context, interval_s)
        self._docker = DockerApi(config.host.reveal(), context, interval_s)
        roles: dict[str, Callable[[], Awaitable[list[Labels]]]] = {
            "services": self._services,
            "tasks": self._tasks,
            "nodes": self._nodes,
        }
        self._find = roles[config.role]

    async def refresh(self) -> list[TargetGroup]:
        """All of the role."""
        return [TargetGroup(SOURCE, await self._find())]

    async def _services(self) -> list[Labels]:
        services = await self._docker.list("services", self._config.filters)
        networks = await self._docker.network_labels(PREFIX)
        port = self._config.port
        return await self.context.offload.run(
            lambda: [target for each in services for target in service_targets(each, networks, port)]
        )

    async def _tasks(self) -> list[Labels]:
        tasks = await self._docker.list("tasks", self._config.filters)
        services = await self._docker.list("services")
        nodes = await self._docker.list("nodes")
        networks = await self._docker.network_labels(PREFIX)

        def targets() -> list[Labels]:
            swarm = Swarm.of(services, nodes, networks)
            return [target for each in tasks for target in task_targets(each, swarm, self._config.port)]

        return await self.context.offload.run(targets)

    async def _nodes(self) -> list[Labels]:
        nodes = await self._docker.list("nodes", self._config.filters)
        port = self._config.port
        return await self.context.offload.run(lambda: [node_target(each, port) for each in nodes])
