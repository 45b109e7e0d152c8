"""Targets of what OpenStack says about its hypervisors, instances and load balancers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.asking.record import Record
from trimon.discovery.mechanisms.fields import texts
from trimon.records import dataclass

PREFIX: Final = "__meta_openstack_"

Labels = dict[str, str]

_HYPERVISOR: Final = {
    "hypervisor_hostname": "hypervisor_hostname",
    "hypervisor_host_ip": "host_ip",
    "hypervisor_status": "status",
    "hypervisor_state": "state",
    "hypervisor_type": "hypervisor_type",
}
_INSTANCE: Final = {
    "instance_id": "id",
    "instance_status": "status",
    "instance_name": "name",
    "project_id": "tenant_id",
    "user_id": "user_id",
}
_LOADBALANCER: Final = {
    "loadbalancer_id": "id",
    "loadbalancer_name": "name",
    "loadbalancer_operating_status": "operating_status",
    "loadbalancer_provisioning_status": "provisioning_status",
    "loadbalancer_availability_zone": "availability_zone",
    "loadbalancer_vip": "vip_address",
    "loadbalancer_provider": "provider",
    "project_id": "project_id",
}


def hypervisor_target(hypervisor: Record, port: int) -> Labels:
    """The target of a hypervisor. Older versions number them, newer ones name them."""
    identity = hypervisor.raw("id")
    shown = identity if isinstance(identity, str) else str(hypervisor.whole("id"))
    return {
        **texts(hypervisor, PREFIX, _HYPERVISOR),
        PREFIX + "hypervisor_id": shown,
        "__address__": host_port(hypervisor.text("host_ip"), port),
    }


@dataclass(frozen=True, slots=True)
class FloatingAddresses:
    """Which addresses are floating, and which one each fixed address of a device has."""

    of_fixed: Mapping[tuple[str, str], str]
    all: frozenset[str]

    @classmethod
    def of(cls, floating: list[Record], ports: list[Record]) -> FloatingAddresses:
        """From the lists of floating addresses and of ports; addresses of ports that are not listed do not count."""
        devices = {port.text("id"): port.text("device_id") for port in ports}
        found = {}
        for each in floating:
            port, fixed = each.text("port_id"), each.text("fixed_ip_address")
            if fixed and port in devices:
                found[(devices[port], fixed)] = each.text("floating_ip_address")
        return cls(found, frozenset(found.values()))


def instance_targets(instance: Record, floating: FloatingAddresses, port: int) -> Iterator[Labels]:
    """A target for each address of an instance that is not a floating one; none without a flavor."""
    flavor = _flavor(instance.record("flavor"))
    if flavor is None:
        return
    common = {
        **keyed_labels(PREFIX + "tag_", instance.text_map("metadata")),
        **texts(instance, PREFIX, _INSTANCE),
        PREFIX + "instance_flavor": flavor,
        PREFIX + "instance_image": _image(instance),
    }
    pools = instance.record("addresses")
    for pool in pools.keys():  # noqa: SIM118 # a record is no mapping
        for each in pools.records(pool):
            address = each.text("addr")
            if "addr" not in each or address in floating.all:
                continue
            public = floating.of_fixed.get((instance.text("id"), address), "")
            yield {
                **common,
                PREFIX + "address_pool": pool,
                PREFIX + "private_ip": address,
                PREFIX + "public_ip": public,
                "__address__": host_port(address, port),
            }


def _flavor(flavor: Record) -> str | None:
    """The name of a flavor in newer versions, its identity in older ones."""
    found = next((flavor.raw(name) for name in ("original_name", "id") if name in flavor), None)
    return found if isinstance(found, str) else None


def _image(instance: Record) -> str:
    """The identity of an image; an instance that boots from a volume has an empty text for it."""
    return "" if isinstance(instance.raw("image"), str) else instance.record("image").text("id")


def loadbalancer_targets(
    balancers: list[Record], listeners: list[Record], floating: list[Record]
) -> Iterator[Labels]:
    """A target for each load balancer that has a listener of Prometheus' protocol, at the port of its first one."""
    ports: dict[str, int] = {}
    for listener in listeners:
        if listener.text("protocol") == "PROMETHEUS":
            for each in listener.records("loadbalancers"):
                ports.setdefault(each.text("id"), listener.whole("protocol_port"))
    public = {each.text("port_id"): each.text("floating_ip_address") for each in floating}
    for balancer in balancers:
        port = ports.get(balancer.text("id"))
        if port is None:
            continue
        vip_port = balancer.text("vip_port_id")
        yield {
            **texts(balancer, PREFIX, _LOADBALANCER),
            PREFIX + "loadbalancer_tags": ",".join(balancer.texts("tags")),
            PREFIX + "loadbalancer_floating_ip": public.get(vip_port, "") if vip_port else "",
            "__address__": host_port(balancer.text("vip_address"), port),
        }
