"""Notifications: those that hold, and a stream of their changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import orjson

from trimon.gotext.strings import go_json
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.request import Request
from trimon.web.notifications import Subscription


def notification_endpoints(context: WebContext) -> list[Endpoint]:
    """/notifications and /notifications/live."""
    notifications = context.notifications
    context.metrics.collect(notifications.metrics)

    async def current(_: Request) -> Answer:
        return success([each.as_data() for each in notifications.current])

    async def live(_: Request) -> Answer:
        subscription = notifications.subscribe()
        if subscription is None:
            return Answer(b"", 204, "")
        answer = Answer(b"", 200, "text/event-stream", {"Cache-Control": "no-cache"})
        answer.pieces = _events(subscription)
        return answer

    return [
        Endpoint(
            API_PREFIX + "/notifications",
            ("GET",),
            current,
            summary="What the server tells everybody now: that it starts, stops, or failed to reload.",
        ),
        Endpoint(
            API_PREFIX + "/notifications/live",
            ("GET",),
            live,
            live=True,
            summary="Every change of the notifications as a server-sent event; those that hold come first.",
        ),
    ]


async def _events(subscription: Subscription) -> AsyncGenerator[bytes]:
    """The events; an empty piece first, with which the head of the answer goes out."""
    try:
        yield b""
        while (change := await subscription.next()) is not None:
            yield b"data: " + go_json(orjson.dumps(change.as_data())) + b"\n\n"
    finally:
        subscription.leave()
