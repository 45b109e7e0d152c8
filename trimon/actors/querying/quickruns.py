"""Queries that run on the loop, since handing them to a thread would cost more than they take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from trimon.actors.querying.pastcosts import PastCosts, question_of
from trimon.actors.querying.querylog import QueryRecord
from trimon.clock import Clock
from trimon.memory.queries import FREE_BYTES
from trimon.model.snapshot import Snapshot
from trimon.query.execution.budget import Budget
from trimon.query.language.errors import QueryError
from trimon.query.language.options import QueryOptions
from trimon.tracing.tracer import TRACER

T = TypeVar("T")

# What such a query may hold.
SAMPLES_MAX: Final = 50_000
# None begins when others that were ready with it have held the loop for so long.
HELD_S_MAX: Final = 0.005


class QuickRuns:
    """Runs what was quick the last times. Only on the loop's thread.

    `held_s` says for how long the tasks of this pass of the loop have been running, `reads_elsewhere` whether samples may have
    to be fetched from others.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        clock: Clock,
        took: PastCosts,
        held_s: Callable[[], float],
        reads_elsewhere: Callable[[], bool],
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._took = took
        self._held_s = held_s
        self._reads_elsewhere = reads_elsewhere

    def run(
        self,
        text: str,
        options: QueryOptions,
        work: Callable[[Snapshot, Budget], T],
        record: QueryRecord | None,
    ) -> tuple[T, Budget] | None:
        """The result of `work(snapshot, budget)` and its budget; None where a thread has to run it.

        Raises NotReady and ParseError; whatever else goes wrong is left to the thread, which tells it.
        """
        if self._held_s() > HELD_S_MAX or self._reads_elsewhere():
            return None
        question = question_of(text, record, self._clock.now_ms())
        if not self._took.is_quick(question):
            return None
        snapshot, budget = self._snapshot(), Budget(options)
        budget.samples_max = min(budget.samples_max, SAMPLES_MAX)
        budget.bytes_max = min(budget.bytes_max, FREE_BYTES)
        began_s = time.thread_time()
        try:
            with TRACER.span("promqlExec", {"query": text}):
                result = work(snapshot, budget)
        except (QueryError, MemoryError):
            self._took.slow(question)
            return None
        self._took.note(question, time.thread_time() - began_s, 0)
        return result, budget
