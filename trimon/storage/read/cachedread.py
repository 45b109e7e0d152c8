"""One reading of a selection: what is kept of its samples, what was settled since, and what is not settled.

`framecache.py` says what settled means, and what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from trimon.model.frame import SampleFrame
from trimon.model.snapshot import Admit
from trimon.storage.block.cache import taking_over
from trimon.storage.read.framebuilder import assemble
from trimon.storage.read.keptframe import CachedFrame, CachePlace
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.read.settledsource import SettledSource
from trimon.storage.read.source import FramePart

# What is kept may span more than a query asks for; beyond this factor it is cut before samples are added.
_WIDER_MAX: Final = 1.5
EVER_MS: Final = 1 << 62


class Settled(NamedTuple):
    """A frame of all that is settled between two times."""

    base: SampleFrame
    marks: tuple[Any, ...]
    begin_ms: int
    until_ms: int


class CachedRead:
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

    def settled(self, kept: CachedFrame, admit: Admit, estimate: Callable[[], int]) -> Settled:
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
                return Settled(base, marks, begin_ms, until_ms)
        admit(estimate())
        begin_ms, until_ms = self.start_ms, self.until_ms()
        with taking_over():
            partials = [
                partial
                for number in range(len(self.parts))
                for partial in self._settled_frames(number, None, marks[number], begin_ms, until_ms)
            ]
        base = replace(assemble(self.rows, partials, grouped=True), facts={})
        return Settled(base, marks, begin_ms, until_ms)

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
