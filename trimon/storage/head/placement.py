"""Where the samples of a series live: its group and column now, and those it had before.

A scrape is stored as a row of its target's group, so a sample is found by group and column. A series is *placed* in
at most one column at a time. Two targets may expose one series; both have a column for it, but only one of the two is
the series' placement. The cells of the other column are *foreign*: they are judged by the same rules and go to the
loose buffer.

```text
            group 0 (target A)          group 1 (target B)        loose buffer
series x    column 0 <- placed          column 2, foreign  ---->  (x, time, value)
series y    column 1                    -
```

A series moves when the sender that had it placed hands its column back, as a target does that vanishes or no longer
exposes it, and another sender then shows it:

1. `hand_back` clears `granted`: the placement stays, since its samples are still there, but nobody adds to them.
2. The first row of another group that has the series finds it foreign and not granted, and `Head` places it there
   (`_adopt`). A sender that is granted a new column for such a series has it placed at once (`_grant`).
3. A sender that shows the series again where it was placed last has the old column back: nothing moves.

Placements are numbered in the order in which they were made. Each knows the one before it, so that the placements of
a series are a chain, and a reader follows it from the newest to the oldest and joins what it finds:

```text
latest[x] = 7 --previous--> 4 --previous--> 0 --previous--> -1
group       2               1               0
```

Arrays only grow, but for `latest` and `granted`, which the writer overwrites. A reader's view has the arrays as long
as they were; where `latest` already points beyond them, the reader goes back along the chain until it is at a
placement that it knows.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np

from trimon.storage.head.arena import Arena, Bools, Int32s, Int64s

_numbers = count()


class PlacementView(NamedTuple):
    """What a reader sees: `latest[series]` is the newest placement or a later one, `previous[placement]` the one before."""

    latest: Int32s
    group: Int32s
    column: Int32s
    previous: Int32s
    owner: SeriesPlacement

    def newest(self, series: Int32s) -> Int32s:
        """The newest placement of each series that this view knows, -1 if none."""
        placements = self.latest[series]
        known = len(self.group)
        while len(placements) and placements.max() >= known:
            later = placements >= known
            placements[later] = self.owner.previous_of(placements[later])
        return placements


class SeriesPlacement:
    """The placements of all series of a head; `number` is another one for every head of this process."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self._latest: Arena[np.int32] = Arena(np.int32)
        self._granted: Arena[np.bool_] = Arena(np.bool_)
        self._group: Arena[np.int32] = Arena(np.int32)
        self._column: Arena[np.int32] = Arena(np.int32)
        self._previous: Arena[np.int32] = Arena(np.int32)

    def view(self) -> PlacementView:
        """For readers. `latest` may come to point beyond the view: `PlacementView.newest` goes back from there."""
        return PlacementView(
            self._latest.view(), self._group.view(), self._column.view(), self._previous.view(), self
        )

    def previous_of(self, placements: Int32s) -> Int32s:
        """The placement before each of the given."""
        return self._previous.view()[placements]

    def widen(self, series: int) -> None:
        """Make room for series up to this number; they have no placement."""
        more = series - len(self._latest)
        if more > 0:
            self._latest.extend_constant(-1, more)
            self._granted.extend_constant(value=False, count=more)

    def granted(self, series: Int32s | Int64s) -> Bools:
        """Whether the newest placement is still granted to its group's sender."""
        return self._granted.view()[series]

    def set_granted(self, series: Int32s | Int64s, *, granted: bool) -> None:
        """Note that placements were granted again or handed back."""
        self._granted.view()[series] = granted

    def last(self, series: int) -> tuple[int, int]:
        """Group and column of the newest placement, -1 if there was none."""
        placement = int(self._latest.view()[series])
        if placement < 0:
            return -1, -1
        return int(self._group.view()[placement]), int(self._column.view()[placement])

    def add(self, series: Int32s, group: int, columns: Int64s) -> None:
        """Give new placements to distinct series."""
        first = len(self._group)
        latest = self._latest.view()
        self._group.extend_constant(group, len(series))
        self._column.extend(columns)
        self._previous.extend(latest[series])
        latest[series] = np.arange(first, first + len(series), dtype=np.int32)
        self._granted.view()[series] = True

    def size_bytes(self) -> int:
        """Memory held."""
        arenas = (self._latest, self._granted, self._group, self._column, self._previous)
        return sum(arena.size_bytes for arena in arenas)
