"""Remote write: other servers and agents push samples. Off unless `--web.enable-remote-write-receiver`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trimon import limits
from trimon.actors.kernel.ask import AskTimeout
from trimon.actors.kernel.mailbox import MailboxFull
from trimon.actors.kernel.reply import ActorGone
from trimon.errors import OperatingError
from trimon.web.api.remote.receiving import WriteReceiver, WriteRefused, Written
from trimon.web.api.remote.refusals import Refusals
from trimon.web.context import REMOTE_WRITE_MESSAGES, WebContext
from trimon.web.http.answer import STARTING, Answer, error_text, text
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Role
from trimon.web.http.request import BodyTooLong, Request

DISABLED: Final = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver"
MEDIA_TYPE: Final = "application/x-protobuf"
MESSAGES: Final = REMOTE_WRITE_MESSAGES
MESSAGE_V1, MESSAGE_V2 = MESSAGES
RETRY_AFTER_S: Final = 5


def check_encoding(encoding: str) -> None:
    """Raises WriteRefused (415) for a compression that is not snappy; none stands for snappy."""
    if encoding not in ("", "snappy"):
        raise WriteRefused(
            415,
            f"{encoding} encoding (compression) is not accepted by this server; only snappy is acceptable",
        )


def message_of(content_type: str, accepted: Sequence[str]) -> str:
    """The message that a content type names; none stands for that of 1.0. Raises WriteRefused (415).

    Parameters are not trimmed: a blank before `proto=` hides it.
    """
    media_type, *parameters = content_type.split(";")
    if content_type and media_type != MEDIA_TYPE:
        raise WriteRefused(
            415, f"expected {MEDIA_TYPE} as the first (media) part, got {content_type} content-type"
        )
    message = MESSAGE_V1
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if not equals or "=" in value:
            raise WriteRefused(
                415,
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, "
                f"got {parameter} in {content_type} content-type",
            )
        if name != "proto":
            continue
        message = value
        if message not in MESSAGES:
            raise WriteRefused(
                415,
                f"got {content_type} content type; unknown type for remote write protobuf message {message}, "
                f"supported: {', '.join(MESSAGES)}",
            )
        break
    if message not in accepted:
        raise WriteRefused(
            415,
            f"{message} protobuf message is not accepted by this server; only accepts {', '.join(accepted)}",
        )
    return message


class WriteHandler:
    """What /write answers. Only on the loop's thread."""

    def __init__(self, context: WebContext) -> None:
        self._enabled = context.options.enable_remote_write
        self._ready = context.ready
        self._accepted = context.options.remote_write_messages
        self._refusals = Refusals(context.log)
        self._receiver = WriteReceiver(context, self._refusals)

    async def write(self, request: Request) -> Answer:
        """/write."""
        if not self._enabled:
            return error_text(DISABLED, 404)
        if not self._ready():  # what waits for the whole log fills the memory, and its sender gives up before
            answer = text("Service Unavailable", 503)
            answer.headers |= {**STARTING, "Retry-After": str(RETRY_AFTER_S)}
            return answer
        try:
            check_encoding(request.header("content-encoding"))
            written = await self._take(request)
        except WriteRefused as refusal:
            if not refusal.is_told:
                self._refusals.tell(
                    "a remote write request is refused",
                    refusal.message,
                    status=refusal.status,
                    request=request,
                )
            answer = error_text(refusal.message, refusal.status)
            if refusal.written is not None:
                answer.headers |= refusal.written.headers
            if refusal.status == 503:
                answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        except (MailboxFull, ActorGone, AskTimeout) as error:
            answer = error_text(str(error), 503)
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        except OperatingError as error:
            return error_text(str(error), 500)
        return Answer(b"", 204, "", written.headers if written is not None else {})

    async def _take(self, request: Request) -> Written | None:
        body = await self._body(request)
        try:
            message = message_of(request.header("content-type"), self._accepted)
        except WriteRefused:
            # Prometheus unpacks a body before it asks what it is: of two faults it tells that of the body.
            await self._receiver.check_packed(body)
            raise
        if message == MESSAGE_V2:
            return await self._receiver.store2(body)
        await self._receiver.store(body)
        return None

    @staticmethod
    async def _body(request: Request) -> bytes:
        most = limits.REMOTE_WRITE_BODY_BYTES_MAX
        try:
            body = await request.body()
        except BodyTooLong:
            body = None
        if body is None or len(body) > most:
            raise WriteRefused(413, f"request body exceeds the {most} bytes limit")
        return body


def write_endpoints(context: WebContext) -> list[Endpoint]:
    """/write."""
    handler = WriteHandler(context)
    return [
        Endpoint(
            API_PREFIX + "/write",
            ("POST",),
            handler.write,
            role=Role.WRITE,
            changes=True,
            watches_client=True,
            summary="Takes samples as remote write sends them.",
        )
    ]
