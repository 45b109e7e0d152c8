"""Cross-origin requests: which pages of other origins a browser lets read the API's answers."""

from __future__ import annotations

from typing import Final

from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from trimon.model.matcher import anchored, compile_regexp, full_match
from trimon.web.http.endpoint import EndpointTable
from trimon.web.http.messages import header_of, match_of

_ALLOWED: Final = [
    (b"access-control-allow-headers", b"Accept, Authorization, Content-Type, Origin"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-expose-headers", b"Date"),
]


class Cors:
    """Adds the headers to answers of the API; other pages may not read what is only shown on this machine."""

    def __init__(self, app: ASGIFramework, table: EndpointTable, allowed_origin: str) -> None:
        self._app = app
        self._table = table
        self._pattern = compile_regexp(anchored(allowed_origin))

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        if scope["type"] != "http" or not self._is_shared(scope):
            await self._app(scope, receive, send)
            return
        origin = header_of(scope, b"origin")

        async def shared(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                kept = [header for header in message["headers"] if header[0] != b"vary"]
                vary = b", ".join(
                    [b"Origin", *(value for name, value in message["headers"] if name == b"vary")]
                )
                message["headers"] = [*kept, (b"vary", vary), *self._headers(origin)]
            await send(message)

        await self._app(scope, receive, shared)

    def _is_shared(self, scope: HTTPScope) -> bool:
        """Whether a request is for the API: what is answered 404 or 405 is not, as in Prometheus."""
        if not self._table.is_api(scope["path"]):
            return False
        match = match_of(scope)
        return scope["method"] == "OPTIONS" or (
            match is not None and scope["method"] in match.endpoint.methods
        )

    def _headers(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        if not origin:
            return []
        if full_match(self._pattern, origin.decode("latin1")):
            return [*_ALLOWED, (b"access-control-allow-origin", origin)]
        return _ALLOWED
