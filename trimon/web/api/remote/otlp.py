"""OTLP, which is not received: who sends it is told so, as a Prometheus tells that was not asked to receive it."""

from __future__ import annotations

from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, error_text
from trimon.web.http.endpoint import API_PREFIX, Endpoint, Role
from trimon.web.http.request import Request


def otlp_endpoints(context: WebContext) -> list[Endpoint]:
    """/otlp/v1/metrics."""
    flag = "--web.enable-otlp-receiver"
    reason = f"otlp write receiver needs to be enabled with {flag}"
    if context.options.otlp_asked_for:
        reason = f"OTLP is not received by this version: {flag} has no effect"

    async def refused(_: Request) -> Answer:
        return error_text(reason, 404)

    return [
        Endpoint(
            API_PREFIX + "/otlp/v1/metrics",
            ("POST",),
            refused,
            role=Role.WRITE,
            changes=True,
            summary="Refuses OTLP metrics.",
        )
    ]
