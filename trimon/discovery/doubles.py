"""Doubles for testing a discovery without a network: a fetch with prepared answers, a context, a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import trio

from trimon.clock import Clock
from trimon.discovery.hub import Hub
from trimon.discovery.plugin import Context
from trimon.discovery.sink import CheckedSink, LabelSets
from trimon.fetch.request import Fetch, FetchError, FetchRequest, Response, StreamedResponse
from trimon.log import LogBuffer
from trimon.offload import InlineOffload, Offload
from trimon.virtualclock import VirtualClock

Answer: TypeAlias = bytes | str | Response | Exception


class PreparedFetch:
    """Answers from a mapping of URL to body, Response or exception; what is not in it is a refused connection.

    An answer may also be a function of the request: where its body says what is asked for.
    """

    def __init__(
        self, answers: Mapping[str, Answer | Callable[[FetchRequest], Answer | None]] | None = None
    ) -> None:
        self.answers = dict(answers or {})
        self.requests: list[FetchRequest] = []

    async def send(self, request: FetchRequest) -> Response:
        """The prepared answer. Raises FetchError, or the prepared exception."""
        await trio.lowlevel.checkpoint()
        self.requests.append(request)
        prepared = self.answers.get(request.url)
        answer = prepared(request) if callable(prepared) else prepared
        if answer is None:
            raise FetchError(f'Get "{request.url}": connection refused')
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Response):
            return answer
        body = answer.encode() if isinstance(answer, str) else answer
        return Response(200, "OK", "application/json", body, len(body))

    @asynccontextmanager
    async def stream(self, request: FetchRequest) -> AsyncIterator[StreamedResponse]:
        """The prepared answer in one piece."""
        answer = await self.send(request)

        async def pieces() -> AsyncIterator[bytes]:
            yield answer.body

        yield StreamedResponse(answer.status, answer.reason, answer.headers, pieces())

    async def aclose(self) -> None:
        """Nothing to close."""
        await trio.lowlevel.checkpoint()


def context_of_doubles(
    *,
    name: str = "test",
    fetch: Fetch | None = None,
    clock: Clock | None = None,
    offload: Offload | None = None,
) -> Context:
    """A context of doubles: prepared answers, a clock that follows trio's, work inline, a log in memory."""
    return Context(
        name, fetch or PreparedFetch(), clock or VirtualClock(), offload or InlineOffload(), LogBuffer()
    )


class Found:
    """A checked sink and everything that went through it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._hub = Hub(self._changed)
        self.changes = 0
        """How often the targets changed; the first publish is the first change."""
        self.arrived = trio.Event()
        """Set at the next change; then there is a new event."""
        self._hub.wire({"job": ["provider"]})
        self.sink = CheckedSink("provider", self._hub, clock or VirtualClock())

    def _changed(self) -> None:
        if self._hub.published("provider"):
            self.changes += 1
            self.arrived.set()
            self.arrived = trio.Event()

    @property
    def published(self) -> bool:
        """Whether the first publish was made."""
        return self._hub.published("provider")

    @property
    def targets(self) -> LabelSets:
        """What is known now."""
        return self._hub.targets("job")

    def canonical(self) -> list[tuple[tuple[str, str], ...]]:
        """The targets in a form to compare: sorted labels, sorted targets."""
        return sorted(tuple(sorted(labels.items())) for labels in self.targets)

    async def wait_published(self) -> None:
        """Until the first publish."""
        while not self.published:
            await self.arrived.wait()
