"""Which hosts a request may name, and from which origins a page may change something.

A web page can let its own name point to 127.0.0.1: then a browser that shows it asks this server for it, and thinks that it
asks the page's own. Such a request names the page's host, and an origin, in its headers; pages cannot change either.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from trimon.model.matcher import anchored, compile_regexp, full_match
from trimon.web.context import WebOptions
from trimon.web.externalurl import host_and_port

EVERY_HOST: Final = "*"
# Clients name few hosts; whoever tries many names is not remembered beyond so many.
REMEMBERED_MAX: Final = 64


def is_loopback(address: str | None) -> bool:
    """Whether a client's address is this machine's own; a Unix socket has none and is."""
    if not address or address.startswith("<"):
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def is_loopback_name(host: str) -> bool:
    """Whether a host is this machine's own whoever resolves it: `localhost` and names below it, 127.0.0.0/8, ::1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return is_loopback(str(ipaddress.ip_address(host)))
    except ValueError:
        return False


def host_of(authority: str) -> str:
    """The host of `host:port` or `host`, in lower case, without brackets and the dot at its end."""
    found = host_and_port(authority)
    host = found[0] if found is not None else authority
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host.lower().removesuffix(".")


class AllowedHosts:
    """The hosts that requests may name: this machine's own, and those given; `*.name` stands for all below a name."""

    def __init__(self, names: Iterable[str]) -> None:
        given = [host_of(name) for name in names]
        self._every = EVERY_HOST in given
        self._names = frozenset(given)
        self._suffixes = tuple(name[1:] for name in given if name.startswith("*."))
        self._allowed: set[bytes] = set()

    def allows(self, header: bytes) -> bool:
        """Whether a request with this Host header is answered; one without (HTTP/1.0) comes from no browser."""
        if self._every or not header or header in self._allowed:
            return True
        host = host_of(header.decode("latin1"))
        if host not in self._names and not host.endswith(self._suffixes) and not is_loopback_name(host):
            return False
        if len(self._allowed) < REMEMBERED_MAX:
            self._allowed.add(header)
        return True


def own_hosts(options: WebOptions) -> list[str]:
    """The host under which people elsewhere find the server, if there is one."""
    authority = urlsplit(options.external.url).netloc.rpartition("@")[2]
    return [authority] if authority else []


class AllowedOrigins:
    """The origins whose pages may change something: the server's own, the external URL's, those of a pattern."""

    def __init__(self, options: WebOptions) -> None:
        self._external = own_hosts(options)
        pattern = options.changing_origin
        self._pattern = compile_regexp(anchored(pattern)) if pattern else None

    def allows(self, origin: bytes, host: bytes) -> bool:
        """Whether a request with these headers may change something."""
        text = origin.decode("latin1")
        authority = text.partition("://")[2].lower()
        own = [host.decode("latin1").lower(), *(name.lower() for name in self._external)]
        if authority and authority in own:
            return True
        return self._pattern is not None and bool(full_match(self._pattern, text))
