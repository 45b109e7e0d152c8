"""Instances of Oracle's cloud (`oci_sd_configs`).

    compartments: those of the configuration, or the tree below the tenancy ─ instances of each
        ─ attachments of each instance ─ interfaces, until the primary one is found

Source: https://docs.oracle.com/en-us/iaas/api/. Labels: `__meta_oci_*`: `instance_id`, `instance_name`, `instance_state`,
`instance_shape`, `availability_domain`, `fault_domain`, `region`, `tenancy_id`, `compartment_id`, `image_id`, `vnic_id`,
`private_ip`, `public_ip`, `ipv6_addresses`, `hostname_label`, `tag_<key>`, `defined_tag_<namespace>_<key>`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from email.utils import formatdate
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from trimon.config.discovery.keyedclouds import OciSdConfig
from trimon.config.discovery.source import config_option
from trimon.discovery.asking.api import refused
from trimon.discovery.asking.naming import keyed_labels, sanitized, surrounded
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.clouds.paged import CloudDiscovery, Labels, Page, all_pages
from trimon.discovery.mechanisms.fields import flag_text, texts
from trimon.discovery.plugin import Context, TargetGroup
from trimon.fetch.request import FetchError, Response
from trimon.peers.files import read_certificate, read_secret
from trimon.peers.httpsignature import RsaSigner, rsa_key
from trimon.peers.instanceprincipal import InstancePrincipal
from trimon.records import dataclass

_VERSION: Final = "20160918"
_PER_PAGE: Final = 100
_COMPARTMENTS_MAX: Final = 10_000
# Regions of governments and the like have domains of their own.
_DOMAIN: Final = "oraclecloud.com"
_DOMAINS: Final = {
    **dict.fromkeys(("us-langley-1", "us-luke-1"), "oraclegovcloud.com"),
    **dict.fromkeys(("us-gov-ashburn-1", "us-gov-chicago-1", "us-gov-phoenix-1"), "oraclegovcloud.com"),
    **dict.fromkeys(("uk-gov-london-1", "uk-gov-cardiff-1"), "oraclegovcloud.uk"),
    **dict.fromkeys(("ap-chiyoda-1", "ap-ibaraki-1"), "oraclecloud8.com"),
    "me-dcc-muscat-1": "oraclecloud9.com",
    "ap-dcc-canberra-1": "oraclecloud10.com",
}
_PREFIX: Final = "__meta_oci_"
_INSTANCE: Final = {
    "instance_id": "id",
    "instance_name": "displayName",
    "instance_state": "lifecycleState",
    "instance_shape": "shape",
    "availability_domain": "availabilityDomain",
    "fault_domain": "faultDomain",
    "region": "region",
    "compartment_id": "compartmentId",
    "image_id": "imageId",
}
_VNIC: Final = {
    "vnic_id": "id",
    "private_ip": "privateIp",
    "public_ip": "publicIp",
    "hostname_label": "hostnameLabel",
}


class OciDiscovery(CloudDiscovery):
    """Asks for the instances of compartments and for the primary interface of each."""

    def __init__(self, options: Mapping[str, object], context: Context) -> None:
        config = config_option(options, OciSdConfig)
        super().__init__(context, config.refresh_interval, config.port)
        self._config = config
        domain = _DOMAINS.get(config.region, _DOMAIN)
        self._core = f"https://iaas.{config.region}.{domain}/{_VERSION}"
        self._identity = f"https://identity.{config.region}.oci.{domain}/{_VERSION}"
        self._key: tuple[bytes, str] = (b"", "")
        self._signer: RsaSigner | None = None
        self._tenancy = config.tenancy
        self._principal: InstancePrincipal | None = None
        if config.auth == "instance_principal":
            self._principal = InstancePrincipal(
                context.clock, context.offload, context.fetch.send, os.environ
            )

    async def refresh(self) -> list[TargetGroup]:
        """One group of all instances whose primary interface has an address."""
        if self._principal is not None:
            principal = await self._principal.get()
            self._signer, self._tenancy = principal.signer, principal.tenancy
        else:
            self._signer = await self.context.offload.run(self._read_key)
        found: list[_Found] = []
        for compartment in self._config.compartments or await self._compartments():
            found += [
                _Found(instance, vnic)
                for instance in await self._instances(compartment)
                if (vnic := await self._primary(instance)) is not None
            ]
        return await self.group("OCI", found, self._labels)

    def _read_key(self) -> RsaSigner:
        """The signer of the key in the file, which may be another one by now."""
        config = self._config
        file = config.key_passphrase_file
        passphrase = read_secret(file) if file else config.key_passphrase.reveal()
        try:
            key = (read_certificate(config.key_file), passphrase)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FetchError(f"unable to read file {config.key_file}: {reason}") from None
        if self._signer is not None and key == self._key:
            return self._signer
        signer = RsaSigner(
            f"{config.tenancy}/{config.user}/{config.fingerprint}", rsa_key(*key, config.key_file)
        )
        self._key = key
        return signer

    async def _send(self, url: str) -> Response:
        assert self._signer is not None, "a refresh begins with the key"
        date = formatdate(self.context.clock.now_ms() / 1000, usegmt=True)
        headers = (
            ("Accept", "*/*"),
            ("Content-Type", "application/json"),
            ("Date", date),
            ("Authorization", self._signer.authorization("GET", urlsplit(url), date)),
        )
        return await self.api.send(url, headers)

    async def _listed(self, url: str, query: Mapping[str, str], *, visible: bool = False) -> list[Record]:
        """All items of a list. Unless it has to be `visible`, what may not be seen (404) is empty."""

        async def page(name: str) -> Page[Record]:
            asked = {**query, "limit": str(_PER_PAGE), **({"page": name} if name else {})}
            answer = await self._send(f"{url}?{urlencode(sorted(asked.items()))}")
            if answer.status == 404 and not visible:
                return Page(())
            if answer.status != 200:
                raise refused(answer, self.context.clock)
            items = await self.api.read(answer, Record.list_of_json)
            return Page(items, answer.headers.get("opc-next-page", ""))

        return await all_pages(page)

    async def _compartments(self) -> list[str]:
        """The tenancy and all that is active below it, breadth first."""
        found: dict[str, None] = {}
        waiting = deque([self._tenancy])
        while waiting:
            current = waiting.popleft()
            if current in found:
                continue
            found[current] = None
            if len(found) > _COMPARTMENTS_MAX:
                raise SourceError(f"there are more than {_COMPARTMENTS_MAX} compartments")
            query = {
                "accessLevel": "ACCESSIBLE",
                "compartmentId": current,
                "compartmentIdInSubtree": "false",
            }
            children = await self._listed(f"{self._identity}/compartments", query)
            waiting += [
                each.text("id")
                for each in children
                if each.text("lifecycleState") == "ACTIVE" and each.text("id")
            ]
        return list(found)

    async def _instances(self, compartment: str) -> list[Record]:
        found = await self._listed(f"{self._core}/instances", {"compartmentId": compartment}, visible=True)
        return [each for each in found if "id" in each and "compartmentId" in each]

    async def _primary(self, instance: Record) -> Record | None:
        """The primary interface of an instance; none while it has none, or one that is gone."""
        query = {"compartmentId": instance.text("compartmentId"), "instanceId": instance.text("id")}
        for attachment in await self._listed(f"{self._core}/vnicAttachments", query):
            identity = attachment.text("vnicId")
            if not identity or attachment.text("lifecycleState") != "ATTACHED":
                continue
            answer = await self._send(f"{self._core}/vnics/{quote(identity, safe='')}")
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise refused(answer, self.context.clock)
            vnic = await self.api.read(answer, Record.of_json)
            if vnic.flag("isPrimary"):
                return vnic
        return None

    def _labels(self, found: _Found) -> Labels | None:
        instance, vnic = found.instance, found.vnic
        labels = {
            **texts(instance, _PREFIX, _INSTANCE),
            **texts(vnic, _PREFIX, _VNIC),
            f"{_PREFIX}tenancy_id": self._tenancy,
        }
        of_six = sorted(vnic.texts("ipv6Addresses"))
        if of_six:
            labels[f"{_PREFIX}ipv6_addresses"] = surrounded(of_six)
        address = labels[f"{_PREFIX}private_ip"] or labels[f"{_PREFIX}public_ip"] or next(iter(of_six), "")
        if not address:
            return None
        labels |= keyed_labels(f"{_PREFIX}tag_", instance.text_map("freeformTags"))
        for namespace, tags in instance.record_map("definedTags").items():
            prefix = f"{_PREFIX}defined_tag_{sanitized(namespace)}_"
            labels |= keyed_labels(prefix, _scalars(tags))
        return {"__address__": self.address(address), **labels}


@dataclass(frozen=True, slots=True)
class _Found:
    instance: Record
    vnic: Record


def _scalars(tags: Record) -> dict[str, str]:
    """What tags have as a string, a boolean or a number, as text."""
    found = {}
    for key in tags.keys():  # noqa: SIM118 # a record is no mapping
        value = tags.raw(key)
        if isinstance(value, bool):
            found[key] = flag_text(value)
        elif isinstance(value, str):
            found[key] = tags.text(key)
        elif isinstance(value, int | float):
            found[key] = _number_text(tags.number(key))
    return found


def _number_text(value: float) -> str:
    """A number without an exponent, as short as it can be."""
    return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
