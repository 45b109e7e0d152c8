"""What endpoints and endpoint slices have in common: targets that are pods, and the ports of those that nobody named."""

from __future__ import annotations

from collections.abc import Mapping

from trimon.discovery.asking.naming import host_port
from trimon.discovery.mechanisms.kubernetes.endpointobjects import EndpointPort, Reference
from trimon.discovery.mechanisms.kubernetes.metalabels import ADDRESS
from trimon.discovery.mechanisms.kubernetes.objects import Pod, Service
from trimon.discovery.mechanisms.kubernetes.pod import PodAware, container_labels, port_labels
from trimon.discovery.mechanisms.kubernetes.resources import PODS, SERVICES
from trimon.discovery.mechanisms.kubernetes.role import merged


class BehindService(PodAware):
    """A role whose objects say where a service is reached."""

    beside = (SERVICES, PODS)
    behind_others = True
    takes_own_protocol = False
    """Whether the label of a container port's protocol says the protocol of the endpoint."""

    def service_of(self, key: str) -> Service | None:
        """A service that is known."""
        return self.known(SERVICES, Service, key)

    def pod_of(self, target: Reference | None) -> Pod | None:
        """The pod that an address leads to, if it is one that is known."""
        if target is None or target.kind != "Pod":
            return None
        return self.known(PODS, Pod, target.key)


class TargetsOfPods:
    """The targets of one group, as they are gathered."""

    def __init__(self, role: BehindService) -> None:
        self._role = role
        self._pods: dict[str, tuple[Pod, dict[str, str], set[int]]] = {}
        self.targets: list[Mapping[str, str]] = []

    def add(self, target: dict[str, str], reference: Reference | None, port: EndpointPort) -> None:
        """A target, with what is known of its pod and of the container that has this port."""
        pod = self._role.pod_of(reference)
        if pod is None:
            self.targets.append(target)
            return
        key = pod.meta.key
        if key not in self._pods:
            self._pods[key] = (pod, self._role.pod_labels(pod), set())
        _, labels, seen = self._pods[key]
        target.update(labels)
        if port.number is not None:
            seen.add(port.number)
            for container in pod.containers:
                declared = next((each for each in container.ports if each.number == port.number), None)
                if declared is not None:
                    protocol = port.protocol if self._role.takes_own_protocol else declared.protocol
                    target.update(merged(container_labels(container), port_labels(declared, protocol)))
        self.targets.append(target)

    def add_further_ports(self) -> None:
        """Targets for the ports of the pods so far that none of these was for."""
        for pod, labels, seen in self._pods.values():
            if not pod.ip:
                continue
            for container in pod.containers:
                for port in container.ports:
                    if port.number in seen:
                        continue
                    self.targets.append(
                        {
                            ADDRESS: host_port(pod.ip, port.number),
                            **container_labels(container),
                            **port_labels(port, port.protocol),
                            **labels,
                        }
                    )
