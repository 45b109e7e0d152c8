"""The API of a Docker engine: where it is, which version it speaks, its lists, and the labels of its networks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlencode

from trimon.config.discovery.containers import DockerFilter
from trimon.discovery.asking.api import Api, refused
from trimon.discovery.asking.naming import keyed_labels
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.mechanisms.fields import flag_text
from trimon.discovery.plugin import Context
from trimon.errors import UserError

# What is read here is the same in all versions up to this one; a newer engine still speaks it.
VERSION_NEWEST: Final = (1, 52)
_VERSION: Final = re.compile(r"([0-9]{1,3})\.([0-9]{1,4})", re.ASCII)
_BAD_REQUEST: Final = 400
_SCHEMES: Final = {"tcp": "http", "http": "http", "https": "https"}


class DockerApi:
    """Lists of one engine. The version is asked for once, and again where it was not said or is refused."""

    def __init__(self, host: str, context: Context, timeout_s: float) -> None:
        scheme, _, rest = host.partition("://")
        self._unix_socket = ""
        if scheme == "unix":
            self._unix_socket, self._base = rest, "http://localhost"
        elif scheme in _SCHEMES:
            self._base = f"{_SCHEMES[scheme]}://{rest}".rstrip("/")
        else:
            raise UserError(f"host: unsupported scheme {scheme!r}; it has to be tcp, unix, http or https")
        self._context = context
        self._api = Api(context, timeout_s)
        self._version = ""

    async def list(self, what: str, filters: Sequence[DockerFilter] = ()) -> list[Record]:
        """All things of a kind that pass filters. Raises SourceError, FetchError."""
        if not self._version:
            self._version = await self._ask_version()
        url = f"{self._base}{self._version}/{what}"
        if wanted := _filters(filters):
            url += "?" + urlencode({"filters": wanted})
        answer = await self._api.send(url, unix_socket=self._unix_socket)
        if answer.status == _BAD_REQUEST:
            # An engine that was replaced may speak older versions only.
            self._version = ""
        if answer.status != 200:
            raise refused(answer, self._context.clock)
        return await self._api.read(answer, Record.list_of_json)

    async def network_labels(self, prefix: str) -> dict[str, dict[str, str]]:
        """The labels of each network by its identity."""
        networks = await self.list("networks")
        return {network.text("Id"): _network(network, prefix) for network in networks}

    async def _ask_version(self) -> str:
        """The beginning of versioned paths; empty where the engine does not say, which means its newest."""
        answer = await self._api.send(f"{self._base}/_ping", method="HEAD", unix_socket=self._unix_socket)
        match = _VERSION.fullmatch(answer.headers.get("api-version", "").strip())
        if match is None:
            return ""
        major, minor = min((int(match[1]), int(match[2])), VERSION_NEWEST)
        return f"/v{major}.{minor}"


def _filters(filters: Sequence[DockerFilter]) -> str:
    wanted: dict[str, dict[str, bool]] = {}
    for each in filters:
        for value in each.values:
            wanted.setdefault(each.name, {})[value] = True
    return json.dumps(wanted, sort_keys=True, separators=(",", ":"), ensure_ascii=False) if wanted else ""


def _network(network: Record, prefix: str) -> dict[str, str]:
    prefix += "network_"
    return {
        prefix + "id": network.text("Id"),
        prefix + "name": network.text("Name"),
        prefix + "scope": network.text("Scope"),
        prefix + "internal": flag_text(network.flag("Internal")),
        prefix + "ingress": flag_text(network.flag("Ingress")),
        **keyed_labels(prefix + "label_", network.text_map("Labels")),
    }


def canonical_ip(text: str) -> str:
    """An address in its shortest form; empty stays empty. Raises SourceError."""
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise SourceError(f"{text[:60]!r} is no IP address") from None


def ip_of_prefix(text: str) -> str:
    """The address of `address/bits`. Raises SourceError."""
    address, slash, bits = text.partition("/")
    if not (address and slash and re.fullmatch(r"[0-9]{1,3}", bits, re.ASCII)):
        raise SourceError(f"{text[:60]!r} is no address with a length of its prefix")
    return canonical_ip(address)
