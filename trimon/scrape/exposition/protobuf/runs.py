"""Runs of metrics that are in a body as they were in the one before, but for their numbers."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import numpy as np

from trimon.scrape.exposition.bodymemory import DROPPED, Ints
from trimon.scrape.exposition.protobuf.columns import Bytes
from trimon.scrape.exposition.protobuf.memory import KnownMetrics
from trimon.scrape.exposition.protobuf.scan import Family

# So many metrics are compared at once at first; each run that goes on is compared in longer pieces.
_FIRST: Final = 32
# A shorter run is not worth what it takes to take it.
_SHORTEST: Final = 4


class FamilyRuns:
    """The runs of one family, asked for metric by metric."""

    def __init__(self, known: KnownMetrics, body: Bytes, family: Family, first: int, last: int) -> None:
        self._known = known
        self._body = body
        self._starts: Ints = np.array(family.starts, np.int64)
        self._ends: Ints = np.array(family.ends, np.int64)
        self._next = first
        self._last = last
        self._window = _FIRST

    def at(self, place: int) -> tuple[int, int]:
        """The old metric that the one at a place is, and how many from there on are as they were; 0 for none."""
        known, old = self._known, self._next
        length = min(self._window, len(self._starts) - place, self._last - old)
        again = bisect_left(known.again, old)
        if again < len(known.again):
            length = min(length, known.again[again] - old)
        if length < _SHORTEST:
            return old, 0
        starts, ends = self._starts[place : place + length], self._ends[place : place + length]
        known_starts, known_ends = known.starts[old : old + length], known.ends[old : old + length]
        shift = int(starts[0] - known_starts[0])
        # metrics of the same length have the same bytes between them
        length = _leading((starts - known_starts == shift) & (ends - known_ends == shift))
        if length < _SHORTEST:
            return old, 0
        begin, end = int(known_starts[0]), int(known_ends[length - 1])
        differs = (self._body[begin + shift : end + shift] ^ known.bytes[begin:end]) & known.mask[begin:end]
        if differs.any():
            length = int(np.searchsorted(known_starts, begin + int(np.argmax(differs != 0)), "right")) - 1
        samples = known.slots[known.sample_first[old] : known.sample_first[old + length]]
        if length < _SHORTEST or (samples < DROPPED).any():
            return old, 0
        self._window = 4 * self._window if length == self._window else _FIRST
        self._next = old + length
        return old, length

    def read_alone(self, old: int) -> None:
        """The next metric was read by itself; it was that one, or -1 for none."""
        if self._next <= old < self._last:
            self._next = old + 1


def _leading(same: np.ndarray) -> int:
    """How many are true before the first that is not."""
    return len(same) if same.all() else int(np.argmin(same))
