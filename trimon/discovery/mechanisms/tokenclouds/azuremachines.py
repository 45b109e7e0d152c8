"""Machines of Azure and their network interfaces, and the labels that they become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from trimon.discovery.asking.naming import host_port, keyed_labels
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.fields import texts
from trimon.records import dataclass

PREFIX: Final = "__meta_azure_"
INTERFACE_VERSION: Final = "2023-05-01"
SCALE_SET_INTERFACE_VERSION: Final = "2018-10-01"

Labels = dict[str, str]

_MACHINE: Final = {
    "machine_id": "id",
    "machine_name": "name",
    "machine_location": "location",
    "machine_computer_name": "properties.osProfile.computerName",
    "machine_os_type": "properties.storageProfile.osDisk.osType",
    "machine_size": "properties.hardwareProfile.vmSize",
}


@dataclass(frozen=True, slots=True)
class ResourceId:
    """What the identity of a resource says: `/subscriptions/…/resourceGroups/GROUP/providers/…/NAME`."""

    group: str
    name: str

    @classmethod
    def of(cls, text: str) -> ResourceId:
        """The parts of an identity. Raises SourceError."""
        parts = text.strip("/").split("/")
        if len(parts) % 2 or parts[0].lower() != "subscriptions" or len(parts) < 6:
            raise SourceError(f"{text[:200]!r} is no identity of a resource")
        group = parts[3] if parts[2].lower() == "resourcegroups" else ""
        return cls(group, parts[-1])


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, and the scale set that it belongs to, if any."""

    record: Record
    scale_set: str = ""

    def interfaces(self) -> list[str]:
        """The identities of its network interfaces."""
        profile = self.record.record("properties").record("networkProfile")
        return [each.text("id") for each in profile.records("networkInterfaces")]

    def interface_path(self, identity: str) -> str:
        """Where one of its interfaces is asked for, below the subscription."""
        there = ResourceId.of(identity)
        group, name = quote(there.group, safe=""), quote(there.name, safe="")
        version = INTERFACE_VERSION
        provider = "Microsoft.Network"
        if self.scale_set:
            version = SCALE_SET_INTERFACE_VERSION
            instance = quote(self.record.text("instanceId"), safe="")
            scale_set = quote(self.scale_set, safe="")
            provider = f"microsoft.Compute/virtualMachineScaleSets/{scale_set}/virtualMachines/{instance}"
        query = f"%24expand=IPConfigurations%2FPublicIPAddress&api-version={version}"
        return f"/resourceGroups/{group}/providers/{provider}/networkInterfaces/{name}?{query}"

    def labels(self, interfaces: Iterable[Record | None], port: int) -> Labels | None:
        """Its labels with the addresses of its primary interface, which is None where it does not exist.

        None for a machine that has no such interface or is not allocated. Raises SourceError for one without an address.
        """
        for interface in interfaces:
            if interface is None:
                return None
            if "properties" not in interface:
                continue
            properties = interface.record("properties")
            if "primary" not in properties:
                # The interface of a machine that is not allocated does not say it.
                return None
            configurations = properties.records("ipConfigurations")
            if properties.flag("primary") and configurations:
                return {**self._own_labels(), **self._addresses(configurations[0], port)}
        return None

    def _addresses(self, configuration: Record, port: int) -> Labels:
        properties = configuration.record("properties")
        private = properties.text("privateIPAddress")
        if "privateIPAddress" not in properties:
            raise SourceError(f"machine {self.record.text('name')[:100]!r} has no private address")
        public = properties.record("publicIPAddress").record("properties").text("ipAddress")
        return {
            "__address__": host_port(private, port),
            PREFIX + "machine_private_ip": private,
            PREFIX + "machine_public_ip": public,
        }

    def _own_labels(self) -> Labels:
        return {
            **keyed_labels(PREFIX + "machine_tag_", self.record.text_map("tags")),
            **texts(self.record, PREFIX, _MACHINE),
            PREFIX + "machine_resource_group": ResourceId.of(self.record.text("id")).group,
            PREFIX + "machine_scale_set": self.scale_set,
        }
