"""Native histograms in the query engine alone: milliseconds of CPU a query, over columns as storage hands them out.

`python -m tests.bench.native_histograms [histograms] [targets]`. Nothing here is asserted: figures are for reading.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trimon.model.components import Layout, MarkerFlags, Part, marker
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.labels import labels_of
from trimon.model.matcher import Matcher
from trimon.model.snapshot import Admit, Estimate
from trimon.model.table import LabelTable
from trimon.query.answer.json import render_data
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions

HOURS, SCRAPE_MS, STEP_MS, BUCKETS = 6, 15_000, 60_000, 20
END_MS = 1_700_000_000_000 // STEP_MS * STEP_MS
QUERIES = (
    "h",
    "rate(h[5m])",
    "histogram_quantile(0.9, rate(h[5m]))",
    "histogram_quantile(0.9, sum by (x) (rate(h[5m])))",
    "histogram_quantile(0.9, sum(rate(h[5m])))",
    "histogram_fraction(0, 0.2, rate(h[5m]))",
    "histogram_count(rate(h[5m]))",
    "histogram_avg(rate(h[5m]))",
    "histogram_stddev(rate(h[5m]))",
    "histogram_quantile(0.9, sum(h))",
    "histogram_quantile(0.9, sum(avg_over_time(h[5m])))",
    "histogram_quantile(0.9, rate(h[5m]) * 2)",
    "histogram_quantile(0.9, rate(h[5m]) + rate(h[10m]))",
    "histogram_quantile(0.9, irate(h[5m]))",
)


@dataclass
class Columns:
    """A Snapshot of one metric, which is its own only selection."""

    labels: LabelTable
    samples: SampleFrame

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> Columns:
        """All series."""
        del matchers, start_ms, end_ms
        return self

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """The exact figures."""
        del start_ms, end_ms
        return Estimate(self.labels.rows, len(self.samples.values), self.samples.size_bytes)

    def living(self, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_]:
        """All of them."""
        del start_ms, end_ms
        return np.ones(self.labels.rows, np.bool_)

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """All samples."""
        del start_ms, end_ms
        return self.samples

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """All samples."""
        admit(self.samples.size_bytes)
        return self.frame(start_ms, end_ms)

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Not asked for."""
        raise NotImplementedError

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Not asked for."""
        raise NotImplementedError

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Nothing."""
        del start_ms, end_ms
        return ()


def build(histograms: int, targets: int) -> Columns:
    """Histograms of some twenty buckets that grow at every scrape; a bucket in ten appears some time after the start."""
    rng = np.random.default_rng(7)
    count = HOURS * 3_600_000 // SCRAPE_MS
    times = END_MS - SCRAPE_MS * np.arange(count, dtype=np.int64)[::-1]
    stamps = [times - int(rng.integers(0, SCRAPE_MS)) for _ in range(targets)]
    target_of = np.arange(histograms) * targets // histograms
    rows, parts, index, values, arrays, all_times = [], [], [], [], [], list(stamps)
    for row in range(histograms):
        growth = rng.poisson(rng.random(BUCKETS) * 5, (count, BUCKETS)).T.astype(np.float64)
        begins = np.where(rng.random(BUCKETS) < 0.1, rng.integers(1, count - 1, BUCKETS), 0)
        growth[np.arange(count) < begins[:, None]] = 0
        totals = growth.cumsum(axis=1)
        figures = [totals.sum(axis=0), totals.sum(axis=0) * 0.123, np.zeros(count)]
        for part, numbers in zip((Part.COUNT, Part.SUM, Part.ZERO), figures, strict=True):
            rows.append(row), parts.append(part), index.append(0), values.append(numbers)
            arrays.append(int(target_of[row]))
        for bucket in range(BUCKETS):
            begin = int(begins[bucket])
            (
                rows.append(row),
                parts.append(Part.POSITIVE),
                index.append(bucket - 15),
                values.append(totals[bucket, begin:]),
            )
            if begin:
                all_times.append(stamps[target_of[row]][begin:])
            arrays.append(len(all_times) - 1 if begin else int(target_of[row]))

    def offsets(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)

    own = SampleFrame(
        np.concatenate(values), offsets(values), np.concatenate(all_times), offsets(all_times),
        np.array(arrays, np.int32), np.zeros(len(values), np.bool_),
    )  # fmt: skip
    native = HistogramColumns(
        np.array(rows, np.int64), np.zeros(len(rows), np.int32), np.array(parts, np.int8), np.array(index, np.int64),
        (Layout(3, 1e-128),), own,
    )  # fmt: skip
    frame = SampleFrame(
        np.full(histograms * count, marker(MarkerFlags.NONE)), np.arange(histograms + 1, dtype=np.int64) * count,
        np.concatenate(stamps), np.arange(targets + 1, dtype=np.int64) * count, target_of.astype(np.int32),
        np.zeros(histograms, np.bool_), native=native,
    )  # fmt: skip
    sets = [{"__name__": "h", "i": f"{row:05}", "x": str(row % 10)} for row in range(histograms)]
    return Columns(LabelTable.of([labels_of(pairs) for pairs in sets]), frame)


def main() -> None:
    """Print a line a query."""
    histograms = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    targets = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    store = build(histograms, targets)
    options = QueryOptions()
    for query in QUERIES:
        if only not in query:
            continue
        best = []
        for _ in range(3):
            began = time.process_time()
            result = range_(
                store, query, END_MS - HOURS * 3_600_000, END_MS, STEP_MS, options, Budget(options)
            )
            evaluated = time.process_time()
            size = len(render_data(result))
            best.append((evaluated - began, time.process_time() - evaluated))
            if best[-1][0] > 5:
                break
        engine, answer = min(best)
        print(f"{engine * 1000:9.0f} ms + {answer * 1000:6.0f} ms JSON ({size} bytes)  {query}", flush=True)


if __name__ == "__main__":
    main()
