"""A request as handlers see it, whether the router read it itself or the framework did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, HTTPScope

from trimon.gotext.strings import go_quote
from trimon.offload import Offload
from trimon.query.execution.budget import EVALUATION
from trimon.query.language.errors import FailureKind, QueryError
from trimon.web.http.answer import ApiError
from trimon.web.http.multidict import MultiDict
from trimon.web.http.parameters import FORM, decoded
from trimon.web.http.wire.departure import SENDS_NO_MORE, departure_of

T = TypeVar("T")

# Of unknown parameters, in an error.
_NAMED: Final = 10
_NAME_CHARACTERS: Final = 100

# As long as the framework waits for a body.
BODY_TIMEOUT_S: Final = 60.0
# Longer parameters take more than a millisecond or two.
INLINE_BYTES_MAX: Final = 64 * 1024


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class BodyTooLong(Exception):
    """The body is longer than any request's may be."""


class Request(Protocol):
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
    def raw_path(self) -> bytes:
        """As it was sent, escapes and all."""
        ...

    @property
    def raw_query(self) -> str:
        """The URL's query as it was sent, escapes and all."""
        ...

    @property
    def path_values(self) -> Mapping[str, str]:
        """The values of the path's parameters, decoded; what was no UTF-8 is U+FFFD."""
        ...

    @property
    def client(self) -> str:
        """The client's address, `<local>` when it has none."""
        ...

    @property
    def user(self) -> str:
        """Who asks: the name of a user or of a token; empty when nobody was asked who he is."""
        ...

    def header(self, name: str) -> str:
        """A header by its name in lower case, empty when there is none; of several the first."""
        ...

    async def values(self, *, strict: bool = False) -> MultiDict[str, str]:
        """The parameters: the form of a POST or PUT, then the URL's query. Raises ApiError; for bad ones where `strict`."""
        ...

    def query(self, *, strict: bool = False) -> MultiDict[str, str]:
        """The parameters of the URL's query alone. Raises ApiError; for bad ones where `strict`."""
        ...

    async def body(self) -> bytes:
        """The whole body. Raises BodyTooLong."""
        ...

    async def attended(self, work: Callable[[], Awaitable[T]], *, half_closed: bool = False) -> T:
        """The result of `work()`, which is cancelled when the client goes away; ClientGone then.

        A client that sends no more may still listen: with `half_closed` the work goes on for it, else it ends with an error.
        """
        ...


async def read_parameters(
    form: bytes, query: bytes, offload: Offload, *, strict: bool = False
) -> MultiDict[str, str]:
    """The parameters of a form, then of a URL's query; long ones are read in a thread. Raises ApiError."""
    if len(form) + len(query) <= INLINE_BYTES_MAX:
        return decoded(form, query, strict=strict)
    return await offload.run(lambda: decoded(form, query, strict=strict))


def known_alone(values: MultiDict[str, str], known: frozenset[str] | None) -> MultiDict[str, str]:
    """The parameters, if each is one of those that are known; None: any is. Raises ApiError, which names the others."""
    unknown = sorted(set(values) - known) if known is not None else ()
    if not unknown or known is None:
        return values
    named = ", ".join(go_quote(name[:_NAME_CHARACTERS]) for name in unknown[:_NAMED])
    there = ", ".join(sorted(known)) or "none"
    raise ApiError("bad_data", f"unknown parameters: {named}; those of this endpoint: {there}")


class PlainRequest:
    """A request that the router read itself: it has no body, or a form or message of known length."""

    __slots__ = (
        "_body",
        "_departure",
        "_headers",
        "_known",
        "_offload",
        "_query",
        "_receive",
        "client",
        "method",
        "path",
        "path_values",
        "raw_path",
        "user",
    )

    def __init__(
        self,
        scope: HTTPScope,
        headers: dict[bytes, bytes],
        path_values: Mapping[str, str],
        receive: ASGIReceiveCallable,
        offload: Offload,
        user: str = "",
        known: frozenset[str] | None = None,
    ) -> None:
        """`known` are the names of all parameters that there may be; None: any."""
        self._offload = offload
        self._known = known
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope["raw_path"]
        self.path_values = path_values
        client = scope.get("client")
        self.client: str = client[0] if client else "<local>"
        self.user = user
        self._query: bytes = scope["query_string"]
        self._headers = headers
        self._receive = receive
        self._body = b""
        self._departure = departure_of(scope)

    @property
    def raw_query(self) -> str:
        """The URL's query as it was sent, escapes and all."""
        return self._query.decode("latin1")

    def header(self, name: str) -> str:
        """A header by its name in lower case, empty when there is none."""
        return self._headers.get(name.encode(), b"").decode("latin1")

    async def read(self) -> None:
        """Takes in the body. Raises ClientGone, and TooSlowError when it takes too long."""
        with trio.fail_after(BODY_TIMEOUT_S):
            message = await self._receive()
            parts = []
            while message["type"] == "http.request":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    self._body = b"".join(parts)
                    return
                message = await self._receive()
        raise ClientGone

    async def values(self, *, strict: bool = False) -> MultiDict[str, str]:
        """The parameters: the form of a POST or PUT, then the URL's query. Raises ApiError; for bad ones where `strict`."""
        is_form = self.method in ("POST", "PUT") and self._headers.get(b"content-type", b"").startswith(
            FORM.encode()
        )
        form = self._body if is_form else b""
        values = await read_parameters(form, self._query, self._offload, strict=strict)
        return known_alone(values, self._known)

    def query(self, *, strict: bool = False) -> MultiDict[str, str]:
        """The parameters of the URL's query alone. Raises ApiError; for bad ones where `strict`."""
        return known_alone(decoded(b"", self._query, strict=strict), self._known)

    async def body(self) -> bytes:
        """The whole body."""
        return self._body

    async def attended(self, work: Callable[[], Awaitable[T]], *, half_closed: bool = False) -> T:
        """The result of `work()`, which is cancelled when the client goes away; ClientGone then.

        A client that sends no more may still listen: with `half_closed` the work goes on for it, else it ends with an error.
        """
        left: ASGIReceiveEvent | None = None

        def told(message: ASGIReceiveEvent) -> None:
            nonlocal left
            if not half_closed or message is not SENDS_NO_MORE:
                left = message
                scope.cancel()

        with trio.CancelScope() as scope:
            self._departure.listen(told)
            try:
                return await work()
            except Exception:
                if left is None:
                    raise
            finally:
                self._departure.ignore(told)
        if left is SENDS_NO_MORE:
            raise QueryError(f"query was canceled in {EVALUATION}", FailureKind.CANCELED)
        raise ClientGone
