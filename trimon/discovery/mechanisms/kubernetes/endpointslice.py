"""Role `endpointslice`: a target for each address and port of each slice, and for further ports of the pods behind it.

Labels: `__meta_kubernetes_namespace`; `__meta_kubernetes_endpointslice_` name, address_type, port, port_name, port_protocol,
port_app_protocol, endpoint_conditions_ready, endpoint_conditions_serving, endpoint_conditions_terminating,
endpoint_hostname, endpoint_node_name, endpoint_zone, endpoint_topology_*, endpoint_topology_present_*, address_target_kind,
address_target_name, label_* and so on; those of the service's labels and annotations; those of the pod where there is one
(see `pod.py`).

As in Prometheus a changed pod shows when its slice or service changes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from trimon.discovery.asking.naming import host_port, sanitized
from trimon.discovery.mechanisms.kubernetes.behindservice import BehindService, TargetsOfPods
from trimon.discovery.mechanisms.kubernetes.endpointobjects import EndpointPort, EndpointSlice, SliceEndpoint
from trimon.discovery.mechanisms.kubernetes.metalabels import (
    ADDRESS,
    NAMESPACE,
    PREFIX,
    PRESENT,
    given,
    object_labels,
)
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject, Service
from trimon.discovery.mechanisms.kubernetes.resources import ENDPOINTSLICES, NODES, SERVICES, Resource
from trimon.discovery.mechanisms.kubernetes.role import each_once, merged
from trimon.discovery.mechanisms.kubernetes.service import service_labels
from trimon.discovery.mechanisms.kubernetes.store import IndexFunction
from trimon.discovery.plugin import TargetGroup

_SERVICE_NAME: Final = "kubernetes.io/service-name"
_DUAL_STACK: Final = ("PreferDualStack", "RequireDualStack")
_TOPOLOGY: Final = f"{PREFIX}endpointslice_endpoint_topology_"


class EndpointSliceRole(BehindService):
    """Endpoint slices. Those of the second address family of a service are left out: they are the same pods."""

    resource = ENDPOINTSLICES
    source_prefix = "endpointslice/"
    counted = {"service": ("add", "update", "delete")}  # noqa: RUF012 # never changed

    def indexes(self) -> Mapping[str, IndexFunction]:
        """By service, and by node."""
        found = {**super().indexes(), "service": _services}
        if NODES in self.resources():
            found["node"] = _nodes
        return found

    def affected_beside(
        self,
        resource: Resource,
        key: str,
        before: KubernetesObject | None,  # noqa: ARG002 # any change of a service counts
        after: KubernetesObject | None,  # noqa: ARG002
    ) -> Iterable[str]:
        """The slices of a service."""
        return self.stores[ENDPOINTSLICES].by_index("service", key) if resource is SERVICES else ()

    def group(self, found: KubernetesObject) -> TargetGroup:
        """A target for each endpoint, port and address."""
        assert isinstance(found, EndpointSlice)
        meta, source = found.meta, self.source(found.meta.key)
        services = _services(found)
        service = self.service_of(services[0]) if services else None
        if service is not None and _is_second_family(service, found):
            return TargetGroup(source)
        labels = merged(
            {NAMESPACE: meta.namespace},
            given(endpointslice_address_type=found.address_type),
            object_labels("endpointslice", meta),
            service_labels(service) if service is not None else {},
            self.labels_of_namespace(meta.namespace),
        )
        gathered = TargetsOfPods(self)
        for endpoint in found.endpoints:
            about = self._endpoint_labels(endpoint)
            for port in found.ports:
                more = merged(_port_labels(port), about)
                for address in endpoint.addresses:
                    at = address if port.number is None else host_port(address, port.number)
                    gathered.add({ADDRESS: at, **more}, endpoint.target, port)
        gathered.add_further_ports()
        return TargetGroup(source, gathered.targets, labels)

    def _endpoint_labels(self, endpoint: SliceEndpoint) -> dict[str, str]:
        reference = endpoint.target
        labels = given(
            endpointslice_endpoint_hostname=endpoint.hostname,
            endpointslice_endpoint_node_name=endpoint.node or "",
            endpointslice_endpoint_zone=endpoint.zone,
            endpointslice_address_target_kind=reference.kind if reference is not None else "",
            endpointslice_address_target_name=reference.name if reference is not None else "",
        )
        for name, value in endpoint.conditions:
            labels[f"{PREFIX}endpointslice_endpoint_conditions_{name}"] = value
        for key, value in endpoint.topology.items():
            labels[f"{_TOPOLOGY}present_{sanitized(key)}"] = PRESENT
            if value:
                labels[_TOPOLOGY + sanitized(key)] = value
        on_node = reference is not None and reference.kind == "Node"
        labels.update(self.labels_of_node(reference.name if on_node and reference else endpoint.node))
        return labels


def _port_labels(port: EndpointPort) -> dict[str, str]:
    return given(
        endpointslice_port_name=port.name,
        endpointslice_port_protocol=port.protocol,
        endpointslice_port="" if port.number is None else str(port.number),
        endpointslice_port_app_protocol=port.app_protocol,
    )


def _is_second_family(service: Service, found: EndpointSlice) -> bool:
    return (
        service.family_policy in _DUAL_STACK
        and bool(service.families)
        and service.families[0] != found.address_type
    )


def _services(found: EndpointSlice) -> tuple[str, ...]:
    name = found.meta.labels.get(_SERVICE_NAME)
    return () if name is None else (f"{found.meta.namespace}/{name}",)


def _nodes(found: EndpointSlice) -> Iterable[str]:
    names = []
    for each in found.endpoints:
        if each.target is not None and each.target.kind == "Pod" and each.node is not None:
            names.append(each.node)
        elif each.target is not None and each.target.kind == "Node":
            names.append(each.target.name)
    return each_once(names)
