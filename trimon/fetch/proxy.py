"""Requests through an HTTP, HTTPS or SOCKS proxy: rare, so a general client (httpx) does them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import cast
from urllib.parse import SplitResult

import httpx
import trio

from trimon.fetch.bodybudget import BodyLease
from trimon.fetch.headers import encoded_headers
from trimon.fetch.http1 import is_unwanted
from trimon.fetch.inflater import INFLATED_BYTES_AT_ONCE, Inflater
from trimon.fetch.proxychoice import ProxyOptions
from trimon.fetch.request import (
    SHOWN_BODY_S,
    BodyTooBig,
    FetchError,
    FetchRequest,
    Response,
    StreamedResponse,
)


class ProxyClient:
    """Requests through a proxy. A client object is made for each request: nothing is shared, nothing leaks."""

    def __init__(self, options: ProxyOptions) -> None:
        self._options = options

    async def send(
        self,
        url: SplitResult,
        headers: list[tuple[str, str]],
        request: FetchRequest,
        tls: Callable[[], ssl.SSLContext],
        *,
        follows: bool,
    ) -> Response:
        """One request; one that `follows` redirects does not want their bodies. Raises FetchError, BodyTooBig."""
        async with AsyncExitStack() as stack:
            # the caller's cancel scope bounds the whole exchange
            answer = await self._asked(stack, url, headers, request, tls, httpx.Timeout(None))
            unwanted = is_unwanted(
                answer.status_code, answer.headers, follows=follows, only_ok=request.only_ok
            )
            lease = request.bodies.lease() if request.bodies is not None else None
            body = b"" if unwanted else await _wanted(answer, request, lease)
            return replace(_answer(answer, body), lease=lease)

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
            async with aclosing(_pieces(answer)) as pieces:
                yield StreamedResponse(answer.status_code, answer.reason_phrase, known, pieces)

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
            # a proxy that is asked for the page itself, and not for a tunnel, would hand the headers on
            tunnel = self._options.connect_headers if url.scheme == "https" else ()
            proxy = httpx.Proxy(self._options.chosen(url), headers=list(tunnel))
            client = httpx.AsyncClient(proxy=proxy, verify=verify, trust_env=False, timeout=timeout)
            await stack.enter_async_context(client)
            return await stack.enter_async_context(
                client.stream(request.method, url.geturl(), headers=sent, content=request.body)
            )
        except Exception as error:  # noqa: BLE001 # see _told
            raise _told(error) from None


async def _wanted(answer: httpx.Response, request: FetchRequest, lease: BodyLease | None) -> bytes:
    """The body; empty where it is no good or slow, and only the status counts. Raises FetchError."""
    if not request.status_counts:
        return await _body(answer, request.body_bytes_max, lease)
    with trio.move_on_after(SHOWN_BODY_S):
        try:
            return await _body(answer, request.body_bytes_max, lease)
        except FetchError:
            return b""
    return b""


async def _body(answer: httpx.Response, body_bytes_max: int, lease: BodyLease | None) -> bytes:
    pieces, size = [], 0
    async with aclosing(_pieces(answer)) as coming:
        async for piece in coming:
            size += len(piece)
            if size > body_bytes_max:
                raise BodyTooBig(body_bytes_max)
            pieces.append(piece)
            if lease is not None:
                await lease.hold(size)
    return b"".join(pieces)


def _answer(answer: httpx.Response, body: bytes) -> Response:
    return Response(
        status=answer.status_code,
        reason=answer.reason_phrase,
        content_type=answer.headers.get("content-type", ""),
        body=body,
        wire_bytes=answer.num_bytes_downloaded,
        headers={name.lower(): value for name, value in answer.headers.items()},
    )


async def _pieces(answer: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body, decompressed. Raises FetchError."""
    # httpx stops after the first member of gzip, and inflates a piece without a bound
    inflater = Inflater() if answer.headers.get("content-encoding") == "gzip" else None
    read = answer.aiter_bytes() if inflater is None else answer.aiter_raw()
    async with aclosing(cast("AsyncGenerator[bytes, None]", read)) as coming:
        while piece := await _next(coming):
            if inflater is None:
                yield piece
                continue
            rest = memoryview(piece)
            while rest:
                yield inflater.feed(rest, INFLATED_BYTES_AT_ONCE)
                rest = inflater.rest
                await trio.lowlevel.checkpoint()
    has_body = answer.status_code == 200 and answer.request.method != "HEAD"
    if inflater is not None and (answer.num_bytes_downloaded or has_body):
        inflater.end()


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    """The next piece that is not empty; empty at the end. Raises FetchError."""
    try:
        async for piece in pieces:
            if piece:
                return piece
    except Exception as error:  # noqa: BLE001 # see _told
        raise _told(error) from None
    return b""


def _told(error: Exception) -> FetchError:
    """What went wrong between us and a proxy.

    The libraries that talk to it raise errors of a dozen unrelated types for what a proxy or an address may say
    (httpx, ssl, sockets, encodings, SOCKS), and none of our own code runs in between: each is about the peer.
    """
    if isinstance(error, FetchError):
        return error
    return FetchError(f"proxyconnect: {str(error) or type(error).__name__}")
