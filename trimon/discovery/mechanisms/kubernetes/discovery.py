"""Objects of a Kubernetes cluster (`kubernetes_sd_configs`), watched at its API server.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/. Labels: `__meta_kubernetes_*`, which the file of each
role names. Each resource is watched once for each namespace; the watches of a role feed one set of groups:

    informer ─ store ─┐
    informer ─ store ─┼─ keys of groups that changed ─ at most every 100 ms ─ built in a thread ─ published if others
    informer ─ store ─┘
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Final

import trio

from trimon.config.discovery.kubernetes import KubernetesSdConfig, Selector
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.refresh import SourceStats
from trimon.discovery.mechanisms.kubernetes.access import access_of
from trimon.discovery.mechanisms.kubernetes.endpoints import EndpointsRole
from trimon.discovery.mechanisms.kubernetes.endpointslice import EndpointSliceRole
from trimon.discovery.mechanisms.kubernetes.informer import Change, Concerned, Informer
from trimon.discovery.mechanisms.kubernetes.ingress import IngressRole
from trimon.discovery.mechanisms.kubernetes.kubeconfig import ClusterAccess
from trimon.discovery.mechanisms.kubernetes.node import NodeRole
from trimon.discovery.mechanisms.kubernetes.pod import PodRole
from trimon.discovery.mechanisms.kubernetes.resources import Part, Resource
from trimon.discovery.mechanisms.kubernetes.role import Role
from trimon.discovery.mechanisms.kubernetes.service import ServiceRole
from trimon.discovery.mechanisms.kubernetes.store import Store
from trimon.discovery.plugin import CheckedGroups, Context, Sink
from trimon.discovery.sink import BadPublish, LabelSets, merge_group
from trimon.fetch.client import HttpFetch
from trimon.fetch.request import Fetch
from trimon.peers.options import client_options
from trimon.records import dataclass

ROLES: Final[Mapping[str, type[Role]]] = {
    "node": NodeRole,
    "service": ServiceRole,
    "pod": PodRole,
    "endpoints": EndpointsRole,
    "endpointslice": EndpointSliceRole,
    "ingress": IngressRole,
}
# A flood of events is published this often.
PUBLISH_EVERY_S: Final = 0.1
# What could not be published is tried again after this time, or when something changes.
REFUSED_AGAIN_S: Final = 30.0


@dataclass(slots=True)
class _Built:
    """Groups as they are to be published: those that are others than before."""

    by_source: dict[str, LabelSets] = field(default_factory=dict)
    targets: int = 0
    refused: list[str] = field(default_factory=list)
    """Why groups were left as they were."""


class KubernetesDiscovery:
    """Watches what its role needs.

    Owns its informers and stores. Sends groups to the sink when every informer has a complete list, and changed groups from
    then on; a namespace that the server denies again and again keeps no other waiting. Crashes when the way to the API server
    cannot be made out (UserError). On restart it lists anew.
    """

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        self._config = config_option(options, KubernetesSdConfig)
        self._context = context
        self.stats = SourceStats()
        self._role = ROLES[self._config.role](self._config.attach_metadata)
        self._stores: dict[Resource, Store] = {}
        self._informers: list[Informer] = []
        self._dirty: set[str] = set()
        self._changed = trio.Event()
        self._published: dict[str, LabelSets] = {}
        self._open: set[str] = set()
        """Namespaces of which all that is needed was listed."""

    async def run(self, sink: Sink) -> None:
        """Watch and publish, for ever. Raises UserError."""
        access = await self._context.offload.run(lambda: access_of(self._config))
        fetches = self._prepare(access)
        try:
            async with trio.open_nursery() as nursery:
                for informer in self._informers:
                    nursery.start_soon(informer.run)
                await self._publish_all(sink)
        finally:
            with trio.CancelScope(shield=True):
                for fetch in fetches:
                    await fetch.aclose()

    def inspect(self) -> Mapping[str, object]:
        """The figures of all watches together, and of each."""
        return {
            **self.stats.shown(),
            "watches": {informer.part.shown: informer.inspect() for informer in self._informers},
            "groups_to_build": len(self._dirty),
        }

    # ---- the watches

    def _prepare(self, access: ClusterAccess) -> list[Fetch]:
        """Stores and informers as for a first start; the clients of the informers."""
        namespaces = self._namespaces(access)
        resources = self._role.resources()
        self._stores = {
            each: Store(
                self._role.indexes() if each is self._role.resource else {},
                namespaces if each.namespaced else [""],
            )
            for each in resources
        }
        self._role.stores = self._stores
        self._dirty, self._changed, self._published, self._open = set(), trio.Event(), {}, set()
        self._informers = []
        fetches = []
        selectors = {selector.role: selector for selector in self._config.selectors}
        for resource, store in self._stores.items():
            for namespace, part in store.parts.items():
                selector = selectors.get(resource.role, Selector()) if resource.role else Selector()
                fetch = self._fetch(access)
                fetches.append(fetch)
                self._informers.append(
                    Informer(
                        self._context,
                        fetch,
                        access.url,
                        Part(resource, namespace, selector.label, selector.field),
                        part,
                        self._concerned,
                        self._take,
                        self._note_health,
                    )
                )
        return fetches

    def _fetch(self, access: ClusterAccess) -> Fetch:
        """A client for one informer; the context's are for the configuration's own way."""
        if access.client is self._config:
            return self._context.further_fetch()
        return HttpFetch(client_options(access.client))

    def _namespaces(self, access: ClusterAccess) -> list[str]:
        """Those that are looked into; one that is empty stands for all."""
        names = [*self._config.namespaces.names]
        if access.own_namespace:
            names.append(access.own_namespace)
        return list(dict.fromkeys(names)) if names and "" not in names else [""]

    def _concerned(self, part: Part, changes: Iterable[Change]) -> Concerned:
        """What changes concern; from any thread."""
        found, role, resource = Concerned(), self._role, part.resource
        counted = (
            ("add", "update", "delete") if resource is role.resource else role.counted.get(resource.role, ())
        )
        for key, before, after in changes:
            kind = "add" if before is None else "delete" if after is None else "update"
            if kind in counted:
                found.events[f"events_{resource.role}_{kind}"] += 1
            found.keys.update(role.affected(resource, key, before, after))
        return found

    def _take(self, concerned: Concerned) -> None:
        self.stats.counts.update(concerned.events)
        if concerned.keys:
            self._dirty |= concerned.keys
            self._changed.set()

    def _note_health(self) -> None:
        """The figures of all watches together; an error stays until the watch that has it is well again."""
        each = [informer.stats for informer in self._informers]
        failures = sum(stats.failures for stats in each)
        self.stats.counts["failures"] += failures - self.stats.failures
        self.stats.failures = failures
        self.stats.refreshes = sum(stats.refreshes for stats in each)
        self.stats.last_success_ms = max(stats.last_success_ms for stats in each)
        last = max(each, key=lambda stats: (bool(stats.last_error), stats.last_error_ms))
        self.stats.last_error, self.stats.last_error_ms = last.last_error, last.last_error_ms
        self._open_namespaces()

    def _open_namespaces(self) -> None:
        """Let those in of which all was listed by now."""
        everywhere = (informer for informer in self._informers if not informer.part.resource.namespaced)
        own = self._stores[self._role.resource]
        if all(informer.synced.is_set() for informer in everywhere):
            for namespace in own.parts.keys() - self._open:
                if all(informer.synced.is_set() for informer in self._of(namespace)):
                    self._open.add(namespace)
                    self._dirty |= own.parts[namespace].objects.keys()
        if self._dirty or not self._published:
            self._changed.set()

    def _of(self, namespace: str) -> list[Informer]:
        return [informer for informer in self._informers if informer.part.namespace == namespace]

    def _is_ready(self) -> bool:
        """Whether all was listed, but for namespaces that are denied."""
        closed = self._stores[self._role.resource].parts.keys() - self._open
        return bool(self._open) and all(
            any(informer.is_denied for informer in self._of(namespace)) for namespace in closed
        )

    # ---- the groups

    async def _publish_all(self, sink: Sink) -> None:
        while not self._is_ready():
            await self._changed.wait()
            self._changed = trio.Event()
        first = True
        while True:
            keys, self._dirty, self._changed = self._dirty, set(), trio.Event()
            wait_s = PUBLISH_EVERY_S
            try:
                known = self._known(keys)
                built = await self._context.offload.run(lambda: self._built(known))  # noqa: B023 # it ends in this turn
                if built.by_source or first:
                    sink.publish(CheckedGroups(built.by_source, built.targets))
                    self._remember(built)
                    first = False
            except BadPublish as error:
                self._dirty |= keys
                self._changed.set()
                self._refused(str(error))
                wait_s = REFUSED_AGAIN_S
            await trio.sleep(wait_s)
            await self._changed.wait()

    def _known(self, keys: set[str]) -> Iterable[str]:
        """Keys in namespaces that are open; the others come when theirs is."""
        if self._open == self._stores[self._role.resource].parts.keys():
            return keys
        return [key for key in keys if key.partition("/")[0] in self._open]

    def _built(self, keys: Iterable[str]) -> _Built:
        """The groups of objects that are others than those published last; in a thread."""
        built, role = _Built(), self._role
        store = self._stores[role.resource]
        for key in keys:
            source = role.source(key)
            found = store.get(key)
            group = role.group(found) if found is not None else None
            if found is not None and group is None:
                continue
            try:
                targets = merge_group(group) if group is not None else ()
            except BadPublish as error:
                built.refused.append(str(error))
                continue
            if targets != self._published.get(source, ()):
                built.by_source[source] = targets
                built.targets += len(targets)
        return built

    def _remember(self, built: _Built) -> None:
        for source, targets in built.by_source.items():
            if targets:
                self._published[source] = targets
            else:
                self._published.pop(source, None)
        if built.refused:
            self.stats.counts["refused_groups"] += len(built.refused)
            self._refused(built.refused[0])

    def _refused(self, why: str) -> None:
        self._context.log.error("targets of Kubernetes objects were refused", err=why)
