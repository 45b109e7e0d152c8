"""A snapshot and its selections, looked up in what earlier queries left before anything is read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from sys import getsizeof
from typing import Final

import numpy as np

from trimon.model.components import COMPONENT_LABEL, is_marker
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.matcher import Matcher, MatchType
from trimon.model.snapshot import Admit, DataState, NewestSamples
from trimon.model.table import NOTED_ROW_BYTES, NOTED_ROWS_MAX, LabelTable
from trimon.records import dataclass
from trimon.storage.block.damage import Loss
from trimon.storage.read.cachedread import EVER_MS, CachedRead
from trimon.storage.read.components import ComponentParts
from trimon.storage.read.framebuilder import assemble
from trimon.storage.read.framecache import FrameCache
from trimon.storage.read.keptframe import CachedFrame, CachePlace
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.read.settledsource import SettledSource
from trimon.storage.read.snapshot import StoreSelection, StoreSnapshot, readable
from trimon.storage.read.source import FramePart

# What marks the components of what was asked for, a matcher that nobody else can have.
_COMPONENTS: Final = Matcher(COMPONENT_LABEL, MatchType.NOT_EQUAL, "")
_NEVER_MS: Final = -EVER_MS


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
        versions, newest_ms = [], _NEVER_MS
        for source in self.sources:
            settled: SettledSource = source  # type: ignore[assignment] # as given
            if settled.losses(None, _NEVER_MS, EVER_MS):
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
        reading = CachedRead(self.labels.rows, self.parts, start_ms, end_ms)
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
