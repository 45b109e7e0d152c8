"""Role `endpoints`: a target for each address and port of a service, and for further ports of the pods behind it.

Labels: `__meta_kubernetes_namespace`, `__meta_kubernetes_endpoints_` name, label_* and so on; `__meta_kubernetes_endpoint_`
hostname, node_name, ready, port_name, port_protocol, address_target_kind, address_target_name; those of the service's labels
and annotations; those of the pod where there is one (see `pod.py`).

As in Prometheus a changed pod shows when its endpoints or service change next, or at once when it is in another phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from trimon.discovery.asking.naming import host_port
from trimon.discovery.mechanisms.kubernetes.behindservice import BehindService, TargetsOfPods
from trimon.discovery.mechanisms.kubernetes.endpointobjects import Address, EndpointPort, Endpoints
from trimon.discovery.mechanisms.kubernetes.metalabels import ADDRESS, NAMESPACE, given, object_labels
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject, Pod
from trimon.discovery.mechanisms.kubernetes.resources import ENDPOINTS, NODES, PODS, SERVICES, Resource
from trimon.discovery.mechanisms.kubernetes.role import each_once, merged
from trimon.discovery.mechanisms.kubernetes.service import service_labels
from trimon.discovery.mechanisms.kubernetes.store import IndexFunction
from trimon.discovery.plugin import TargetGroup


class EndpointsRole(BehindService):
    """Endpoints."""

    resource = ENDPOINTS
    source_prefix = "endpoints/"
    takes_own_protocol = True
    counted = {"service": ("add", "update", "delete"), "pod": ("update",)}  # noqa: RUF012 # never changed

    def indexes(self) -> Mapping[str, IndexFunction]:
        """By pod, and by node."""
        found = {**super().indexes(), "pod": _pods}
        if NODES in self.resources():
            found["node"] = _nodes
        return found

    def affected_beside(
        self, resource: Resource, key: str, before: KubernetesObject | None, after: KubernetesObject | None
    ) -> Iterable[str]:
        """The endpoints of a service; those of a pod that has changed its phase."""
        own = self.stores[ENDPOINTS]
        if resource is SERVICES:
            return (key,) if own.get(key) is not None else ()
        if (
            resource is PODS
            and isinstance(before, Pod)
            and isinstance(after, Pod)
            and before.phase != after.phase
        ):
            return own.by_index("pod", key)
        return ()

    def group(self, found: KubernetesObject) -> TargetGroup:
        """A target for each port and address."""
        assert isinstance(found, Endpoints)
        meta = found.meta
        service = self.service_of(meta.key)
        labels = merged(
            {NAMESPACE: meta.namespace},
            service_labels(service) if service is not None else {},
            object_labels("endpoints", meta),
            self.labels_of_namespace(meta.namespace),
        )
        gathered = TargetsOfPods(self)
        for subset in found.subsets:
            for port in subset.ports:
                for address in subset.addresses:
                    gathered.add(self._target(address, port), address.target, port)
        gathered.add_further_ports()
        return TargetGroup(self.source(meta.key), gathered.targets, labels)

    def _target(self, address: Address, port: EndpointPort) -> dict[str, str]:
        target = {
            ADDRESS: host_port(address.ip, port.number or 0),
            **given(
                endpoint_port_name=port.name,
                endpoint_port_protocol=port.protocol,
                endpoint_ready="true" if address.ready else "false",
                endpoint_node_name=address.node or "",
                endpoint_hostname=address.hostname,
            ),
        }
        reference = address.target
        node = address.node
        if reference is not None:
            target.update(
                given(
                    endpoint_address_target_kind=reference.kind, endpoint_address_target_name=reference.name
                )
            )
            if node is None and reference.kind == "Node":
                node = reference.name
        target.update(self.labels_of_node(node))
        return target


def _ready(found: Endpoints) -> Iterator[Address]:
    return (each for subset in found.subsets for each in subset.addresses if each.ready)


def _pods(found: Endpoints) -> Iterable[str]:
    keys = (each.target.key for each in _ready(found) if each.target and each.target.kind == "Pod")
    return each_once(keys)


def _nodes(found: Endpoints) -> Iterable[str]:
    names = []
    for each in _ready(found):
        if each.target is not None and each.target.kind == "Pod" and each.node is not None:
            names.append(each.node)
        elif each.target is not None and each.target.kind == "Node":
            names.append(each.target.name)
    return each_once(names)
