"""The JSON envelope of the API, and how each kind of error becomes a status."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import field
from typing import Final

import orjson

from trimon.gotext.strings import go_json
from trimon.records import dataclass
from trimon.redaction import redacted

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
# Of a body that is not joined; a shorter one is.
PART_BYTES: Final = 256 * 1024
# Of every refusal while the log is replayed: the server is starting, not on its way out.
STARTING: Final = {"X-Prometheus-Stopping": "false"}


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


@dataclass(slots=True, weakref_slot=True)
class Answer:
    """An answer of the API, before it is sent."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    """Empty for none."""
    headers: dict[str, str] = field(default_factory=dict)
    """Beyond Content-Type and Content-Length."""
    pieces: AsyncGenerator[bytes] | None = None
    """What follows `body`, each piece sent as soon as it is there; None when all is there, and its length is told.

    It is closed when the client leaves. An error in it cuts the connection, since the status has been sent.
    """
    parts: deque[bytes] | None = None
    """What follows `body` of a long answer that is there: never joined, and each part is let go when it was sent."""

    @property
    def size_bytes(self) -> int:
        """The length of what is there, as long as nothing was sent."""
        return len(self.body) + (sum(map(len, self.parts)) if self.parts is not None else 0)

    def taken(self) -> Iterator[bytes]:
        """The parts, each of which is the caller's alone from then on."""
        while self.parts:
            yield self.parts.popleft()


AnswerOfError = Callable[[Exception, str, str], Answer]
"""From an error, the method and the path of its request to an answer."""


def success(
    data: object, warnings: Sequence[str] = (), infos: Sequence[str] = (), *, escaped: bool = True
) -> Answer:
    """A success envelope around plain data, or around ready-made JSON when `data` is `bytes`.

    Text is escaped as Go does by default, which Prometheus does everywhere but in lists of label sets.
    """
    parts = [b'{"status":"success","data":', data if isinstance(data, bytes) else _json(data)]
    if warnings:
        parts += [b',"warnings":', orjson.dumps(list(warnings))]
    if infos:
        parts += [b',"infos":', orjson.dumps(list(infos))]
    parts.append(b"}")
    body = b"".join(parts)
    return Answer(go_json(body) if escaped else body)


def success_in_parts(
    data: Iterable[bytes], warnings: Sequence[str] = (), infos: Sequence[str] = ()
) -> Answer:
    """A success envelope around ready-made JSON in pieces, which is in memory once, however long it is. For a thread.

    A piece begins and ends with a whole character. Nothing is sent before all is there, so that an error is an error.
    """
    pieces, size_bytes = [b'{"status":"success","data":'], 0
    parts: deque[bytes] = deque()
    for piece in data:
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes >= PART_BYTES:
            parts.append(go_json(b"".join(pieces)))
            pieces, size_bytes = [], 0
    if warnings:
        pieces += [b',"warnings":', orjson.dumps(list(warnings))]
    if infos:
        pieces += [b',"infos":', orjson.dumps(list(infos))]
    pieces.append(b"}")
    last = go_json(b"".join(pieces))
    if not parts:
        return Answer(last)
    parts.append(last)
    return Answer(b"", parts=parts)


def seconds(number: float) -> float | int:
    """A number of seconds as Go's JSON has it: whole ones without a fraction, which some clients take for no integer."""
    return int(number) if number.is_integer() else number


def _json(data: object) -> bytes:
    """Plain data as JSON, however deep it is nested: trees of queries are deeper than what orjson takes."""
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:
        pass  # What is no JSON at all fails below, too.
    out: list[bytes] = []
    _write(data, out)
    return b"".join(out)


def _write(data: object, out: list[bytes]) -> None:
    # What is still to be written, the next one last. Text that is ready stands there as bytes.
    waiting: list[object] = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):
            out.append(item)
        elif isinstance(item, dict) and item:
            parts: list[object] = []
            for name, value in item.items():
                parts += (b"," if parts else b"{", orjson.dumps(name), b":", value)
            waiting += (b"}", *reversed(parts))
        elif isinstance(item, list | tuple) and item:
            parts = []
            for value in item:
                parts += (b"," if parts else b"[", value)
            waiting += (b"]", *reversed(parts))
        else:
            out.append(orjson.dumps(item))


def failure(error: ApiError) -> Answer:
    """An error envelope."""
    body = {"status": "error", "errorType": error.kind, "error": redacted(error.message)}
    answer = Answer(go_json(orjson.dumps(body)), error.status)
    if error.retry_after_s:
        answer.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return answer


def plain_json(data: object) -> Answer:
    """Plain data as JSON over several lines, without an envelope."""
    return Answer(orjson.dumps(data, option=orjson.OPT_INDENT_2))


def text(body: str, status: int = 200) -> Answer:
    """A plain text answer."""
    return Answer(body.encode(), status, TEXT)


def error_text(message: str, status: int) -> Answer:
    """A plain text error of one line, which browsers must not take for anything else."""
    return Answer(f"{redacted(message)}\n".encode(), status, TEXT, {"X-Content-Type-Options": "nosniff"})
