"""Calls as requests to the application: what guards and counts those of HTTP guards and counts these, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveEvent, ASGISendEvent, HTTPScope

from trimon.remote.otlp.answer import PROTOBUF
from trimon.web.api.remote.otlp import CALL_HEADER
from trimon.web.grpc.messages import CallError, Code, Message, Reply, code_of
from trimon.web.http.endpoint import API_PREFIX
from trimon.web.http.wire.departure import Departure, set_departure

EXPORT: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
ROUTE: Final = API_PREFIX + "/otlp/v1/metrics"
# What a call may take once it is there: a client that leaves does not stop it in the middle.
CALL_S: Final = 60.0


class Calls:
    """Answers calls through an application. Only on the loop's thread."""

    def __init__(self, app: ASGIFramework, route_prefix: str) -> None:
        self._app = app
        self._path = route_prefix + ROUTE

    @staticmethod
    def check(headers: Mapping[str, str]) -> None:
        """Raises CallError for a call that is none of those there are."""
        path = headers.get(":path", "")
        if headers.get(":method") != "POST" or path != EXPORT:
            raise CallError(Code.UNIMPLEMENTED, f"unknown method {path[:200]!r}; there is {EXPORT}")
        if not headers.get("content-type", "").startswith("application/grpc"):
            raise CallError(Code.INVALID_ARGUMENT, "the content type is not application/grpc")

    async def answer(
        self, headers: Mapping[str, str], message: Message, client: tuple[str, int], scheme: str
    ) -> Reply:
        """What the application says of a message."""
        status, answered, body = 0, {}, bytearray()
        given = False

        async def receive() -> ASGIReceiveEvent:
            nonlocal given
            if given:
                await trio.sleep_forever()
            given = True
            return {"type": "http.request", "body": message.data, "more_body": False}

        async def send(event: ASGISendEvent) -> None:
            nonlocal status, answered
            if event["type"] == "http.response.start":
                status = event["status"]
                answered = {name.decode("latin-1").lower(): value for name, value in event["headers"]}
            elif event["type"] == "http.response.body":
                body.extend(event.get("body", b""))

        with trio.move_on_after(CALL_S, shield=True):
            await self._app(self._scope(headers, message, client, scheme), receive, send)
        if not status:
            return Reply(Code.UNAVAILABLE, b"", "storage takes too long")
        code = code_of(status)
        if code is Code.OK:
            return Reply(code, bytes(body))
        retry_after = answered.get("retry-after", b"").decode("latin-1")
        return Reply(
            code,
            b"",
            body.decode("utf-8", "replace").rstrip("\n"),
            int(retry_after) if retry_after.isdecimal() else 0,
        )

    def _scope(
        self, headers: Mapping[str, str], message: Message, client: tuple[str, int], scheme: str
    ) -> HTTPScope:
        # No header of HTTP/1 has a name with a colon: a handler knows by this one that the request is a call.
        told = {
            CALL_HEADER: EXPORT,
            "host": headers.get(":authority", headers.get("host", "")),
            "content-type": PROTOBUF,
            "content-length": str(len(message.data)),
            "user-agent": headers.get("user-agent", ""),
            "authorization": headers.get("authorization", ""),
        }
        if message.is_gzip:
            told["content-encoding"] = "gzip"
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "2",
            "method": "POST",
            "scheme": scheme,
            "path": self._path,
            "raw_path": self._path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in told.items() if value],
            "client": client,
            "server": None,
            "state": {},
            "extensions": {},
        }
        # Nobody tells it anything: a client that leaves does not stop a call.
        set_departure(scope, Departure())
        return cast("HTTPScope", scope)
