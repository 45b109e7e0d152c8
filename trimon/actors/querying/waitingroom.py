"""Where queries wait for memory: in order, only so many, and not for ever. They hold nothing meanwhile."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Final

import trio

from trimon.log import Log
from trimon.memory.queries import QueryMemory, Reservation
from trimon.query.language.errors import MemoryFull
from trimon.records import dataclass

WAITING_MAX: Final = 64
CLIENT_SHARE: Final = 0.75
# Whoever asked has given up by then, or would rather hear that there is too much to do.
WAIT_S_MAX: Final = 30.0
TOLD_S: Final = 60.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """A query that waits."""

    reservation: Reservation
    needed_bytes: int
    key: str
    admitted: trio.Event = field(default_factory=trio.Event)


class WaitingRoom:
    """Queries that found the memory taken. Only on the loop's thread.

    The first is admitted when all that it needs is free; those behind it wait, so that a large one is not passed by
    without end. Small queries need no memory from here and never come.
    """

    def __init__(
        self,
        memory: QueryMemory,
        *,
        waiting_max: int = WAITING_MAX,
        wait_s_max: float = WAIT_S_MAX,
        on_short: Callable[[], object] = lambda: None,
        log: Log | None = None,
    ) -> None:
        self.admitted = 0
        self.refused = 0
        self._memory = memory
        self._waiting_max = waiting_max
        self._wait_s_max = wait_s_max
        self._on_short = on_short
        self._log = log
        self._told_s = -math.inf
        self._line: deque[_Waiting] = deque()
        memory.on_given = self.look

    def check_open(self) -> None:
        """Raises MemoryFull when the process is so short of memory that no query is taken."""
        if self._memory.is_shut:
            text = "the memory of this process is used up: no queries are taken, scrapes and rules go on; see /debug/memory"
            self.refuse(text)
            raise MemoryFull(text)

    def refuse(self, reason: str) -> None:
        """Counts a query that was refused for want of memory, and says so in the log once in a while."""
        self.refused += 1
        now_s = trio.current_time()
        if self._log is not None and now_s >= self._told_s + TOLD_S:
            self._log.warning("queries are refused for want of memory", refused=self.refused, last=reason)
            self._told_s = now_s

    async def wait(
        self, reservation: Reservation, needed_bytes: int, patience_s: float, key: str = ""
    ) -> None:
        """Returns when `needed_bytes` are reserved. Raises MemoryFull when too many wait, or it takes too long.

        Of one client, whose `key` is not empty, only some may wait.
        """
        self._on_short()
        if len(self._line) >= self._waiting_max:
            raise self._full(needed_bytes, f"{len(self._line)} queries wait for it already")
        own = sum(waiting.key == key for waiting in self._line) if key else 0
        if own >= max(1, int(self._waiting_max * CLIENT_SHARE)):
            raise self._full(needed_bytes, f"{own} queries of {key} wait for it already")
        waiting = _Waiting(reservation, needed_bytes, key)
        self._line.append(waiting)
        self.look()
        wait_s = max(0.0, min(patience_s, self._wait_s_max))
        try:
            with trio.move_on_after(wait_s):
                await waiting.admitted.wait()
        finally:
            if not waiting.admitted.is_set():
                self._line.remove(waiting)
                self.look()
        if not waiting.admitted.is_set():
            raise self._full(needed_bytes, f"it was not free for {wait_s:.0f} s")

    def _full(self, needed_bytes: int, why: str) -> MemoryFull:
        memory = self._memory
        return MemoryFull(
            f"query needs about {needed_bytes} bytes of memory, and of the {memory.most_bytes(for_rules=False)} that "
            f"queries may hold together {memory.taken_bytes} are taken: {why}"
        )

    def look(self) -> None:
        """Admit whom there is memory for; to be called when some was given back."""
        while self._line:
            first = self._line[0]
            if not first.reservation.raise_to(first.needed_bytes, in_turn=True):
                break
            self._line.popleft()
            self.admitted += 1
            first.admitted.set()
        self._memory.is_awaited = bool(self._line)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    def inspect(self) -> Mapping[str, object]:
        """How many wait for memory, and what became of those that did."""
        return {
            "memory_waiting": self.waiting,
            "memory_waiting_max": self._waiting_max,
            "memory_admitted": self.admitted,
            "memory_refused": self.refused,
        }
