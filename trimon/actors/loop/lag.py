"""The event loop's own pulse: how late a timer fires tells how long the others wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

import trio

from trimon.actors.loop.passes import LoopPass
from trimon.actors.loop.watchdog import Watchdog
from trimon.selfmetrics import MetricFamily, SelfMetrics

PERIOD_S: Final = 0.05
KEPT: Final = 6000  # five minutes
BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class LagMonitor:
    """Measures the delay of the event loop twenty times a second, and is the watchdog's pulse.

    Owns: the last five minutes of delays, the watchdog's thread, and who sees each pass of the loop.
    Receives: nothing.
    Sends: nothing; the histogram trimon_event_loop_lag_seconds and a counter of stalls.
    Crashes when: never.
    On restart: starts measuring anew.
    """

    def __init__(self, metrics: SelfMetrics, watchdog: Watchdog, loop_pass: LoopPass | None = None) -> None:
        self._watchdog = watchdog
        self._loop_pass = loop_pass if loop_pass is not None else LoopPass()
        self._delays_s: deque[float] = deque(maxlen=KEPT)
        self._histogram = metrics.histogram(
            "trimon_event_loop_lag_seconds", "How late a timer of the event loop fired.", (), BUCKETS_S
        )
        metrics.collect(self._families)

    def _families(self) -> Iterator[MetricFamily]:
        yield MetricFamily(
            "trimon_event_loop_stalls_total",
            "How often the event loop was held for a quarter of a second or longer.",
            "counter",
            [((), float(self._watchdog.count))],
        )

    async def run(self) -> None:
        """Sleeps and compares, for ever."""
        self._watchdog.start()
        trio.lowlevel.add_instrument(self._loop_pass)
        try:
            while True:
                due_s = trio.current_time() + PERIOD_S
                await trio.sleep_until(due_s)
                self._watchdog.beat()
                delay_s = max(0.0, trio.current_time() - due_s)
                self._delays_s.append(delay_s)
                self._histogram.observe(delay_s)
        finally:
            trio.lowlevel.remove_instrument(self._loop_pass)
            self._watchdog.stop()

    def inspect(self) -> Mapping[str, object]:
        """Percentiles over the last five minutes, in milliseconds, and the last times the loop was held."""
        delays = sorted(self._delays_s)
        stalls = {"stalls": self._watchdog.count, "last_stalls": self._watchdog.inspect()}
        if not delays:
            return {"samples": 0, **stalls}
        return {
            "samples": len(delays),
            "p50_ms": round(delays[len(delays) // 2] * 1000, 2),
            "p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 2),
            "max_ms": round(delays[-1] * 1000, 2),
            **stalls,
        }
