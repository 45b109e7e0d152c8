"""What a snapshot reads: sources of series and samples, and the parts of a selection that lie in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from trimon.model.matcher import Matcher
from trimon.model.table import LabelTable
from trimon.records import dataclass
from trimon.storage.block.damage import Loss
from trimon.storage.head.arena import Bools, Int32s, Int64s
from trimon.storage.read.partialframe import PartialFrame


class SeriesSource(Protocol):
    """A block or a head: series by number, samples in partial frames."""

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Whether any sample may lie in the closed interval."""
        ...

    def select(self, matchers: Sequence[Matcher]) -> Int32s:
        """Series that satisfy every matcher, ascending, components of histograms included."""
        ...

    @property
    def has_components(self) -> bool:
        """Whether any series is a component of a histogram."""
        ...

    def without_components(self, series: Int32s) -> Int32s:
        """Those of some series that are no components of histograms."""
        ...

    def components_of(self, series: Int32s) -> tuple[Int32s, Int64s]:
        """The components of some series (ascending), ascending, and the place in `series` of the series of each."""
        ...

    def component_texts(self, components: Int32s) -> tuple[Int32s, Sequence[str]]:
        """The texts of some components: codes, and what they stand for."""
        ...

    def table(self, series: Int32s) -> LabelTable:
        """The labels of these series."""
        ...

    def partial_frames(self, series: Int32s, start_ms: int, end_ms: int) -> list[PartialFrame]:
        """The samples of these series around the closed interval; row `i` of the partial frames is `series[i]`."""
        ...

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """Which of some series (ascending) have samples in the closed interval; of compressed pages, which may have some."""
        ...

    def estimate(self, series: Int32s, start_ms: int, end_ms: int) -> int:
        """At most how many samples lie in the closed interval."""
        ...

    def label_names(self) -> list[str]:
        """All label names, in any order."""
        ...

    def label_values(self, name: str) -> list[str]:
        """All values of a label, in any order."""
        ...

    def losses(self, series: Int32s | None, start_ms: int, end_ms: int) -> tuple[Loss, ...]:
        """What of the closed interval is known to be unreadable of some series, or of the whole source with None."""
        ...


@dataclass(frozen=True, slots=True)
class FramePart:
    """The matching series of one source, and their rows in the selection (None: all, in their order)."""

    source: SeriesSource
    series: Int32s
    rows: Int64s | None

    def placed(self, partials: Sequence[PartialFrame], start_ms: int, end_ms: int) -> Iterator[PartialFrame]:
        """Partial frames of the source as partial frames of the selection, cut to the closed interval."""
        for partial in partials:
            clipped = partial.clipped(start_ms, end_ms)
            yield clipped if self.rows is None else replace(clipped, rows=self.rows[clipped.rows])
