"""How far the samples of some series of a head were read, so that the next reader begins there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from trimon.storage.head.arena import Floats, Int32s, Int64s
from trimon.storage.head.loose import LooseView, SealedSamples
from trimon.storage.head.scrapegroup import NEVER_MS, GroupView, GroupViews
from trimon.storage.read.partialframe import PartialFrame


class MarkPlace(NamedTuple):
    """Rows of a selection whose series are placed in a group, and their columns there."""

    group: int
    rows: Int64s
    columns: Int64s


class HeadMark(NamedTuple):
    """How far some series of a head are settled: what of them will not change any more.

    Of pushed series these are the sealed pages of the loose buffer. Where any series is scraped, or that is asked
    for, it is the `whole`: rows of a group only follow on one another, and of the loose buffer it is enough to know
    that it got no sample of these series. `placements` are the newest placements, `last_ms` is the newest row of every place,
    `raw` the number of loose samples that are not in `pages`.
    """

    placements: Int32s
    places: tuple[MarkPlace, ...]
    last_ms: Int64s
    pages: tuple[SealedSamples, ...]
    raw: int
    whole: bool

    @property
    def nbytes(self) -> int:
        """Memory held, without the pages."""
        places = sum(place.rows.nbytes + place.columns.nbytes + 100 for place in self.places)
        return 200 + self.placements.nbytes + self.last_ms.nbytes + places

    def follows(self, before: HeadMark, series: Int32s, loose: LooseView) -> bool:
        """Whether only rows of groups, or pages, were added since; `loose` is what there is now."""
        known = len(before.pages)
        same_pages = len(self.pages) >= known and all(
            mine is other for mine, other in zip(self.pages, before.pages, strict=False)
        )
        if not same_pages or not np.array_equal(self.placements, before.placements):
            return False
        if not self.whole:
            return True
        fresh = [page.series for page in self.pages[known:]]
        fresh.append(loose.series[0 if fresh else before.raw :])
        return not any(any_among(part, series) for part in fresh)


def any_among(numbers: Int32s, series: Int32s) -> bool:
    """Whether any number is one of the ascending series."""
    if not len(numbers):
        return False
    place = np.minimum(np.searchsorted(series, numbers), len(series) - 1)
    return bool((series[place] == numbers).any())


def last_rows_ms(groups: GroupViews, places: Iterable[MarkPlace]) -> Int64s:
    """The time of the newest row of each place's group."""
    views = [groups[place.group] for place in places]
    return np.array([_last_ms(view) for view in views], np.int64)


def _last_ms(view: GroupView) -> int:
    if view.rows:
        return int(view.raw[-1].times[view.rows - 1])
    earlier = [chunk for chunk in view.raw if chunk.rows]
    if earlier:
        return int(earlier[-1].times[earlier[-1].rows - 1])
    return int(view.sealed[-1].times[-1]) if view.sealed else NEVER_MS


class NewRows:
    """Collects the newest rows of many groups into one partial frame."""

    def __init__(self) -> None:
        self._rows: list[Int64s] = []
        self._times: list[Int64s] = []
        self._values: list[Floats] = []

    def take(self, view: GroupView, place: MarkPlace, wanted: Int32s, after_ms: int) -> bool:
        """Take the rows after a time, if they are all in the newest chunk and every column is still its series'."""
        filled = view.rows
        if not filled:
            return False
        chunk = view.raw[-1]
        times, columns = chunk.times, place.columns
        first = filled - 1
        while first and times[first - 1] > after_ms:
            first -= 1
        if first == 0 and (len(view.raw) > 1 or view.sealed):
            # there may be more of them in an older chunk
            return False
        owners = chunk.series
        if int(columns.max()) >= len(owners) or not (owners.take(columns) == wanted).all():
            return False
        self._rows.append(place.rows)
        self._times.append(times[first:filled])
        self._values.append(chunk.cells(first, filled, columns).T.reshape(-1))
        return True

    def partial_frames(self) -> list[PartialFrame]:
        """All rows that were taken, as one partial frame; none if there were none."""
        if not self._rows:
            return []
        heights = np.array([len(rows) for rows in self._rows])
        counts = np.array([len(times) for times in self._times])
        offsets = np.zeros(int(heights.sum()) + 1, np.int64)
        np.cumsum(np.repeat(counts, heights), out=offsets[1:])
        return [
            PartialFrame(
                np.concatenate(self._rows),
                np.concatenate(self._values),
                offsets,
                np.concatenate(self._times),
                np.concatenate(([0], np.cumsum(counts))),
                np.repeat(np.arange(len(heights), dtype=np.int32), heights),
                absent=True,
            )
        ]
