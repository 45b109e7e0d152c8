"""Role `service`: a target for each port of a service, at its name in the cluster.

Labels: `__meta_kubernetes_namespace`; `__meta_kubernetes_service_` name, port_name, port_number, port_protocol, type,
cluster_ip, external_name, loadbalancer_ip, label_*, labelpresent_*, annotation_*, annotationpresent_*.
"""

from __future__ import annotations

from trimon.discovery.asking.naming import host_port
from trimon.discovery.mechanisms.kubernetes.metalabels import ADDRESS, NAMESPACE, given, object_labels
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject, Service
from trimon.discovery.mechanisms.kubernetes.resources import SERVICES
from trimon.discovery.mechanisms.kubernetes.role import Role, merged
from trimon.discovery.plugin import TargetGroup


def service_labels(service: Service) -> dict[str, str]:
    """What targets behind a service are told of it."""
    return {NAMESPACE: service.meta.namespace, **object_labels("service", service.meta)}


class ServiceRole(Role):
    """Services."""

    resource = SERVICES
    source_prefix = "svc/"

    def group(self, found: KubernetesObject) -> TargetGroup:
        """A target for each port."""
        assert isinstance(found, Service)
        meta = found.meta
        external, balanced = found.type == "ExternalName", found.type == "LoadBalancer"
        own = given(
            service_type=found.type,
            service_external_name=found.external_name if external else "",
            service_cluster_ip="" if external else found.cluster_ip,
            service_loadbalancer_ip=found.balancer_ips if balanced else "",
        )
        targets = [
            {
                ADDRESS: host_port(f"{meta.name}.{meta.namespace}.svc", port.number),
                **given(
                    service_port_name=port.name,
                    service_port_number=str(port.number),
                    service_port_protocol=port.protocol,
                ),
            }
            for port in found.ports
        ]
        labels = merged(service_labels(found), self.labels_of_namespace(meta.namespace), own)
        return TargetGroup(self.source(meta.key), targets, labels)
