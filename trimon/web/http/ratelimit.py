"""A token bucket."""

from __future__ import annotations

import trio


class RateLimit:
    """`rate` requests a second in the long run, `burst` at once. Only on the loop's thread."""

    __slots__ = ("_at_s", "_burst", "_rate", "_tokens")

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

    def give_back(self) -> None:
        """What was taken did not count."""
        self._tokens = min(self._burst, self._tokens + 1)
