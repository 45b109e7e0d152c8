"""The HTTP API of a source: requests with a limit on time and size, answers that are good or an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final, TypedDict, TypeVar, Unpack

import trio

from trimon.clock import Clock
from trimon.discovery.asking.record import Record, SourceError
from trimon.discovery.plugin import Context
from trimon.fetch.bodybudget import BodyBudget
from trimon.fetch.request import Fetch, FetchRequest, Response

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]

ANSWER_BYTES_MAX: Final = 64 * 2**20
# What answers to all discoveries have together while they come and are read.
ANSWERS_BYTES_MAX: Final = 256 * 2**20
BODIES: Final = BodyBudget(ANSWERS_BYTES_MAX, 2 * ANSWER_BYTES_MAX)
# What is bigger than this is read in a thread.
INLINE_BYTES_MAX: Final = 16 * 2**10
# Of those that are bigger one is read after the other, whatever source they are of: a tree takes many times its text.
BIG_BYTES: Final = 4 * 2**20
_BIG_READS: Final = trio.CapacityLimiter(1)
# A source may ask for patience, but not for a day of it.
RETRY_AFTER_S_MAX: Final = 3600.0
_SHOWN: Final = 200
_JSON: Final = re.compile(r'application/json(;\s*charset=("utf-8"|utf-8))?', re.IGNORECASE)


class Asked(TypedDict, total=False):
    """What a request may say beside its URL and headers; `timeout_s` in place of the discovery's."""

    method: str
    body: bytes
    unix_socket: str
    timeout_s: float


class Api:
    """Requests of one discovery. `timeout_s` is for each of them; `fetch` another client than the context's.

    Without `follow_redirects` a redirect is an answer like others: for bodies that have a secret.
    """

    def __init__(
        self,
        context: Context,
        timeout_s: float,
        fetch: Fetch | None = None,
        *,
        follow_redirects: bool = True,
    ) -> None:
        self._context = context
        self._fetch = fetch or context.fetch
        self._timeout_s = timeout_s
        self._follow_redirects = follow_redirects
        self.requests = 0

    async def send(self, url: str, headers: Headers = (), **asked: Unpack[Asked]) -> Response:
        """The answer, whatever its status. Raises FetchError."""
        self.requests += 1
        request = FetchRequest(
            url,
            headers,
            asked.get("timeout_s", self._timeout_s),
            ANSWER_BYTES_MAX,
            method=asked.get("method", "GET"),
            body=asked.get("body", b""),
            unix_socket=asked.get("unix_socket", ""),
            bodies=BODIES,
            follow_redirects=self._follow_redirects,
        )
        return await self._fetch.send(request)

    async def ok(self, url: str, headers: Headers = (), **asked: Unpack[Asked]) -> Response:
        """The answer if its status is 200. Raises SourceError, FetchError."""
        answer = await self.send(url, headers, **asked)
        if answer.status != 200:
            raise refused(answer, self._context.clock)
        return answer

    async def record(self, url: str, headers: Headers = (), **asked: Unpack[Asked]) -> Record:
        """The JSON object of an answer with status 200. Raises SourceError, FetchError."""
        return await self.read(await self.ok(url, headers, **asked), Record.of_json)

    async def records(self, url: str, headers: Headers = (), **asked: Unpack[Asked]) -> list[Record]:
        """The JSON objects of an array, of an answer with status 200. Raises SourceError, FetchError."""
        return await self.read(await self.ok(url, headers, **asked), Record.list_of_json)

    async def read(self, answer: Response, reader: Callable[[bytes], T]) -> T:
        """What a reader makes of the body, in a thread where it is big; then the body counts no more. Raises what it raises."""
        try:
            return await self._read(answer, reader)
        finally:
            if answer.lease is not None:
                answer.lease.end()

    async def _read(self, answer: Response, reader: Callable[[bytes], T]) -> T:
        if len(answer.body) <= INLINE_BYTES_MAX:
            return reader(answer.body)

        def work() -> T:
            try:
                return reader(answer.body)
            except (MemoryError, SystemError):  # the latter from parsers that are out of memory
                raise SourceError(
                    f"there is no memory to read an answer of {len(answer.body)} bytes"
                ) from None

        if len(answer.body) < BIG_BYTES:
            return await self._context.offload.run(work)
        async with _BIG_READS:
            return await self._context.offload.run(work)


def refuse_unless_json(answer: Response) -> None:
    """Raise SourceError for an answer that does not say that it is JSON."""
    if not _JSON.fullmatch(answer.content_type):
        raise SourceError(f'unsupported content type "{answer.content_type[:100]}"')


def refused(answer: Response, clock: Clock) -> SourceError:
    """The error of an answer with another status than wanted: what it says, and how long to wait."""
    text = answer.body[:_SHOWN].decode("utf-8", "replace").strip()
    said = f": {text}" if text else ""
    return SourceError(
        f"server returned HTTP status {answer.status_line}{said}", retry_after_s(answer, clock)
    )


def retry_after_s(answer: Response, clock: Clock) -> float:
    """How long an answer asks to wait, in seconds or until a date; 0 where it does not say (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        at_s = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, min(at_s - clock.now_ms() / 1000, RETRY_AFTER_S_MAX))
