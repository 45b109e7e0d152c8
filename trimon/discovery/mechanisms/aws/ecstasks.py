"""Tasks of ECS as targets: where one runs, and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimon.discovery.asking.naming import keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.asking.xmltree import Element
from trimon.discovery.mechanisms.aws.fields import pairs
from trimon.discovery.mechanisms.clouds.paged import Labels
from trimon.discovery.mechanisms.fields import texts
from trimon.records import dataclass

PREFIX: Final = "__meta_ecs_"
_INTERFACE: Final = "ElasticNetworkInterface"
_SERVICE: Final = "service:"
_TASK: Final = {
    "launch_type": "launchType",
    "health_status": "healthStatus",
    "task_group": "group",
    "task_arn": "taskArn",
    "task_definition": "taskDefinitionArn",
    "availability_zone": "availabilityZone",
    "desired_status": "desiredStatus",
    "last_status": "lastStatus",
    "container_instance_arn": "containerInstanceArn",
    "platform_family": "platformFamily",
    "platform_version": "platformVersion",
}
_CLUSTER: Final = {"cluster_arn": "clusterArn", "cluster": "clusterName"}
_OF_SERVICE: Final = {"service": "serviceName", "service_arn": "serviceArn", "service_status": "status"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a cluster besides its tasks."""

    cluster: Record
    services: Mapping[str, Record]
    """By name."""
    machine_ids: Mapping[str, str]
    """By container instance."""
    machines: Mapping[str, Element]
    """Those that have a private address, by id."""
    public_addresses: Mapping[str, str]
    """By network interface."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task and the cluster that it runs in."""

    record: Record
    around: Surroundings


def interface_of(task: Record) -> dict[str, str] | None:
    """What is said of the network interface of a task; nothing where it shares that of its machine."""
    for attachment in task.records("attachments"):
        if attachment.text("type") == _INTERFACE:
            return {each.text("name"): each.text("value") for each in attachment.records("details")}
    return None


def task_labels(task: Task, region: str) -> Labels | None:
    """The labels of a task that has an address, but for the address itself."""
    record, around = task.record, task.around
    interface, host = interface_of(record), record.text("containerInstanceArn")
    machine_id = around.machine_ids.get(host, "") if host else ""
    machine = around.machines.get(machine_id)
    labels: Labels = {}
    if interface is not None:
        labels["ip_address"] = interface.get("privateIPv4Address", "")
        labels["subnet_id"] = interface.get("subnetId", "")
        labels["public_ip"] = around.public_addresses.get(interface.get("networkInterfaceId", ""), "")
    elif machine is not None:
        labels["ip_address"] = machine.text_at("privateIpAddress")
        labels["subnet_id"] = machine.text_at("subnetId")
        labels["public_ip"] = machine.text_at("ipAddress")
    if not labels.get("ip_address"):
        return None
    labels |= {"region": region, "network_mode": "bridge" if interface is None else "awsvpc"}
    labels = {PREFIX + name: value for name, value in labels.items()}
    labels |= texts(record, PREFIX, _TASK) | texts(around.cluster, PREFIX, _CLUSTER)
    labels |= _machine_labels(machine_id, machine) if machine_id else {}
    labels |= _tags("cluster", around.cluster)
    group = record.text("group")
    if group.startswith(_SERVICE) and (service := around.services.get(group.removeprefix(_SERVICE))):
        labels |= texts(service, PREFIX, _OF_SERVICE) | _tags("service", service)
    return labels | _tags("task", record)


def _machine_labels(machine_id: str, machine: Element | None) -> Labels:
    labels = {f"{PREFIX}ec2_instance_id": machine_id}
    if machine is not None:
        labels |= {
            f"{PREFIX}ec2_instance_type": machine.text_at("instanceType"),
            f"{PREFIX}ec2_instance_private_ip": machine.text_at("privateIpAddress"),
            f"{PREFIX}ec2_instance_public_ip": machine.text_at("ipAddress"),
            **keyed_labels(f"{PREFIX}tag_ec2_", pairs(machine, "tagSet.item", "key", "value")),
        }
    return labels


def _tags(of: str, record: Record) -> Labels:
    tags = {each.text("key"): each.text("value") for each in record.records("tags") if "value" in each}
    return keyed_labels(f"{PREFIX}tag_{of}_", tags)
