"""One running query: its times, its snapshot, its budget, and what it has read so far."""

from __future__ import annotations

from dataclasses import field
from typing import Final

import numpy as np

from trimon.errors import OperatingError
from trimon.memory.queries import FREE_BYTES
from trimon.model.frame import SampleFrame
from trimon.model.matcher import Matcher, watched
from trimon.model.snapshot import NewestSamples, Selection, Snapshot
from trimon.model.table import LabelTable
from trimon.query.execution.annotations import Annotations
from trimon.query.execution.budget import Budget
from trimon.query.execution.stats import QueryStats
from trimon.query.histograms.framecells import with_objects
from trimon.query.language.errors import FailureKind, QueryError
from trimon.query.language.options import DELAYED_NAME_REMOVAL, START_TIMESTAMPS, TYPE_AND_UNIT, QueryOptions
from trimon.records import dataclass

# A value and whether there is one.
_CELL_BYTES: Final = 9
# So much before the first window the histogram before it is looked for.
BEFORE_MS: Final = 300_000


@dataclass(slots=True, eq=False)
class SampleSource:
    """Samples that selectors of one plan have in common: the same matchers, overlapping times."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int

    def covers_cheaply(self, start_ms: int, end_ms: int) -> bool:
        """Whether reading both intervals at once costs little more than reading the longer one."""
        longest = max(end_ms - start_ms, self.end_ms - self.start_ms)
        union = max(end_ms, self.end_ms) - min(start_ms, self.start_ms)
        return union <= longest + longest // 2

    def extend(self, start_ms: int, end_ms: int) -> None:
        """Make the interval cover another one."""
        self.start_ms = min(self.start_ms, start_ms)
        self.end_ms = max(self.end_ms, end_ms)


@dataclass(slots=True)
class QueryContext:
    """What operators share while they run. Belongs to one thread."""

    snapshot: Snapshot
    options: QueryOptions
    budget: Budget
    annotations: Annotations
    start_ms: int
    end_ms: int
    step_ms: int
    stats: QueryStats
    histograms: bool = False
    """Whether any native histogram was read, which count by their size."""
    _selections: dict[int, Selection] = field(default_factory=dict)
    _frames: dict[int, SampleFrame] = field(default_factory=dict)
    _objects: dict[int, SampleFrame] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)

    @property
    def delayed_names(self) -> bool:
        """Whether metric names are removed at the end only."""
        return self.options.has(DELAYED_NAME_REMOVAL)

    @property
    def start_timestamps(self) -> bool:
        """Whether functions use the start timestamps of samples."""
        return self.options.has(START_TIMESTAMPS)

    @property
    def type_labels(self) -> bool:
        """Whether counters are told by their type label."""
        return self.options.has(TYPE_AND_UNIT)

    def selection(self, source: SampleSource) -> Selection:
        """The series of a source; asked of storage once."""
        found = self._selections.get(id(source))
        if found is None:
            try:
                with watched(self.budget.check):
                    found = self.snapshot.select(source.matchers, source.start_ms, source.end_ms)
            except OperatingError as error:
                raise QueryError(f"expanding series: {error}", FailureKind.EXECUTION) from error
            self._selections[id(source)] = found
        return found

    def labels(self, source: SampleSource) -> LabelTable:
        """The label sets of a source."""
        return self.selection(source).labels

    @property
    def selected(self) -> int:
        """How many sources have been selected."""
        return len(self._selections)

    def read_of(self, source: SampleSource) -> tuple[Selection, SampleFrame] | None:
        """What was read of a source; None where its samples were not."""
        frame = self._frames.get(id(source))
        return None if frame is None else (self._selections[id(source)], frame)

    def frame(self, source: SampleSource) -> SampleFrame:
        """The samples of a source, and perhaps some before and after its times; read once."""
        found = self._frames.get(id(source))
        if found is None:
            selection = self.selection(source)
            self.stats.frames = True
            self.budget.check()
            try:
                found = selection.wide_frame(source.start_ms, source.end_ms, self._admit)
                if found.native is not None:
                    # Whether a histogram goes on from the one before it, which may lie before the first window.
                    found = selection.wide_frame(source.start_ms - BEFORE_MS, source.end_ms, self._admit)
            except OperatingError as error:
                raise QueryError(f"expanding series: {error}", FailureKind.EXECUTION) from error
            self.histograms = self.histograms or found.has_histograms
            self.annotations.miss(found.missing)
            self.budget.keep_bytes(found.size_bytes)
            self._counts[id(source)] = found.count(source.start_ms, source.end_ms)
            self.budget.read += self._counts[id(source)]
            self._frames[id(source)] = found
            self.stats.selected.append((source.matchers, self._counts[id(source)] > 0))
        return found

    def newest(self, source: SampleSource, ref_ms: int, lookback_ms: int) -> NewestSamples | None:
        """The newest sample of each series in `(ref_ms - lookback_ms, ref_ms]`; None where the frame is read or needed."""
        after_ms = ref_ms - lookback_ms
        alone = source.end_ms == ref_ms and source.start_ms > after_ms - 2
        if not alone or id(source) in self._frames:
            return None
        try:
            found = self.selection(source).newest(after_ms, ref_ms)
        except OperatingError as error:
            raise QueryError(f"expanding series: {error}", FailureKind.EXECUTION) from error
        if found is not None:
            count = int(np.count_nonzero(found.present))
            self.budget.read += count
            self.stats.selected.append((source.matchers, count > 0))
            self.stats.found_newest(found.times_ms[found.present])
        return found

    def cells(self, source: SampleSource) -> int:
        """How many numbers a step of a source has: those of histograms that have been read count one by one."""
        rows, frame = self.labels(source).rows, self._frames.get(id(source))
        return rows if frame is None or frame.native is None else rows + len(frame.native.row)

    def objects(self, source: SampleSource) -> SampleFrame:
        """The samples of a source with histograms as objects; made once."""
        frame = self.frame(source)
        if frame.native is None:
            return frame
        if id(source) not in self._objects:
            self._objects[id(source)] = found = with_objects(frame)
            self.budget.keep_bytes(found.size_bytes - frame.size_bytes + frame.native.size_bytes)
        return self._objects[id(source)]

    def count(self, source: SampleSource) -> int:
        """How many samples of a source lie between its times."""
        self.frame(source)
        return self._counts[id(source)]

    def _admit(self, size_bytes: int) -> None:
        self.budget.take_bytes(size_bytes, "samples from storage")
        if size_bytes > FREE_BYTES:
            steps = (self.end_ms - self.start_ms) // self.step_ms + 1 if self.step_ms else 1
            rows = sum(selection.labels.rows for selection in self._selections.values())
            self.budget.expect_bytes(size_bytes + rows * steps * _CELL_BYTES)


def quiet() -> np.errstate:
    """Floating point runs as in C: no warnings about NaN, infinities or divisions by zero."""
    return np.errstate(all="ignore")
