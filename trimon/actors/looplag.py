"""The event loop's own pulse: how late a timer fires tells how long the others wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import trio

from trimon.selfmetrics import SelfMetrics

PERIOD_S: Final = 0.05
KEPT: Final = 6000  # five minutes
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class LagMonitor:
    """Measures the delay of the event loop twenty times a second.

    Owns: the last five minutes of delays.
    Receives: nothing.
    Sends: nothing; the histogram trimon_event_loop_lag_seconds.
    Crashes when: never.
    On restart: starts measuring anew.
    """

    def __init__(self, metrics: SelfMetrics) -> None:
        self._delays_s: deque[float] = deque(maxlen=KEPT)
        self._histogram = metrics.histogram(
            "trimon_event_loop_lag_seconds", "How late a timer of the event loop fired.", (), BUCKETS_S
        )

    async def run(self) -> None:
        """Sleeps and compares, for ever."""
        while True:
            due_s = trio.current_time() + PERIOD_S
            await trio.sleep_until(due_s)
            delay_s = max(0.0, trio.current_time() - due_s)
            self._delays_s.append(delay_s)
            self._histogram.observe(delay_s)

    def inspect(self) -> Mapping[str, object]:
        """Percentiles over the last five minutes, in milliseconds."""
        delays = sorted(self._delays_s)
        if not delays:
            return {"samples": 0}
        return {
            "samples": len(delays),
            "p50_ms": round(delays[len(delays) // 2] * 1000, 2),
            "p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 2),
            "max_ms": round(delays[-1] * 1000, 2),
        }
