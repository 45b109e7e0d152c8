"""Objects of the API, as much of each as targets are told of: fifty thousand pods are kept, and not their whole text.

An object is never changed after it was read, so that threads may look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Protocol

from trimon.discovery.asking.record import Record, SourceError
from trimon.records import dataclass


@dataclass(slots=True, eq=False)
class Meta:
    """What every object has."""

    name: str
    namespace: str
    version: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner_kind: str
    """The kind of the object that controls this one; empty where none does."""
    owner_name: str

    @property
    def key(self) -> str:
        """`namespace/name`, or the name of what is in none."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def owner_key(self) -> str:
        """The key of what controls it."""
        return f"{self.namespace}/{self.owner_name}"

    @classmethod
    def read(cls, whole: Record) -> Meta:
        """The metadata of an object. Raises SourceError."""
        found = whole.record("metadata")
        name = found.text("name")
        if not name:
            raise SourceError("an object of the answer has no name")
        owner = next((each for each in found.records("ownerReferences") if each.flag("controller")), None)
        return cls(
            name,
            intern(found.text("namespace")),
            found.text("resourceVersion"),
            found.text("uid"),
            found.text_map("labels"),
            found.text_map("annotations"),
            intern(owner.text("kind")) if owner else "",
            owner.text("name") if owner else "",
        )


class KubernetesObject(Protocol):
    """Anything that is kept."""

    @property
    def meta(self) -> Meta:
        """Its name, labels and the like."""
        ...


@dataclass(slots=True, eq=False)
class Owned:
    """An object of which only the metadata counts: namespaces, replica sets, jobs."""

    meta: Meta

    @classmethod
    def read(cls, whole: Record) -> Owned:
        """What is kept of it. Raises SourceError."""
        return cls(Meta.read(whole))


@dataclass(slots=True, eq=False)
class ContainerPort:
    """A port that a container declares."""

    number: int
    name: str
    protocol: str


@dataclass(slots=True, eq=False)
class Container:
    """A container of a pod; `init` for those that run before the others."""

    name: str
    image: str
    id: str
    init: bool
    ports: tuple[ContainerPort, ...]


@dataclass(slots=True, eq=False)
class Pod:
    """A pod and where it runs."""

    meta: Meta
    ip: str
    host_ip: str
    node: str
    phase: str
    ready: str
    containers: tuple[Container, ...]
    """Init containers last."""

    @classmethod
    def read(cls, whole: Record) -> Pod:
        """What is kept of it. Raises SourceError."""
        spec, status = whole.record("spec"), whole.record("status")
        ready = next(
            (each.text("status") for each in status.records("conditions") if each.text("type") == "Ready"),
            "Unknown",
        )
        containers = [
            *_containers(spec.records("containers"), status.records("containerStatuses"), init=False),
            *_containers(spec.records("initContainers"), status.records("initContainerStatuses"), init=True),
        ]
        return cls(
            Meta.read(whole),
            status.text("podIP"),
            intern(status.text("hostIP")),
            intern(spec.text("nodeName")),
            intern(status.text("phase")),
            intern(ready.lower()),
            tuple(containers),
        )


def _containers(specs: list[Record], statuses: list[Record], *, init: bool) -> list[Container]:
    ids: dict[str, str] = {}
    for each in statuses:
        ids.setdefault(each.text("name"), each.text("containerID"))
    return [
        Container(
            intern(spec.text("name")),
            intern(spec.text("image")),
            ids.get(spec.text("name"), ""),
            init,
            tuple(
                ContainerPort(
                    port.whole("containerPort"), intern(port.text("name")), intern(port.text("protocol"))
                )
                for port in spec.records("ports")
            ),
        )
        for spec in specs
    ]


@dataclass(slots=True, eq=False)
class ServicePort:
    """A port of a service."""

    number: int
    name: str
    protocol: str


@dataclass(slots=True, eq=False)
class Service:
    """A service; `balancer_ips` joined by commas."""

    meta: Meta
    type: str
    cluster_ip: str
    external_name: str
    balancer_ips: str
    family_policy: str
    families: tuple[str, ...]
    ports: tuple[ServicePort, ...]

    @classmethod
    def read(cls, whole: Record) -> Service:
        """What is kept of it. Raises SourceError."""
        spec = whole.record("spec")
        balancer = whole.record("status").record("loadBalancer").records("ingress")
        ips = [ip for ip in (each.text("ip") for each in balancer) if ip]
        return cls(
            Meta.read(whole),
            intern(spec.text("type")),
            spec.text("clusterIP"),
            spec.text("externalName"),
            ",".join(ips) or spec.text("loadBalancerIP"),
            intern(spec.text("ipFamilyPolicy")),
            tuple(intern(family) for family in spec.texts("ipFamilies")),
            tuple(
                ServicePort(port.whole("port"), port.text("name"), intern(port.text("protocol")))
                for port in spec.records("ports")
            ),
        )


@dataclass(slots=True, eq=False)
class Node:
    """A node of the cluster."""

    meta: Meta
    provider_id: str
    kubelet_port: int
    conditions: tuple[tuple[str, str], ...]
    """Type and status, small letters."""
    addresses: Mapping[str, str]
    """The first address of each type."""

    @classmethod
    def read(cls, whole: Record) -> Node:
        """What is kept of it. Raises SourceError."""
        status = whole.record("status")
        addresses: dict[str, str] = {}
        for each in status.records("addresses"):
            addresses.setdefault(each.text("type"), each.text("address"))
        return cls(
            Meta.read(whole),
            whole.record("spec").text("providerID"),
            status.record("daemonEndpoints").record("kubeletEndpoint").whole("Port"),
            tuple(
                (each.text("type").lower(), each.text("status").lower())
                for each in status.records("conditions")
            ),
            addresses,
        )
