"""A token that is kept until shortly before it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from trimon.discovery.asking.record import Record, SourceError
from trimon.fetch.headers import fault_of_value
from trimon.records import dataclass
from trimon.redaction import REDACTOR

# A token that ends sooner is not used any more: a refresh takes time, too.
EARLY_S = 120.0


@dataclass(frozen=True, slots=True)
class Token:
    """What an identity service gave, and how long it counts."""

    secret: str
    lasts_s: float

    @classmethod
    def of(cls, said: Record) -> Token:
        """`access_token` and `expires_in` of an answer; some write the latter as text. Raises SourceError."""
        secret = said.text("access_token")
        if not secret or fault_of_value(secret):
            raise SourceError("the answer of the identity service has no access_token that can be sent")
        lasts = said.raw("expires_in")
        if isinstance(lasts, str) and lasts.isascii() and lasts.isdigit():
            lasts_s = float(lasts[:12])
        else:
            lasts_s = said.number("expires_in")
        REDACTOR.add(secret)
        return cls(secret, lasts_s)


class KeptToken:
    """Asks for a token when there is none that counts for long enough."""

    def __init__(self, ask: Callable[[], Awaitable[Token]]) -> None:
        self._ask = ask
        self._secret = ""
        self._until_s = 0.0
        # Requests side by side wait for one token.
        self._lock = trio.Lock()

    async def authorization(self) -> tuple[tuple[str, str], ...]:
        """The header of a request. Raises SourceError, FetchError."""
        async with self._lock:
            if not self._secret or trio.current_time() >= self._until_s:
                token = await self._ask()
                self._secret = token.secret
                self._until_s = trio.current_time() + max(0.0, token.lasts_s - EARLY_S)
        return (("Authorization", f"Bearer {self._secret}"),)

    def forget(self) -> None:
        """The token was refused; the next request has a new one."""
        self._secret = ""
