"""A client for one peer: redirects, credentials, TLS, timeouts, and which way a request takes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult

import trio

from trimon import PROMETHEUS_VERSION, __version__
from trimon.fetch.budget import OUTGOING, ConnectionBudget
from trimon.fetch.connection import ClientConnection, PeerClosed
from trimon.fetch.dialing import PeerAddress
from trimon.fetch.http1 import REDIRECTS, request_bytes
from trimon.fetch.proxychoice import ProxyOptions
from trimon.fetch.request import BodyError, FetchError, FetchRequest, FetchTimeout, Response, StreamedResponse
from trimon.fetch.times import ExchangeTimes
from trimon.fetch.url import host_header, joined_url, same_place, split_url
from trimon.records import dataclass
from trimon.redaction import shown_url

if TYPE_CHECKING:
    from trimon.fetch.proxy import ProxyClient

USER_AGENT: Final = f"Prometheus/{PROMETHEUS_VERSION} trimon/{__version__}"
REDIRECTS_MAX: Final = 10
# These repeat the request as it was; the others ask for the new place with GET.
_REPEATING: Final = frozenset((307, 308))
_BODY_METHODS: Final = frozenset(("POST", "PUT", "PATCH"))
# Of a request's own headers a stranger gets those that say what is asked and in which form; the others may be a token.
_HARMLESS: Final = ("accept", "content-", "x-prometheus-", "user-agent", "range")


def _no_credentials() -> tuple[tuple[str, str], ...]:
    return ()


async def _nothing_to_wait_for() -> None:
    """Credentials that are always at hand."""


def _proxy_client(options: ProxyOptions) -> ProxyClient:
    from trimon.fetch.proxy import ProxyClient  # noqa: PLC0415 # httpx is large, and few use a proxy

    return ProxyClient(options)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How to talk to a peer.

    `credentials` is asked at every request, so that files with secrets may change; what has to be fetched for them is
    fetched by `prepare` before. Neither its headers nor `headers` are sent on a redirect to another host or port, or from
    https to http. `tls` is asked whenever a TLS connection is opened, for the same reason.
    """

    headers: tuple[tuple[str, str], ...] = ()
    credentials: Callable[[], tuple[tuple[str, str], ...]] = _no_credentials
    prepare: Callable[[], Awaitable[None]] = _nothing_to_wait_for
    """Raises FetchError."""
    sign: Callable[[str, SplitResult, bytes], tuple[tuple[str, str], ...]] | None = None
    """Headers that come from method, URL and body of each request, sent where those of `credentials` are."""
    tls: Callable[[], ssl.SSLContext] = field(default=ssl.create_default_context)
    server_name: str = ""
    follow_redirects: bool = True
    proxy: ProxyOptions = field(default_factory=ProxyOptions)
    any_address: bool = False
    """Whether each connection goes to any of the addresses of a host, by chance."""


