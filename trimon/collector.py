"""The interpreter's collector of cycles, so that it never holds the process for long.

It runs wherever objects are made, most of all on the event loop, and takes up to a microsecond for each object that it looks
at: with twenty thousand targets a full collection is seconds. Nothing on a hot path makes cycles, so there is little to find.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from trimon.clock import Clock

# Objects that the youngest generation gathers, and how many collections of one generation make one of the next: 5,000 objects
# are looked at at once, and then up to 15,000.
THRESHOLDS: Final = (5_000, 2, 10)
# Fewer old objects are not worth another look.
OLD_MIN: Final = 30_000
# Old objects are counted this often, and looked at again when as many have become old since the last time.
FULL_INTERVAL_S: Final = 3600.0


@contextmanager
def uncollected() -> Iterator[None]:
    """For work that makes many objects which stay: nothing is collected inside, and many new ones are set aside at the end.

    The next collection would look at all of them at one stretch otherwise.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > OLD_MIN:
            gc.freeze()
        if enabled:
            gc.enable()


class Collector:
    """Keeps collections small: what has survived two is set aside, and looked at again only when that is due.

    What is set aside is freed as ever when nobody refers to it; only a cycle that dies there waits for the next full
    collection.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_start = self._at_full = 0
        self._looked_s = clock.monotonic_s()
        self._waits_for_full = False

    def start(self) -> None:
        """From now on; what is there now stays for good, and is not looked at: it is what modules are made of."""
        made, off = gc.get_count()[0], not gc.isenabled()
        gc.freeze()
        # Counting walks over all; what was made while nothing was ever collected is known.
        self._at_start = self._at_full = made if off else gc.get_freeze_count()
        gc.enable()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(self.collected)

    def stop(self) -> None:
        """The interpreter collects as it likes."""
        gc.callbacks.remove(self.collected)

    def collected(self, phase: str, info: Mapping[str, int]) -> None:
        """The interpreter's call when a collection begins or ends; another one cannot begin in it."""
        if phase != "stop" or not info["generation"]:
            return
        full = info["generation"] == 2
        if self._waits_for_full and not full:
            return
        gc.freeze()
        now_s = self._clock.monotonic_s()
        if self._waits_for_full:
            self._waits_for_full, self._looked_s = False, now_s
            self._at_full = gc.get_freeze_count()
        elif now_s - self._looked_s >= FULL_INTERVAL_S:
            # Counting walks over all that is set aside, so it is not done after each collection.
            self._looked_s = now_s
            aged = gc.get_freeze_count() - self._at_full
            if aged > max(self._at_full - self._at_start, OLD_MIN):
                self._waits_for_full = True
                gc.unfreeze()  # the next one of the oldest generation looks at everything
