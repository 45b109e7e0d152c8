"""What a role makes of the objects that are known: groups, and which of them a change concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, TypeVar

from trimon.config.discovery.kubernetes import AttachMetadata
from trimon.discovery.mechanisms.kubernetes.metalabels import namespace_labels, object_labels
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject
from trimon.discovery.mechanisms.kubernetes.resources import NAMESPACES, NODES, Resource
from trimon.discovery.mechanisms.kubernetes.store import IndexFunction, Store
from trimon.discovery.plugin import TargetGroup

T = TypeVar("T")


class Role:
    """The base of roles: one group for each object of its resource.

    It may be asked from a thread. `group` depends on nothing but the objects in the stores.
    """

    resource: ClassVar[Resource]
    source_prefix: ClassVar[str]
    on_nodes: ClassVar[bool] = False
    """Whether `attach_metadata.node` means something for it; its objects have the index `node` then."""
    beside: ClassVar[tuple[Resource, ...]] = ()
    """Other resources that are always needed."""
    behind_others: ClassVar[bool] = False
    """Whether groups also tell of objects whose changes concern them only later, so that any occasion is welcome."""
    counted: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Which events of the resources beside are counted: role of the resource, kinds of events."""

    def __init__(self, attach: AttachMetadata) -> None:
        self.attach = attach
        self.stores: Mapping[Resource, Store] = {}
        """Set before it is asked for anything."""

    def resources(self) -> list[Resource]:
        """All that have to be watched, the role's own first."""
        found = [self.resource, *self.beside]
        if self.attach.node and self.on_nodes:
            found.append(NODES)
        if self.attach.namespace and self.resource.namespaced:
            found.append(NAMESPACES)
        return found

    def indexes(self) -> Mapping[str, IndexFunction]:
        """The indexes that objects of its own resource have."""
        return {"namespace": lambda each: (each.meta.namespace,)} if NAMESPACES in self.resources() else {}

    def source(self, key: str) -> str:
        """The source of the group of an object."""
        return self.source_prefix + key

    def group(self, found: KubernetesObject) -> TargetGroup | None:
        """The group of an object of its own resource; None leaves the group as it is."""
        raise NotImplementedError

    def affected(
        self, resource: Resource, key: str, before: KubernetesObject | None, after: KubernetesObject | None
    ) -> Iterable[str]:
        """Keys of the objects of its own resource whose groups a change concerns."""
        if resource is self.resource:
            return (key,)
        if resource in (NAMESPACES, NODES) and not self.behind_others and _says_the_same(before, after):
            return ()  # nodes tell every few minutes that they are well
        own = self.stores[self.resource]
        if resource is NAMESPACES:
            return own.by_index("namespace", key)
        if resource is NODES:
            return own.by_index("node", key)
        return self.affected_beside(resource, key, before, after)

    def affected_beside(
        self, resource: Resource, key: str, before: KubernetesObject | None, after: KubernetesObject | None
    ) -> Iterable[str]:
        """The same, for what is neither its own resource nor a namespace or node."""
        raise NotImplementedError

    # ---- for the roles

    def known(self, resource: Resource, kind: type[T], key: str) -> T | None:
        """An object that is known."""
        found = self.stores[resource].get(key)
        return found if isinstance(found, kind) else None

    def labels_of_namespace(self, name: str) -> dict[str, str]:
        """The labels of a namespace, where they are wanted."""
        if not self.attach.namespace:
            return {}
        found = self.stores[NAMESPACES].get(name)
        return namespace_labels(found.meta) if found is not None else {}

    def labels_of_node(self, name: str | None) -> dict[str, str]:
        """The labels of a node, where they are wanted."""
        if not self.attach.node or name is None:
            return {}
        found = self.stores[NODES].get(name)
        return object_labels("node", found.meta) if found is not None else {}


def _says_the_same(before: KubernetesObject | None, after: KubernetesObject | None) -> bool:
    """Whether two states of an object give the same labels."""
    return (
        before is not None
        and after is not None
        and before.meta.labels == after.meta.labels
        and before.meta.annotations == after.meta.annotations
    )


def merged(*label_sets: Mapping[str, str]) -> dict[str, str]:
    """Labels put together, later ones win."""
    found: dict[str, str] = {}
    for labels in label_sets:
        found.update(labels)
    return found


def each_once(items: Iterable[str]) -> Iterator[str]:
    """Items without repetitions, in their order."""
    return iter(dict.fromkeys(items))
