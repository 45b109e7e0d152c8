"""The resources of the API that are watched: their paths, what is read of their objects, and which part is asked for.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.kubernetes.endpointobjects import Endpoints, EndpointSlice, Ingress
from trimon.discovery.mechanisms.kubernetes.objects import KubernetesObject, Node, Owned, Pod, Service
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of objects."""

    name: str
    """As in paths: plural, small letters."""
    prefix: str
    read: Callable[[Record], KubernetesObject]
    """What is kept of an object. Raises SourceError."""
    role: str = ""
    """What selectors and counts call it."""
    namespaced: bool = True


NODES: Final = Resource("nodes", "/api/v1", Node.read, "node", namespaced=False)
NAMESPACES: Final = Resource("namespaces", "/api/v1", Owned.read, namespaced=False)
PODS: Final = Resource("pods", "/api/v1", Pod.read, "pod")
SERVICES: Final = Resource("services", "/api/v1", Service.read, "service")
ENDPOINTS: Final = Resource("endpoints", "/api/v1", Endpoints.read, "endpoints")
ENDPOINTSLICES: Final = Resource(
    "endpointslices", "/apis/discovery.k8s.io/v1", EndpointSlice.read, "endpointslice"
)
INGRESSES: Final = Resource("ingresses", "/apis/networking.k8s.io/v1", Ingress.read, "ingress")
REPLICASETS: Final = Resource("replicasets", "/apis/apps/v1", Owned.read)
JOBS: Final = Resource("jobs", "/apis/batch/v1", Owned.read)


@dataclass(frozen=True, slots=True)
class Part:
    """What one watch asks for: a resource in one namespace, or in all where it is empty, and selectors."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""

    @property
    def path(self) -> str:
        """The path of its list below the address of the server."""
        within = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        return f"{self.resource.prefix}{within}/{self.resource.name}"

    @property
    def shown(self) -> str:
        """For people: `pods`, `pods in shop`."""
        return f"{self.resource.name} in {self.namespace}" if self.namespace else self.resource.name
