"""Long work leaves the event loop here: in a worker thread, or inline in tests with virtual time.

A thread hop costs about 80 µs, so only work that may take longer than a few milliseconds is offloaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar, cast

import trio

from trimon.errors import OperatingError

T = TypeVar("T")

# CPython hands the interpreter lock over after 5 ms by default; a scrape must not wait that long for a query.
SWITCH_INTERVAL_S = 0.0005


class ThreadsShort(OperatingError):
    """No thread can be started: memory for its stack, or the number of threads, is used up."""


class Offload(Protocol):
    """Runs a synchronous function so that the event loop goes on meanwhile."""

    async def run(self, work: Callable[[], T], on_cancel: Callable[[], None] | None = None) -> T:
        """The result of `work()`; its exception passes through.

        Not cancelled once begun: a caller that is cancelled waits for the end of the work. `on_cancel` is
        called then, on the loop's thread, so that the work may be told to end early.
        """
        ...


class ThreadOffload:
    """Worker threads, at most `threads_max` at once; more work waits its turn in order."""

    def __init__(self, threads_max: int) -> None:
        self._limiter = trio.CapacityLimiter(threads_max)
        self._abandons = False
        self.abandoned = 0
        """Threads that were left behind at work."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def run(self, work: Callable[[], T], on_cancel: Callable[[], None] | None = None) -> T:
        """The result of `work()` from a worker thread."""
        # trio.to_thread does more (context variables, calls back into the loop) and takes twice as long
        place = object()
        await self._limiter.acquire_on_behalf_of(place)
        try:
            return await self._in_thread(work, on_cancel)
        finally:
            self._limiter.release_on_behalf_of(place)

    def abandon(self) -> None:
        """From now on a caller that is cancelled goes on without its thread, as the process is about to end."""
        self._abandons = True

    async def _in_thread(self, work: Callable[[], T], on_cancel: Callable[[], None] | None) -> T:
        task = trio.lowlevel.current_task()
        token = trio.lowlevel.current_trio_token()
        left = False

        def resume(result: Any) -> None:  # an outcome
            if not left:
                trio.lowlevel.reschedule(task, result)

        def deliver(result: Any) -> None:
            with suppress(trio.RunFinishedError):  # it was left behind
                token.run_sync_soon(resume, result)

        def abort(_: object) -> trio.lowlevel.Abort:
            nonlocal left
            if on_cancel is not None:
                on_cancel()
            if not self._abandons:
                return trio.lowlevel.Abort.FAILED
            left = True
            self.abandoned += 1
            return trio.lowlevel.Abort.SUCCEEDED

        try:
            trio.lowlevel.start_thread_soon(work, deliver)
        except RuntimeError as error:  # it is raised for this alone
            raise ThreadsShort(f"the system gives this process no more threads: {error}") from None
        return cast("T", await trio.lowlevel.wait_task_rescheduled(abort))

    def inspect(self) -> dict[str, object]:
        """Threads at work, the most allowed, and how many tasks wait."""
        statistics = self._limiter.statistics()
        return {
            "busy": statistics.borrowed_tokens,
            "threads_max": statistics.total_tokens,
            "waiting": statistics.tasks_waiting,
        }


class OffloadLanes(Protocol):
    """Threads for several users of whom each may hang: none can take those of another."""

    def lane(self, name: str) -> Offload:
        """The threads of one user, always the same for a name."""
        ...


class AbandoningLanes:
    """Worker threads for work that may hang, such as a call of somebody else's library.

    A caller that is cancelled goes on without the thread, which counts among the `threads_max` of its lane until it ends;
    what it does then is nobody's. It ends with the process.
    """

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._lanes: dict[str, AbandoningOffload] = {}

    def lane(self, name: str) -> AbandoningOffload:
        """The threads of one user, always the same for a name."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = AbandoningOffload(self._threads_max)
        return lane


class AbandoningOffload:
    """One lane of such threads."""

    def __init__(self, threads_max: int) -> None:
        self._limiter = trio.CapacityLimiter(threads_max)

    async def run(self, work: Callable[[], T], on_cancel: Callable[[], None] | None = None) -> T:
        """The result of `work()` from a worker thread."""
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
        except trio.Cancelled:
            if on_cancel is not None:
                on_cancel()
            raise


class InlineOffload:
    """The double for virtual time: a thread counts as idle there and time would jump."""

    async def run(
        self,
        work: Callable[[], T],
        on_cancel: Callable[[], None] | None = None,  # noqa: ARG002 # nothing can come between
    ) -> T:
        """The result of `work()`, computed at once on the loop."""
        await trio.lowlevel.checkpoint()
        return work()

    def lane(self, name: str) -> InlineOffload:  # noqa: ARG002 # all are the same
        """Itself: nothing hangs there without everything doing so."""
        return self
