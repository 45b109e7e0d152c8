"""A client for one peer: redirects, credentials, TLS, timeouts, and which way a request takes."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urljoin, urlsplit

import trio

from trimon import PROMETHEUS_VERSION, __version__
from trimon.fetch.connection import Connection, Endpoint, PeerClosed
from trimon.fetch.http1 import request_bytes
from trimon.fetch.proxy import ProxyClient
from trimon.fetch.request import FetchError, FetchTimeout, Request, Response

USER_AGENT = f"Prometheus/{PROMETHEUS_VERSION} trimon/{__version__}"
REDIRECTS_MAX = 10
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


def _no_credentials() -> tuple[tuple[str, str], ...]:
    return ()


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How to talk to a peer.

    `credentials` is asked at every request, so that files with secrets may change; its headers are not sent
    on a redirect to another host. `tls` is asked whenever a TLS connection is opened, for the same reason.
    """

    headers: tuple[tuple[str, str], ...] = ()
    credentials: Callable[[], tuple[tuple[str, str], ...]] = _no_credentials
    tls: Callable[[], ssl.SSLContext] = field(default=ssl.create_default_context)
    server_name: str = ""
    follow_redirects: bool = True
    proxy_url: str = ""
    no_proxy: str = ""


class HttpFetch:
    """The real Fetch: HTTP/1.1 over one kept connection, or through a proxy where the options name one.

    One request at a time. A request that finds its kept connection closed by the peer is sent once more on
    a new one, as every HTTP client does.
    """

    def __init__(self, options: ClientOptions | None = None) -> None:
        self._options = options or ClientOptions()
        self._connection: Connection | None = None
        # the last question and its bytes: a scraper asks the same one for months
        self._asked: tuple[Request, SplitResult, tuple[tuple[str, str], ...]] | None = None
        self._asked_bytes = b""
        self._proxy = ProxyClient(self._options.proxy_url, self._options.no_proxy)

    async def get(self, request: Request) -> Response:
        """The answer after redirects, whatever its status. Raises FetchError with Go's wording."""
        try:
            with trio.fail_after(request.timeout_s):
                return await self._follow(request)
        except trio.TooSlowError:
            await self.aclose()
            raise FetchTimeout(f'Get "{request.url}": context deadline exceeded') from None
        except FetchError as error:
            await self.aclose()
            if str(error).startswith("body size"):
                raise
            raise type(error)(f'Get "{request.url}": {error}') from None
        except trio.Cancelled:
            await self.aclose()
            raise

    async def _follow(self, request: Request) -> Response:
        url = urlsplit(request.url)
        origin = url.netloc
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._once(url, request, with_credentials=url.netloc == origin)
            if response.status not in _REDIRECTS or not self._options.follow_redirects:
                return response
            location = response.headers.get("location")
            if not location:
                return response
            url = urlsplit(urljoin(url.geturl(), location))
        raise FetchError(f"stopped after {REDIRECTS_MAX} redirects")

    async def _once(self, url: SplitResult, request: Request, *, with_credentials: bool) -> Response:
        credentials = self._options.credentials() if with_credentials else ()
        if self._proxy.applies(url):
            headers = self._headers(url, request, credentials)
            return await self._proxy.get(url, headers, request, self._options.tls)
        question = (request, url, credentials)
        if self._asked != question:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            self._asked_bytes = request_bytes(target, self._headers(url, request, credentials))
            self._asked = question
        endpoint = Endpoint.of(url)
        connection, kept = await self._connected(endpoint)
        try:
            response = await connection.exchange(self._asked_bytes, request.body_bytes_max)
        except PeerClosed:
            await self._drop()
            if not kept:
                raise
            connection, _ = await self._connected(endpoint)
            response = await connection.exchange(self._asked_bytes, request.body_bytes_max)
        if not connection.reusable:
            await self._drop()
        return response

    def _headers(
        self, url: SplitResult, request: Request, credentials: tuple[tuple[str, str], ...]
    ) -> list[tuple[str, str]]:
        host = url.netloc.rpartition("@")[2]
        return [
            ("Host", host),
            ("User-Agent", USER_AGENT),
            *request.headers,
            *self._options.headers,
            *credentials,
        ]

    async def _connected(self, endpoint: Endpoint) -> tuple[Connection, bool]:
        if self._connection is not None and self._connection.endpoint == endpoint:
            return self._connection, True
        await self._drop()
        self._connection = await Connection.open(endpoint, self._options.tls, self._options.server_name)
        return self._connection, False

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.aclose()

    async def aclose(self) -> None:
        """Closes the kept connection; the client can be used again."""
        with trio.CancelScope(shield=True):
            await self._drop()
