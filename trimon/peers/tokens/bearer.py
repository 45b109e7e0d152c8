"""A token that all requests of a configuration share, from whoever gives it until half of its time is over."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import trio

from trimon.fetch.client import ClientOptions, HttpFetch
from trimon.fetch.headers import fault_of_value
from trimon.fetch.proxychoice import ProxyOptions
from trimon.fetch.request import Fetch, FetchError, FetchRequest
from trimon.records import dataclass
from trimon.redaction import REDACTOR, redacted

ANSWER_BYTES_MAX: Final = 2**20
TIMEOUT_S: Final = 30.0
_SHOWN_MAX: Final = 300
_DIGITS_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Token:
    """What an identity service gave, and how long it counts."""

    secret: str
    lasts_s: float


class BearerTokens:
    """The header of requests; `prepare` asks for a token where none is young enough. Only on the loop's thread."""

    def __init__(self, ask: Callable[[], Awaitable[Token]]) -> None:
        self._ask = ask
        self._secret = ""
        self._until_s = 0.0
        # Requests side by side wait for one token.
        self._lock = trio.Lock()

    async def prepare(self) -> None:
        """Sees to it that there is a token. Raises FetchError."""
        async with self._lock:
            if not self._secret or trio.current_time() >= self._until_s:
                token = await self._ask()
                self._secret = token.secret
                self._until_s = trio.current_time() + token.lasts_s / 2

    def __call__(self) -> tuple[tuple[str, str], ...]:
        """The header of a request; after `prepare`."""
        return (("Authorization", f"Bearer {self._secret}"),)


def identity_fetch() -> Fetch:
    """A client of an identity service; the proxy is that of the environment, as with Prometheus."""
    return HttpFetch(ClientOptions(proxy=ProxyOptions(from_environment=True)))


def machine_fetch() -> Fetch:
    """A client of the metadata service of this machine, which no proxy stands before."""
    return HttpFetch()


async def token_for_form(what: str, fetch: Fetch, url: str, form: Mapping[str, str]) -> Token:
    """The token that a service gives for a form, which holds a secret. Raises FetchError."""
    request = FetchRequest(
        url,
        (("Content-Type", "application/x-www-form-urlencoded"),),
        timeout_s=TIMEOUT_S,
        body_bytes_max=ANSWER_BYTES_MAX,
        method="POST",
        body=urlencode(sorted(form.items())).encode(),
        follow_redirects=False,
    )
    return await _token(what, fetch, request)


async def token_of_machine(what: str, fetch: Fetch, url: str, headers: tuple[tuple[str, str], ...]) -> Token:
    """The token that a metadata service gives. Raises FetchError."""
    request = FetchRequest(
        url, headers, timeout_s=TIMEOUT_S, body_bytes_max=ANSWER_BYTES_MAX, follow_redirects=False
    )
    return await _token(what, fetch, request)


async def _token(what: str, fetch: Fetch, request: FetchRequest) -> Token:
    try:
        answer = await fetch.send(request)
    finally:
        await fetch.aclose()
    if answer.status != 200:
        said = redacted(answer.body[:_SHOWN_MAX].decode(errors="replace"))
        raise FetchError(f"{what}: the identity service answers {answer.status_line}: {said}")
    try:
        fields = json.loads(answer.body)
        secret = fields["access_token"]
        lasts_s = _seconds(fields.get("expires_in"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FetchError(f"{what}: the answer of the identity service has no access_token") from None
    if not isinstance(secret, str) or not secret or fault_of_value(secret):
        raise FetchError(f"{what}: the access_token of the identity service cannot be sent in a header")
    REDACTOR.add(secret)
    return Token(secret, lasts_s)


def _seconds(said: Any) -> float:
    """A number, or a text that is one as some write it; 0 for anything else."""
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= _DIGITS_MAX:
        return float(said)
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 < said < 10**_DIGITS_MAX:
        return float(said)
    return 0.0
