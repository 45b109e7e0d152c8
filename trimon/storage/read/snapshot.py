"""All data of a store at one moment: one answer from blocks and heads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from trimon.model.components import COMPONENT_LABEL
from trimon.model.frame import SampleFrame
from trimon.model.matcher import Matcher
from trimon.model.ordering import add_in_slices, sorted_in_slices
from trimon.model.snapshot import Admit, Estimate, NewestSamples
from trimon.model.table import LabelTable
from trimon.storage.block.damage import DamagedError, Loss, UnreadableIndexError
from trimon.storage.head.arena import Bools, Int32s, Int64s
from trimon.storage.read.components import ComponentParts, component_parts
from trimon.storage.read.framebuilder import assemble
from trimon.storage.read.labels import merge_tables
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.read.source import FramePart, SeriesSource

Read = TypeVar("Read")


def readable(work: Callable[[], Read]) -> Read:
    """Does it again when a block has turned out to be unreadable, without that block."""
    while True:
        try:
            return work()
        except UnreadableIndexError:
            continue


class StoreSelection:
    """The series that match; samples are read when `frame` is called.

    With `stored` components of histograms are series as others; without, they are none, and frames have them as columns.
    """

    def __init__(
        self, labels: LabelTable, parts: Sequence[FramePart], snapshot: StoreSnapshot, *, stored: bool = False
    ) -> None:
        self._labels = labels
        self.parts = parts
        self._snapshot = snapshot
        self.stored = stored

    @property
    def labels(self) -> LabelTable:
        """The labels, a row for each series."""
        return self._labels

    def subset(self, rows: Int64s) -> StoreSelection:
        """The selection of the given distinct rows, in the given order."""
        place = np.full(self._labels.rows, -1, np.int64)
        place[rows] = np.arange(len(rows))
        parts: list[FramePart] = []
        for part in self.parts:
            mine = place if part.rows is None else place[part.rows]
            chosen = np.flatnonzero(mine >= 0)
            if len(chosen):
                parts.append(FramePart(part.source, part.series[chosen], mine[chosen]))
        return StoreSelection(self._labels.take(rows), parts, self._snapshot, stored=self.stored)

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """At most how many series, samples and bytes there are in the closed interval."""
        samples = readable(
            lambda: sum(
                part.source.estimate(part.series, start_ms, end_ms)
                for part in self.parts
                if part.source.overlaps(start_ms, end_ms)
            )
        )
        return Estimate(self._labels.rows, samples, samples * 16)

    def living(self, start_ms: int, end_ms: int) -> Bools:
        """Which series have samples in the closed interval; see Selection."""
        return readable(lambda: self._living(start_ms, end_ms))

    def _living(self, start_ms: int, end_ms: int) -> Bools:
        alive = np.zeros(self._labels.rows, np.bool_)
        for part in self.parts:
            if part.source.overlaps(start_ms, end_ms):
                found = part.source.living(part.series, start_ms, end_ms)
                alive[slice(None) if part.rows is None else part.rows] |= found
        return alive

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """Only a frame tells."""
        del after_ms, until_ms
        return None

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """The samples in the closed interval; see Selection."""
        frame = readable(lambda: self._frame(start_ms, end_ms))
        components = readable(self.components)
        if components is not None and components.are_in(frame):
            read = StoreSelection(components.labels, components.parts, self._snapshot, stored=True)
            frame = components.joined(frame, read.frame(start_ms, end_ms))
        return self.told(frame, start_ms, end_ms)

    def components(self) -> ComponentParts | None:
        """The components of the histograms of the series; None if there are none, or they are series of their own."""
        return None if self.stored else component_parts(self.parts)

    def told(self, frame: SampleFrame, start_ms: int, end_ms: int) -> SampleFrame:
        """The frame with what is missing of the closed interval. Raises DamagedError if anything is and the store is strict."""
        missing = [*self._snapshot.losses(start_ms, end_ms)]
        for part in self.parts:
            missing += part.source.losses(part.series, start_ms, end_ms)
        if not missing:
            return frame
        lines = self._snapshot.judged(missing)
        return replace(frame, missing=tuple(dict.fromkeys((*frame.missing, *lines))))

    def _frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        partials: list[PartialFrame] = []
        for part in self.parts:
            if part.source.overlaps(start_ms, end_ms):
                found = part.source.partial_frames(part.series, start_ms, end_ms)
                partials.extend(part.placed(found, start_ms, end_ms))
        return assemble(self._labels.rows, partials)

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """The samples in the closed interval; see Selection."""
        admit(self.estimate(start_ms, end_ms).size_bytes)
        return self.frame(start_ms, end_ms)


class StoreSnapshot:
    """Sources in order of precedence: of samples of one series at one time the first source's is kept.

    `lost` is what cannot be read of blocks that are no source; with `strict` that is an error, and not a warning.
    """

    def __init__(
        self, sources: Sequence[SeriesSource], lost: Sequence[Loss] = (), *, strict: bool = False
    ) -> None:
        self.sources = tuple(sources)
        self.lost = lost
        self.strict = strict

    def losses(self, start_ms: int, end_ms: int) -> Iterator[Loss]:
        """What of the closed interval is known to be lost with whole blocks."""
        yield from (loss for loss in self.lost if loss.touches(start_ms, end_ms))
        for source in self.sources:
            yield from source.losses(None, start_ms, end_ms)

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Which series of the closed interval are not known; see Snapshot. Raises DamagedError if the store is strict."""
        return self.judged(list(self.losses(start_ms, end_ms)))

    def judged(self, losses: Sequence[Loss]) -> tuple[str, ...]:
        """The lines of losses, each once. Raises DamagedError if there are any and the store is strict."""
        lines = tuple(dict.fromkeys(loss.line() for loss in losses))
        if lines and self.strict:
            raise DamagedError(
                "; ".join(lines[:3]) + (f"; and {len(lines) - 3} more" if len(lines) > 3 else "")
            )
        return lines

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> StoreSelection:
        """The series that satisfy every matcher and may have samples in the closed interval."""
        return readable(lambda: self._select(matchers, start_ms, end_ms))

    def select_stored(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> StoreSelection:
        """As `select`, with the components of histograms as series of their own: all that is stored, as it is stored."""
        return readable(lambda: self._select(matchers, start_ms, end_ms, stored=True))

    def _select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, stored: bool = False
    ) -> StoreSelection:
        found: list[tuple[SeriesSource, Int32s]] = []
        for source in self._overlapping(start_ms, end_ms):
            series = source.select(matchers)
            if not stored:
                series = source.without_components(series)
            if len(series):
                found.append((source, series))
        if not found:
            return StoreSelection(LabelTable.empty(), (), self, stored=stored)
        if len(found) == 1:
            source, series = found[0]
            part = FramePart(source, series, None)
            return StoreSelection(source.table(series), (part,), self, stored=stored)
        labels, rows = merge_tables([source.table(series) for source, series in found])
        parts = [FramePart(source, series, mine) for (source, series), mine in zip(found, rows, strict=True)]
        return StoreSelection(labels, parts, self, stored=stored)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Label names of the matching series, ascending."""
        return readable(lambda: self._label_names(matchers, start_ms, end_ms))

    def _label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        names: set[str] = set()
        for source in self._overlapping(start_ms, end_ms):
            if not matchers:
                names.update(source.label_names())
                continue
            table = source.table(source.without_components(source.select(matchers)))
            names.update(n for n, column in zip(table.names, table.columns, strict=True) if column.any())
        names.discard(COMPONENT_LABEL)
        return sorted(names)

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Values of one label over the matching series, ascending."""
        return readable(lambda: self._label_values(name, matchers, start_ms, end_ms))

    def _label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        values: set[str] = set()
        if name == COMPONENT_LABEL:
            return []
        for source in self._overlapping(start_ms, end_ms):
            if not matchers:
                add_in_slices(values, source.label_values(name))
                continue
            series = source.without_components(source.select(matchers))
            codes, dictionary = source.table(series).column(name)
            values.update(dictionary[code] for code in np.unique(codes).tolist() if code)
        return sorted_in_slices(values)

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """Not known."""
        del start_ms, end_ms
        return None

    def _overlapping(self, start_ms: int, end_ms: int) -> list[SeriesSource]:
        return [source for source in self.sources if source.overlaps(start_ms, end_ms)]
