"""Native histograms on disk, beside the same in Prometheus' chunks, and what taking them costs.

    python tests/bench/histogram_storage.py [--series 1000] [--hours 2] [--buckets 20] [--rate 10] [--whole]

Request latencies of services under steady load: log-normal, a Poisson number of observations a scrape, 15 s apart.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import numpy as np

from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.components import Layout, MarkerFlags, Part, component_labels, marker
from trimon.model.labels import Labels, labels_of
from trimon.model.rows import NO_COLUMNS, Row
from trimon.random import SeededRandomness
from trimon.storage.block.meta import BlockNames
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.storage.tools.exporting import export_directory

START_MS = 1_700_006_400_000
STEP_MS = 15_000
LAYOUT = Layout(3, 2.0**-128)


def series_of(number: int) -> Labels:
    return labels_of(
        {
            "__name__": "request_seconds",
            "instance": f"i{number % 50}",
            "job": "api",
            "path": f"/p{number // 50}",
        }
    )


class Targets:
    """Counts of all histograms, one row a histogram: count, sum, zero, buckets."""

    def __init__(self, series: int, buckets: int, rate: float, *, whole: bool) -> None:
        self.whole = whole
        self.random = np.random.default_rng(7)
        center = self.random.uniform(-20, 10, series)
        index = np.arange(buckets) - buckets // 2
        self.first = np.round(center).astype(int) - buckets // 2
        self.weights = np.exp(-(index**2) / (buckets / 2))
        self.rates = self.random.lognormal(math.log(rate), 1.0, series)
        self.numbers = np.zeros((series, 3 + buckets))

    def step(self) -> np.ndarray:
        added = self.random.poisson(self.rates[:, None] * self.weights / self.weights.sum())
        self.numbers[:, 3:] += added
        self.numbers[:, 0] += added.sum(axis=1)
        total = added.sum(axis=1) * self.random.uniform(0.01, 0.02, len(added))
        self.numbers[:, 1] += np.round(total * 1e5) if self.whole else total
        return self.numbers

    def components(self, number: int) -> list[str]:
        parts = [LAYOUT.text(part) for part in (Part.COUNT, Part.SUM, Part.ZERO)]
        first = int(self.first[number])
        return parts + [LAYOUT.text(Part.POSITIVE, first + i) for i in range(len(self.weights))]


def information_bytes(series: int, buckets: int, rate: float, steps: int, *, whole: bool) -> float:
    """What no coding can be below: the entropy of the increments of buckets, each known by its own distribution, and of sums.

    A sum is a float64 whose increments are as random as its last bit is fine. The count follows from the buckets.
    """
    targets = Targets(series, buckets, rate, whole=whole)
    rows = np.stack([targets.step().copy() for _ in range(steps)])
    increments = np.diff(rows, axis=0)
    bits = sum(
        _entropy_bits(increments[:, one, bucket])
        for one in range(series)
        for bucket in range(2, rows.shape[2])
    )
    sums = increments[:, :, 1]
    last_bit = np.ones(series) if whole else np.spacing(rows[1:, :, 1]).mean(axis=0)
    spread = np.maximum(sums.std(axis=0) * math.sqrt(2 * math.pi * math.e) / last_bit, 1)
    return float((bits + np.log2(spread).sum()) / series / 8)


def _entropy_bits(values: np.ndarray) -> float:
    _, counts = np.unique(values, return_counts=True)
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())


def run(series: int, hours: float, buckets: int, rate: float, *, whole: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="trimon-bench-"))
    clock = StoppedClock(START_MS)
    store = Store.open(StoreOptions(folder / "data"), DiskFiles(), clock)
    store.replay()
    targets = Targets(series, buckets, rate, whole=whole)
    value = marker(MarkerFlags.NONE)
    columns = NO_COLUMNS
    spent_s = 0.0
    steps = int(hours * 3_600_000 / STEP_MS)
    for step in range(steps):
        clock.value_ms = START_MS + step * STEP_MS
        cells = np.concatenate([np.full((series, 1), value), targets.step()], axis=1).ravel()
        began = time.process_time()
        if step == 0:
            labels = [
                each
                for number in range(series)
                for own in (series_of(number),)
                for each in (own, *(component_labels(own, text) for text in targets.components(number)))
            ]
            answer = store.append([Row("g", clock.value_ms, columns, np.zeros(0), tuple(labels), cells)])[0]
            columns = answer.columns
            first_s = time.process_time() - began
        else:
            store.append([Row("g", clock.value_ms, columns, cells)])
            spent_s += time.process_time() - began
    began = time.process_time()
    clock.value_ms += 3 * 3_600_000
    while jobs := store.plan(clock.now_ms()):
        for job in jobs:
            job.run()
            job.install()
    cut_s = time.process_time() - began
    blocks = [path for _, path in store.blocks()]
    ours = sum(part.stat().st_size for path in blocks for part in path.iterdir() if part.is_file())
    names = BlockNames(clock, SeededRandomness(1))
    store.close()
    for _, meta in export_directory(DiskFiles(), folder / "data", folder / "theirs", names):
        assert meta is not None
    theirs = sum(part.stat().st_size for part in (folder / "theirs").rglob("*") if part.is_file())
    chunks = sum(part.stat().st_size for part in (folder / "theirs").rglob("chunks/*"))
    samples = series * steps
    print(f"{series} histograms of {buckets} buckets, {steps} samples each")
    print(
        f"first row of all series {first_s:.2f} s, a later sample {spent_s / (samples - series) * 1e6:.2f} us of CPU"
    )
    print(f"cut to blocks {cut_s:.2f} s")
    print(f"trimon {ours / samples:.2f} bytes a sample, Prometheus {theirs / samples:.2f}")
    print(f"ratio {ours / theirs:.2f}, to the chunks alone {ours / chunks:.2f}")
    least = information_bytes(min(series, 200), buckets, rate, steps, whole=whole)
    print(f"what no coding can be below: {least:.2f} bytes, {least / theirs * samples:.2f} of Prometheus'")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--buckets", type=int, default=20)
    parser.add_argument("--rate", type=float, default=10, help="median of observations a scrape")
    parser.add_argument("--whole", action="store_true", help="sums are whole numbers, as those of bytes are")
    given = parser.parse_args()
    run(given.series, given.hours, given.buckets, given.rate, whole=given.whole)


if __name__ == "__main__":
    main()
