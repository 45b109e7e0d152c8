"""/trimon/remote_write: how far each receiver of remote write is."""

from __future__ import annotations

from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Access, Endpoint, Role
from trimon.web.http.request import Request


def remote_queue_endpoints(context: WebContext) -> list[Endpoint]:
    """/trimon/remote_write."""

    async def queues(_: Request) -> Answer:
        return success([dict(queue) for queue in context.remote_write()])

    return [
        Endpoint(
            API_PREFIX + "/trimon/remote_write",
            ("GET",),
            queues,
            Access.ANYBODY,
            Role.READ,
            own=True,
            summary="The queues of remote write: shards, what waits, the lag, the last error, the savepoint.",
        )
    ]
