"""OTLP over HTTP: programs and collectors push metrics. Off unless `--web.enable-otlp-receiver`."""

from __future__ import annotations

from typing import Final

from trimon import limits
from trimon.remote.otlp.answer import JSON, PROTOBUF
from trimon.web.api.remote.otlpreceiving import RETRY_AFTER_S, OtlpBody, OtlpReceiver, OtlpRefused
from trimon.web.api.remote.refusals import Refusals
from trimon.web.context import WebContext
from trimon.web.http.answer import STARTING, Answer, error_text, text
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Role
from trimon.web.http.request import BodyTooLong, Request

# Of calls of gRPC alone (web/grpc/calls.py): no header of HTTP/1 has such a name.
CALL_HEADER: Final = ":path"
DISABLED: Final = "otlp write receiver needs to be enabled with --web.enable-otlp-receiver"


class OtlpHandler:
    """What /otlp/v1/metrics answers. Only on the loop's thread."""

    def __init__(self, context: WebContext, receiver: OtlpReceiver) -> None:
        self._enabled = context.options.enable_otlp
        self._ready = context.ready
        self._receiver = receiver
        self._refusals = Refusals(context.log)

    async def export(self, request: Request) -> Answer:
        """/otlp/v1/metrics."""
        # A call of gRPC comes over a listener that is there only when it is asked for.
        is_call = bool(request.header(CALL_HEADER))
        if not self._enabled and not is_call:
            return error_text(DISABLED, 404)
        if not self._ready():  # what waits for the whole log fills the memory, and its sender gives up before
            answer = text("Service Unavailable", 503)
            answer.headers |= {**STARTING, "Retry-After": str(RETRY_AFTER_S)}
            return answer
        content_type = request.header("content-type")
        try:
            outcome = await self._receiver.store(await self._body(request, content_type))
        except OtlpRefused as refusal:
            # For HTTP the status is Prometheus', where it says nothing of whose fault it is; gRPC has a code for that.
            status = 400 if is_call and refusal.status == 500 else refusal.status
            self._refusals.tell("an OTLP request is refused", refusal.message, status=status, request=request)
            answer = error_text(refusal.message, status)
            if refusal.is_retryable:
                answer.headers["Retry-After"] = str(RETRY_AFTER_S)
            return answer
        if not outcome.rejected:
            return Answer(b"", 200, "")
        body = outcome.json() if content_type == JSON else outcome.message()
        return Answer(body, 200, content_type)

    @staticmethod
    async def _body(request: Request, content_type: str) -> OtlpBody:
        if content_type not in (PROTOBUF, JSON):
            raise OtlpRefused(
                400, f"unsupported content type: {content_type}, supported: [{JSON}, {PROTOBUF}]"
            )
        encoding = request.header("content-encoding")
        if encoding not in ("", "gzip"):
            raise OtlpRefused(
                400, f'unsupported compression: {encoding}. Only "gzip" or no compression supported'
            )
        most = limits.OTLP_BODY_BYTES_MAX
        try:
            body = await request.body()
        except BodyTooLong:
            body = None
        if body is None or len(body) > most:
            raise OtlpRefused(413, f"request body exceeds the {most} bytes limit")
        return OtlpBody(body, is_json=content_type == JSON, is_gzip=encoding == "gzip")


def otlp_endpoints(context: WebContext) -> list[Endpoint]:
    """/otlp/v1/metrics."""
    handler = OtlpHandler(context, OtlpReceiver(context))
    return [
        Endpoint(
            API_PREFIX + "/otlp/v1/metrics",
            ("POST",),
            handler.export,
            role=Role.WRITE,
            changes=True,
            watches_client=True,
            summary="Takes metrics as OTLP sends them.",
        )
    ]
