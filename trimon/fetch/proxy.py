"""Requests through an HTTP, HTTPS or SOCKS proxy: rare, so a general client (httpx) does them."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import SplitResult

import httpx

from trimon.fetch.request import BodyTooBig, FetchError, FetchRequest, Response, StreamedResponse


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


class ProxyClient:
    """Requests through one proxy. A client object is made for each request: nothing is shared, nothing leaks."""

    def __init__(self, proxy_url: str, no_proxy: str) -> None:
        self._proxy_url = proxy_url
        self._no_proxy = no_proxy

    def applies(self, url: SplitResult) -> bool:
        """Whether a request to `url` goes through the proxy."""
        return bool(self._proxy_url) and not bypasses_proxy((url.hostname or "").lower(), self._no_proxy)

    async def send(
        self,
        url: SplitResult,
        headers: list[tuple[str, str]],
        request: FetchRequest,
        tls: Callable[[], ssl.SSLContext],
    ) -> Response:
        """One request, redirects not followed. Raises FetchError, BodyTooBig."""
        try:
            async with (
                httpx.AsyncClient(
                    proxy=self._proxy_url,
                    verify=tls() if url.scheme == "https" else False,
                    trust_env=False,
                    timeout=None,  # noqa: S113 # the caller's cancel scope bounds the whole exchange
                ) as client,
                client.stream(request.method, url.geturl(), headers=headers, content=request.body) as answer,
            ):
                return await self._read(answer, request.body_bytes_max)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise FetchError(f"proxyconnect: {error or type(error).__name__}") from None

    @asynccontextmanager
    async def stream(
        self,
        url: SplitResult,
        headers: list[tuple[str, str]],
        request: FetchRequest,
        tls: Callable[[], ssl.SSLContext],
    ) -> AsyncIterator[StreamedResponse]:
        """One request whose answer is read as it comes. Raises FetchError."""
        timeout = httpx.Timeout(request.timeout_s, read=None)
        try:
            async with (
                httpx.AsyncClient(
                    proxy=self._proxy_url,
                    verify=tls() if url.scheme == "https" else False,
                    trust_env=False,
                    timeout=timeout,
                ) as client,
                client.stream(request.method, url.geturl(), headers=headers, content=request.body) as answer,
            ):
                known = {name.lower(): value for name, value in answer.headers.items()}
                yield StreamedResponse(answer.status_code, answer.reason_phrase, known, answer.aiter_bytes())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise FetchError(f"proxyconnect: {error or type(error).__name__}") from None

    async def _read(self, answer: httpx.Response, body_bytes_max: int) -> Response:
        pieces, size = [], 0
        async for piece in answer.aiter_bytes():
            size += len(piece)
            if size > body_bytes_max:
                raise BodyTooBig("body size limit exceeded")
            pieces.append(piece)
        return Response(
            status=answer.status_code,
            reason=answer.reason_phrase,
            content_type=answer.headers.get("content-type", ""),
            body=b"".join(pieces),
            wire_bytes=answer.num_bytes_downloaded,
            headers={name.lower(): value for name, value in answer.headers.items()},
        )
