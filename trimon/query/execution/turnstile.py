"""How many queries compute at a moment: those that take long take turns, and leave the interpreter to everybody else.

Threads that compute want the interpreter's lock all the time. With twenty of them the event loop gets it after many others each
time it has something to do, and scrapes are late. A query computes freely for some milliseconds of a core; then it needs one
of a few turns, which it gives on, at its next look at the clock, when it has had it for a while and others wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

# Of a core; before that a query needs no turn, and most never come so far.
FREE_S: Final = 0.005
TURN_S: Final = 0.05
# How often who waits looks whether he was told to stop.
LOOK_S: Final = 0.05


class Turnstile:
    """So many turns, given in order. May be used in any thread."""

    def __init__(self, turns_max: int) -> None:
        self.turns_max = turns_max
        self._lock = threading.Lock()
        self._taken = 0
        self._line: deque[threading.Event] = deque()

    @property
    def taken(self) -> int:
        """Turns that are held."""
        return self._taken

    @property
    def waiting(self) -> int:
        """Queries that wait for one."""
        return len(self._line)

    def enter(self, check: Callable[[], None]) -> None:
        """Returns with a turn. `check` is called now and then meanwhile, and may raise: then there is none."""
        with self._lock:
            if self._taken < self.turns_max and not self._line:
                self._taken += 1
                return
            given = threading.Event()
            self._line.append(given)
        try:
            while not given.wait(LOOK_S):
                check()
        except BaseException:
            with self._lock:
                has_turn = given not in self._line
                if not has_turn:
                    self._line.remove(given)
            if has_turn:
                self.leave()
            raise

    def leave(self) -> None:
        """Gives a turn back, to who waits for longest."""
        with self._lock:
            if self._line:
                self._line.popleft().set()
            else:
                self._taken -= 1


class Turns:
    """The turns of one query. Belongs to the thread that evaluates."""

    __slots__ = ("_free_until_s", "_has_turn", "_since_s", "_stile")

    def __init__(self, stile: Turnstile) -> None:
        self._stile = stile
        self._free_until_s = self._since_s = 0.0
        self._has_turn = False

    def begin(self) -> None:
        """This thread begins, for the first time or anew."""
        self._free_until_s = time.thread_time() + FREE_S

    def pass_(self, check: Callable[[], None]) -> None:
        """To be called now and then while it computes; waits where it is somebody else's turn."""
        if self._has_turn:
            if not self._stile.waiting or time.monotonic() - self._since_s < TURN_S:
                return
            self.end()
        elif time.thread_time() < self._free_until_s:
            return
        self._stile.enter(check)
        self._has_turn = True
        self._since_s = time.monotonic()

    def end(self) -> None:
        """The thread has ended; also where it never had a turn."""
        if self._has_turn:
            self._has_turn = False
            self._stile.leave()
