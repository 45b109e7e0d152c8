"""How to reach a peer, from its HTTP block in the configuration: credentials, TLS, headers, proxy."""

from __future__ import annotations

from trimon.config.http import HttpClient, TlsConfig
from trimon.fetch.client import ClientOptions
from trimon.peers.credentials import Credentials
from trimon.peers.proxy import proxy_options
from trimon.peers.tls import TlsContexts


def client_options(config: HttpClient, credentials: Credentials | None = None) -> ClientOptions:
    """The options of a client for one peer, with credentials of its own unless they are given.

    Its TLS context is shared by all that come from one config.
    """
    credentials = credentials or Credentials(config)
    return ClientOptions(
        headers=_headers(config),
        credentials=credentials,
        tls=TlsContexts(config.tls_config).context,
        server_name=config.tls_config.server_name,
        follow_redirects=config.follow_redirects,
        proxy=proxy_options(config),
        prepare=credentials.prepare,
    )


def tls_options(tls: TlsConfig) -> ClientOptions:
    """The options of a client for a peer of whom nothing but TLS is configured."""
    return ClientOptions(tls=TlsContexts(tls).context, server_name=tls.server_name)


def _headers(config: HttpClient) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, header in config.http_headers for value in header.values)
