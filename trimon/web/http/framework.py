"""The framework: the same endpoints for requests that are not plain, such as bodies of unknown length."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TypeVar

import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from trimon import limits
from trimon.offload import Offload
from trimon.web.http.answer import Answer, AnswerOfError, error_text
from trimon.web.http.endpoint import Endpoint, EndpointTable
from trimon.web.http.messages import WITHOUT_BODY, user_of
from trimon.web.http.multidict import MultiDict
from trimon.web.http.parameters import FORM, decoded
from trimon.web.http.request import BodyTooLong, Request, known_alone, read_parameters

T = TypeVar("T")


class QuartRequest:
    """The framework's present request."""

    def __init__(
        self, path_values: Mapping[str, str], offload: Offload, known: frozenset[str] | None = None
    ) -> None:
        """`known` are the names of all parameters that there may be; None: any."""
        self.path_values = path_values
        self._known = known
        self._offload = offload

    @property
    def method(self) -> str:
        """In upper case."""
        return request.method

    @property
    def path(self) -> str:
        """Decoded, with the route prefix."""
        return request.path

    @property
    def raw_path(self) -> bytes:
        """As it was sent, escapes and all."""
        raw = request.scope["raw_path"]
        assert isinstance(raw, bytes)
        return raw

    @property
    def raw_query(self) -> str:
        """The URL's query as it was sent, escapes and all."""
        return request.query_string.decode("latin1")

    @property
    def client(self) -> str:
        """The client's address, `<local>` when it has none."""
        return request.remote_addr or "<local>"

    @property
    def user(self) -> str:
        """Who asks; empty when nobody was asked who he is."""
        return user_of(request.scope)  # type: ignore[arg-type]  # as the server gave it

    def header(self, name: str) -> str:
        """A header by its name, empty when there is none."""
        return request.headers.get(name, "")

    async def values(self, *, strict: bool = False) -> MultiDict[str, str]:
        """The parameters: the form of a POST or PUT, then the URL's query, which goes before a form in parts, as in Go.

        Raises ApiError; for bad ones where `strict`.
        """
        if request.method in ("POST", "PUT") and request.mimetype == FORM:
            form = await self._read()
            values = await read_parameters(form, request.query_string, self._offload, strict=strict)
            return known_alone(values, self._known)
        if request.method not in ("POST", "PUT") or not request.mimetype.startswith("multipart/"):
            return self.query(strict=strict)
        merged = self.query(strict=strict)
        for name, value in (await request.form).items(multi=True):
            merged.add(name, value)
        return known_alone(merged, self._known)

    def query(self, *, strict: bool = False) -> MultiDict[str, str]:
        """The parameters of the URL's query alone. Raises ApiError; for bad ones where `strict`."""
        return known_alone(decoded(b"", request.query_string, strict=strict), self._known)

    async def body(self) -> bytes:
        """The whole body. Raises BodyTooLong."""
        try:
            return await self._read()
        except RequestEntityTooLarge:
            raise BodyTooLong from None

    @staticmethod
    async def _read() -> bytes:
        body = await request.get_data(cache=False, as_text=False)
        assert isinstance(body, bytes)
        return body

    async def attended(self, work: Callable[[], Awaitable[T]], *, half_closed: bool = False) -> T:
        """The result of `work()`; the framework itself cancels the request when its client goes away."""
        del half_closed
        return await work()


async def _streamed(body: bytes, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(pieces):
        if body:
            yield body
        async for piece in pieces:
            yield piece


async def _parted(answer: Answer) -> AsyncGenerator[bytes]:
    if answer.body:
        yield answer.body
    for part in answer.taken():
        yield part


def as_response(answer: Answer) -> Response:
    """An answer as the framework's response."""
    content: bytes | AsyncGenerator[bytes] = answer.body
    if answer.pieces is not None:
        content = _streamed(answer.body, answer.pieces)
    elif answer.parts:
        content = _parted(answer)
    response = Response(content, status=answer.status, content_type=answer.content_type or None)
    if answer.pieces is not None:
        response.timeout = None  # a stream lasts as long as its client listens
    elif answer.parts:
        response.timeout = None  # slow readers are the connection's matter
        response.headers["Content-Length"] = str(answer.size_bytes)
    if not answer.content_type:
        response.headers.remove("Content-Type")
    if answer.status in WITHOUT_BODY:
        response.headers.remove("Content-Length")
    response.headers.update(answer.headers)
    return response


def create_framework(table: EndpointTable, answer_of_error: AnswerOfError, offload: Offload) -> QuartTrio:
    """The framework's application with a route for each row of the table."""
    app = QuartTrio("trimon", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.REQUEST_BODY_BYTES_MAX
    app.config["MAX_FORM_MEMORY_SIZE"] = limits.REQUEST_PLAIN_BYTES_MAX
    for endpoint in table.endpoints:
        app.add_url_rule(
            table.prefix + endpoint.path,
            endpoint.path,
            _view(endpoint, offload),
            methods=list(endpoint.methods),
            provide_automatic_options=False,
        )

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        return as_response(error_text(f"{error.code or 500} {error.name.lower()}", error.code or 500))

    @app.errorhandler(Exception)
    async def any_error(error: Exception) -> Response:
        return as_response(answer_of_error(error, request.method, request.path))

    return app


def _view(endpoint: Endpoint, offload: Offload) -> Callable[..., Awaitable[Response]]:
    async def answer(**path_values: str) -> Response:
        asked: Request = QuartRequest(path_values, offload, endpoint.parameter_names)
        try:
            return as_response(await endpoint.answer(asked))
        except Exception:
            # What a handler that was told to end early raises is the matter of nobody when its client has gone.
            await trio.lowlevel.checkpoint_if_cancelled()
            raise

    return answer
