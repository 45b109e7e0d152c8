"""The guard, which every request passes before anything is done for it: sizes that are told, hosts, origins, this machine.

What it looks at costs nothing; who asks is found out behind it (`web/auth/authentication.py`).
"""

from __future__ import annotations

from typing import Final

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from trimon import limits
from trimon.web.context import WebOptions
from trimon.web.http.answer import Answer, ApiError, error_text, failure
from trimon.web.http.endpoint import Access
from trimon.web.http.hosts import AllowedHosts, AllowedOrigins, is_loopback, own_hosts
from trimon.web.http.messages import crowded_of, header_of, match_of, send_answer
from trimon.web.http.parameters import FORM, form_too_long
from trimon.web.http.ratelimit import RateLimit

CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
FOREIGN_HOST: Final = "this server is not reached under the host that the request names"
DEBUG_RATE: Final = 50.0
DEBUG_BURST: Final = 100
SHOWN_BYTES_MAX: Final = 200


def shown(header: bytes) -> str:
    """A header's value as messages show it."""
    text = header[:SHOWN_BYTES_MAX].decode("latin1")
    return text if len(header) <= SHOWN_BYTES_MAX else text + "…"


def _has_form(scope: HTTPScope) -> bool:
    kind = header_of(scope, b"content-type").partition(b";")[0].strip().lower()
    return scope["method"] in ("POST", "PUT") and kind == FORM.encode()


class Guard:
    """Refuses bodies that say they are too long, and whoever may not ask for an endpoint. Only on the loop's thread."""

    def __init__(self, app: ASGIFramework, options: WebOptions) -> None:
        self._app = app
        self._allow_remote_debug = options.allow_remote_debug
        hosts = options.allowed_hosts
        self._hosts = AllowedHosts([*hosts, *own_hosts(options)]) if hosts is not None else None
        self._origins = AllowedOrigins(options)
        self._debug_rate = RateLimit(DEBUG_RATE, DEBUG_BURST)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await send_answer(send, refusal)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: HTTPScope) -> Answer | None:
        """The answer to a request that may not pass; None when it may."""
        length = header_of(scope, b"content-length")
        if length.isdigit() and int(length) > limits.REQUEST_BODY_BYTES_MAX:
            most = limits.REQUEST_BODY_BYTES_MAX
            return error_text(f"request body of {int(length)} bytes exceeds the limit of {most} bytes", 413)
        if length.isdigit() and int(length) > limits.REQUEST_FORM_BYTES_MAX and _has_form(scope):
            return failure(form_too_long(int(length)))
        match = match_of(scope)
        for_loopback = crowded_of(scope)
        if for_loopback is not None and not (match and match.endpoint.probe):
            client = scope.get("client")
            if not (for_loopback and is_loopback(client[0] if client else None)):
                message = "all connections have a request at work; see --web.max-connections"
                return failure(ApiError("unavailable", message, status=503, retry_after_s=1))
        host = header_of(scope, b"host")
        # Only a Unix socket has no address of a client: no page of a browser reaches it, and its mode says who may.
        by_address = scope.get("client") is not None
        probe = match is not None and match.endpoint.probe
        if by_address and not probe and self._hosts is not None and not self._hosts.allows(host):
            return error_text(f"{FOREIGN_HOST}: {shown(host)}; see --web.allowed-hosts", 421)
        if match is None:
            return None
        if match.endpoint.changes and scope["method"] in CHANGING:
            origin = header_of(scope, b"origin")
            if origin and not self._origins.allows(origin, host):
                message = f"a page of {shown(origin)} may change nothing here; see --web.cors.origin"
                return failure(ApiError("unavailable", message, status=403))
        if match.endpoint.access is Access.ANYBODY:
            return None
        client = scope.get("client")
        address = client[0] if client else None
        if not self._allow_remote_debug and not is_loopback(address):
            message = f"debug routes answer on loopback only, not {address}; see --web.allow-remote-debug"
            return failure(ApiError("unavailable", message, status=403))
        wait_s = self._debug_rate.take()
        if wait_s:
            return failure(
                ApiError("unavailable", "too many debug requests", status=429, retry_after_s=wait_s)
            )
        return None
