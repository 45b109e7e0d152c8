"""The watchdog: a thread that sees when the event loop stands still, and says who holds it."""

from __future__ import annotations

import threading
import traceback
from collections import deque
from dataclasses import asdict, replace
from typing import Final

from trimon.actors.kernel.place import actor_of, task_at_work
from trimon.clock import WallClock
from trimon.log import Log
from trimon.records import dataclass

HELD_S: Final = 0.25
LOOK_S: Final = 0.05
KEPT: Final = 10
FRAMES_MAX: Final = 30
# An actor that holds the loop again and again is told in the log this often; all are counted.
LOG_EVERY_S: Final = 10.0
# How many actors are remembered for that.
ACTORS_MAX: Final = 100
# A stall that lasted longer is told again when it ends, whoever it was.
LONG_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Stall:
    """One time that the event loop was held. `actor` is empty when no actor's task held it."""

    at_ms: int
    actor: str
    task: str
    held_s: float
    """So far, while it lasts."""
    ended: bool
    stack: tuple[str, ...]
    """Innermost frame last."""


class Watchdog:
    """Compares beats of the event loop with the machine's clock, in a thread of its own.

    A loop without work gives no beats under a virtual clock and is not held: only one in the middle of a task's
    step counts. A task in code that keeps the interpreter's lock is seen when it lets go.
    """

    def __init__(self, log: Log) -> None:
        self.stalls: deque[Stall] = deque(maxlen=KEPT)
        self.count = 0
        # The machine's own: what a thread beside a simulated world sees is not part of that world.
        self._clock = WallClock()
        self._log = log
        self._beats = 0
        self._loop_thread = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._logged_s: dict[str, float] = {}

    def start(self) -> None:
        """Begin to watch the loop of the calling thread."""
        self._loop_thread = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._stop,), name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def beat(self) -> None:
        """The loop is alive."""
        self._beats += 1

    def _watch(self, stop: threading.Event) -> None:
        beats, since_s = self._beats, self._clock.monotonic_s()
        told = False
        while not stop.wait(LOOK_S):
            now_s = self._clock.monotonic_s()
            if self._beats != beats:
                if told:
                    self._over(now_s - since_s)
                beats, since_s, told = self._beats, now_s, False
            elif now_s - since_s > HELD_S:
                if told:
                    self.stalls[-1] = replace(self.stalls[-1], held_s=round(now_s - since_s, 3))
                else:
                    told = self._tell(stop, now_s - since_s, now_s)

    def _tell(self, stop: threading.Event, held_s: float, now_s: float) -> bool:
        """Keep and log who holds the loop; False when nobody does."""
        held = task_at_work(self._loop_thread)
        # Whoever stops this thread waits for its end, in the middle of a step.
        if held is None or stop.is_set():
            return False
        frame, task = held
        stack = tuple(
            f"{entry.name} ({entry.filename}:{entry.lineno})"
            for entry in traceback.extract_stack(frame, limit=FRAMES_MAX)
        )
        del frame
        stall = Stall(self._clock.now_ms(), actor_of(task), task.name, round(held_s, 3), False, stack)
        self.stalls.append(stall)
        self.count += 1
        if now_s - self._logged_s.get(stall.actor, -LOG_EVERY_S) >= LOG_EVERY_S:
            if len(self._logged_s) >= ACTORS_MAX:
                self._logged_s.clear()
            self._logged_s[stall.actor] = now_s
            fields = {"actor": stall.actor, "task": stall.task, "held_s": stall.held_s}
            self._log.warning("the event loop is held", **fields, stack=" < ".join(reversed(stack)))
        return True

    def _over(self, held_s: float) -> None:
        """The loop goes on; a long stall is told with its whole length."""
        stall = self.stalls[-1] = replace(self.stalls[-1], held_s=round(held_s, 3), ended=True)
        if held_s >= LONG_S:
            self._log.warning(
                "the event loop goes on",
                actor=stall.actor,
                task=stall.task,
                held_s=stall.held_s,
                at=stall.stack[-1:],
            )

    def inspect(self) -> list[dict[str, object]]:
        """The last stalls, newest first."""
        return [asdict(stall) for stall in reversed(self.stalls)]
