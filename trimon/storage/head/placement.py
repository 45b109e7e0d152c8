"""Where the samples of a series live: its group and column now, and those it had before."""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np

from trimon.storage.head.arena import Arena, Bools, Int32s, Int64s

_numbers = count()


class PlacementView(NamedTuple):
    """SeriesPlacement as chains: `latest[series]` is the newest home or a later one, `previous[home]` the one before."""

    latest: Int32s
    group: Int32s
    column: Int32s
    previous: Int32s
    owner: SeriesPlacement

    def newest(self, series: Int32s) -> Int32s:
        """The newest home of each series that this view knows, -1 if none."""
        homes = self.latest[series]
        known = len(self.group)
        while len(homes) and homes.max() >= known:
            later = homes >= known
            homes[later] = self.owner.previous_of(homes[later])
        return homes


class SeriesPlacement:
    """The homes of all series of a head; `number` is another one for every head of this process."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self._latest: Arena[np.int32] = Arena(np.int32)
        self._held: Arena[np.bool_] = Arena(np.bool_)
        self._group: Arena[np.int32] = Arena(np.int32)
        self._column: Arena[np.int32] = Arena(np.int32)
        self._previous: Arena[np.int32] = Arena(np.int32)

    def view(self) -> PlacementView:
        """For readers. `latest` may come to point beyond the view: `PlacementView.newest` goes back from there."""
        return PlacementView(
            self._latest.view(), self._group.view(), self._column.view(), self._previous.view(), self
        )

    def previous_of(self, homes: Int32s) -> Int32s:
        """The home before each of the given."""
        return self._previous.view()[homes]

    def widen(self, series: int) -> None:
        """Make room for series up to this number; they have no home."""
        more = series - len(self._latest)
        if more > 0:
            self._latest.extend_constant(-1, more)
            self._held.extend_constant(value=False, count=more)

    def held(self, series: Int32s | Int64s) -> Bools:
        """Whether the newest home is still granted to its group's sender."""
        return self._held.view()[series]

    def hold(self, series: Int32s | Int64s, *, held: bool) -> None:
        """Note that homes were granted again or handed back."""
        self._held.view()[series] = held

    def last(self, series: int) -> tuple[int, int]:
        """Group and column of the newest home, -1 if there was none."""
        home = int(self._latest.view()[series])
        if home < 0:
            return -1, -1
        return int(self._group.view()[home]), int(self._column.view()[home])

    def add(self, series: Int32s, group: int, columns: Int64s) -> None:
        """Give new homes to distinct series."""
        first = len(self._group)
        latest = self._latest.view()
        self._group.extend_constant(group, len(series))
        self._column.extend(columns)
        self._previous.extend(latest[series])
        latest[series] = np.arange(first, first + len(series), dtype=np.int32)
        self._held.view()[series] = True

    def size_bytes(self) -> int:
        """Memory held."""
        arenas = (self._latest, self._held, self._group, self._column, self._previous)
        return sum(arena.size_bytes for arena in arenas)
