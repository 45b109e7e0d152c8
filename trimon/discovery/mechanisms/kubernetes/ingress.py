"""Role `ingress`: a target for each path of each host, for probes from outside.

Labels: `__meta_kubernetes_namespace`; `__meta_kubernetes_ingress_` name, scheme, host, path, class_name, label_*,
labelpresent_*, annotation_*, annotationpresent_*.
"""

from __future__ import annotations

from trimon.discovery.mechanisms.kubernetes.endpointobjects import Ingress
from trimon.discovery.mechanisms.kubernetes.metalabels import ADDRESS, NAMESPACE, given, object_labels
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject
from trimon.discovery.mechanisms.kubernetes.resources import INGRESSES
from trimon.discovery.mechanisms.kubernetes.role import Role, merged
from trimon.discovery.plugin import TargetGroup


class IngressRole(Role):
    """Ingresses."""

    resource = INGRESSES
    source_prefix = "ingress/"

    def group(self, found: KubernetesObject) -> TargetGroup:
        """A target for each path of each rule."""
        assert isinstance(found, Ingress)
        meta = found.meta
        labels = merged(
            {NAMESPACE: meta.namespace},
            given(ingress_class_name=found.class_name),
            object_labels("ingress", meta),
            self.labels_of_namespace(meta.namespace),
        )
        targets = []
        for rule in found.rules:
            secure = any(covers(pattern, rule.host) for pattern in found.tls_hosts)
            for path in rule.paths:
                about = given(
                    ingress_scheme="https" if secure else "http", ingress_host=rule.host, ingress_path=path
                )
                targets.append({ADDRESS: rule.host, **about})
        return TargetGroup(self.source(meta.key), targets, labels)


def covers(pattern: str, host: str) -> bool:
    """Whether a host is the one of a pattern, or one of `*.domain`; the star stands for one label."""
    if pattern == host:
        return True
    star, _, domain = pattern.partition(".")
    _, dot, rest = host.partition(".")
    return star == "*" and bool(dot) and rest == domain
