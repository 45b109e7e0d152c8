"""Time as a seam: the clock everybody asks, and a double that stands still.

Waiting is trio's business (`trio.sleep_until`), so that a test's MockClock rules it, and so is what lies between two
moments of a task (`trio.current_time`). This module says what the wall clock shows, and measures where there may be no
trio.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The wall clock, and one that never jumps."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds of a clock that never jumps; its zero means nothing."""
        ...


class WallClock:
    """The machine's clock. It may jump; intervals are measured with trio's clock, not with this one."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """The machine's clock since some start."""
        return time.monotonic()


class StoppedClock:
    """A wall clock that shows what it is set to; usable without trio."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.value_ms = now_ms

    def now_ms(self) -> int:
        """The set time."""
        return self.value_ms

    def monotonic_s(self) -> float:
        """The set time in seconds."""
        return self.value_ms / 1000
