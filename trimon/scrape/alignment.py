"""Which line of a body is which line of the body before, when some have moved, appeared or vanished."""

from __future__ import annotations

from itertools import repeat
from typing import Final

import numpy as np

from trimon.scrape.reading import Ints

# Lines compared in one go after a change; four times as many each time all are equal.
_STEP: Final = 16
_STEP_FACTOR: Final = 4
# So many lines around a change are tried before heads are looked up.
_NEARBY: Final = 3
# More changes than this share of the lines: looking up every head is cheaper then.
_CHANGES_SHARE: Final = 24
_CHANGES_MIN: Final = 8


def align(heads: list[bytes], lines: list[bytes]) -> Ints:
    """For each line the place of its head in `heads`, -1 where it was not found.

    A line at least begins with the head that it is given. A head may be given to two lines, if the body has a series
    twice, and a line that has more than a number behind its head may be missed.
    """
    return _Alignment(heads, lines).run()


class _Alignment:
    """One comparison: runs of lines in the old order, and jumps between them."""

    def __init__(self, heads: list[bytes], lines: list[bytes]) -> None:
        self._heads = heads
        self._lines = lines
        self._origin = np.full(len(lines), -1, np.int64)
        self._places: dict[bytes, int] | None = None

    def run(self) -> Ints:
        """The origin of every line."""
        lines, origin = self._lines, self._origin
        old, new = 0, 0
        changes_left = _CHANGES_MIN + len(lines) // _CHANGES_SHARE
        while new < len(lines):
            length = self._equal(old, new)
            if length:
                origin[new : new + length] = np.arange(old, old + length)
                old, new = old + length, new + length
                if new == len(lines):
                    break
            changes_left -= 1
            if changes_left < 0:
                origin[new:] = list(map(self._by_head().get, map(_head, lines[new:]), repeat(-1)))
                break
            old, new = self._resume(old, new)
        self._find_moved()
        return origin

    def _find_moved(self) -> None:
        """Looks for lines that were skipped among the heads that nobody has."""
        origin = self._origin
        skipped = np.flatnonzero(origin < 0)
        unused = np.ones(len(self._heads), bool)
        unused[origin[origin >= 0]] = False
        if not len(skipped) or not unused.any():
            return
        left = {self._heads[place]: place for place in np.flatnonzero(unused).tolist()}
        for place in skipped.tolist():
            origin[place] = left.get(_head(self._lines[place]), -1)

    def _equal(self, old: int, new: int) -> int:
        """How many lines from here on begin with the heads from there on."""
        begin, step = new, _STEP
        while True:
            hits = bytes(map(bytes.startswith, self._lines[new : new + step], self._heads[old : old + step]))
            length = hits.find(0)
            if length >= 0:
                return new + length - begin
            old, new = old + len(hits), new + len(hits)
            if len(hits) < step:
                return new - begin
            step *= _STEP_FACTOR

    def _resume(self, old: int, new: int) -> tuple[int, int]:
        """Where the next run begins."""
        heads, lines = self._heads, self._lines
        for far in range(1, _NEARBY + 1):
            if old + far < len(heads):
                if new + far < len(lines) and lines[new + far].startswith(heads[old + far]):
                    return old + far, new + far
                if lines[new].startswith(heads[old + far]):
                    return old + far, new
            if old < len(heads) and new + far < len(lines) and lines[new + far].startswith(heads[old]):
                return old, new + far
        places = self._by_head()
        while new < len(lines):
            place = places.get(_head(lines[new]))
            if place is not None:
                return place, new
            new += 1
        return old, new

    def _by_head(self) -> dict[bytes, int]:
        if self._places is None:
            self._places = dict(zip(self._heads, range(len(self._heads)), strict=True))
        return self._places


def _head(line: bytes) -> bytes:
    """The head of a line that has nothing but a number behind it; a comment is its own head."""
    return line if line[:1] == b"#" else line[: line.rfind(b" ") + 1]
