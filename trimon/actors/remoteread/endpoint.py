"""One endpoint of remote read: its connections, what it is asked of, and how it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import trio

from trimon.config.remote import RemoteReadConfig
from trimon.errors import OperatingError
from trimon.fetch.request import Fetch, FetchError, FetchRequest, Response
from trimon.gotext.times import rfc3339
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.redaction import redacted, shown_url
from trimon.remote.reading.answers import SAMPLED_TYPE, STREAMED_TYPE
from trimon.remote.reading.asked import Asked, Scope
from trimon.remote.snappy import compress
from trimon.selfmetrics import Durations

# Requests to one endpoint at once: as many as a server answers at once unless it is told otherwise.
AT_ONCE_MAX: Final = 10
# Bounds of the classes into which answers are counted by how long they took.
READING_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)
_ERROR_CHARACTERS_MAX: Final = 512
HOPS_HEADER: Final = "X-Trimon-Read-Hops"
"""Says how many servers have asked one another so far for one query."""


class RemoteReadError(OperatingError):
    """An endpoint gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an answer."""

    content: bytes
    is_streamed: bool


class ReadEndpoint:
    """Asks one server. Only on the loop's thread."""

    def __init__(
        self,
        config: RemoteReadConfig,
        name: str,
        external: Labels,
        connect: Callable[[RemoteReadConfig], Fetch],
        now_ms: Callable[[], int],
    ) -> None:
        assert config.url is not None
        self.config = config
        self.name = name
        self.url = config.url.reveal()
        self.shown_url = shown_url(self.url)
        self.scope = Scope(
            tuple(config.required_matchers),
            external if config.filter_external_labels else (),
            config.read_recent,
        )
        self.answers: Counter[tuple[str, str]] = Counter()
        """Answers by their kind and status."""
        self.took: dict[str, Durations] = {}
        """How long whole answers took, by their kind."""
        self.asked = 0
        self.failed = 0
        self.last_error = ""
        self.last_answer_ms = 0
        self._connect = connect
        self._now_ms = now_ms
        self._idle: list[Fetch] = []
        self._limiter = trio.CapacityLimiter(AT_ONCE_MAX)
        self._closed = False

    async def read(self, asked: Asked, hops: int, body_bytes_max: int) -> Body:
        """The body of the answer. Raises RemoteReadError."""
        async with self._limiter:
            fetch = self._idle.pop() if self._idle else self._connect(self.config)
            self.asked += 1
            began_s = trio.current_time()
            try:
                response = await fetch.send(self._request(asked, hops, body_bytes_max))
            except FetchError as error:
                raise RemoteReadError(f"error sending request: {redacted(str(error))}") from None
            finally:
                await self._give_back(fetch)
        return self._judged(response, trio.current_time() - began_s)

    def failure(self, error: Exception) -> str:
        """Notes that an answer could not be used; the warning that tells it."""
        self.failed += 1
        self.last_error = redacted(str(error))
        return f"remote_read: {self.last_error}"

    def succeeded(self) -> None:
        """Notes an answer that was used."""
        self.last_answer_ms = self._now_ms()
        self.last_error = ""

    @property
    def in_flight(self) -> int:
        """Requests whose answers have not come yet."""
        return int(self._limiter.borrowed_tokens)

    async def aclose(self) -> None:
        """Closes what is open, and what is under way when it is done."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def inspect(self) -> Mapping[str, object]:
        """What is told of it."""
        return {
            "name": self.name,
            "url": self.shown_url,
            "readRecent": self.config.read_recent,
            "requiredMatchers": dict(self.config.required_matchers),
            "inFlight": self.in_flight,
            "asked": self.asked,
            "failed": self.failed,
            "lastAnswer": rfc3339(self.last_answer_ms) if self.last_answer_ms else "",
            "lastError": self.last_error,
            "health": "unknown" if not self.asked else "down" if self.last_error else "up",
        }

    async def _give_back(self, fetch: Fetch) -> None:
        if self._closed:
            await fetch.aclose()
        else:
            self._idle.append(fetch)

    def _request(self, asked: Asked, hops: int, body_bytes_max: int) -> FetchRequest:
        headers = (
            ("Accept-Encoding", "snappy"),
            ("Content-Encoding", "snappy"),
            ("Content-Type", SAMPLED_TYPE),
            ("X-Prometheus-Remote-Read-Version", "0.1.0"),
            (HOPS_HEADER, str(hops + 1)),
            *self.config.headers,
        )
        return FetchRequest(
            self.url,
            headers=headers,
            timeout_s=self.config.remote_timeout / 1000,
            body_bytes_max=body_bytes_max,
            method="POST",
            body=compress(asked.encoded()),
        )

    def _judged(self, response: Response, took_s: float) -> Body:
        kind = response.content_type
        is_streamed = kind.startswith(STREAMED_TYPE)
        is_good = response.status // 100 == 2
        known = is_good and (is_streamed or kind.startswith(SAMPLED_TYPE))
        label = ("chunked" if is_streamed else "sampled") if known else "unsupported"
        self.answers[label, str(response.status)] += 1
        self.took.setdefault(label, Durations(READING_S)).observe(took_s)
        if not is_good:
            said = response.body[:_ERROR_CHARACTERS_MAX].decode("utf-8", "replace").strip("\n")
            raise RemoteReadError(
                f"remote server {self.shown_url} returned http status {response.status_line}: {redacted(said)}"
            )
        if not known:
            raise RemoteReadError(f"unsupported content type: {kind}")
        return Body(response.body, is_streamed)
