"""One pass of the event loop: for how long the tasks that were ready together have been running.

Tasks that become ready at the same time all run before the loop looks at sockets and timers again. What one of them does for a
millisecond a hundred of them do for a tenth of a second; so short work that may as well be done in a thread asks first how
long the pass has lasted.
"""

from __future__ import annotations

import math
import time

import trio


class LoopPass(trio.abc.Instrument):
    """Set by the loop itself at the begin of each pass, from when it is installed on. Only on the loop's thread."""

    def __init__(self) -> None:
        self._began_s = math.inf

    def after_io_wait(self, timeout: float) -> None:
        """The loop has looked at sockets and timers."""
        del timeout
        self._began_s = time.perf_counter()

    def elapsed_s(self) -> float:
        """Seconds since the pass began; 0 where nobody sees the loop."""
        return max(0.0, time.perf_counter() - self._began_s)