class HttpFetch:
    """The real Fetch: HTTP/1.1 over one kept connection, or through a proxy where the options name one.

    One request at a time. A kept connection that the peer has closed, or on which anything came that nobody asked for, is
    replaced. A request that finds out later that its kept connection was closed is sent once more if it is idempotent.
    """

    def __init__(self, options: ClientOptions | None = None, budget: ConnectionBudget = OUTGOING) -> None:
        self._options = options or ClientOptions()
        self._waits = self._options.prepare is not _nothing_to_wait_for
        self._budget = budget
        self._connection: ClientConnection | None = None
        # the last question and its bytes: a scraper asks the same one for months
        self._asked: tuple[FetchRequest, SplitResult, tuple[tuple[str, str], ...]] | None = None
        self._asked_bytes = b""
        self._asked_of = PeerAddress("", 0, secure=False)
        self._origin = ("", SplitResult("", "", "", "", ""))
        # where redirects have led the request that is under way
        self._at = ""
        self._times = ExchangeTimes()
        self._proxy: ProxyClient | None = None

    async def send(self, request: FetchRequest) -> Response:
        """The answer after redirects, whatever its status. Raises FetchError with Go's wording."""
        self._at, self._times = request.url, ExchangeTimes()
        try:
            with trio.CancelScope(deadline=trio.current_time() + request.timeout_s) as in_time:
                response = await self._follow(request)
                return response if response.times is self._times else replace(response, times=self._times)
        except FetchError as error:
            await self.aclose()
            raise self._timed(_told(request.method, self._at, error)) from None
        except trio.Cancelled:
            await self.aclose()
            raise
        assert in_time.cancelled_caught
        answering = self._connection is not None and self._connection.answering
        await self.aclose()
        raise self._timed(_late(request.method, "" if answering else self._at))

    async def _proxy_client(self) -> ProxyClient:
        if self._proxy is None:
            # The first import of httpx takes longer than the event loop may stand still.
            self._proxy = await trio.to_thread.run_sync(_proxy_client, self._options.proxy)
        return self._proxy

    def _timed(self, error: FetchError) -> FetchError:
        error.times = self._times
        return error

    @asynccontextmanager
    async def stream(self, request: FetchRequest) -> AsyncIterator[StreamedResponse]:
        """The answer while its body comes; redirects are not followed, and no timeout holds once it began."""
        try:
            url = split_url(request.url)
            with trio.fail_after(request.timeout_s):
                await self._options.prepare()
            own = self._own_headers()
        except trio.TooSlowError:
            raise _timeout(request) from None
        except FetchError as error:
            raise _told(request.method, request.url, error) from None
        if not request.unix_socket and self._options.proxy.chosen(url):
            headers = self._headers(url, request, own)
            proxy = await self._proxy_client()
            async with (
                self._budget.place(),
                proxy.stream(url, headers, request, self._options.tls) as answer,
            ):
                yield answer
            return
        try:
            with trio.fail_after(request.timeout_s):
                connection = await self._opened(self._address(url, request))
        except trio.TooSlowError:
            raise _timeout(request) from None
        except FetchError as error:
            raise _told(request.method, request.url, error) from None
        try:
            try:
                with trio.fail_after(request.timeout_s):
                    answer = await connection.begin(self._bytes(request, url, own))
            except trio.TooSlowError:
                raise _timeout(request) from None
            except FetchError as error:
                raise _told(request.method, request.url, error) from None
            async with aclosing(answer.pieces):  # type: ignore[type-var] # it is a generator
                yield answer
        finally:
            with trio.CancelScope(shield=True):
                await connection.aclose()

    async def _follow(self, request: FetchRequest) -> Response:
        if self._origin[0] != request.url:
            self._origin = (request.url, split_url(request.url))
        url = origin = self._origin[1]
        trusted, location = True, ""
        for _ in range(REDIRECTS_MAX):
            # who was led to a stranger once gets nothing secret any more, wherever the stranger leads back to
            if trusted and not (url is origin or same_place(origin, url)):
                trusted, request = False, replace(request, headers=_harmless(request.headers))
            response = await self._once(url, request, trusted=trusted)
            if response.status not in REDIRECTS or not self._follows(request):
                return response
            location = response.headers.get("location", "")
            if not location:
                return response
            url = joined_url(url, location)
            self._at = url.geturl()
            if response.status not in _REPEATING and request.method not in ("GET", "HEAD"):
                request = replace(request, method="GET", body=b"")
        self._at = location
        raise FetchError(f"stopped after {REDIRECTS_MAX} redirects")

    async def _once(self, url: SplitResult, request: FetchRequest, *, trusted: bool) -> Response:
        if trusted and self._waits:
            await self._options.prepare()
        own = self._own_headers() if trusted else ()
        if trusted and self._options.sign is not None:
            own = (*own, *self._options.sign(request.method, url, request.body))
        follows = self._follows(request)
        if not request.unix_socket and self._options.proxy.chosen(url):
            headers = self._headers(url, request, own)
            proxy = await self._proxy_client()
            async with self._budget.place():
                return await proxy.send(url, headers, request, self._options.tls, follows=follows)
        question = (request, url, own)
        if self._asked != question:
            self._asked_bytes = self._bytes(request, url, own)
            self._asked_of = self._address(url, request)
            self._asked = question
        endpoint = self._asked_of
        connection, kept = await self._connected(endpoint)
        try:
            response = await connection.exchange(request, self._asked_bytes, self._times, follows=follows)
        except PeerClosed:
            await self._drop()
            if not kept or not request.idempotent:
                raise
            connection, _ = await self._connected(endpoint)
            response = await connection.exchange(request, self._asked_bytes, self._times, follows=follows)
        if connection.reusable:
            self._budget.rest(connection)
        else:
            await self._drop()
        return response

    def _address(self, url: SplitResult, request: FetchRequest) -> PeerAddress:
        return PeerAddress.of(url, request.unix_socket, any_address=self._options.any_address)

    def _follows(self, request: FetchRequest) -> bool:
        return self._options.follow_redirects and request.follow_redirects

    def _own_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that belong to the peer of the options, and to nobody else."""
        return (*self._options.headers, *self._options.credentials())

    def _bytes(self, request: FetchRequest, url: SplitResult, own: tuple[tuple[str, str], ...]) -> bytes:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return request_bytes(request.method, target, self._headers(url, request, own), request.body)

    def _headers(
        self, url: SplitResult, request: FetchRequest, own: tuple[tuple[str, str], ...]
    ) -> list[tuple[str, str]]:
        """Host, user agent, length of a body, and the rest by name, as Go's client has them."""
        if own and any(name.lower() == "authorization" for name, _ in request.headers):
            # A request that proves by itself who sends it needs no second proof, which servers would refuse.
            own = tuple(header for header in own if header[0].lower() != "authorization")
        length = [("Content-Length", str(len(request.body)))] if request.method in _BODY_METHODS else []
        others = [(_canonical(name), value) for name, value in (*request.headers, *own)]
        return [
            ("Host", host_header(url)),
            ("User-Agent", USER_AGENT),
            *length,
            *sorted(others, key=lambda header: header[0]),
        ]

    async def _connected(self, endpoint: PeerAddress) -> tuple[ClientConnection, bool]:
        kept = self._connection
        if kept is not None and kept.endpoint == endpoint and self._budget.wake(kept) and not kept.is_stale():
            return kept, True
        await self._drop()
        self._connection = await self._opened(endpoint)
        return self._connection, False

    async def _opened(self, endpoint: PeerAddress) -> ClientConnection:
        options = self._options
        return await self._budget.opened(
            lambda: ClientConnection.open(endpoint, options.tls, options.server_name, self._times)
        )

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.aclose()

    async def aclose(self) -> None:
        """Closes the kept connection; the client can be used again."""
        with trio.CancelScope(shield=True):
            await self._drop()


def _harmless(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(header for header in headers if header[0].lower().startswith(_HARMLESS))


def _canonical(name: str) -> str:
    """A header's name as Go writes it: `X-Scope-OrgID` is `X-Scope-Orgid`."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _told(method: str, url: str, error: FetchError) -> FetchError:
    """An error with the request that it is about; one about the body of an answer stands for itself."""
    if isinstance(error, BodyError):
        return error
    return type(error)(f'{method.capitalize()} "{shown_url(url)}": {error}')


def _late(method: str, url: str) -> FetchError:
    """The whole took too long; without a URL the answer had begun."""
    error = FetchTimeout("context deadline exceeded")
    return _told(method, url, error) if url else error


def _timeout(request: FetchRequest) -> FetchError:
    return _late(request.method, request.url)
