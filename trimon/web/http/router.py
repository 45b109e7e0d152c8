"""The router, the end of the chain: from a request to the handler of its endpoint, and to the answer's messages.

It answers what is plain itself: GET without a body, POST or PUT with a short body of known length. Everything else goes to
the framework, which has the same handlers and a parser for every kind of body. Both are behind the same guards.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    HTTPScope,
    Scope,
)

from trimon import limits
from trimon.offload import Offload
from trimon.query.language.errors import QueryError
from trimon.web.http.answer import Answer, AnswerOfError, error_text
from trimon.web.http.endpoint import EndpointTable, Handler, Match
from trimon.web.http.messages import match_of, send_answer, user_of
from trimon.web.http.parameters import FORM
from trimon.web.http.redirects import Redirects, escaped, redirect
from trimon.web.http.request import ClientGone, PlainRequest
from trimon.web.http.wire.departure import SENDS_NO_MORE

_FORM = FORM.encode()
_HOSTS = (b"host", b"x-forwarded-host")


class Router:
    """The innermost application. Only on the loop's thread."""

    def __init__(
        self,
        framework: ASGIFramework,
        table: EndpointTable,
        answer_of_error: AnswerOfError,
        offload: Offload,
        missing: Handler,
    ) -> None:
        self._table = table
        self._redirects = Redirects(table)
        self._framework = framework
        self._answer_of_error = answer_of_error
        self._offload = offload
        self._missing = missing

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._framework(scope, receive, send)
            return
        match = match_of(scope)
        elsewhere = self._elsewhere(scope, match)
        if elsewhere is not None:
            await send_answer(send, elsewhere)
            return
        if scope["method"] == "OPTIONS" and self._table.is_api(scope["path"]):
            await send_answer(send, Answer(b"", 204, ""))  # what a browser asks before it asks
            return
        if match is None:
            lost = PlainRequest(
                scope, _headers_of(scope), {}, receive, self._offload, user_of(scope), frozenset()
            )
            await send_answer(send, await self._missing(lost))
            return
        if scope["method"] not in match.endpoint.methods:
            await send_answer(send, _not_offered(scope["method"], match))
            return
        headers = _headers_of(scope)
        if is_plain(scope, headers):
            known = match.endpoint.parameter_names
            plain = PlainRequest(scope, headers, match.values, receive, self._offload, user_of(scope), known)
            await self._answer(plain, match, send)
            return

        async def heard() -> ASGIReceiveEvent:
            message = await receive()
            # What the framework does is short and goes on for who may still listen; a stream without an end does not.
            return await receive() if message is SENDS_NO_MORE and not match.endpoint.live else message

        await self._framework(_without_host(scope), heard, send)

    def _elsewhere(self, scope: HTTPScope, match: Match | None) -> Answer | None:
        """Where the path, or something like it, is; None where it is asked for by its own name, or is nowhere."""
        method, query = scope["method"], scope["query_string"]
        if method == "CONNECT":
            return None
        raw_path = scope["raw_path"].decode("latin-1")
        if raw_path == "*":  # the server as a whole
            return Answer(b"", 200, "")
        canonical = self._redirects.canonical(raw_path)
        if canonical != raw_path:
            return redirect(307, canonical + (f"?{query.decode('latin-1')}" if query else ""), method)
        if match is not None and method in match.endpoint.methods:
            return None
        path, prefix = scope["path"], self._table.prefix
        if prefix and path == "/":
            if method == "GET":
                return redirect(302, escaped(prefix, b""), method)
            answer = error_text("Method Not Allowed", 405)
            answer.headers["Allow"] = "GET, OPTIONS"
            return answer
        similar = self._redirects.similar(path, method)
        if similar is None:
            return None
        # 301 would have a client ask with GET, and without its form
        return redirect(301 if method == "GET" else 307, escaped(similar, query), method)

    async def _answer(self, request: PlainRequest, match: Match, send: ASGISendCallable) -> None:
        try:
            if request.method != "GET":
                await request.read()
            if match.endpoint.watches_client:
                answer = await match.endpoint.answer(request)
            else:
                answer = await request.attended(partial(match.endpoint.answer, request), half_closed=True)
        except ClientGone:
            return
        except trio.TooSlowError:
            answer = error_text("408 request timeout", 408)
        except Exception as error:  # noqa: BLE001 # mapped, and reported when it is a bug
            answer = self._answer_of_error(error, request.method, request.path)
        if answer.pieces is None:
            await send_answer(send, answer)
        else:
            await self._stream(request, answer, send, half_closed=not match.endpoint.live)

    async def _stream(
        self, request: PlainRequest, answer: Answer, send: ASGISendCallable, *, half_closed: bool
    ) -> None:
        """Sends an answer that comes in pieces, until it is complete or its client has gone."""
        assert answer.pieces is not None
        try:
            async with aclosing(answer.pieces):
                await request.attended(partial(send_answer, send, answer), half_closed=half_closed)
        except (ClientGone, QueryError):
            return
        except Exception as error:  # noqa: BLE001 # the status has gone out: the connection is cut instead
            self._answer_of_error(error, request.method, request.path)


def _headers_of(scope: HTTPScope) -> dict[bytes, bytes]:
    """Of a header that is there twice, the first counts."""
    return dict(reversed(list(scope["headers"])))


def _without_host(scope: HTTPScope) -> HTTPScope:
    """A scope for the framework, which takes a host apart that it never needs, and fails over those that are none."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _HOSTS]
    return {**scope, "headers": [*headers, (b"host", b"localhost")]}


def _not_offered(method: str, match: Match) -> Answer:
    answer = Answer(b"", 200, "") if method == "OPTIONS" else error_text("Method Not Allowed", 405)
    answer.headers["Allow"] = match.endpoint.allowed
    return answer


def is_plain(scope: HTTPScope, headers: dict[bytes, bytes]) -> bool:
    """Whether a request has no body, or a form or message of a known length that is short."""
    if b"transfer-encoding" in headers or not scope["query_string"].isascii():
        return False
    length = headers.get(b"content-length")
    if length is None:
        return True
    if not length.isdigit() or int(length) > limits.REQUEST_PLAIN_BYTES_MAX:
        return False
    if scope["method"] in ("GET", "HEAD"):
        return False
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    return not kind.startswith(b"multipart/") and (kind == _FORM or _FORM not in kind.lower())
