"""The link of the chain that asks who somebody is, and whether he may."""

from __future__ import annotations

import binascii
from typing import Final

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from trimon.offload import Offload
from trimon.selfmetrics import SelfMetrics
from trimon.web.auth.accounts import Accounts, Identity
from trimon.web.auth.passwords import Failures, Passwords, TooManyWaiting
from trimon.web.auth.security import CurrentSecurity, Security
from trimon.web.http.answer import Answer, ApiError, error_text, failure
from trimon.web.http.endpoint import Endpoint
from trimon.web.http.messages import header_of, match_of, send_answer, set_user
from trimon.web.http.role import Role
from trimon.web.http.wire.connections import client_key

# Clients of InfluxDB 2 know the second alone.
_TOKEN_SCHEMES: Final = frozenset((b"bearer", b"token"))
_OUTCOMES: Final = ("ok", "wrong", "missing", "limited", "forbidden")


def _unauthorized(scheme: str) -> Answer:
    answer = error_text("Unauthorized", 401)
    answer.headers["WWW-Authenticate"] = scheme
    return answer


def _too_many(wait_s: float, message: str) -> Answer:
    answer = error_text(message, 429)
    answer.headers["Retry-After"] = str(max(1, round(wait_s)))
    return answer


class Authentication:
    """Lets a request pass whose sender may ask for its endpoint. Only on the loop's thread.

    Where there are neither users nor tokens everybody may. Where there are, each request has to say who sends it, also one for
    what does not exist; paths that are exempt are read by everybody.
    """

    def __init__(
        self, app: ASGIFramework, security: CurrentSecurity, offload: Offload, metrics: SelfMetrics
    ) -> None:
        self._app = app
        self._security = security
        self._passwords = Passwords(offload)
        self._failures = Failures()
        counter = metrics.counter(
            "trimon_web_authentications_total",
            "Requests that had to say who sends them, by outcome.",
            ("outcome",),
        )
        self._counters = {outcome: counter.labels(outcome) for outcome in _OUTCOMES}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """One request."""
        now = self._security.now
        if (now.accounts is None and now.rate_limit is None) or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope, now)
        if refusal is not None:
            await send_answer(send, refusal)
        else:
            await self._app(scope, receive, send)

    async def _refusal(self, scope: HTTPScope, now: Security) -> Answer | None:
        if now.rate_limit is not None and (wait_s := now.rate_limit.take()):
            return _too_many(wait_s, "Too Many Requests")
        if now.accounts is None:
            return None
        match = match_of(scope)
        endpoint = match.endpoint if match is not None else None
        exempt = _is_exempt(endpoint, now)
        header = header_of(scope, b"authorization")
        if exempt and not header:
            return None
        if not header:
            self._counters["missing"].inc()
            return _unauthorized("Basic")
        found = await self._identity(scope, header, now.accounts)
        if isinstance(found, Answer):
            # An exempt path is a probe's: credentials that have become wrong must not fail it.
            return None if exempt else found
        if endpoint is not None and not exempt and not found.may(endpoint.role):
            self._counters["forbidden"].inc()
            return _lacks(found, endpoint.role, scope["path"])
        self._counters["ok"].inc()
        set_user(scope, found.name)
        return None

    async def _identity(self, scope: HTTPScope, header: bytes, accounts: Accounts) -> Identity | Answer:
        """Who sends a request, or the answer to somebody who does not say so."""
        scheme, _, credentials = header.partition(b" ")
        kind = scheme.lower()
        basic = _user_and_password(credentials) if kind == b"basic" else None
        owner = accounts.owner(credentials.strip()) if kind in _TOKEN_SCHEMES else None
        if owner is not None:
            return owner
        hashed = accounts.hash_for(basic[0]) if basic is not None else None
        user = accounts.user(basic[0]) if basic is not None else None
        if basic and user and hashed and self._passwords.remembers(hashed, basic[1]):
            return user
        client = scope.get("client")
        limit = self._failures.of(
            client_key(client[0] if client else ""), basic[0] if basic is not None else b""
        )
        if wait_s := limit.take():
            self._counters["limited"].inc()
            return _too_many(wait_s, "Too many wrong passwords or tokens")
        if basic is not None and hashed is not None:
            try:
                right = await self._passwords.is_right(hashed, basic[1])
            except TooManyWaiting:
                limit.give_back()
                message = "too many passwords are being compared"
                return failure(ApiError("unavailable", message, status=503, retry_after_s=1))
            if right and user is not None:
                limit.give_back()
                return user
        self._counters["wrong"].inc()
        return _unauthorized("Bearer" if kind in _TOKEN_SCHEMES else "Basic")


def _is_exempt(endpoint: Endpoint | None, now: Security) -> bool:
    """Whether everybody may ask."""
    return endpoint is not None and endpoint.exemptible and endpoint.path in now.exempt_paths


def _lacks(identity: Identity, role: Role, path: str) -> Answer:
    message = f"{identity.name} may not ask for {path}: the role {role.value} is missing"
    return failure(ApiError("forbidden", message, status=403))


def _user_and_password(credentials: bytes) -> tuple[bytes, bytes] | None:
    """What basic authentication says; None when it is not well-formed."""
    try:
        decoded = binascii.a2b_base64(credentials, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None
