"""Role `node`: a target for each node, at the port of its kubelet.

Labels: `__meta_kubernetes_node_` name, provider_id, condition_<type>, address_<type>, label_*, labelpresent_*,
annotation_*, annotationpresent_*; and `instance`.
"""

from __future__ import annotations

from typing import Final

from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.mechanisms.kubernetes.metalabels import ADDRESS, PREFIX, given, object_labels
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject, Node
from trimon.discovery.mechanisms.kubernetes.resources import NODES
from trimon.discovery.mechanisms.kubernetes.role import Role, merged
from trimon.discovery.plugin import TargetGroup

# The first of these types that a node has an address of.
_TYPES: Final = ("InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname")


class NodeRole(Role):
    """Nodes. One without an address keeps the target it had."""

    resource = NODES
    source_prefix = "node/"

    def group(self, found: KubernetesObject) -> TargetGroup | None:
        """One target."""
        assert isinstance(found, Node)
        kind = next((kind for kind in _TYPES if kind in found.addresses), None)
        if kind is None:
            return None
        labels = merged(
            given(node_provider_id=found.provider_id),
            keyed_labels(f"{PREFIX}node_condition_", dict(found.conditions)),
            object_labels("node", found.meta),
        )
        target = {
            ADDRESS: host_port(found.addresses[kind], found.kubelet_port),
            "instance": found.meta.name,
            **keyed_labels(f"{PREFIX}node_address_", found.addresses),
        }
        return TargetGroup(self.source(found.meta.key), (target,), labels)
