"""Who may look inside: loopback only unless allowed, and not too often."""

from __future__ import annotations

import ipaddress

import trio
from quart import request

from trimon.web.http.answer import ApiError


class RateLimit:
    """A token bucket: `rate` requests a second in the long run, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at_s = 0.0

    def take(self) -> float:
        """0.0 when the request may pass, else the seconds after which one may."""
        now_s = trio.current_time()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0


def is_loopback(address: str | None) -> bool:
    """Whether a client's address is this machine's own; a Unix socket has none and is."""
    if not address or address.startswith("<"):
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


class InsideOnly:
    """The gate of /debug: refuses other machines, and floods. Raises ApiError."""

    def __init__(self, *, allow_remote: bool) -> None:
        self._allow_remote = allow_remote
        self._rate = RateLimit(rate=50, burst=100)

    def check(self) -> None:
        """Raises ApiError (403 or 429) when the present request may not pass."""
        if not self._allow_remote and not is_loopback(request.remote_addr):
            raise ApiError(
                "unavailable",
                f"debug routes answer on loopback only, not {request.remote_addr}; see --web.allow-remote-debug",
                status=403,
            )
        wait_s = self._rate.take()
        if wait_s:
            raise ApiError("unavailable", "too many debug requests", status=429, retry_after_s=wait_s)
