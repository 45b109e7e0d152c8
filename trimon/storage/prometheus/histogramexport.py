"""The samples of a series that holds histograms, cut into chunks as Prometheus would."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import MarkerFlags, Part, is_marker, marker_flags
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.sample import is_absent, is_stale
from trimon.model.spans import spans_of
from trimon.records import dataclass
from trimon.storage.head.arena import Floats, Int64s
from trimon.storage.prometheus.histogramchunks import (
    GAUGE_BITS,
    HEAD_NUMBERS,
    NOT_RESET_BITS,
    RESET_BITS,
    UNKNOWN_BITS,
    ChunkLayout,
    HistogramChunk,
)

SAMPLES_PER_CHUNK: Final = 120
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class FloatRun:
    """Samples that are floats."""

    times: Int64s
    values: Floats


@dataclass(frozen=True, slots=True)
class HistogramRun:
    """A chunk of histograms, and the bits of how it begins; whether its first sample follows one that is left out."""

    chunk: HistogramChunk
    reset: int
    is_cut: bool = False


def runs_of(frame: SampleFrame, row: int) -> Iterator[FloatRun | HistogramRun]:
    """The samples of one row, in order, floats and chunks of histograms in turn."""
    native = frame.native
    array = frame.time_of_row[row]
    times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
    values = frame.values[frame.offsets[row] : frame.offsets[row] + len(times)]
    first, last = np.searchsorted(native.row, (row, row + 1)).tolist() if native is not None else (0, 0)
    if native is None or first == last:
        yield FloatRun(times, values)
        return
    dense = _RowHistograms(native, slice(first, last), times, values)
    times, values = dense.times, dense.values
    begin = 0
    while begin < len(times):
        kind = dense.kinds[begin]
        same = (dense.kinds[begin:] == kind) & (dense.layouts[begin:] == dense.layouts[begin])
        end = begin + (len(same) if same.all() else int(np.argmin(same)))
        if kind == _NONE:
            yield FloatRun(times[begin:end], values[begin:end])
        else:
            yield from dense.chunks(begin, end)
        begin = end


class _RowHistograms:
    """The histograms of one row: `numbers` is float64[components, samples], `layouts` the layout of each sample."""

    def __init__(self, native: HistogramColumns, mine: slice, times: Int64s, values: Floats) -> None:
        self.native = native
        self.part, self.index, self.layout = native.part[mine], native.index[mine], native.layout[mine]
        self.numbers: Floats = np.zeros((len(self.part), len(times)))
        there = self.there = np.zeros(self.numbers.shape, np.bool_)
        frame = native.frame
        # by array of times; those of the components are mostly one
        placed: dict[int, tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]] = {}
        for number, component in enumerate(range(mine.start, mine.stop)):
            array = int(frame.time_of_row[component])
            if array not in placed:
                stamps = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
                placed[array] = np.isin(stamps, times), np.searchsorted(times, stamps)
            inside, places = placed[array]
            found = frame.values[frame.offsets[component] : frame.offsets[component] + len(inside)]
            kept = ~(is_absent(found) | is_stale(found)) & inside
            self.numbers[number, places[kept]] = found[kept]
            there[number, places[kept]] = True
        counts = np.flatnonzero(self.part == Part.COUNT)
        markers = is_marker(values)
        holder = there[counts].argmax(axis=0) if len(counts) else np.zeros(len(times), np.int64)
        known = markers & (there[counts].any(axis=0) if len(counts) else False)
        self.layouts: Int64s = np.where(known, self.layout[counts[holder]] if len(counts) else 0, _NONE)
        self.kinds: Int64s = np.where(known, marker_flags(values).astype(np.int64), _NONE)
        # What ends a run of histograms is a staleness marker of a histogram.
        stale = is_stale(values)
        after = np.flatnonzero(stale[1:] & known[:-1]) + 1
        self.kinds[after], self.layouts[after] = self.kinds[after - 1], self.layouts[after - 1]
        self._ends = np.zeros(len(times), np.bool_)
        self._ends[after] = True
        self.numbers[np.ix_(self.part == Part.SUM, self._ends)] = values[after]
        # Markers whose numbers are lost stand for no sample.
        kept = ~markers | known
        self.times, self.values = times[kept], values[kept]
        self.kinds, self.layouts, self._ends = self.kinds[kept], self.layouts[kept], self._ends[kept]
        self.numbers, self.there = self.numbers[:, kept], self.there[:, kept]

    def chunks(self, begin: int, end: int) -> Iterator[HistogramRun]:
        """The chunks of samples of one layout and kind."""
        flags = MarkerFlags(int(self.kinds[begin]))
        gauge = MarkerFlags.GAUGE in flags
        mine = np.flatnonzero(self.layout == self.layouts[begin])
        falling = mine[self.part[mine] != Part.SUM]
        values = self.numbers[:, begin:end]
        fell = np.zeros(end - begin, np.bool_)
        if not gauge:
            fell[1:] = (np.diff(values[falling], axis=1) < 0).any(axis=0) & ~self._ends[begin + 1 : end]
        fell[1:] |= self._ends[begin : end - 1]
        cuts = [0, *np.flatnonzero(fell).tolist(), end - begin]
        for start, stop in pairwise(cuts):
            for first in range(start, stop, SAMPLES_PER_CHUNK):
                last = min(stop, first + SAMPLES_PER_CHUNK)
                reset = GAUGE_BITS if gauge else UNKNOWN_BITS if first == 0 else NOT_RESET_BITS
                if not gauge and first == start and start:
                    reset = RESET_BITS
                yield HistogramRun(self._chunk(mine, begin + first, begin + last, flags), reset)

    def _chunk(self, mine: npt.NDArray[np.intp], begin: int, end: int, flags: MarkerFlags) -> HistogramChunk:
        layout = self.native.layouts[int(self.layouts[begin])]
        values = self.numbers[:, begin:end]
        head = np.zeros((HEAD_NUMBERS, end - begin))
        for place, part in enumerate((Part.COUNT, Part.ZERO, Part.SUM)):
            found = mine[self.part[mine] == part]
            if len(found):
                head[place] = values[found[0]]
        sides: list[Floats] = []
        spans = []
        for part in (Part.POSITIVE, Part.NEGATIVE):
            buckets = mine[self.part[mine] == part]
            buckets = buckets[self.there[buckets, begin:end].any(axis=1)]
            buckets = buckets[np.argsort(self.index[buckets])]
            spans.append(spans_of(self.index[buckets].tolist()))
            sides.append(values[buckets])
        shared = ChunkLayout(
            layout.schema,
            layout.zero_threshold,
            spans[0],
            spans[1],
            layout.custom_values if layout.schema == CUSTOM_SCHEMA else (),
            MarkerFlags.FLOAT in flags,
            MarkerFlags.GAUGE in flags,
        )
        return HistogramChunk(shared, self.times[begin:end], np.concatenate([head, *sides]))
