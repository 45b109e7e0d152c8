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

When half of the room is taken, those that came first are narrowed (`narrowvalues.py`): half as many bytes, and a copy when they
are asked for again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from sys import getsizeof
from typing import Any, Final, NamedTuple

import numpy as np

from trimon.model.components import COMPONENT_LABEL, is_marker
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.matcher import Matcher, MatchType
from trimon.model.snapshot import Admit, DataState, NewestSamples
from trimon.model.table import NOTED_ROW_BYTES, NOTED_ROWS_MAX, LabelTable
from trimon.records import dataclass
from trimon.storage.block.cache import ArrayCache, taking_over
from trimon.storage.block.damage import Loss
from trimon.storage.read.components import ComponentParts
from trimon.storage.read.framebuilder import assemble
from trimon.storage.read.keptframe import CachedFrame, CachePlace
from trimon.storage.read.narrowingcache import NarrowingCache
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.read.settledsource import SettledSource
from trimon.storage.read.snapshot import StoreSelection, StoreSnapshot, readable
from trimon.storage.read.source import FramePart

SELECTIONS_BYTES: Final = 16 * 2**20
FRAMES_BYTES_MIN: Final = 64 * 2**20
FRAMES_BYTES_MAX: Final = 256 * 2**20
# What is kept may span more than a query asks for; beyond this factor it is cut before samples are added.
_WIDER_MAX: Final = 1.5
# What marks the components of what was asked for, a matcher that nobody else can have.
_COMPONENTS: Final = Matcher(COMPONENT_LABEL, MatchType.NOT_EQUAL, "")
EVER_MS: Final = 1 << 62
NEVER_MS: Final = -EVER_MS


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


def _asked_bytes(matchers: Sequence[Matcher]) -> int:
    """Memory of what is asked for, about: values, and the sets or automata they are compared by."""
    plain = (MatchType.EQUAL, MatchType.NOT_EQUAL)
    values = (
        getsizeof(matcher.value) if matcher.type in plain else 8 * len(matcher.value) for matcher in matchers
    )
    return 200 * len(matchers) + sum(values)


@dataclass(frozen=True, slots=True, eq=False)
class _Selected:
    labels: LabelTable
    places: tuple[CachePlace, ...]
    asked_bytes: int

    @property
    def nbytes(self) -> int:
        columns = sum(column.nbytes for column in self.labels.columns)
        # the values of one source are its own, those of several were listed for this selection
        noted = NOTED_ROW_BYTES * self.labels.rows if self.labels.rows <= NOTED_ROWS_MAX else 0
        listed = sum(len(values) for values in self.labels.values) if len(self.places) > 1 else 0
        return (
            1000
            + self.asked_bytes
            + noted
            + columns
            + 80 * listed
            + sum(place.nbytes for place in self.places)
        )


@dataclass(frozen=True, slots=True, eq=False)
class _KeptComponents:
    columns: HistogramColumns | None
    places: tuple[CachePlace, ...]

    @property
    def nbytes(self) -> int:
        columns = 0 if self.columns is None else self.columns.size_bytes
        return 500 + columns + sum(place.nbytes for place in self.places)


class _Settled(NamedTuple):
    """A frame of all that is settled between two times."""

    base: SampleFrame
    marks: tuple[Any, ...]
    begin_ms: int
    until_ms: int


