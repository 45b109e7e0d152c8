"""The wall clock's double for tests under virtual time. Kept apart from `clock.py`, which needs no event loop."""

from __future__ import annotations

import trio


class VirtualClock:
    """A wall clock that follows trio's clock from a fixed start: under MockClock it is virtual."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self.start_ms = start_ms
        self._origin_s: float | None = None

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch. Only inside a trio run."""
        current_s = trio.current_time()
        if self._origin_s is None:
            self._origin_s = current_s
        return self.start_ms + round((current_s - self._origin_s) * 1000)

    def monotonic_s(self) -> float:
        """Trio's clock. Only inside a trio run."""
        return trio.current_time()
