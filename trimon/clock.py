"""Time as a seam: the wall clock everybody asks, and a double that stands still.

Waiting is trio's business (`trio.sleep_until`), so that a test's MockClock rules it; this module only
says what the wall clock shows.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class WallClock:
    """The machine's clock. It may jump; intervals are measured with trio's clock, not with this one."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


class StoppedClock:
    """A wall clock that shows what it is set to; usable without trio."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.value_ms = now_ms

    def now_ms(self) -> int:
        """The set time."""
        return self.value_ms
