"""The query engine alone, on samples in memory: milliseconds by class of query.

`python -m tests.bench.query_engine [filter]`. Nothing here is asserted: figures are for reading.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trimon.model.frame import SampleFrame
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher
from trimon.model.snapshot import Admit, Estimate, NewestSamples
from trimon.model.table import LabelTable
from trimon.query.answer.json import render_data
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions

HOUR_MS = 3_600_000
END_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS


@dataclass
class Target:
    """Series that were scraped together."""

    labels: list[Labels]
    times: np.ndarray
    values: np.ndarray


@dataclass
class BenchSnapshot:
    """A Snapshot over whole matrices, as a head would hold them."""

    targets: list[Target] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tables: dict[int, LabelTable] = {}
        self.table = LabelTable.empty()
        self.target_of = np.zeros(0, np.int64)
        self.column_of = np.zeros(0, np.int64)

    def seal(self) -> None:
        """Build the one table of all series."""
        self.table = LabelTable.of([labels for target in self.targets for labels in target.labels])
        sizes = [len(target.labels) for target in self.targets]
        self.target_of = np.repeat(np.arange(len(sizes)), sizes)
        self.column_of = np.concatenate([np.arange(size) for size in sizes])

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> BenchSelection:
        """Matching series, by codes."""
        keep = np.ones(self.table.rows, np.bool_)
        for matcher in matchers:
            codes, values = self.table.column(matcher.name)
            hit = np.zeros(len(values), np.bool_)
            hit[matcher.select(list(values))] = True
            keep &= hit[codes]
        return BenchSelection(self, np.flatnonzero(keep))

    def label_names(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Not part of the benchmark."""
        raise NotImplementedError

    def label_values(self, name: str, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[str]:
        """Not part of the benchmark."""
        raise NotImplementedError

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """Not known."""
        return None

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Nothing."""
        return ()


@dataclass
class BenchSelection:
    """Some series of a BenchSnapshot."""

    snapshot: BenchSnapshot
    rows: np.ndarray

    @property
    def labels(self) -> LabelTable:
        """Their labels."""
        return self.snapshot.table.take(self.rows)

    def estimate(self, start_ms: int, end_ms: int) -> Estimate:
        """A guess that is never too small here."""
        return Estimate(len(self.rows), len(self.rows) * 5760, len(self.rows) * 5760 * 8)

    def living(self, start_ms: int, end_ms: int) -> npt.NDArray[np.bool_]:
        """All of them may have samples."""
        return np.ones(len(self.rows), np.bool_)

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """Only a frame tells."""
        return None

    def wide_frame(self, start_ms: int, end_ms: int, admit: Admit) -> SampleFrame:
        """All samples."""
        admit(self.estimate(start_ms, end_ms).size_bytes)
        return self.frame(start_ms, end_ms)

    def frame(self, start_ms: int, end_ms: int) -> SampleFrame:
        """Copies of the wanted columns, target by target."""
        owners = self.snapshot.target_of[self.rows]
        values, times, lengths, time_of_row = [], [], [], []
        for number, owner in enumerate(np.unique(owners).tolist()):
            target = self.snapshot.targets[owner]
            low, high = np.searchsorted(target.times, [start_ms, end_ms + 1])
            columns = self.snapshot.column_of[self.rows[owners == owner]]
            values.append(target.values[columns, low:high].reshape(-1))
            times.append(target.times[low:high])
            lengths += [int(high - low)] * len(columns)
            time_of_row += [number] * len(columns)
        return SampleFrame(
            np.concatenate(values),
            np.cumsum([0, *lengths]).astype(np.int64),
            np.concatenate(times),
            np.cumsum([0, *(len(part) for part in times)]).astype(np.int64),
            np.array(time_of_row, np.int32),
            np.zeros(len(lengths), np.bool_),
        )


def synthetic() -> BenchSnapshot:
    """20 targets x 244 series x 24 h at 15 s, and 20,000 series x 1 h on 20 more targets."""
    rng = np.random.default_rng(1)
    snapshot = BenchSnapshot()
    for number in range(20):
        start = END_MS - 24 * HOUR_MS + int(rng.integers(0, 15_000))
        times = start + np.arange(5760, dtype=np.int64) * 15_000
        labels, rows = [], []
        base = {"job": "node", "instance": f"host{number}:9100"}
        for series in range(244):
            if series < 50:
                own = {
                    "__name__": "node_cpu_seconds_total",
                    "cpu": str(series // 5),
                    "mode": "iduws"[series % 5],
                }
                row = np.cumsum(rng.random(5760).round(2))
            elif series < 100:
                own = {
                    "__name__": "http_requests_total",
                    "code": str(200 + series % 3),
                    "path": f"/p{series}",
                }
                row = np.cumsum(rng.integers(0, 50, 5760)).astype(float)
                row[3000:] -= row[3000]
            elif series < 110:
                own = {
                    "__name__": "latency_bucket",
                    "le": ("0.01", "0.05", "0.1", "0.5", "1", "2", "5", "10", "20", "+Inf")[series - 100],
                }
                row = np.cumsum(rng.integers(0, 5, 5760)).astype(float) * (series - 99)
            else:
                own = {"__name__": "gauge" if series < 200 else f"metric_{series}", "device": f"d{series}"}
                row = np.round(rng.normal(100, 20, 5760), 3)
            labels.append(labels_of({**base, **own}))
            rows.append(row)
        snapshot.targets.append(Target(labels, times, np.array(rows)))
    for number in range(20):
        times = END_MS - HOUR_MS + int(rng.integers(0, 15_000)) + np.arange(240, dtype=np.int64) * 15_000
        labels = [
            labels_of(
                {
                    "__name__": "wide",
                    "job": "wide",
                    "instance": f"w{number}",
                    "id": str(index),
                    "shard": str(index % 50),
                }
            )
            for index in range(1000)
        ]
        snapshot.targets.append(Target(labels, times, rng.random((1000, 240)).cumsum(axis=1)))
    snapshot.seal()
    return snapshot


# (class, query, hours, step in seconds; 0: instant)
QUERIES = [
    ("24h", "sum by (instance) (rate(node_cpu_seconds_total[5m]))", 24, 60),
    ("24h", "sum by (instance) (rate(node_cpu_seconds_total[1d]))", 24, 60),
    ("24h", "sum by (code) (increase(http_requests_total[1h]))", 24, 60),
    ("24h", "avg_over_time(gauge[1h])", 24, 300),
    ("24h", "histogram_quantile(0.9, sum by (le) (rate(latency_bucket[5m])))", 24, 60),
    ("3h", "quantile_over_time(0.9, gauge[5m])", 3, 15),
    ("3h", "max_over_time(gauge[5m])", 3, 15),
    ("3h", "max_over_time(gauge[3h])", 3, 15),
    ("3h", "stddev_over_time(gauge[5m])", 3, 15),
    ("3h", "predict_linear(gauge[1h], 3600)", 3, 60),
    ("3h", "deriv(gauge[10m])", 3, 60),
    ("3h", "max_over_time(rate(http_requests_total[5m])[30m:1m])", 3, 60),
    ("3h", "topk(5, rate(node_cpu_seconds_total[5m]))", 3, 60),
    ("1h", "sum by (mode) (rate(node_cpu_seconds_total[5m]))", 1, 15),
    ("1h", 'sum(rate(http_requests_total{code="200"}[5m])) / sum(rate(http_requests_total[5m]))', 1, 15),
    ("1h", "rate(node_cpu_seconds_total[5m]) / on (instance) group_left sum by (instance) (gauge)", 1, 15),
    ("1h", 'count by (x) (label_replace(gauge, "x", "$1", "device", "d(.).*"))', 1, 15),
    ("1h", "sum(wide)", 1, 60),
    ("instant", "sum by (mode) (node_cpu_seconds_total)", 1, 0),
    ("instant", "count by (__name__) ({job=~'.+'})", 1, 0),
    ("wide", "wide", 1, 0),
    ("wide", "sum by (shard) (wide)", 1, 0),
    ("wide", "rate(wide[5m])", 1, 0),
    ("plain", "gauge", 1, 15),
    ("tiny", 'metric_210{instance="host1:9100"}', 1, 0),
    ("tiny", "1 + 1", 1, 0),
]


def main(wanted: str = "") -> None:
    """Print the median milliseconds of evaluation and of JSON for every query."""
    snapshot = synthetic()
    options = QueryOptions()
    for kind, query, hours, step_s in QUERIES:
        if wanted not in f"{kind} {query}":
            continue
        spans, json_spans, series = [], [], 0
        for _ in range(200 if kind == "tiny" else 7):
            began = time.perf_counter()
            if step_s:
                result = range_(
                    snapshot, query, END_MS - hours * HOUR_MS, END_MS, step_s * 1000, options, Budget(options)
                )
            else:
                result = instant(snapshot, query, END_MS - 60_000, options, Budget(options))
            done = time.perf_counter()
            body = render_data(result)
            spans.append(done - began)
            json_spans.append(time.perf_counter() - done)
            series = result.series
        print(
            f"{kind:8} {statistics.median(spans) * 1e3:9.2f} ms  json {statistics.median(json_spans) * 1e3:8.2f} ms "
            f"{len(body) / 1e3:9.0f} kB {series:6} series  {query}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
