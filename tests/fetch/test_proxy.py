"""Which proxy a request takes, and what the proxy alone is told."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.support.raw_peer import Peer, ok
from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.proxychoice import ProxyOptions, _of_environment
from trimon.fetch.request import FetchError, FetchRequest


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "http://a/", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://a/", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "http://a/", "http://p:1"),
        ({"HTTP_PROXY": "p:1"}, "http://a/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a/", ""),
        ({"HTTPS_PROXY": "socks5://p:1"}, "https://a/", "socks5://p:1"),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "b.c,a"}, "http://a/", ""),
        ({"HTTP_PROXY": "http://p:1", "no_proxy": ".c"}, "http://b.c/", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://localhost:9/", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://127.0.0.9:9/", ""),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:9/", ""),
    ],
)
def test_the_environment_names_the_proxy(
    environment: dict[str, str], url: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Go reads it: by scheme, either case, never for this machine itself, with exceptions by host."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _of_environment.cache_clear()
    try:
        assert ProxyOptions(from_environment=True).chosen(urlsplit(url)) == proxy
    finally:
        _of_environment.cache_clear()


def test_a_proxy_with_exceptions_is_not_asked_for_this_machine() -> None:
    """A proxy without exceptions is asked for everything; with some, never for loopback, as in Go."""
    assert ProxyOptions("http://p:1").chosen(urlsplit("http://127.0.0.1:9/")) == "http://p:1"
    assert ProxyOptions("http://p:1", "other").chosen(urlsplit("http://127.0.0.1:9/")) == ""


async def test_headers_of_a_tunnel_go_to_the_proxy_alone(peer: Peer) -> None:
    """They come with CONNECT; a page that the proxy itself is asked for is asked without them."""
    peer.answers["a.example:443"] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    peer.answers["http://a.example/"] = ok(b"")
    options = ProxyOptions(peer.url(""), connect_headers=(("X-Tunnel", "one"), ("X-Tunnel", "two")))
    fetch = HttpFetch(ClientOptions(proxy=options))
    with pytest.raises(FetchError):
        await fetch.send(FetchRequest("https://a.example/"))
    await fetch.send(FetchRequest("http://a.example/"))
    connect, page = peer.requests
    assert connect.startswith(b"CONNECT a.example:443 ")
    assert connect.count(b"X-Tunnel: ") == 2
    assert b"X-Tunnel" not in page
