"""Places at work, given to clients in turn: nobody's crowd keeps others out."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import field
from typing import Final, NamedTuple

import trio

from trimon.records import dataclass

# Of so few places none is kept for a client that has none.
KEPT_FROM: Final = 4


class Asker(NamedTuple):
    """Who asks: `key` is what counts as one client, the others are for people."""

    key: str = ""
    """Empty: nobody in particular, such as rules; no limit of a client holds."""
    client: str = ""
    user: str = ""
    by_page: bool = False
    """Whether a page of ours asks by itself, so that nobody has typed the question."""


NOBODY: Final = Asker()


@dataclass(slots=True, eq=False)
class _Waiting:
    admitted: trio.Event = field(default_factory=trio.Event)


class Places:
    """So many places; who waits for one is admitted in turn with the other clients, and in order among his own.

    Only on the loop's thread. With `keeps_one` a client alone may have all places but one: the last is for who has none.
    """

    def __init__(self, places_max: int, *, keeps_one: bool = False) -> None:
        self.places_max = places_max
        self.taken = 0
        self._kept = int(keeps_one)
        self._taken_by: Counter[str] = Counter()
        self._lines: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    def try_enter(self, key: str) -> bool:
        """Takes a place where one is free and nobody waits for it."""
        if self._lines or not self._may(key):
            return False
        self._take(key)
        return True

    async def enter(self, key: str) -> None:
        """Waits for a place. Who is cancelled before has none."""
        waiting = _Waiting()
        line = self._lines.setdefault(key, deque())
        line.append(waiting)
        self._admit()
        try:
            await waiting.admitted.wait()
        except BaseException:
            if waiting.admitted.is_set():
                self.leave(key)
            else:
                line.remove(waiting)
                if not line:
                    del self._lines[key]
            raise

    def leave(self, key: str) -> None:
        """Gives a place back; the next who may have it gets it."""
        self.taken -= 1
        self._taken_by[key] -= 1
        if not self._taken_by[key]:
            del self._taken_by[key]
        self._admit()

    def _may(self, key: str) -> bool:
        free = self.places_max - self.taken
        return free > self._kept or (free > 0 and (not key or key not in self._taken_by))

    def _take(self, key: str) -> None:
        self.taken += 1
        self._taken_by[key] += 1

    def _admit(self) -> None:
        while self.taken < self.places_max:
            key = next((key for key in self._lines if self._may(key)), None)
            if key is None:
                return
            line = self._lines[key]
            waiting = line.popleft()
            if line:
                self._lines.move_to_end(key)
            else:
                del self._lines[key]
            self._take(key)
            waiting.admitted.set()
