"""Objects of the API that say where a service is reached: endpoints, endpoint slices, ingresses."""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern

from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.kubernetes.objects import Meta
from trimon.records import dataclass


@dataclass(slots=True, eq=False)
class Reference:
    """The object behind an address."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """The key of that object in its store."""
        return f"{self.namespace}/{self.name}"


def _reference(at: Record) -> Reference | None:
    if "targetRef" not in at:
        return None
    found = at.record("targetRef")
    return Reference(intern(found.text("kind")), intern(found.text("namespace")), found.text("name"))


@dataclass(slots=True, eq=False)
class Address:
    """One address of endpoints."""

    ip: str
    hostname: str
    node: str | None
    target: Reference | None
    ready: bool

    @classmethod
    def read(cls, at: Record, *, ready: bool) -> Address:
        """An address. Raises SourceError."""
        node = intern(at.text("nodeName")) if "nodeName" in at else None
        return cls(at.text("ip"), at.text("hostname"), node, _reference(at), ready)


@dataclass(slots=True, eq=False)
class EndpointPort:
    """A port of endpoints or of a slice; a slice's may have no number."""

    number: int | None
    name: str
    protocol: str
    app_protocol: str

    @classmethod
    def read(cls, port: Record) -> EndpointPort:
        """A port. Raises SourceError."""
        return cls(
            port.whole("port") if "port" in port else None,
            intern(port.text("name")),
            intern(port.text("protocol")),
            intern(port.text("appProtocol")),
        )


@dataclass(slots=True, eq=False)
class Subset:
    """Addresses that all have the same ports; those that are not ready come last."""

    ports: tuple[EndpointPort, ...]
    addresses: tuple[Address, ...]


@dataclass(slots=True, eq=False)
class Endpoints:
    """All addresses of a service, in one object."""

    meta: Meta
    subsets: tuple[Subset, ...]

    @classmethod
    def read(cls, whole: Record) -> Endpoints:
        """What is kept of it. Raises SourceError."""
        return cls(
            Meta.read(whole),
            tuple(
                Subset(
                    tuple(EndpointPort.read(port) for port in subset.records("ports")),
                    (
                        *(Address.read(each, ready=True) for each in subset.records("addresses")),
                        *(Address.read(each, ready=False) for each in subset.records("notReadyAddresses")),
                    ),
                )
                for subset in whole.records("subsets")
            ),
        )


@dataclass(slots=True, eq=False)
class SliceEndpoint:
    """One endpoint of a slice, maybe with several addresses."""

    addresses: tuple[str, ...]
    hostname: str
    node: str | None
    zone: str
    target: Reference | None
    conditions: tuple[tuple[str, str], ...]
    """Those that are told, as `true` or `false`."""
    topology: Mapping[str, str]

    @classmethod
    def read(cls, at: Record) -> SliceEndpoint:
        """An endpoint. Raises SourceError."""
        conditions = at.record("conditions")
        return cls(
            tuple(at.texts("addresses")),
            at.text("hostname"),
            intern(at.text("nodeName")) if "nodeName" in at else None,
            intern(at.text("zone")),
            _reference(at),
            tuple(
                (name, "true" if conditions.flag(name) else "false")
                for name in ("ready", "serving", "terminating")
                if name in conditions
            ),
            at.text_map("deprecatedTopology"),
        )


@dataclass(slots=True, eq=False)
class EndpointSlice:
    """Some addresses of a service."""

    meta: Meta
    address_type: str
    ports: tuple[EndpointPort, ...]
    endpoints: tuple[SliceEndpoint, ...]

    @classmethod
    def read(cls, whole: Record) -> EndpointSlice:
        """What is kept of it. Raises SourceError."""
        return cls(
            Meta.read(whole),
            intern(whole.text("addressType")),
            tuple(EndpointPort.read(port) for port in whole.records("ports")),
            tuple(SliceEndpoint.read(each) for each in whole.records("endpoints")),
        )


@dataclass(slots=True, eq=False)
class IngressRule:
    """A host and its paths."""

    host: str
    paths: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Ingress:
    """Hosts that are let in from outside."""

    meta: Meta
    class_name: str
    tls_hosts: tuple[str, ...]
    rules: tuple[IngressRule, ...]

    @classmethod
    def read(cls, whole: Record) -> Ingress:
        """What is kept of it. Raises SourceError."""
        spec = whole.record("spec")
        return cls(
            Meta.read(whole),
            spec.text("ingressClassName"),
            tuple(host for tls in spec.records("tls") for host in tls.texts("hosts")),
            tuple(IngressRule(rule.text("host"), _paths(rule)) for rule in spec.records("rules")),
        )


def _paths(rule: Record) -> tuple[str, ...]:
    """The paths of a rule; without an HTTP block it is about all of the host."""
    if "http" not in rule:
        return ("/",)
    return tuple(path.text("path") or "/" for path in rule.record("http").records("paths"))
