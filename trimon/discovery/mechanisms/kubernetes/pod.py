"""Role `pod`: a target for each port that a container of a pod declares, or for the container where it declares none.

Labels: `__meta_kubernetes_namespace`; `__meta_kubernetes_pod_` name, ip, ready, phase, node_name, host_ip, uid,
controller_kind, controller_name, container_name, container_id, container_image, container_init, container_port_name,
container_port_number, container_port_protocol, label_*, labelpresent_*, annotation_*, annotationpresent_*; with
`attach_metadata` deployment_name, job_name, cronjob_name, and those of node and namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trimon.discovery.asking.naming import host_port
from trimon.discovery.mechanisms.kubernetes.metalabels import ADDRESS, NAMESPACE, given, object_labels
from trimon.discovery.mechanisms.kubernetes.objects import (
    Container,
    ContainerPort,
    KubernetesObject,
    Owned,
    Pod,
)
from trimon.discovery.mechanisms.kubernetes.resources import JOBS, NODES, PODS, REPLICASETS, Resource
from trimon.discovery.mechanisms.kubernetes.role import Role, merged
from trimon.discovery.mechanisms.kubernetes.store import IndexFunction
from trimon.discovery.plugin import TargetGroup


class PodAware(Role):
    """A role whose targets are told of pods, and of what controls them."""

    on_nodes = True

    def resources(self) -> list[Resource]:
        """What controls pods too, where it is wanted."""
        found = super().resources()
        if self.attach.deployment:
            found.append(REPLICASETS)
        if self.attach.job or self.attach.cronjob:
            found.append(JOBS)
        return found

    def pod_labels(self, pod: Pod) -> dict[str, str]:
        """What a target is told of its pod."""
        meta = pod.meta
        labels = given(
            pod_ip=pod.ip,
            pod_ready=pod.ready,
            pod_phase=pod.phase,
            pod_node_name=pod.node,
            pod_host_ip=pod.host_ip,
            pod_uid=meta.uid,
            pod_controller_kind=meta.owner_kind,
            pod_controller_name=meta.owner_name,
        )
        labels.update(object_labels("pod", meta))
        if meta.owner_kind == "ReplicaSet" and self.attach.deployment:
            labels.update(given(pod_deployment_name=self._owner(REPLICASETS, pod, "Deployment")))
        if meta.owner_kind == "Job":
            if self.attach.job:
                labels.update(given(pod_job_name=meta.owner_name))
            if self.attach.cronjob:
                labels.update(given(pod_cronjob_name=self._owner(JOBS, pod, "CronJob")))
        return labels

    def _owner(self, resource: Resource, pod: Pod, kind: str) -> str:
        """The name of what controls the controller of a pod, if it is of that kind."""
        found = self.known(resource, Owned, pod.meta.owner_key)
        return found.meta.owner_name if found is not None and found.meta.owner_kind == kind else ""


def container_labels(container: Container) -> dict[str, str]:
    """What a target is told of its container."""
    return given(
        pod_container_name=container.name,
        pod_container_image=container.image,
        pod_container_init="true" if container.init else "false",
    )


def port_labels(port: ContainerPort, protocol: str) -> dict[str, str]:
    """What a target is told of the port of its container."""
    return given(
        pod_container_port_name=port.name,
        pod_container_port_number=str(port.number),
        pod_container_port_protocol=protocol,
    )


class PodRole(PodAware):
    """Pods. One without an address has no target, nor has one on a node that the selectors leave out."""

    resource = PODS
    source_prefix = "pod/"

    def indexes(self) -> Mapping[str, IndexFunction]:
        """By node, and by what controls them."""
        found = dict(super().indexes())
        wanted = self.resources()
        if NODES in wanted:
            found["node"] = lambda pod: (pod.node,)
        if REPLICASETS in wanted or JOBS in wanted:
            found["owner"] = lambda pod: (f"{pod.meta.owner_kind}/{pod.meta.owner_key}",)
        return found

    def affected_beside(
        self,
        resource: Resource,
        key: str,
        before: KubernetesObject | None,  # noqa: ARG002 # any change counts
        after: KubernetesObject | None,  # noqa: ARG002
    ) -> Iterable[str]:
        """Pods that are controlled by what changed."""
        kind = "ReplicaSet" if resource is REPLICASETS else "Job"
        return self.stores[PODS].by_index("owner", f"{kind}/{key}")

    def group(self, found: KubernetesObject) -> TargetGroup:
        """A target for each port."""
        assert isinstance(found, Pod)
        meta, source = found.meta, self.source(found.meta.key)
        if not found.ip or (self.attach.node and self.stores[NODES].get(found.node) is None):
            return TargetGroup(source)
        labels = merged(
            self.pod_labels(found),
            {NAMESPACE: meta.namespace},
            self.labels_of_node(found.node),
            self.labels_of_namespace(meta.namespace),
        )
        targets = []
        for container in found.containers:
            own = merged(container_labels(container), given(pod_container_id=container.id))
            if not container.ports:
                targets.append({ADDRESS: found.ip, **own})
            for port in container.ports:
                about = port_labels(port, port.protocol)
                targets.append({ADDRESS: host_port(found.ip, port.number), **own, **about})
        return TargetGroup(source, targets, labels)
