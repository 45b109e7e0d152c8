"""The last resort of a stop: a thread that ends the process when something in it does not end.

A stop is orderly and bounded, but code of others may not let itself be stopped: a plug-in that catches its own
cancellation, waits in a shield, or holds the event loop. Then nobody on the loop can help.

    signal ──→ arm: a thread waits ──→ the server has ended: nothing to do
                        │
                        └─ STOP_S and FORCED_AFTER_S are over, or HURRIED_S after a second signal:
                           name who still lives, and end the process

Where the thread does not get its turn either, since code of a library holds the interpreter, a watchdog that needs no
interpreter writes the stacks of all threads and ends the process BACKSTOP_AFTER_S later.

What was acknowledged is in the log by then, as after SIGKILL; the next start replays it.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from trimon.actors.kernel.lifecycle import ACTIVE, State
from trimon.actors.kernel.supervisor import Supervisor
from trimon.clock import Clock
from trimon.log import Log

FORCED_AFTER_S: Final = 4.0
BACKSTOP_AFTER_S: Final = 1.0
HURRIED_S: Final = 3.0
EXIT_FORCED: Final = 1
NAMES_MAX: Final = 10


def end_process(code: int = EXIT_FORCED) -> None:
    """Ends the process at once; what was printed is written out."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_process_after(delay_s: float) -> None:
    """Ends the process after a while, whatever holds the interpreter; once more counts from then."""
    with suppress(ValueError, RuntimeError, OSError):  # there is no stderr to write to
        faulthandler.dump_traceback_later(delay_s, exit=True)


class ForcedStop:
    """Waits for the end of a stop, and forces it when its time is over. Any thread, and signal handlers, may call it."""

    def __init__(
        self,
        root: Supervisor,
        within_s: float,
        clock: Clock,
        log: Log,
        end: Callable[[], object] = end_process,
        end_after: Callable[[float], object] = end_process_after,
    ) -> None:
        self._root = root
        self._within_s = within_s
        self._clock = clock
        self._log = log
        self._end = end
        self._end_after = end_after
        self._ended = threading.Event()
        self._due_s = 0.0
        self._thread: threading.Thread | None = None

    def arm(self) -> None:
        """A stop begins; a second call leaves it only a moment."""
        now_s = self._clock.monotonic_s()
        if self._thread is not None:
            self._due_s = min(self._due_s, now_s + HURRIED_S)
            self._end_after(self._due_s - now_s + BACKSTOP_AFTER_S)
            return
        self._due_s = now_s + self._within_s + FORCED_AFTER_S
        self._end_after(self._due_s - now_s + BACKSTOP_AFTER_S)
        self._thread = threading.Thread(target=self._wait, name="forced-stop", daemon=True)
        self._thread.start()

    def disarm(self) -> None:
        """The server has ended; the watchdog stays until the process has, too."""
        self._ended.set()

    def _wait(self) -> None:
        while (left_s := self._due_s - self._clock.monotonic_s()) > 0:
            # A second signal brings the time forward.
            if self._ended.wait(min(left_s, 0.2)):
                return
        if self._ended.is_set():
            return
        alive = list(living(self._root))
        shown = ", ".join(alive[:NAMES_MAX]) + (" …" if len(alive) > NAMES_MAX else "")
        shown = shown or "whoever holds the event loop"
        self._log.error("these do not stop, the process is ended without them", actors=shown)
        self._end()


def living(supervisor: Supervisor) -> Iterator[str]:
    """The paths of all that has been told to stop and has not ended, the innermost only."""
    for child in list(supervisor.children()):
        if child.state not in ACTIVE and child.state is not State.STOPPING:
            continue
        if isinstance(child.actor, Supervisor):
            yield from living(child.actor)
        elif child.stopping:
            yield child.path
