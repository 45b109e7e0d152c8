"""Which proxy a request takes, if any."""

from __future__ import annotations

import ipaddress
import os
from functools import cache
from urllib.parse import SplitResult

from trimon.records import dataclass
from trimon.redaction import REDACTOR


def bypasses_proxy(host: str, no_proxy: str) -> bool:
    """Whether `host` is named in a no_proxy list: `*`, names, `.suffixes`, addresses and networks."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if not entry:
            continue
        if entry in ("*", host) or host.endswith("." + entry.lstrip(".")):
            return True
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """Which proxy a request takes. `connect_headers` are sent with the wish for a tunnel, to the proxy alone."""

    url: str = ""
    no_proxy: str = ""
    from_environment: bool = False
    """Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say, or the same in lower case, as they were at the start."""
    connect_headers: tuple[tuple[str, str], ...] = ()

    def chosen(self, url: SplitResult) -> str:
        """The URL of the proxy for a request to `url`; empty for none."""
        proxy, no_proxy = self.url, self.no_proxy
        if self.from_environment:
            proxy, no_proxy = _of_environment(url.scheme)
        if not proxy:
            return ""
        host = (url.hostname or "").lower()
        if (self.from_environment or no_proxy) and _is_loopback(host):
            return ""
        return "" if bypasses_proxy(host, no_proxy) else proxy


@cache
def _of_environment(scheme: str) -> tuple[str, str]:
    """The proxy of a scheme and the hosts without one."""

    def value(name: str) -> str:
        return os.environ.get(name) or os.environ.get(name.lower()) or ""

    proxy = value(f"{scheme.upper()}_PROXY")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    REDACTOR.add_url(proxy)
    return proxy, value("NO_PROXY")


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address; it is not asked through a proxy that is chosen by host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
