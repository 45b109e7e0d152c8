"""Long work leaves the event loop here: in a worker thread, or inline in tests with virtual time.

A thread hop costs about 80 µs, so only work that may take longer than a few milliseconds is offloaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")

# CPython hands the interpreter lock over after 5 ms by default; a scrape must not wait that long for a query.
SWITCH_INTERVAL_S = 0.0005


class Offload(Protocol):
    """Runs a synchronous function so that the event loop goes on meanwhile."""

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`; its exception passes through. Not cancelled once begun."""
        ...


class ThreadOffload:
    """Worker threads, at most `threads_max` at once; more work waits its turn in order."""

    def __init__(self, threads_max: int) -> None:
        self._limiter = trio.CapacityLimiter(threads_max)
        sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()` from a worker thread."""
        return await trio.to_thread.run_sync(work, limiter=self._limiter)

    def inspect(self) -> dict[str, object]:
        """Threads at work, the most allowed, and how many tasks wait."""
        statistics = self._limiter.statistics()
        return {
            "busy": statistics.borrowed_tokens,
            "threads_max": statistics.total_tokens,
            "waiting": statistics.tasks_waiting,
        }


class InlineOffload:
    """The double for virtual time: a thread counts as idle there and time would jump."""

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`, computed at once on the loop."""
        await trio.lowlevel.checkpoint()
        return work()
