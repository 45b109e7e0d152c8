"""The result of a query: its values with their labels, warnings, notes and statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trimon.model.frame import Offsets, Times
from trimon.model.histogram import HISTOGRAM_BYTES
from trimon.model.table import LabelTable
from trimon.query.execution.reads import SourceRead
from trimon.query.execution.stats import QueryStats
from trimon.query.execution.values import Cells, Mask, Matrix, array_bytes
from trimon.query.histograms.matrix import HistogramMatrix
from trimon.records import dataclass


@dataclass(frozen=True, slots=True)
class RangeSamples:
    """RangeSamples of several series one after the other: row `r` has `offsets[r]:offsets[r + 1]`."""

    offsets: Offsets
    times_ms: Times
    values: Matrix
    histograms: Cells | None = None


@dataclass(slots=True)
class QueryResult:
    """The answer to a query.

    `type` is `vector`, `matrix`, `scalar` or `string`. A vector and the matrix of a range query are
    `values` float64[series, steps] where `present`, at `times_ms`; the matrix of an instant query has
    timestamps of its own per series, in `samples`.
    Native histograms are in `cells`, beside `values`, or as columns in `native`. A scalar is `values[0, 0]`, a string is
    `text`.
    """

    type: str
    labels: LabelTable
    times_ms: Times
    values: Matrix
    present: Mask
    stats: QueryStats
    samples: RangeSamples | None = None
    text: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    cells: Cells | None = None
    native: HistogramMatrix | None = None
    reads: tuple[SourceRead, ...] | None = None
    """All that a range query read, where it can be told whether it would read the same again."""

    @property
    def histograms(self) -> Cells | None:
        """The native histograms as objects, beside `values`; None where there are none."""
        if self.cells is None and self.native is not None:
            self.cells = self.native.cells()
        return self.cells

    @property
    def series(self) -> int:
        """Number of series."""
        return self.labels.rows

    @property
    def points(self) -> int:
        """Number of samples."""
        return int(np.count_nonzero(self.present)) if self.samples is None else len(self.samples.values)

    @property
    def size_bytes(self) -> int:
        """The memory of its samples, about."""
        size = array_bytes(self.values) + array_bytes(self.present)
        if self.native is not None:
            size += self.native.size_bytes
        if self.cells is not None:
            size += self.cells.nbytes + HISTOGRAM_BYTES * int(np.count_nonzero(self.cells))
        if self.samples is not None:
            size += self.samples.times_ms.nbytes + self.samples.values.nbytes
        return size

    def limited(self, series_max: int) -> tuple[QueryResult, bool]:
        """The first series only, and whether that left any out; scalars and strings stay."""
        if self.type in ("scalar", "string") or self.series <= series_max:
            return self, False
        rows = np.arange(series_max, dtype=np.intp)
        samples = self.samples
        if samples is not None:
            stop = int(samples.offsets[series_max])
            samples = RangeSamples(
                samples.offsets[: series_max + 1],
                samples.times_ms[:stop],
                samples.values[:stop],
                None if samples.histograms is None else samples.histograms[:stop],
            )
        values, present = self.values[:series_max], self.present[:series_max]
        shown = replace(
            self,
            labels=self.labels.take(rows),
            values=values,
            present=present,
            samples=samples,
            cells=None if self.cells is None else self.cells[:series_max],
            native=None if self.native is None else self.native.take(rows),
        )
        return shown, True

    def flat(self) -> RangeSamples:
        """All samples, series by series."""
        if self.samples is not None:
            return self.samples
        lengths = self.present.sum(axis=1)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        times = np.broadcast_to(self.times_ms, self.present.shape)[self.present]
        cells = None if self.histograms is None else self.histograms[self.present]
        return RangeSamples(offsets, times, self.values[self.present], cells)
