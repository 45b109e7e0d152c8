"""/trimon/remote_write, /trimon/remote_read: how far each receiver is, and how each endpoint that is read does."""

from __future__ import annotations

from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Access, Endpoint, Role
from trimon.web.http.request import Request


def remote_queue_endpoints(context: WebContext) -> list[Endpoint]:
    """/trimon/remote_write, /trimon/remote_read."""

    async def queues(_: Request) -> Answer:
        return success([dict(queue) for queue in context.remote_write()])

    async def endpoints(_: Request) -> Answer:
        return success([dict(endpoint) for endpoint in context.remote_read()])

    return [
        Endpoint(
            API_PREFIX + "/trimon/remote_write",
            ("GET",),
            queues,
            Access.ANYBODY,
            Role.READ,
            own=True,
            summary="The queues of remote write: shards, what waits, the lag, the last error, the savepoint.",
        ),
        Endpoint(
            API_PREFIX + "/trimon/remote_read",
            ("GET",),
            endpoints,
            Access.ANYBODY,
            Role.READ,
            own=True,
            summary="The endpoints of remote read: whether they answer, what is asked of them, the last error.",
        ),
    ]
