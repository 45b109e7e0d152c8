"""`tsdb export`: all samples of a directory as Arrow record batches, a bounded number of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from trimon.model.arrow import HistogramRows, Pieces, SampleColumns
from trimon.model.frame import SampleFrame
from trimon.model.sample import STALE_NAN
from trimon.model.spans import Spans, indexes
from trimon.storage.block.writer import sorted_rows
from trimon.storage.head.arena import Floats
from trimon.storage.prometheus.histogramchunks import HEAD_NUMBERS, HistogramChunk
from trimon.storage.prometheus.histogramexport import FloatRun, runs_of
from trimon.storage.read.snapshot import StoreSnapshot
from trimon.storage.tools.selecting import MatcherSets, selected

# What is read at once; a series that alone has more is read in whole.
_SAMPLES_READ: Final = 2_000_000
BATCH_ROWS: Final = 1 << 19


class RecordBatches:
    """The samples of the closed interval of series that fit any of the selectors, series by series, by their labels.

    Raises ArrowMissing.
    """

    def __init__(
        self, snapshot: StoreSnapshot, matcher_sets: MatcherSets, start_ms: int, end_ms: int
    ) -> None:
        self._selection = selected(snapshot, matcher_sets, start_ms, end_ms)
        self._interval = start_ms, end_ms
        self._order = sorted_rows(self._selection.labels)
        self._columns = SampleColumns(self._selection.labels)
        self.schema = self._columns.schema

    def __iter__(self) -> Iterator[Any]:
        """Batches of up to `BATCH_ROWS` rows; a series that is cut goes on in the next one."""
        count = len(self._order)
        whole = self._selection.estimate(*self._interval).samples
        at_once = max(1, min(count, _SAMPLES_READ * count // max(whole, 1)))
        waiting = _Rows()
        for begin in range(0, count, at_once):
            rows = self._order[begin : begin + at_once]
            frame = self._selection.subset(rows).frame(*self._interval)
            for row in range(frame.rows):
                waiting.add(frame, row, int(rows[row]))
                if waiting.count >= BATCH_ROWS:
                    yield from self._batches(waiting)
                    waiting = _Rows()
        yield from self._batches(waiting)

    def _batches(self, rows: _Rows) -> Iterator[Any]:
        if not rows.count:
            return
        batch = self._columns.batch(
            np.repeat(np.array(rows.series, np.intp), [len(times) for times in rows.times]),
            np.concatenate(rows.times),
            np.concatenate(rows.values),
            HistogramRows.joined(rows.histograms),
        )
        for begin in range(0, rows.count, BATCH_ROWS):
            yield batch.slice(begin, BATCH_ROWS)


class _Rows:
    """Samples that wait to become a batch."""

    def __init__(self) -> None:
        self.count = 0
        self.series: list[int] = []
        self.times: list[Any] = []
        self.values: list[Any] = []
        self.histograms: list[HistogramRows] = []

    def add(self, frame: SampleFrame, row: int, series: int) -> None:
        """The samples of a row of a frame, which are those of row `series` of the table."""
        for run in runs_of(frame, row):
            if isinstance(run, FloatRun):
                times, values = run.times, run.values
            else:
                times = run.chunk.times
                values = np.where(run.chunk.stale, STALE_NAN, 0.0)
                self.histograms.append(_histograms(run.chunk, self.count))
            self.series.append(series)
            self.times.append(times)
            self.values.append(values)
            self.count += len(times)


def _histograms(chunk: HistogramChunk, begin: int) -> HistogramRows:
    """Those of a chunk whose first sample is row `begin`; what is stale is none."""
    layout, here = chunk.layout, np.flatnonzero(~chunk.stale)
    numbers = chunk.numbers[:, here]
    count, zero_count, total = numbers[:HEAD_NUMBERS]
    positive_end = HEAD_NUMBERS + layout.positive
    bounds = np.array(layout.custom_values, np.float64)
    return HistogramRows(
        here + begin,
        np.full(len(here), layout.schema, np.int32),
        np.array([count, total, np.full(len(here), layout.zero_threshold), zero_count]),
        _buckets(layout.positive_spans, numbers[HEAD_NUMBERS:positive_end]),
        _buckets(layout.negative_spans, numbers[positive_end:]),
        Pieces(np.full(len(here), len(bounds), np.int64), (np.tile(bounds, len(here)),)),
    )


def _buckets(spans: Spans, counts: Floats) -> Pieces:
    """The buckets that spans list; float64[buckets, samples]."""
    places, samples = np.array(indexes(spans), np.int64), counts.shape[1]
    return Pieces(np.full(samples, len(places), np.int64), (np.tile(places, samples), counts.T.ravel()))
