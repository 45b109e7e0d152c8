"""The newest sample of each series of a head: what an instant selector wants, without the samples before.

A window of five minutes has three hundred samples of a series that is scraped every second, and the selector shows one of them.
A row of a group holds the newest samples of all series of a target side by side:

```text
             column 0   1       2        3
time 8       1.5        2       -        7
time 9       1.6        2       4        stale
time 10      1.7        3       4        -            <- newest row: three of the four are there
```

A dash says that the series was not in that scrape: rows before are looked at for its column alone. What is not so simple
is left to the frame, which knows all: samples that were pushed or deleted, or lie in sealed pages, series that moved.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from trimon.model.sample import ABSENT, is_absent
from trimon.model.snapshot import NewestSamples
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.loose import LooseView
from trimon.storage.head.placement import PlacementView
from trimon.storage.head.readmark import any_among
from trimon.storage.head.scrapegroup import Chunk, GroupView, GroupViews


def newest_samples(
    placement: PlacementView, views: GroupViews, loose: LooseView, series: Int32s, between_ms: tuple[int, int]
) -> NewestSamples | None:
    """The newest sample of each series (ascending) after the first time, up to the second; None where only a frame tells."""
    after_ms, until_ms = between_ms
    placements = placement.newest(series)
    if len(series) == 0 or int(placements.min()) < 0 or _is_loose(loose, series, after_ms, until_ms):
        return None
    groups, columns = placement.group[placements], placement.column[placements].astype(np.int64)
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    edges = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(ordered)]
    numbers = ordered[edges[:-1]].tolist()
    views.prepare(set(numbers))
    found = [views[number] for number in numbers]
    values, times, unsure = _last_rows(found, columns[order], series[order], edges, between_ms)
    for place in np.unique(np.searchsorted(edges, unsure, "right") - 1).tolist():
        run = slice(edges[place], edges[place + 1])
        group = _Group(found[place], columns[order[run]], series[order[run]])
        if not group.read(after_ms, until_ms):
            return None
        if group.left is not None and (placement.previous[placements[order[run][group.left]]] >= 0).any():
            return None
        values[run], times[run] = group.values, group.times
    out_values, out_times = np.empty_like(values), np.empty_like(times)
    out_values[order], out_times[order] = values, times
    return NewestSamples(out_times, out_values, ~is_absent(out_values))


def _last_rows(
    views: list[GroupView], columns: Int64s, wanted: Int32s, edges: list[int], between_ms: tuple[int, int]
) -> tuple[Floats, Int64s, Int64s]:
    """What the last row of each group has for its columns, the row's time, and the places where that is not the answer.

    There are as many groups as targets: for each two small copies, and everything else for all at once.
    """
    after_ms, until_ms = between_ms
    values: list[Floats] = []
    owners: list[Int32s] = []
    times: list[int] = []
    for view, (begin, end) in zip(views, pairwise(edges), strict=True):
        raw, rows = view.raw, view.rows
        here = columns[begin:end]
        time_ms = int(raw[-1].times[rows - 1]) if rows else until_ms + 1
        if after_ms < time_ms <= until_ms:
            chunk = raw[-1]
            values.append(chunk.row(rows - 1, here))
            owners.append(
                chunk.series.take(here, mode="clip")
            )  # beyond its last column it has another's series
        else:
            values.append(np.full(end - begin, ABSENT))
            owners.append(np.full(end - begin, -1, np.int32))
        times.append(time_ms)
    found = np.concatenate(values)
    unsure = np.flatnonzero((np.concatenate(owners) != wanted) | is_absent(found))
    return found, np.repeat(np.array(times, np.int64), np.diff(edges)), unsure


def _is_loose(view: LooseView, series: Int32s, after_ms: int, until_ms: int) -> bool:
    """Whether a sample of one of the series may be among those that are in no group."""
    for page in view.pages:
        if page.min_ms <= until_ms and page.max_ms > after_ms and any_among(series, page.series):
            return True
    return any_among(view.series[(view.times > after_ms) & (view.times <= until_ms)], series)


class _Group:
    """Some series of a group: what their newest samples are; `left` is which have none (None: all have one)."""

    def __init__(self, view: GroupView, columns: Int64s, wanted: Int32s) -> None:
        self._view = view
        self._columns = columns
        self._wanted = wanted
        self.values: Floats = np.full(len(columns), ABSENT)
        self.times: Int64s = np.zeros(len(columns), np.int64)
        self.left: Int64s | None = np.arange(len(columns))

    def read(self, after_ms: int, until_ms: int) -> bool:
        """Looks into the chunks, the newest first; False where samples may lie in sealed pages."""
        raw = self._view.raw
        for place in range(len(raw) - 1, -1, -1):
            chunk = raw[place]
            filled = self._view.rows if place == len(raw) - 1 else chunk.rows
            if filled == 0 or int(chunk.times[0]) > until_ms:
                continue
            last = filled - 1
            if int(chunk.times[last]) > until_ms:
                last = int(chunk.times[:filled].searchsorted(until_ms, "right")) - 1
            if int(chunk.times[last]) <= after_ms:
                return True
            self._take(chunk, last, after_ms)
            if self.left is None:
                return True
        sealed = self._view.sealed
        return not sealed or int(sealed[-1].times[-1]) <= after_ms

    def _take(self, chunk: Chunk, last: int, after_ms: int) -> None:
        assert self.left is not None
        left = self.left
        columns = self._columns[left]
        mine: Bools = chunk.series.take(columns, mode="clip") == self._wanted[left]
        if int(columns.max()) >= len(chunk.series):
            mine &= columns < len(chunk.series)
        if not mine.all():
            left, columns = left[mine], columns[mine]
        found = chunk.row(last, columns)
        self.values[left], self.times[left] = found, chunk.times[last]
        absent = is_absent(found)
        if absent.any():
            self._look_before(chunk, last, after_ms, left[absent])
        nothing = np.flatnonzero(is_absent(self.values))
        self.left = nothing if len(nothing) else None

    def _look_before(self, chunk: Chunk, last: int, after_ms: int, left: Int64s) -> None:
        """The newest of the rows before, of some series that are not in the last one."""
        first = int(chunk.times[:last].searchsorted(after_ms, "right"))
        if first >= last:
            return
        block = chunk.cells(first, last, self._columns[left])[::-1]
        there = ~is_absent(np.ascontiguousarray(block))
        newest = there.argmax(axis=0)
        has = there[newest, np.arange(len(left))]
        self.values[left[has]] = block[newest, np.arange(len(left))][has]
        self.times[left[has]] = chunk.times[last - 1 - newest[has]]
