"""The Fetch seam: what is asked for, what comes back, and how it can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from trimon.errors import OperatingError


@dataclass(frozen=True, slots=True)
class Request:
    """A GET. `headers` come on top of what the client adds by itself (Host, authorization, user agent)."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 10.0
    body_bytes_max: int = 64 * 2**20
    """The most the decompressed body may have."""


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

    @property
    def status_line(self) -> str:
        """`404 Not Found`."""
        return f"{self.status} {self.reason}".rstrip()


class FetchError(OperatingError):
    """No usable answer: refused, reset, timed out, too big, not HTTP. The message is meant for people."""


class FetchTimeout(FetchError):
    """The whole exchange took longer than `timeout_s`."""


class BodyTooBig(FetchError):
    """The body, decompressed, is bigger than `body_bytes_max`."""


class Fetch(Protocol):
    """A client for one peer. It keeps its connection open between requests, one request at a time."""

    async def get(self, request: Request) -> Response:
        """The answer, whatever its status. Raises FetchError."""
        ...

    async def aclose(self) -> None:
        """Closes what is open."""
        ...