class _CachedRead:
    """The parts of a selection that overlap an interval, about to be read."""

    def __init__(self, rows: int, parts: Sequence[FramePart], start_ms: int, end_ms: int) -> None:
        self.rows = rows
        self.parts = [part for part in parts if part.source.overlaps(start_ms, end_ms)]
        self.sources: list[SettledSource] = [part.source for part in self.parts]  # type: ignore[misc] # by CachedSnapshot
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.versions = tuple(source.version for source in self.sources)
        self.places = tuple(
            CachePlace(version, part.series, part.rows)
            for version, part in zip(self.versions, self.parts, strict=True)
        )

    @property
    def identities(self) -> tuple[Hashable, ...]:
        """The identities of the sources, under which frames of these parts are kept."""
        return tuple(source.identity for source in self.sources)

    def is_of(self, places: Sequence[CachePlace]) -> bool:
        """Whether these are the series to be read, in the same rows."""
        return all(place.is_of(part) for place, part in zip(places, self.parts, strict=True))

    @property
    def newest_ms(self) -> int:
        """The time of the newest sample of all series."""
        return max(source.newest_ms for source in self.sources)

    def until_ms(self) -> int:
        """Up to when samples are read, for later queries too: without end where the interval reaches the newest sample."""
        newest_ms = self.newest_ms
        return EVER_MS if self.end_ms >= newest_ms else self.end_ms + (self.end_ms - self.start_ms) // 8

    def settled(self, kept: CachedFrame, admit: Admit, estimate: Callable[[], int]) -> _Settled:
        """The samples of what is settled; what is kept of them is not read again. What takes memory is admitted first.

        Only the last source may be settled in part, or get more: of samples at one time that of the earlier source
        counts, and what is kept counts before what is added.
        """
        base = kept.base_for(self.start_ms, self.end_ms, admit)
        nothing = (None,) * len(self.sources)
        befores = nothing if base is None else kept.marks
        last = len(self.sources) - 1
        marks = tuple(
            source.mark(part.series, before, whole=number < last)
            for number, (source, part, before) in enumerate(
                zip(self.sources, self.parts, befores, strict=True)
            )
        )
        if base is not None:
            begin_ms, until_ms = kept.start_ms, kept.end_ms
            found = self._added(befores, marks, begin_ms, until_ms)
            if found is not None:
                partials = [PartialFrame.of(base), *found]
                if len(partials) > 1:
                    if self.is_exceeded_by(base):
                        begin_ms, partials[0] = self.start_ms, partials[0].clipped(self.start_ms, until_ms)
                    base = replace(assemble(self.rows, partials, grouped=True), facts={})
                return _Settled(base, marks, begin_ms, until_ms)
        admit(estimate())
        begin_ms, until_ms = self.start_ms, self.until_ms()
        with taking_over():
            partials = [
                partial
                for number in range(len(self.parts))
                for partial in self._settled_frames(number, None, marks[number], begin_ms, until_ms)
            ]
        base = replace(assemble(self.rows, partials, grouped=True), facts={})
        return _Settled(base, marks, begin_ms, until_ms)

    def _added(
        self, befores: Sequence[Any], marks: Sequence[Any], begin_ms: int, until_ms: int
    ) -> list[PartialFrame] | None:
        """What was settled since; None if it is not only more of the last source."""
        for source, part, before, now in zip(self.sources, self.parts, befores, marks, strict=True):
            if not source.follows(part.series, before, now):
                return None
        found: list[PartialFrame] = []
        for number, (before, now) in enumerate(zip(befores, marks, strict=True)):
            if found:
                return None
            found = self._settled_frames(number, before, now, begin_ms, until_ms)
        return found

    def _settled_frames(
        self, number: int, before: Any, now: Any, begin_ms: int, until_ms: int
    ) -> list[PartialFrame]:
        """What a source has settled, of the closed interval."""
        part = self.parts[number]
        found = self.sources[number].settled_frames(part.series, begin_ms, until_ms, before, now)
        return [partial for partial in part.placed(found, begin_ms, until_ms) if len(partial.values)]

    def is_exceeded_by(self, base: SampleFrame) -> bool:
        """Whether the frame is much longer than the interval."""
        if not len(base.times):
            return False
        return int(base.times.max() - base.times.min()) > _WIDER_MAX * (self.end_ms - self.start_ms)

    def fresh(self, marks: Sequence[Any], start_ms: int, end_ms: int) -> list[PartialFrame]:
        """The samples that are not settled, between two times."""
        return [
            partial
            for part, source, mark in zip(self.parts, self.sources, marks, strict=True)
            for partial in part.placed(
                source.fresh_frames(part.series, start_ms, end_ms, mark), start_ms, end_ms
            )
            if len(partial.values)
        ]


