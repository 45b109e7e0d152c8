"""The series of a head and the columns they have: what is known of them apart from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from trimon.model.components import COMPONENT_LABEL
from trimon.model.labels import Labels
from trimon.model.pairedseries import PairedSeries
from trimon.storage.block.cache import ArrayCache
from trimon.storage.head.acceptance import RefusalTally
from trimon.storage.head.arena import Arena, Bools, Floats, Int32s, Int64s, ragged_positions
from trimon.storage.head.components import ComponentBook
from trimon.storage.head.index import SeriesIndex
from trimon.storage.head.placement import SeriesPlacement
from trimon.storage.head.scrapegroup import NEVER_MS, ScrapeGroup

EMPTY_LABELS = "empty labelset: invalid sample"


class Journal(Protocol):
    """Where a head writes down what it does, in order, before it is published."""

    def grant(self, group: ScrapeGroup, columns: Int64s, series: Int32s, placed: Bools) -> None:
        """Columns were granted. The journal keeps this until it is written, also when a write fails."""
        ...

    def row(self, group: ScrapeGroup, time_ms: int, columns: Int64s, values: Floats, *, prefix: bool) -> None:
        """A row is about to be stored."""
        ...

    def loose(self, series: Int32s, times: Int64s, values: Floats) -> None:
        """Loose samples are about to be stored."""
        ...


class HeadSeries:
    """Series, groups and the placement of one window of time; `Head` adds the samples.

    Series and columns are made as messages are judged. Without samples they do no harm, so they stay when an
    append fails.
    """

    def __init__(self, journal: Journal | None, cache: ArrayCache) -> None:
        self.cache = cache
        self.journal = journal
        self.index = SeriesIndex()
        self.placement = SeriesPlacement()
        self.components = ComponentBook()
        self.groups: list[ScrapeGroup] = []
        self._by_name: dict[str, ScrapeGroup] = {}
        self._last_times: Arena[np.int64] = Arena(np.int64)
        self._last_values: Arena[np.float64] = Arena(np.float64)
        self._touched: set[int] = set()
        self.older_heads: tuple[HeadSeries, ...] = ()
        self.older_max_ms = NEVER_MS

    def group(self, name: str) -> ScrapeGroup:
        """The group of this name, made if there is none."""
        group = self._by_name.get(name)
        if group is None:
            group = ScrapeGroup(len(self.groups), name, self.cache)
            self.groups.append(group)
            self._by_name[name] = group
        return group

    def set_older_heads(self, older_heads: Sequence[tuple[HeadSeries, int]]) -> None:
        """Judge late samples also by these older heads, of which each has the given newest time."""
        self.older_heads = tuple(older for older, _ in older_heads)
        self.older_max_ms = max((newest_ms for _, newest_ms in older_heads), default=NEVER_MS)

    def newest_samples(
        self, label_sets: Sequence[Labels], numbers: Int32s, first_ms: int
    ) -> tuple[Int64s, Floats]:
        """Time and value of the newest sample of each series, `NEVER_MS` if there is none.

        `numbers[i]` is the series of `label_sets[i]` or -1. Older heads are asked only if they have anything
        from `first_ms` on.
        """
        times = np.full(len(numbers), NEVER_MS, np.int64)
        values = np.zeros(len(numbers))
        known = numbers >= 0
        times[known] = self._last_times.view()[numbers[known]]
        values[known] = self._last_values.view()[numbers[known]]
        unseen = np.flatnonzero(times == NEVER_MS) if first_ms <= self.older_max_ms else times[:0]
        for older in self.older_heads if len(unseen) else ():
            listed = [label_sets[place] for place in unseen.tolist()]
            found = older.index.find(listed)
            older_times, older_values = older.newest_samples(listed, found, NEVER_MS)
            later = older_times > times[unseen]
            times[unseen[later]], values[unseen[later]] = older_times[later], older_values[later]
        return times, values

    def newest_times(self, series: Int32s) -> Int64s:
        """Time of the newest sample of each series, `NEVER_MS` if there is none."""
        return self._last_times.view()[series]

    def has_group(self, name: str) -> bool:
        """Whether the group has been seen in this head."""
        return name in self._by_name

    def new_group(self, name: str) -> ScrapeGroup:
        """A further group of this name, for replaying another run of the program."""
        self._by_name.pop(name, None)
        return self.group(name)

    def create(self, label_sets: Sequence[Labels], tally: RefusalTally, series_max: int = 0) -> Int32s:
        """Series numbers of label sets, made where they are missing; -1 where refused."""
        if not label_sets:
            return np.zeros(0, np.int32)
        if isinstance(label_sets, PairedSeries) or all(label_sets):
            return self.create_pairs(*self.index.symbols.intern(label_sets), tally, series_max)
        named = np.array([bool(labels) for labels in label_sets])
        tally.refuse_series(int((~named).sum()), EMPTY_LABELS)
        found = np.full(len(label_sets), -1, np.int32)
        kept = [labels for labels in label_sets if labels]
        if kept:
            found[named] = self.create_pairs(*self.index.symbols.intern(kept), tally, series_max)
        return found

    def create_pairs(self, flat: Int32s, lengths: Int64s, tally: RefusalTally, series_max: int = 0) -> Int32s:
        """Series numbers of runs of pair ids, made where they are missing; -1 where refused."""
        found, created = self.index.add(flat, lengths, series_max)
        if len(created):
            tally.series_created += len(created)
            self._last_times.extend_constant(NEVER_MS, len(created))
            self._last_values.extend_constant(0.0, len(created))
            self.placement.widen(len(self.index))
            if self.index.symbols.name_id(COMPONENT_LABEL) >= 0:
                tally.series_created -= self._note_components(created)
        refused = int((found < 0).sum())
        if refused:
            tally.refuse_series(refused, f"series limit of {series_max} reached")
        return found

    def _note_components(self, created: Int32s) -> int:
        """Find the series that new components belong to, which are made if they are missing; how many components there are."""
        view = self.index.view()
        first = view.offsets[created]
        mine = view.pair_name[view.flat[first]] == self.index.symbols.name_id(COMPONENT_LABEL)
        components, first = created[mine], first[mine] + 1
        lengths = view.offsets[components.astype(np.int64) + 1] - first
        owners = np.full(len(components), -1, np.int32)
        owned = lengths > 0
        if owned.any():
            flat = view.flat[ragged_positions(first[owned], lengths[owned])]
            owners[owned] = self.create_pairs(flat, lengths[owned], RefusalTally())
        self.components.add(components, owners)
        return len(components)

    def inherit(self, source: HeadSeries, group: ScrapeGroup) -> ScrapeGroup:
        """Make the group of an older head anew here, with the same columns for the same series."""
        target = self.group(group.name)
        columns = np.flatnonzero(group.granted[: group.width])
        view = source.index.view()
        pairs, place, lengths = view.distinct_pairs(group.series[columns])
        translated = self.index.symbols.intern_pairs(pairs)[place]
        series = (
            self.create_pairs(translated, lengths, RefusalTally()) if len(columns) else np.zeros(0, np.int32)
        )
        placed = ~self.placement.granted(series) & group.placed[columns]
        self._settle(target, columns, series, placed)
        return target

    def _settle(self, group: ScrapeGroup, columns: Int64s, series: Int32s, placed: Bools) -> None:
        """Grant these columns and place the series in them, where `placed`."""
        if len(columns) == 0:
            return
        group.grant(columns, series, placed)
        self.placement.add(series[placed], group.number, columns[placed])
        self._touched.add(group.number)
        if self.journal is not None:
            self.journal.grant(group, columns, series, placed)

    def restore_grant(self, group: ScrapeGroup, columns: Int64s, series: Int32s, placed: Bools) -> None:
        """A grant as the log tells it; what is known already is left as it is."""
        fresh = group.grant_unknown(columns, series, placed)
        mine = fresh & placed
        self.placement.add(series[mine], group.number, columns[mine])
        self._touched.add(group.number)

    def _grant(self, group: ScrapeGroup, series: Int32s) -> Int64s:
        """A column for each of the given, distinct series; the one it has or had, where it can be."""
        columns = np.full(len(series), -1, np.int64)
        latest = self.placement.view().latest[series]
        for place in np.flatnonzero(latest >= 0).tolist():
            number = int(series[place])
            last_group, column = self.placement.last(number)
            if last_group == group.number and int(group.series[column]) == number:
                if not group.granted[column]:
                    group.regrant(column)
                    self.placement.set_granted(series[place : place + 1], granted=True)
                    if self.journal is not None:
                        again = np.array([column])
                        self.journal.grant(group, again, series[place : place + 1], np.ones(1, np.bool_))
                columns[place] = column
        fresh = np.flatnonzero(columns < 0)
        if len(fresh):
            placed = ~self.placement.granted(series[fresh])
            granted = group.columns_for(len(fresh))
            self._settle(group, granted, series[fresh], placed)
            columns[fresh] = granted
        return columns

    def index_bytes(self) -> int:
        """How much memory the arrays take that say which series there are, where they are, and what came last."""
        lasts = self._last_times.size_bytes + self._last_values.size_bytes
        columns = sum(group.size_bytes for group in self.groups)
        own = self.index.size_bytes() + self.placement.size_bytes() + self.components.size_bytes
        return own + lasts + columns
