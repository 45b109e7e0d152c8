"""The JSON envelope of the API, and how each kind of error becomes a status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson
from quart import Response

STATUS: Final = {
    "bad_data": 400,
    "execution": 422,
    "canceled": 499,
    "timeout": 503,
    "internal": 500,
    "unavailable": 500,
    "not_found": 404,
    "not_acceptable": 406,
}
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


class ApiError(Exception):
    """A request that gets an error envelope. `kind` is a key of STATUS; `status` overrides its code."""

    def __init__(self, kind: str, message: str, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status or STATUS[kind]
        self.retry_after_s = retry_after_s


def bad_parameter(name: str, reason: object) -> ApiError:
    """`invalid parameter "name": reason`."""
    return ApiError("bad_data", f'invalid parameter "{name}": {reason}')


def success(data: object, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    """A success envelope around plain data, or around ready-made JSON when `data` is `bytes`."""
    body = data if isinstance(data, bytes) else orjson.dumps(data)
    tail = b""
    if warnings:
        tail += b',"warnings":' + orjson.dumps(list(warnings))
    if infos:
        tail += b',"infos":' + orjson.dumps(list(infos))
    return Response(b'{"status":"success","data":' + body + tail + b"}", content_type=JSON)


def failure(error: ApiError) -> Response:
    """An error envelope."""
    body = {"status": "error", "errorType": error.kind, "error": error.message}
    response = Response(orjson.dumps(body), status=error.status, content_type=JSON)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return response


def text(body: str, status: int = 200) -> Response:
    """A plain text answer."""
    return Response(body, status=status, content_type=TEXT)