class CachedSnapshot(StoreSnapshot):
    """A snapshot whose selections and samples are looked up in what earlier queries left."""

    def __init__(
        self,
        sources: Sequence[SettledSource],
        memory: FrameCache,
        lost: Sequence[Loss] = (),
        *,
        strict: bool = False,
    ) -> None:
        super().__init__(sources, lost, strict=strict)
        self._memory = memory

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> CachedSelection:
        """The series that satisfy every matcher and may have samples in the closed interval."""
        return readable(lambda: self._cached_select(matchers, start_ms, end_ms))

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """The versions of the sources that overlap the closed interval, and what cannot be read of others."""
        sources: list[SettledSource] = self._overlapping(start_ms, end_ms)  # type: ignore[assignment] # as given
        return (*(source.labels_version for source in sources), len(self.lost))

    def state(self) -> DataState | None:
        """The versions of all sources, and the time of the newest sample; None where something of them is lost."""
        if self.lost:
            return None
        versions, newest_ms = [], NEVER_MS
        for source in self.sources:
            settled: SettledSource = source  # type: ignore[assignment] # as given
            if settled.losses(None, NEVER_MS, EVER_MS):
                return None
            versions.append(settled.version)
            newest_ms = max(newest_ms, settled.newest_ms)
        return DataState(tuple(versions), newest_ms)

    def known_selection(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> CachedSelection | None:
        """As `select`, of what was selected before; None where it is to be looked for."""
        sources = self._settled_sources(start_ms, end_ms)
        conditions, versions = tuple(matchers), tuple(source.labels_version for source in sources)
        found = self._memory.selections.peek((conditions, versions))
        if not isinstance(found, _Selected):
            return None
        now = dict(zip(versions, sources, strict=True))
        parts = [FramePart(now[place.version], place.series, place.rows) for place in found.places]
        return CachedSelection(found.labels, parts, self, conditions, self._memory)

    def _settled_sources(self, start_ms: int, end_ms: int) -> list[SettledSource]:
        return self._overlapping(start_ms, end_ms)  # type: ignore[return-value] # as given

    def _cached_select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> CachedSelection:
        known = self.known_selection(matchers, start_ms, end_ms)
        if known is not None:
            return known
        conditions = tuple(matchers)
        versions = tuple(source.labels_version for source in self._settled_sources(start_ms, end_ms))
        plain = self._select(matchers, start_ms, end_ms)
        places = tuple(
            CachePlace(part.source.labels_version, part.series, part.rows)  # type: ignore[attr-defined] # as given
            for part in plain.parts
        )
        found = _Selected(plain.labels, places, _asked_bytes(conditions))
        self._memory.selections.put((conditions, versions), found)
        return CachedSelection(plain.labels, plain.parts, self, conditions, self._memory)


class CachedSelection(StoreSelection):
    """The series that match, with what earlier queries read of them."""

    def __init__(
        self,
        labels: LabelTable,
        parts: Sequence[FramePart],
        snapshot: CachedSnapshot,
        matchers: tuple[Matcher, ...],
        memory: FrameCache,
        *,
        stored: bool = False,
    ) -> None:
        super().__init__(labels, parts, snapshot, stored=stored)
        self._cached = snapshot
        self._matchers = matchers
        self._memory = memory
        self._frames = memory.frames

    def components(self) -> ComponentParts | None:
        """The components of the histograms of the series, as they were found the last time."""
        if self.stored or not any(part.source.has_components for part in self.parts):
            return None
        sources: list[SettledSource] = [part.source for part in self.parts]  # type: ignore[misc] # by CachedSnapshot
        versions = tuple(source.labels_version for source in sources)
        key = (*self._matchers, _COMPONENTS), versions
        kept = self._memory.selections.peek(key)
        if not isinstance(kept, _KeptComponents):
            found = super().components()
            kept = _KeptComponents(None, ())
            if found is not None:
                places = tuple(
                    CachePlace(part.source.labels_version, part.series, part.rows)  # type: ignore[attr-defined] # as given
                    for part in found.parts
                )
                kept = _KeptComponents(found.columns, places)
            self._memory.selections.put(key, kept)
        if kept.columns is None:
            return None
        now = dict(zip(versions, sources, strict=True))
        parts = tuple(FramePart(now[place.version], place.series, place.rows) for place in kept.places)
        return ComponentParts(kept.columns, parts)

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """The newest sample of each series; see Selection."""
        parts = [part for part in self.parts if part.source.overlaps(after_ms + 1, until_ms)]
        rows = self.labels.rows
        if not parts:
            return NewestSamples(np.zeros(rows, np.int64), np.zeros(rows), np.zeros(rows, np.bool_))
        part, *others = parts
        if others or part.rows is not None or any(self._cached.losses(after_ms + 1, until_ms)):
            return None
        source: SettledSource = part.source  # type: ignore[assignment] # by CachedSnapshot
        found = source.newest_samples(part.series, after_ms, until_ms)
        # What is read for it may turn out to be lost: then only a frame tells.
        if found is None or source.losses(part.series, after_ms + 1, until_ms):
            return None
        return None if source.has_components and is_marker(found.values).any() else found

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """The samples in the closed interval, and perhaps others; see Selection."""
        frame = readable(lambda: self._wide_frame(start_ms, end_ms, admit))
        components = readable(self.components)
        if components is not None and components.are_in(frame):
            snapshot, asked = self._cached, (*self._matchers, _COMPONENTS)
            read = CachedSelection(
                components.labels, components.parts, snapshot, asked, self._memory, stored=True
            )
            frame = components.joined(frame, read.wide_frame(start_ms, end_ms, admit))
        return self.told(frame, start_ms, end_ms)

    def _wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        reading = _CachedRead(self.labels.rows, self.parts, start_ms, end_ms)
        if not reading.parts:
            return SampleFrame.empty(reading.rows)
        # intervals of other lengths are kept apart: each is then extended by little
        key = (self._matchers, reading.identities, (end_ms - start_ms).bit_length())
        kept = self._frames.peek(key)
        if not isinstance(kept, CachedFrame) or not reading.is_of(kept.places):
            # most selections are never asked for again
            self._frames.put(key, CachedFrame(reading.places, reading.versions, _asked_bytes(self._matchers)))
            admit(self.estimate(start_ms, end_ms).size_bytes)
            return self._frame(start_ms, end_ms)
        whole = kept.whole_for(start_ms, end_ms, reading.versions, admit)
        if whole is not None:
            return whole
        base, marks, begin_ms, until_ms = reading.settled(
            kept, admit, lambda: self.estimate(start_ms, end_ms).size_bytes
        )
        whole, whole_start_ms = base, begin_ms
        fresh = reading.fresh(marks, start_ms, until_ms)
        if fresh:
            admit(8 * (len(base.values) + sum(len(partial.values) for partial in fresh)))
            partial = PartialFrame.of(base)
            if reading.is_exceeded_by(base):
                partial = partial.clipped(start_ms, until_ms)
            whole = replace(assemble(reading.rows, [partial, *fresh], grouped=True), facts={})
            whole_start_ms = start_ms
        made = replace(
            kept,
            versions=reading.versions,
            places=reading.places,
            end_ms=until_ms,
            start_ms=begin_ms,
            newest_ms=reading.newest_ms,
            marks=marks,
            base=base,
            whole=None,
        )
        if not fresh or kept.versions == reading.versions:
            made = replace(made, whole=whole, whole_start_ms=whole_start_ms)
        self._frames.put(key, made)
        return whole
