"""/trimon/security: whether others may ask without saying who they are, for pages that warn of it."""

from __future__ import annotations

from trimon.web.context import WebContext
from trimon.web.http.answer import Answer, success
from trimon.web.http.endpoint import API_PREFIX, Endpoint
from trimon.web.http.request import Request


def security_endpoints(context: WebContext) -> list[Endpoint]:
    """/trimon/security."""

    async def security(request: Request) -> Answer:
        current = context.security
        return success(
            {
                "open_without_authentication": current.open_without_authentication,
                "addresses": list(current.open_addresses()),
                "tls": current.now.tls is not None,
                "user": request.user,
            }
        )

    return [
        Endpoint(
            API_PREFIX + "/trimon/security",
            ("GET",),
            security,
            own=True,
            summary="Says whether others than this machine may ask without authentication, and who asks now.",
        )
    ]
