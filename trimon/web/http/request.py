"""A request as the handlers of the busiest routes see it, whether the framework took it or the front did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from quart import Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from trimon.web.http import parameters
from trimon.web.http.answer import Answer, respond

T = TypeVar("T")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class BodyTooLong(Exception):
    """The body is longer than any request's may be."""


class Asked(Protocol):
    """One request. Only on the loop's thread."""

    @property
    def method(self) -> str:
        """In upper case."""
        ...

    @property
    def path(self) -> str:
        """Decoded, with the route prefix."""
        ...

    @property
    def client(self) -> str:
        """The client's address, empty when it has none."""
        ...

    def header(self, name: str) -> str:
        """A header by its name in lower case, empty when there is none."""
        ...

    async def values(self) -> MultiDict[str, str]:
        """The parameters: the form of a POST, then the URL's query. Raises ApiError."""
        ...

    async def body(self) -> bytes:
        """The whole body. Raises BodyTooLong."""
        ...

    async def attended(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work()`, which is cancelled when the client goes away; ClientGone then."""
        ...


Handler = Callable[[Asked], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route that the front may answer without the framework."""

    path: str
    """Below the API's prefix."""
    handler: Handler
    methods: tuple[str, ...]
    """All that the framework lets in."""
    quick: frozenset[str]
    """Those that the front takes."""


class FrameworkAsked:
    """The framework's present request."""

    @property
    def method(self) -> str:
        """In upper case."""
        return request.method

    @property
    def path(self) -> str:
        """Decoded, with the route prefix."""
        return request.path

    @property
    def client(self) -> str:
        """The client's address, empty when it has none."""
        return request.remote_addr or ""

    def header(self, name: str) -> str:
        """A header by its name, empty when there is none."""
        return request.headers.get(name, "")

    async def values(self) -> MultiDict[str, str]:
        """The parameters: the form of a POST, then the URL's query. Raises ApiError."""
        return await parameters.parameters()

    async def body(self) -> bytes:
        """The whole body. Raises BodyTooLong."""
        try:
            body = await request.get_data(cache=False, as_text=False)
        except RequestEntityTooLarge:
            raise BodyTooLong from None
        assert isinstance(body, bytes)
        return body

    async def attended(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work()`; the framework itself cancels the request when its client goes away."""
        return await work()


def view(handler: Handler) -> Callable[[], Awaitable[Response]]:
    """A handler as the framework's view function."""

    async def answer() -> Response:
        return respond(await handler(FrameworkAsked()))

    return answer
