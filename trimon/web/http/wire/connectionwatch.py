"""How long a connection waits for its client."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import trio
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext

from trimon import limits
from trimon.web.http.wire.connections import BUSY, IDLE, Phase, Place

# So long a body may still come when the server stops.
BODY_DRAIN_S: Final = 1.0
_TOO_LATE: Final[Mapping[Phase, str]] = {
    Phase.IDLE: "idle",
    Phase.HEAD: "slow_head",
    Phase.BODY: "slow_body",
}


class ConnectionWatch:
    """Ends a connection that waits for its client for too long, or when the server stops.

    It is one task a connection, whose deadline moves; the HTTP server's own starts a task for every request. While a
    request is at work there is no deadline, and what a client is not waited for does not count against it.
    """

    def __init__(
        self,
        context: WorkerContext,
        place: Place,
        read_timeout_s: float = math.inf,
    ) -> None:
        self._terminated = context.terminated
        self._place = place
        self._read_timeout_s = read_timeout_s
        """The longest that a whole request may take to come."""
        self._read_until_s = math.inf
        self._scope = trio.CancelScope()
        self._deadline_s = self._armed_s = math.inf
        self._begun = self._ended = False
        self._body_left_s = 0.0
        self._waits_since_s = 0.0

    async def restart(self, task_group: TaskGroup, close: Callable[[], Awaitable[None]]) -> None:
        """The connection is idle from now on; `close` ends it, and is kept by the task alone."""
        if self._begun:
            self.idle()
            return
        self._begun = True
        now_s = trio.current_time()
        self._place.enter(IDLE, now_s)
        self._until(now_s + min(limits.CONNECTION_FIRST_S, self._read_timeout_s))
        task_group.spawn(self._watch, close)

    async def stop(self) -> None:
        """The connection has a request."""
        self.busy()

    def idle(self) -> None:
        """The next request is waited for."""
        now_s = trio.current_time()
        self._place.enter(IDLE, now_s)
        self._read_until_s = math.inf
        self._until(now_s + min(limits.CONNECTION_IDLE_S, self._read_timeout_s))

    def busy(self) -> None:
        """A request is at work."""
        self._place.enter(BUSY, 0.0)
        self._body_left_s = limits.REQUEST_BODY_S
        self._deadline_s = math.inf

    def waits_for_head(self) -> None:
        """What came is no whole head."""
        if self._place.phase is IDLE:
            now_s = trio.current_time()
            self._place.enter(Phase.HEAD, now_s)
            self._read_until_s = now_s + self._read_timeout_s
            self._until(min(now_s + limits.REQUEST_HEAD_S, self._read_until_s))

    def waits_for_body(self) -> None:
        """More of a body has to come."""
        self._waits_since_s = trio.current_time()
        if self._read_until_s == math.inf:
            self._read_until_s = self._waits_since_s + self._read_timeout_s
        self._place.enter(Phase.BODY, self._waits_since_s)
        self._until(min(self._waits_since_s + self._body_left_s, self._read_until_s))

    def body_came(self, size_bytes: int) -> None:
        """More of a body, or of what follows it."""
        self._place.enter(BUSY, 0.0)
        self._place.body_bytes += size_bytes
        self._body_left_s += size_bytes / limits.REQUEST_BODY_BYTES_PER_S_MIN
        self._body_left_s -= trio.current_time() - self._waits_since_s
        self._deadline_s = math.inf

    def end(self) -> None:
        """The connection has gone."""
        self._ended = True
        self._scope.cancel()

    def _until(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        # A later one is looked at when the earlier has come: moving it for each request costs more than a query may.
        if deadline_s < self._armed_s:
            self._scope.deadline = self._armed_s = deadline_s

    async def _watch(self, close: Callable[[], Awaitable[None]]) -> None:
        while not self._ended:
            self._armed_s = self._deadline_s
            with trio.CancelScope(deadline=self._deadline_s) as self._scope:
                await self._terminated.wait()
                if self._place.phase is Phase.BODY:
                    await trio.sleep(BODY_DRAIN_S)
                break
            if trio.current_time() >= self._deadline_s:
                self._place.count(_TOO_LATE[self._place.phase])
                break
        # with a request at work the protocol closes when it is answered
        if not self._ended and self._place.phase is not Phase.BUSY:
            with trio.CancelScope(shield=True):
                await close()
