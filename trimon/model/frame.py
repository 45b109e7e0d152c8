"""The samples of many series as a few flat arrays: how storage hands data to the query engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trimon.model.components import Component, Layout, Part, parse_component
from trimon.model.histogram import CUSTOM_SCHEMA, HISTOGRAM_BYTES
from trimon.records import dataclass

Values = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SampleFrame:
    """Samples of `rows` series, ascending in time within a row, one sample per timestamp.

    Row `r` begins at `values[offsets[r]]` and has `lengths[r]` samples, at
    `times[time_offsets[a]:time_offsets[a + 1]]` with `a = time_of_row[r]`. In a dense frame rows follow one
    another, so that row `r` ends at `offsets[r + 1]`; in a grouped one the rows of one timestamp array are
    neighbours, in their order, and reshape to a matrix without a copy. `offsets` has an entry more than there
    are rows: the number of all samples. Series that were scraped together share one timestamp array.
    Staleness markers are in `values`; `has_stale[r]` tells the rows that hold any.
    `starts`, where present, is the start timestamp of every sample (0: unknown), beside `values`.
    `histograms`, where present, holds a FloatHistogram for every sample that is one and None for floats, beside
    `values`, which mean nothing there. `native`, where present, holds the numbers of the histograms as columns: `values` are
    markers there (`components.py`). A frame has one of the two at most; those of storage have the second.
    Arrays are never written after the frame is made. `facts`, present where the frame is kept for others, is what
    readers found out about all of it, a value a row; an entry is never changed. `missing` says, a line each, what of
    the samples asked for could not be read because stored bytes are damaged.
    """

    values: Values
    offsets: Offsets
    times: Times
    time_offsets: Offsets
    time_of_row: npt.NDArray[np.int32]
    has_stale: npt.NDArray[np.bool_]
    starts: Times | None = None
    histograms: npt.NDArray[np.object_] | None = None
    facts: dict[str, npt.NDArray[np.bool_]] | None = None
    missing: tuple[str, ...] = ()
    native: HistogramColumns | None = None

    @property
    def rows(self) -> int:
        """Number of series."""
        return len(self.time_of_row)

    @property
    def has_histograms(self) -> bool:
        """Whether samples may be native histograms."""
        return self.histograms is not None or self.native is not None

    @property
    def lengths(self) -> Offsets:
        """Number of samples of every row."""
        return np.diff(self.time_offsets)[self.time_of_row]

    @property
    def size_bytes(self) -> int:
        """The memory of what there is for each sample and time, about."""
        size = self.values.nbytes + self.times.nbytes
        if self.starts is not None:
            size += self.starts.nbytes
        if self.histograms is not None:
            native = np.count_nonzero(self.histograms)
            size += self.histograms.nbytes + HISTOGRAM_BYTES * int(native)
        if self.native is not None:
            size += self.native.size_bytes
        return size

    def count(self, start_ms: int, end_ms: int) -> int:
        """Number of samples in the closed interval."""
        inside = np.zeros(len(self.times) + 1, np.int64)
        np.cumsum((self.times >= start_ms) & (self.times <= end_ms), out=inside[1:])
        return int(np.diff(inside[self.time_offsets])[self.time_of_row].sum())

    def take(self, rows: npt.NDArray[np.intp]) -> SampleFrame:
        """Some rows in the given order, dense, with the timestamp arrays of all, without `native`."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return SampleFrame(
            self.values[places],
            offsets,
            self.times,
            self.time_offsets,
            self.time_of_row[rows],
            self.has_stale[rows],
            None if self.starts is None else self.starts[places],
            None if self.histograms is None else self.histograms[places],
            missing=self.missing,
        )

    @classmethod
    def empty(cls, rows: int = 0) -> SampleFrame:
        """A frame of `rows` series without samples."""
        return cls(
            np.zeros(0, np.float64),
            np.zeros(rows + 1, np.int64),
            np.zeros(0, np.int64),
            np.zeros(2, np.int64),
            np.zeros(rows, np.int32),
            np.zeros(rows, np.bool_),
        )


@dataclass(frozen=True, slots=True)
class HistogramColumns:
    """The components of the histograms in the rows of a frame, a row of `frame` each.

    Component `i` belongs to row `row[i]` of the frame that holds markers (ascending), and is number `part[i]` (`Part`), in case
    of a bucket that of index `index[i]`, of a histogram of layout `layouts[layout[i]]`. It has samples where it was stored:
    at other markers of its row it is 0 if the sample is of its layout, and else means nothing. A sample is of the layout whose
    count it has; a marker at whose time there is no count stands for no sample: its numbers lie outside the interval that was
    asked for, or are damaged. Samples at times without a marker mean nothing, nor do staleness markers among them.
    """

    row: Offsets
    layout: npt.NDArray[np.int32]
    part: npt.NDArray[np.int8]
    index: Offsets
    layouts: tuple[Layout, ...]
    frame: SampleFrame

    @property
    def size_bytes(self) -> int:
        """The memory of it, about."""
        return self.frame.size_bytes + self.row.nbytes + self.index.nbytes + 5 * len(self.row)

    @classmethod
    def of(
        cls, row: Offsets, codes: npt.NDArray[np.int32], texts: Sequence[str], frame: SampleFrame
    ) -> HistogramColumns:
        """The columns of components with the texts `texts[codes[i]]`; `row` ascends.

        Those of custom bounds whose count is not among them keep a layout without bounds: they mean nothing, and nor does what
        is no component by its text.
        """
        used, inverse = np.unique(codes, return_inverse=True)
        parsed = [_parsed(texts[code]) for code in used.tolist()]
        known = {each.prefix: each.layout for each in parsed if each.layout is not None}
        prefixes = {
            prefix: number for number, prefix in enumerate(dict.fromkeys(each.prefix for each in parsed))
        }
        layouts = tuple(known.get(prefix, Layout(CUSTOM_SCHEMA)) for prefix in prefixes)
        return cls(
            row,
            np.array([prefixes[each.prefix] for each in parsed], np.int32)[inverse],
            np.array([each.part for each in parsed], np.int8)[inverse],
            np.array([each.index for each in parsed], np.int64)[inverse],
            layouts,
            frame,
        )


def _parsed(text: str) -> Component:
    """A component by its text; one that is none is a number that no histogram has."""
    try:
        return parse_component(text)
    except (ValueError, KeyError, OverflowError):
        return Component(text, Part.POSITIVE, 0, None)
