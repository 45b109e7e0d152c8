"""The Fetch seam: what is asked for, what comes back, and how it can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol

from trimon.errors import OperatingError
from trimon.fetch.times import ExchangeTimes
from trimon.records import dataclass

if TYPE_CHECKING:  # the command line knows requests, and waits for no event loop
    from trimon.fetch.bodybudget import BodyBudget, BodyLease

# What may be sent again when nobody knows whether the first one arrived (RFC 9110, 9.2.2).
IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))

# The body of an answer of which the status counts is waited for so long: it is only shown.
SHOWN_BODY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One request. `headers` come on top of what the client adds by itself (Host, authorization, user agent).

    On a redirect to another host or port only those go along that say what is asked and in which form. `unix_socket` names
    a socket to connect to; the URL says only what is asked of the peer there.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 10.0
    body_bytes_max: int = 64 * 2**20
    """The most the decompressed body of an answer may have; does not bound a stream."""
    method: str = "GET"
    body: bytes = b""
    unix_socket: str = ""
    only_ok: bool = False
    """Whether answers other than 200 are wanted without their bodies."""
    bodies: BodyBudget | None = None
    """What the body of the answer shares with others; does not bound a stream."""
    follow_redirects: bool = True
    """Whether a redirect may be followed, where the client does; no for a body that is for this peer alone."""
    status_counts: bool = False
    """Whether status and headers are the answer, whatever its body is like: of one that is too long, broken, cut off or slow
    the Response has what came."""

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice is as good as once."""
        return self.method in IDEMPOTENT


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. `body` is decompressed; `wire_bytes` is what came over the connection for it."""

    status: int
    reason: str
    content_type: str
    body: bytes
    wire_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    wire_body: bytes = b""
    """The body as it came over the connection: gzip where `is_compressed`. Empty where that is not known."""
    is_compressed: bool = False
    times: ExchangeTimes | None = None
    lease: BodyLease | None = field(default=None, compare=False, repr=False)
    """What the body has of the budget that it shares; it lasts as long as the answer is referred to."""

    @property
    def status_line(self) -> str:
        """`404 Not Found`."""
        return f"{self.status:03d} {self.reason}".rstrip()


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """An answer whose body is read as it comes, for instance a watch that never ends."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case."""
    pieces: AsyncIterator[bytes]
    """The body, decompressed, in pieces as they arrive. Raises FetchError. To be read once."""


class FetchError(OperatingError):
    """No usable answer: refused, reset, timed out, too big, not HTTP. The message is meant for people."""

    times: ExchangeTimes | None = None
    """How far it came, where that is known."""


class FetchTimeout(FetchError):
    """The whole exchange took longer than `timeout_s`."""


class BodyError(FetchError):
    """The answer began well, and its body is no good: cut off, badly compressed, or too big."""


class BodyTooBig(BodyError):
    """The body, decompressed, is bigger than `body_bytes_max`."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"body of more than {bytes_max} bytes, which is the limit")


class Fetch(Protocol):
    """A client for one peer. It keeps its connection open between requests, one request at a time.

    A request that finds the kept connection closed is sent once more if that changes nothing; a POST is not.
    """

    async def send(self, request: FetchRequest) -> Response:
        """The answer, whatever its status. Raises FetchError."""
        ...

    def stream(self, request: FetchRequest) -> AbstractAsyncContextManager[StreamedResponse]:
        """The answer while its body comes; `timeout_s` holds until it begins. Raises FetchError."""
        ...

    async def aclose(self) -> None:
        """Closes what is open."""
        ...
