"""The link that counts the bodies of requests as memory while they come in and are worked on."""

from __future__ import annotations

from typing import Final

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from trimon.memory.bodies import BodyMemory
from trimon.memory.receipts import Receipts
from trimon.web.http.answer import ApiError, failure
from trimon.web.http.messages import header_of, send_answer

# Shorter bodies are not counted: all connections together hold some megabytes of them.
COUNTED_BYTES_MIN: Final = 16 * 1024
RETRY_AFTER_S: Final = 5
# So long the rest of a refused body may still come, and is thrown away.
DISCARD_S: Final = 1.0


class Intake:
    """Refuses a body (503) for which there is no memory, as soon as there is none. Only on the loop's thread."""

    def __init__(self, app: ASGIFramework, bodies: BodyMemory) -> None:
        self._app = app
        self._bodies = bodies
        self._receipts = Receipts(bodies)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        if scope["type"] != "http" or not _is_counted(scope):
            await self._app(scope, receive, send)
            return
        app_scope, refused, answered = trio.CancelScope(), False, False

        def refuse() -> None:
            nonlocal refused
            refused = True
            app_scope.cancel()

        receipt = self._receipts.begin(trio.current_time(), refuse)

        async def counted() -> ASGIReceiveEvent:
            message = await receive()
            if message["type"] == "http.request":
                if not receipt.grow(len(message["body"]), trio.current_time()):
                    receipt.end()  # at once: else others would be refused for it, too
                    refuse()
                    await trio.lowlevel.checkpoint()
                elif not message["more_body"]:
                    receipt.whole()
            return message

        async def noted(message: ASGISendEvent) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            with app_scope:
                await self._app(scope, counted, noted)
        finally:
            receipt.end()
        if refused and not answered:
            # Who is cut off while it sends does not read why.
            with trio.move_on_after(DISCARD_S):
                await _discarded(receive)
            await send_answer(send, failure(self._no_room()))

    def _no_room(self) -> ApiError:
        taken, share = self._bodies.taken_bytes, self._bodies.share_bytes
        message = f"other requests and answers hold {taken} of the {share} bytes of memory that there are for bodies"
        return ApiError("unavailable", message, status=503, retry_after_s=RETRY_AFTER_S)


async def _discarded(receive: ASGIReceiveCallable) -> None:
    """Reads a body to its end, and keeps nothing."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message["more_body"]:
            return


def _is_counted(scope: HTTPScope) -> bool:
    length = header_of(scope, b"content-length")
    if length:
        return not length.isdigit() or int(length) >= COUNTED_BYTES_MIN
    return bool(header_of(scope, b"transfer-encoding"))
