"""Targets of what Consul says about the instances of a service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from trimon.discovery.asking.naming import host_port, keyed_labels, surrounded
from trimon.discovery.asking.record import Record

PREFIX: Final = "__meta_consul_"
# From bad to good; maintenance is told by the identity of a check and not by its status.
_WORST_FIRST: Final = ("critical", "warning", "passing")
_NODE_MAINTENANCE: Final = "_node_maintenance"
_SERVICE_MAINTENANCE: Final = "_service_maintenance:"


def targets_of(body: bytes, separator: str) -> list[dict[str, str]]:
    """The targets of an answer about one service. Raises SourceError."""
    return [_target(entry, separator) for entry in Record.list_of_json(body)]


def _target(entry: Record, separator: str) -> dict[str, str]:
    node, service = entry.record("Node"), entry.record("Service")
    port = str(service.whole("Port"))
    return {
        **keyed_labels(PREFIX + "metadata_", node.text_map("Meta")),
        **keyed_labels(PREFIX + "service_metadata_", service.text_map("Meta")),
        **keyed_labels(PREFIX + "tagged_address_", node.text_map("TaggedAddresses")),
        "__address__": host_port(service.text("Address") or node.text("Address"), port),
        PREFIX + "address": node.text("Address"),
        PREFIX + "node": node.text("Node"),
        PREFIX + "namespace": service.text("Namespace"),
        PREFIX + "partition": service.text("Partition"),
        PREFIX + "tags": surrounded(service.texts("Tags"), separator),
        PREFIX + "service_address": service.text("Address"),
        PREFIX + "service_port": port,
        PREFIX + "service_id": service.text("ID"),
        PREFIX + "health": health(entry.records("Checks")),
    }


def health(checks: Iterable[Record]) -> str:
    """The state of an instance: that of its worst check; empty where one is in no state that is known."""
    seen = set()
    maintained = False
    for check in checks:
        identity = check.text("CheckID")
        if identity == _NODE_MAINTENANCE or identity.startswith(_SERVICE_MAINTENANCE):
            maintained = True
            continue
        if check.text("Status") not in _WORST_FIRST:
            return ""
        seen.add(check.text("Status"))
    if maintained:
        return "maintenance"
    return next((status for status in _WORST_FIRST if status in seen), "passing")
