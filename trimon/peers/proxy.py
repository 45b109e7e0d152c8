"""Which proxy a peer is reached through."""

from __future__ import annotations

from trimon.config.http import HttpClient, OAuth2
from trimon.fetch.proxychoice import ProxyOptions


def proxy_options(config: HttpClient | OAuth2) -> ProxyOptions:
    """The proxy that a block of the configuration names."""
    return ProxyOptions(
        url=config.proxy_url.reveal(),
        no_proxy=config.no_proxy,
        from_environment=config.proxy_from_environment,
        connect_headers=tuple(
            (name, value.reveal()) for name, values in config.proxy_connect_header for value in values
        ),
    )
