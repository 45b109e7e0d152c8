"""Requests through an HTTP, HTTPS or SOCKS proxy: rare, so a general client (httpx) does them."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import SplitResult

import httpx

from trimon.fetch.headers import encoded_headers
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
        async with AsyncExitStack() as stack:
            # the caller's cancel scope bounds the whole exchange
            answer = await self._asked(stack, url, headers, request, tls, httpx.Timeout(None))
            return await _whole(answer, request.body_bytes_max)

    @asynccontextmanager
    async def stream(
        self,
        url: SplitResult,
        headers: list[tuple[str, str]],
        request: FetchRequest,
        tls: Callable[[], ssl.SSLContext],
    ) -> AsyncIterator[StreamedResponse]:
        """One request whose answer is read as it comes. Raises FetchError."""
        async with AsyncExitStack() as stack:
            timeout = httpx.Timeout(request.timeout_s, read=None)
            answer = await self._asked(stack, url, headers, request, tls, timeout)
            known = {name.lower(): value for name, value in answer.headers.items()}
            yield StreamedResponse(answer.status_code, answer.reason_phrase, known, _pieces(answer))

    async def _asked(
        self,
        stack: AsyncExitStack,
        url: SplitResult,
        headers: list[tuple[str, str]],
        request: FetchRequest,
        tls: Callable[[], ssl.SSLContext],
        timeout: httpx.Timeout,
    ) -> httpx.Response:
        """The head of the answer; `stack` closes the connection. Raises FetchError."""
        sent = encoded_headers(headers)
        try:
            verify = tls() if url.scheme == "https" else False
            client = httpx.AsyncClient(proxy=self._proxy_url, verify=verify, trust_env=False, timeout=timeout)
            await stack.enter_async_context(client)
            return await stack.enter_async_context(
                client.stream(request.method, url.geturl(), headers=sent, content=request.body)
            )
        except Exception as error:  # noqa: BLE001 # see _told
            raise _told(error) from None


async def _whole(answer: httpx.Response, body_bytes_max: int) -> Response:
    pieces, size = [], 0
    async for piece in _pieces(answer):
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


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body, decompressed. Raises FetchError."""
    pieces = answer.aiter_bytes()
    while True:
        try:
            piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 # see _told
            raise _told(error) from None
        yield piece


def _told(error: Exception) -> FetchError:
    """What went wrong between us and a proxy.

    The libraries that talk to it raise errors of a dozen unrelated types for what a proxy or an address may say
    (httpx, ssl, sockets, encodings, SOCKS), and none of our own code runs in between: each is about the peer.
    """
    if isinstance(error, FetchError):
        return error
    return FetchError(f"proxyconnect: {str(error) or type(error).__name__}")
