"""/trimon/actors and /trimon/actors/live: the supervision tree as rows, at once and as they change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

import orjson
import trio

from trimon.web.actorchanges import COLUMNS, ActorChanges
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Access, Endpoint, Role
from trimon.web.http.pieces import gathered
from trimon.web.http.request import Request

EVERY_S: Final = 0.5
WATCHERS_MAX: Final = 8


class ActorsHandler:
    """Answers about actors. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._watchers = 0

    async def listed(self, _: Request) -> Answer:
        """/trimon/actors."""
        return success(await self._rows(ActorChanges(self._context.tree)), escaped=False)

    async def live(self, _: Request) -> Answer:
        """/trimon/actors/live: 204 when as many watch as may."""
        if self._watchers >= WATCHERS_MAX:
            return Answer(b"", 204, "")
        self._watchers += 1
        answer = Answer(b"", 200, "text/event-stream", {"Cache-Control": "no-cache"})
        answer.pieces = self._events()
        return answer

    async def _events(self) -> AsyncGenerator[bytes]:
        changes = ActorChanges(self._context.tree)
        try:
            yield b""
            while not self._context.notifications.closed.is_set():
                yield b"data: " + await self._rows(changes) + b"\n\n"
                with trio.move_on_after(EVERY_S):
                    await self._context.notifications.closed.wait()
        finally:
            self._watchers -= 1

    async def _rows(self, changes: ActorChanges) -> bytes:
        rows = await gathered(
            (b"," if place else b"") + orjson.dumps(row) for place, row in enumerate(changes.next())
        )
        parts = (
            b'{"now_s":',
            b"%.3f" % (self._context.clock.now_ms() / 1000),
            b',"columns":',
            orjson.dumps(COLUMNS),
            b',"rows":[',
            rows,
            b'],"gone":',
            orjson.dumps(changes.gone),
            b"}",
        )
        return b"".join(parts)


def actor_endpoints(context: WebContext) -> list[Endpoint]:
    """/trimon/actors, /trimon/actors/live."""
    handler, path = ActorsHandler(context), API_PREFIX + "/trimon/actors"
    return [
        Endpoint(
            path,
            ("GET",),
            handler.listed,
            Access.LOOPBACK,
            Role.DEBUG,
            own=True,
            summary="Lists all actors as rows: state, restarts, mailbox, what is in hand and for how long.",
        ),
        Endpoint(
            path + "/live",
            ("GET",),
            handler.live,
            Access.LOOPBACK,
            Role.DEBUG,
            own=True,
            live=True,
            summary="All actors, and then twice a second those that differ, as server-sent events.",
        ),
    ]
