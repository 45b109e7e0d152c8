"""Messages of the chain: the match of a request, and an answer as ASGI messages."""

from __future__ import annotations

from typing import Any, Final, cast

from hypercorn.typing import ASGISendCallable, HTTPScope

from trimon.web.http.answer import Answer
from trimon.web.http.endpoint import Match

_MATCH: Final = "trimon.match"
_CROWDED: Final = "trimon.crowded"
_USER: Final = "trimon.user"
# Statuses without a body have no length either.
WITHOUT_BODY: Final = frozenset({204, 304})


def set_match(scope: HTTPScope, match: Match | None) -> None:
    """Note the row of the endpoint table that a request belongs to, for all that follow in the chain."""
    cast("dict[str, Any]", scope)[_MATCH] = match


def match_of(scope: HTTPScope) -> Match | None:
    """The row of the endpoint table that a request belongs to; None when there is none."""
    match = cast("dict[str, Any]", scope)[_MATCH]
    assert match is None or isinstance(match, Match)
    return match


def set_crowded(scope: HTTPScope, *, for_loopback: bool) -> None:
    """Note that all places are at work: only probes are answered, and this machine where it may."""
    cast("dict[str, Any]", scope)[_CROWDED] = for_loopback


def crowded_of(scope: HTTPScope) -> bool | None:
    """None when there is a place for everybody; else whether there is one for this machine."""
    crowded = cast("dict[str, Any]", scope).get(_CROWDED)
    assert crowded is None or isinstance(crowded, bool)
    return crowded


def set_user(scope: HTTPScope, name: str) -> None:
    """Note who sends a request."""
    cast("dict[str, Any]", scope)[_USER] = name


def user_of(scope: HTTPScope) -> str:
    """The name of the user or token that sends a request; empty when nobody was asked."""
    name = cast("dict[str, Any]", scope).get(_USER, "")
    assert isinstance(name, str)
    return name


def header_of(scope: HTTPScope, name: bytes) -> bytes:
    """A header of a request by its name in lower case, empty when there is none; of several the first."""
    for found, value in scope["headers"]:
        if found == name:
            return value
    return b""


async def send_answer(send: ASGISendCallable, answer: Answer) -> None:
    """Send an answer: in two messages, or part by part."""
    headers = [(b"content-type", answer.content_type.encode("latin1"))] if answer.content_type else []
    if answer.status not in WITHOUT_BODY and answer.pieces is None:
        headers.append((b"content-length", b"%d" % answer.size_bytes))
    for name, value in answer.headers.items():
        headers.append((name.lower().encode("latin1"), value.encode("latin1")))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.pieces is not None:
        if answer.body:
            await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        async for piece in answer.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    if not answer.parts:
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})
        return
    if answer.body:
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    for part in answer.taken():
        await send({"type": "http.response.body", "body": part, "more_body": bool(answer.parts)})
