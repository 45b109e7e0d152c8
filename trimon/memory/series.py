"""Which new series are taken while memory gets short: those of the target that grows fastest are refused first."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

# What a series takes when its first sample is stored: labels, index, the texts and columns of its target.
SERIES_BYTES: Final = 1200
# What it comes to take before its window is cut, with samples every 15 s.
SERIES_BYTES_LATER: Final = 2500
# Of the series that there may be, the last ones are for targets that do not grow much.
KEPT_SHARE: Final = 0.2
# Who brings no more than this within some minutes is not among those that grow.
SMALL_GROWTH: Final = 1000
# A body asks for so many at once.
SERIES_AT_ONCE: Final = 256
# `up` and its like are stored of every target.
REPORT_SERIES_MAX: Final = 8
# A smaller body has too few series to be looked at: what is beyond the limit in it, storage refuses.
LOOKED_AT_BYTES: Final = 64 * 2**10


class SeriesGrant:
    """The new series of one body: asked for as they are found, some at a time.

    `left` have been granted and are not there yet. `is_whole`: a target of which nothing is stored must fit as a whole.
    Series that storage has already, of a body that is not remembered, look new and are free.
    """

    __slots__ = ("_admission", "_group", "granted", "is_whole", "left", "refused")

    def __init__(self, admission: SeriesAdmission, group: str, free: int, *, is_whole: bool) -> None:
        self._admission = admission
        self._group = group
        self.granted = 0
        self.left = free
        self.is_whole = is_whole
        self.refused = 0

    def reserve(self, count: int) -> bool:
        """Whether so many may come; all or none."""
        more = count - self.left
        if more > 0:
            if not self._admission.take(self._group, more, at_least=more):
                return False
            self.granted += more
            self.left += more
        return True

    def take(self) -> bool:
        """Whether one series more may come; it is counted either way."""
        if not self.left:
            got = self._admission.take(self._group, SERIES_AT_ONCE)
            self.granted += got
            self.left += got
        if self.left:
            self.left -= 1
            return True
        self.refused += 1
        return False

    def text(self) -> str:
        """How many were refused, and why."""
        return f"{self.refused} new series are refused: {self._admission.text()}"


class SeriesAdmission:
    """Room for new series, found anew several times a second; what was granted since is taken off. Any thread."""

    def __init__(self, share_bytes: int, stored: Callable[[str], int] = lambda _: 0) -> None:
        self._stored = stored
        self.share_bytes = share_bytes
        self.series_max = max(share_bytes // SERIES_BYTES_LATER, 1)
        self.refused = 0
        self.is_pressed = False
        """Whether who grows gets nothing, as the process is short of memory."""
        self._room = self.series_max
        self._used = 0
        # granted and not yet in the head
        self._pending = 0
        self._growth: Counter[str] = Counter()
        self._refused_by: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def room(self) -> int:
        """How many series may still come."""
        return max(self._room, 0)

    @property
    def coming(self) -> int:
        """How many series may still come, those that are on their way included."""
        return self.room + self._pending

    def refill(self, series: int, used_bytes: int) -> None:
        """What is there now: series in the head, and bytes that nobody else than the head accounts for."""
        by_bytes = (self.share_bytes - used_bytes) // SERIES_BYTES
        with self._lock:
            self._used = used_bytes
            self._room = min(self.series_max - series, by_bytes) - self._pending

    def forget(self) -> None:
        """Half of what grew is forgotten; to be called every few minutes."""
        with self._lock:
            self._growth = Counter({group: count // 2 for group, count in self._growth.items() if count > 1})

    def grant(self, group: str, lines: int, held: int, body_bytes: int) -> SeriesGrant | None:
        """By what a body asks for its new series, to be settled when it was read; None for a small one.

        `lines` are those that are remembered of the body before, `held` how many of the target's series are stored.
        """
        if body_bytes < LOOKED_AT_BYTES:
            return None
        known = lines or max((held or self._stored(group)) - REPORT_SERIES_MAX, 0)
        return SeriesGrant(self, group, 0 if lines else known, is_whole=not known)

    def take(self, group: str, wanted: int, *, at_least: int = 1) -> int:
        """How many of the wanted series may come; none when it would be fewer than `at_least`."""
        with self._lock:
            free = self._room
            growth = self._growth[group] + wanted
            if growth > SMALL_GROWTH and growth >= max(self._growth.values(), default=0):
                free = 0 if self.is_pressed else free - int(self.series_max * KEPT_SHARE)
            allowed = min(wanted, max(free, 0))
            if allowed < at_least:
                return 0
            self._room -= allowed
            self._pending += allowed
            self._growth[group] += allowed
        return allowed

    def text(self) -> str:
        """What there is."""
        return (
            f"memory for series is {self.share_bytes} bytes (see --storage.memory-max), of which the head has about "
            f"{self._used}; that is for {self.series_max} series, and there is room for {self.room} more, a part of them "
            f"kept for targets that do not grow"
        )

    def settle(self, group: str, grant: SeriesGrant) -> int:
        """Takes back what a body did not need, and counts what was refused; how many series have still to be `landed`."""
        unused = min(grant.left, grant.granted)
        with self._lock:
            self._room += unused
            self._pending -= unused
            self._growth[group] -= unused
            if self._growth[group] <= 0:
                del self._growth[group]
            if grant.refused:
                self.refused += grant.refused
                self._refused_by[group] += grant.refused
        return grant.granted - unused

    def landed(self, count: int) -> None:
        """So many series that were granted are stored, or never will be."""
        with self._lock:
            self._pending -= count

    def take_refusals(self) -> dict[str, int]:
        """Series that were refused since the last call, by target."""
        with self._lock:
            refused, self._refused_by = dict(self._refused_by), Counter()
        return refused
