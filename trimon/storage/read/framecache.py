"""Selections and samples that queries leave for the next query that asks for them.

A dashboard asks the same selectors every few seconds, with an interval that has moved on by as much. What was read
the last time is right again, as far as it cannot have changed since: as far as it is *settled*. A frame of the
settled samples is kept (the *base*); the next query reads what was settled since, and what is not settled at all, and
puts them behind it.

```text
                     start of the interval                                      its end
first asked          |=============== not kept, only noted ===================|
asked again          |=============== base ==========================|-fresh--|   mark 1
asked later               |========== base, kept ==========|+ added +|-fresh--|   mark 2
```

What is settled, and how far, a source says with a *mark*:

- of a block everything, for ever;
- of scraped series all rows up to the newest one of each group, since rows only follow on one another;
- of series that are only pushed the sealed pages of the loose buffer; its raw samples are the fresh part;
- of every source but the last everything, since of two samples at one time that of the earlier source counts.

Two marks tell whether the base still holds (`follows`). It does not after a sample that came late for one of the
series, or a series that is placed elsewhere, and a deletion or another block makes another `identity`: then
everything is read anew. So it is when the interval began after the newest sample that was known: what lies between is
not in the base.

Only what is asked for twice is kept, since most selections never are. Frames are kept by matchers, by the identities
of the sources, and by the magnitude of the interval's length: a panel of an hour and one of a week do not push one
another out. A base that has become half as long again as the interval is cut at its beginning when something is
added. If nothing has changed, the `whole` of the last answer, fresh part included, is the answer.

Snapshots that look here first are in `cachedsnapshot.py`, what one of their readings does with a base is in `cachedread.py`.

When half of the room is taken, those that came first are narrowed (`narrowvalues.py`): half as many bytes, and a copy when they
are asked for again.
"""

from __future__ import annotations

import os
from typing import Final

from trimon.storage.block.cache import ArrayCache
from trimon.storage.read.narrowingcache import NarrowingCache

SELECTIONS_BYTES: Final = 16 * 2**20
FRAMES_BYTES_MIN: Final = 64 * 2**20
FRAMES_BYTES_MAX: Final = 256 * 2**20


def frames_bytes() -> int:
    """How much memory kept frames may take on this machine: a hundredth of it, within bounds."""
    hundredth = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 100
    return min(max(hundredth, FRAMES_BYTES_MIN), FRAMES_BYTES_MAX)


class FrameCache:
    """The kept selections and frames of one store. Any thread may use it."""

    def __init__(self, frames_bytes: int = FRAMES_BYTES_MIN) -> None:
        self.selections = ArrayCache(SELECTIONS_BYTES)
        self.frames = NarrowingCache(frames_bytes)
        self._state: object = None

    def serve(self, state: object) -> None:
        """Forget everything if there are other blocks or heads than before: what is kept holds on to them."""
        if state is not self._state:
            self.clear()
            self._state = state

    def clear(self) -> None:
        """Forget everything."""
        self.selections.clear()
        self.frames.clear()

    @property
    def used_bytes(self) -> int:
        """Memory held."""
        return self.selections.used_bytes + self.frames.used_bytes
