"""The front: answers the busiest routes without the framework, and gives it everything else.

What it takes is exactly what is simple: GET without a body, POST with a short body of known length, an
endpoint's own path. Handlers, error mapping, headers and metrics are those of the framework's routes, and a
test holds that both answer the same bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    HTTPScope,
    Scope,
)
from werkzeug.datastructures import MultiDict

from trimon import limits
from trimon.query.execution.budget import EVALUATION
from trimon.query.language.errors import FailureKind, QueryError
from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, worded
from trimon.web.http.connection import SENDS_NO_MORE
from trimon.web.http.failures import answer_of_error
from trimon.web.http.middleware import Dressing
from trimon.web.http.parameters import FORM, decoded
from trimon.web.http.request import ClientGone, Endpoint

T = TypeVar("T")

# As long as the framework waits for a body.
BODY_TIMEOUT_S: Final = 60.0


class FrontAsked:
    """A request that the front took."""

    __slots__ = ("_body", "_headers", "_left", "_query", "_receive", "client", "method", "path")

    def __init__(self, scope: HTTPScope, headers: dict[bytes, bytes], receive: ASGIReceiveCallable) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.client: str = client[0] if client else "<local>"
        self._query: bytes = scope["query_string"]
        self._headers = headers
        self._receive = receive
        self._body = b""
        self._left: ASGIReceiveEvent | None = None

    def header(self, name: str) -> str:
        """A header by its name in lower case, empty when there is none."""
        return self._headers.get(name.encode(), b"").decode("latin1")

    async def read(self) -> None:
        """Takes in the body. Raises ClientGone, and TooSlowError when it takes too long."""
        with trio.fail_after(BODY_TIMEOUT_S):
            message = await self._receive()
            parts = []
            while message["type"] == "http.request":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    self._body = b"".join(parts)
                    return
                message = await self._receive()
        raise ClientGone

    async def values(self) -> MultiDict[str, str]:
        """The parameters: the form of a POST, then the URL's query. Raises ApiError."""
        is_form = self.method == "POST" and self._headers.get(b"content-type", b"").startswith(FORM.encode())
        return decoded(self._body if is_form else b"", self._query)

    async def body(self) -> bytes:
        """The whole body."""
        return self._body

    async def attended(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work()`, which is cancelled when the client goes away; ClientGone then."""
        # the error is carried around the nursery by hand, which would wrap it in a group
        results: list[T] = []
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery.cancel_scope)
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001 # raised again below
                failure = error
            nursery.cancel_scope.cancel()
        if results:
            return results[0]
        if self._left is SENDS_NO_MORE:
            raise QueryError(f"query was canceled in {EVALUATION}", FailureKind.CANCELED)
        if self._left is not None or failure is None:
            raise ClientGone
        raise failure

    async def _watch(self, scope: trio.CancelScope) -> None:
        while (message := await self._receive())["type"] != "http.disconnect":
            pass
        self._left = message
        scope.cancel()


class Front:
    """The application that the HTTP server calls."""

    def __init__(
        self,
        framework: ASGIFramework,
        prefix: str,
        endpoints: Iterable[Endpoint],
        context: WebContext,
        dressing: Dressing,
    ) -> None:
        self._framework = framework
        self._endpoints = {prefix + endpoint.path: endpoint for endpoint in endpoints}
        self._context = context
        self._dressing = dressing

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        if scope["type"] == "http" and (endpoint := self._endpoints.get(scope["path"])) is not None:
            # of a header that is there twice, the first counts
            headers = dict(reversed(list(scope["headers"])))
            if _is_simple(scope, headers, endpoint):
                asked = FrontAsked(scope, headers, receive)
                await self._answer(asked, endpoint, send)
                return

        async def heard() -> ASGIReceiveEvent:
            message = await receive()
            # what the framework does is short: it goes on for who may still listen
            return await receive() if message is SENDS_NO_MORE else message

        await self._framework(scope, heard, send)

    async def _answer(self, asked: FrontAsked, endpoint: Endpoint, send: ASGISendCallable) -> None:
        began_s = trio.current_time()
        try:
            if asked.method == "POST":
                await asked.read()
            answer = await endpoint.handler(asked)
        except ClientGone:
            return
        except trio.TooSlowError:
            answer = worded("408 request timeout\n", 408)
        except Exception as error:  # noqa: BLE001 # mapped, and reported when it is a bug
            answer = answer_of_error(self._context, error, asked.method, asked.path)
        headers = await self._dressed(asked, answer)
        self._dressing.measure(asked.path, answer.status, began_s, len(answer.body))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _dressed(self, asked: FrontAsked, answer: Answer) -> list[tuple[bytes, bytes]]:
        """The headers to send; the body is compressed if the client likes it so."""
        dressing = self._dressing
        headers = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        if answer.headers:
            headers |= answer.headers
        headers |= dressing.cors(asked.header("origin"))
        encoding = dressing.encoding(asked.header("accept-encoding"))
        if encoding and (packed := await dressing.packed(answer.body, encoding)) is not None:
            answer.body = packed
            headers |= dressing.packed_headers(encoding, len(packed))
        return [(name.lower().encode(), value.encode("latin1")) for name, value in headers.items()]


def _is_simple(scope: HTTPScope, headers: dict[bytes, bytes], endpoint: Endpoint) -> bool:
    """Whether a request is one of those that the front may answer."""
    method = scope["method"]
    if method not in endpoint.quick or b"transfer-encoding" in headers or not scope["query_string"].isascii():
        return False
    length = headers.get(b"content-length")
    if method == "GET":
        return length is None
    if length is None or not length.isdigit() or int(length) > limits.REQUEST_FORM_BYTES_MAX:
        return False
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    return not kind.startswith((b"multipart/", b"application/x-url-encoded")) and (
        kind == FORM.encode() or FORM.encode() not in kind.lower()
    )
