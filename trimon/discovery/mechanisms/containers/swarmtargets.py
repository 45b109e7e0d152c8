"""Targets of what a swarm says about its services, tasks and nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.containers.dockerapi import ip_of_prefix
from trimon.discovery.mechanisms.fields import flag_text
from trimon.records import dataclass

PREFIX: Final = "__meta_dockerswarm_"

Labels = Mapping[str, str]
LabelsById = Mapping[str, Labels]


@dataclass(frozen=True, slots=True)
class Swarm:
    """What tasks refer to, by identity."""

    services: LabelsById
    ports: Mapping[str, list[Record]]
    nodes: LabelsById
    networks: LabelsById

    @classmethod
    def of(cls, services: list[Record], nodes: list[Record], networks: LabelsById) -> Swarm:
        """From lists of all services and nodes."""
        return cls(
            {service.text("ID"): service_labels(service) for service in services},
            {service.text("ID"): _tcp_ports(service.record("Endpoint")) for service in services},
            {node.text("ID"): _placing(node) for node in nodes},
            networks,
        )


def service_targets(service: Record, networks: LabelsById, port_default: int) -> Iterator[Labels]:
    """A target for each virtual address and published TCP port."""
    common = {**service_labels(service), **_task_template(service)}
    if "UpdateStatus" in service:
        common[PREFIX + "service_updating_status"] = service.record("UpdateStatus").text("State")
    endpoint = service.record("Endpoint")
    ports = _tcp_ports(endpoint)
    for virtual in endpoint.records("VirtualIPs"):
        ip = ip_of_prefix(virtual.text("Addr"))
        labels = {**common, **networks.get(virtual.text("NetworkID"), {})}
        for port in ports:
            yield {
                **labels,
                PREFIX + "service_endpoint_port_name": port.text("Name"),
                PREFIX + "service_endpoint_port_publish_mode": port.text("PublishMode"),
                "__address__": host_port(ip, port.whole("PublishedPort")),
            }
        if not ports:
            yield {**labels, "__address__": host_port(ip, port_default)}


def task_targets(task: Record, swarm: Swarm, port_default: int) -> Iterator[Labels]:
    """A target for each port that the task has on its node, and for each of its addresses and ports of its service."""
    service = task.text("ServiceID")
    common = {
        **_task(task),
        **swarm.services.get(service, {}),
        **swarm.nodes.get(task.text("NodeID"), {}),
    }
    mode = PREFIX + "task_port_publish_mode"
    for port in task.record("Status").record("PortStatus").records("Ports"):
        if port.text("Protocol") == "tcp":
            address = host_port(common.get(PREFIX + "node_address", ""), port.whole("PublishedPort"))
            yield {**common, mode: port.text("PublishMode"), "__address__": address}
    ports = swarm.ports.get(service, [])
    for attachment in task.records("NetworksAttachments"):
        labels = {**common, **swarm.networks.get(attachment.record("Network").text("ID"), {})}
        for prefix in attachment.texts("Addresses"):
            ip = ip_of_prefix(prefix)
            for port in ports:
                address = host_port(ip, port.whole("PublishedPort"))
                yield {**labels, mode: port.text("PublishMode"), "__address__": address}
            if not ports:
                yield {**labels, "__address__": host_port(ip, port_default)}


def node_target(node: Record, port: int) -> Labels:
    """The target of a node: its address and the port of the configuration."""
    labels = {
        **_placing(node),
        PREFIX + "node_engine_version": node.record("Description").record("Engine").text("EngineVersion"),
        "__address__": host_port(node.record("Status").text("Addr"), port),
    }
    if "ManagerStatus" in node:
        manager = node.record("ManagerStatus")
        labels |= {
            PREFIX + "node_manager_leader": flag_text(manager.flag("Leader")),
            PREFIX + "node_manager_reachability": manager.text("Reachability"),
            PREFIX + "node_manager_address": manager.text("Addr"),
        }
    return labels


def service_labels(service: Record) -> dict[str, str]:
    """The labels that a service and each of its tasks have. Services that run once have no mode."""
    spec = service.record("Spec")
    mode = spec.record("Mode")
    return {
        **keyed_labels(PREFIX + "service_label_", spec.text_map("Labels")),
        PREFIX + "service_id": service.text("ID"),
        PREFIX + "service_name": spec.text("Name"),
        PREFIX + "service_mode": "global"
        if "Global" in mode
        else "replicated"
        if "Replicated" in mode
        else "",
    }


def _task_template(service: Record) -> dict[str, str]:
    container = service.record("Spec").record("TaskTemplate").record("ContainerSpec")
    return {
        PREFIX + "service_task_container_hostname": container.text("Hostname"),
        PREFIX + "service_task_container_image": container.text("Image"),
    }


def _tcp_ports(endpoint: Record) -> list[Record]:
    return [port for port in endpoint.records("Ports") if port.text("Protocol") == "tcp"]


def _task(task: Record) -> dict[str, str]:
    status = task.record("Status")
    container = task.record("Spec").record("ContainerSpec")
    return {
        **keyed_labels(PREFIX + "container_label_", container.text_map("Labels")),
        PREFIX + "task_id": task.text("ID"),
        PREFIX + "task_desired_state": task.text("DesiredState"),
        PREFIX + "task_state": status.text("State"),
        PREFIX + "task_slot": str(task.whole("Slot")),
        PREFIX + "task_container_id": status.record("ContainerStatus").text("ContainerID"),
    }


def _placing(node: Record) -> dict[str, str]:
    """The labels that a node and each task on it have."""
    spec, description, status = node.record("Spec"), node.record("Description"), node.record("Status")
    platform = description.record("Platform")
    return {
        **keyed_labels(PREFIX + "node_label_", spec.text_map("Labels")),
        PREFIX + "node_id": node.text("ID"),
        PREFIX + "node_role": spec.text("Role"),
        PREFIX + "node_address": status.text("Addr"),
        PREFIX + "node_availability": spec.text("Availability"),
        PREFIX + "node_hostname": description.text("Hostname"),
        PREFIX + "node_platform_architecture": platform.text("Architecture"),
        PREFIX + "node_platform_os": platform.text("OS"),
        PREFIX + "node_status": status.text("State"),
    }
