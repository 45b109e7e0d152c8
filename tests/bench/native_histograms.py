"""Queries of native histograms: milliseconds of CPU each, over columns in memory, over storage, and in a Prometheus beside.

`python -m tests.bench.native_histograms [histograms] [targets] [--stored] [--peer] [--late SHARE] [--only TEXT]`. With
`--stored` samples go through a store, with `--peer` Debian's Prometheus opens them as exported blocks and answers the same
queries. Nothing here is asserted: figures are for reading.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.components import Layout, MarkerFlags, Part, component_labels, marker
from trimon.model.frame import HistogramColumns, SampleFrame
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher
from trimon.model.rows import Row
from trimon.model.snapshot import Admit, Estimate, NewestSamples, Snapshot
from trimon.model.table import LabelTable
from trimon.query.answer.json import render_data
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.random import SeededRandomness
from trimon.storage.block.meta import BlockNames
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store
from trimon.storage.tools.exporting import export_directory

HOURS, SCRAPE_MS, STEP_MS, BUCKETS = 6, 15_000, 60_000, 20
LAYOUT, MARKER = Layout(3, 2.0**-128), marker(MarkerFlags.NONE)
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

    def newest(self, after_ms: int, until_ms: int) -> NewestSamples | None:
        """Only a frame tells."""
        del after_ms, until_ms
        return None

    def labels_version(self, start_ms: int, end_ms: int) -> Hashable | None:
        """Not known."""
        del start_ms, end_ms
        return None

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


@dataclass
class Growth:
    """One histogram of some twenty buckets that grow at every scrape; some buckets appear some time after the start."""

    totals: np.ndarray
    begins: np.ndarray

    @classmethod
    def of(cls, rng: np.random.Generator, count: int, late: float) -> Growth:
        """Counts of all buckets at all scrapes."""
        growth = rng.poisson(rng.random(BUCKETS) * 5, (count, BUCKETS)).T.astype(np.float64)
        begins = np.where(rng.random(BUCKETS) < late, rng.integers(1, count - 1, BUCKETS), 0)
        growth[np.arange(count) < begins[:, None]] = 0
        return cls(growth.cumsum(axis=1), begins)

    def components(self) -> Iterator[tuple[Part, int, int, np.ndarray]]:
        """Part, index, the scrape it begins at, and the numbers from there."""
        count = self.totals.sum(axis=0)
        for part, numbers in ((Part.COUNT, count), (Part.SUM, count * 0.123), (Part.ZERO, count * 0)):
            yield part, 0, 0, numbers
        for bucket, (begin, totals) in enumerate(zip(self.begins.tolist(), self.totals, strict=True)):
            yield Part.POSITIVE, bucket - 15, begin, totals[begin:]


@dataclass
class World:
    """All histograms, and when their targets are scraped."""

    sets: list[Labels]
    growths: list[Growth]
    stamps: list[np.ndarray]
    target_of: np.ndarray

    @classmethod
    def of(cls, histograms: int, targets: int, late: float) -> World:
        """So many histograms of so many targets."""
        rng = np.random.default_rng(7)
        count = HOURS * 3_600_000 // SCRAPE_MS
        times = END_MS - SCRAPE_MS * np.arange(count, dtype=np.int64)[::-1]
        stamps = [times - int(rng.integers(0, SCRAPE_MS)) for _ in range(targets)]
        growths = [Growth.of(rng, count, late) for _ in range(histograms)]
        sets = [{"__name__": "h", "i": f"{row:05}", "x": str(row % 10)} for row in range(histograms)]
        return cls(
            [labels_of(pairs) for pairs in sets],
            growths,
            stamps,
            np.arange(histograms) * targets // histograms,
        )


def in_memory(world: World) -> Columns:
    """The histograms as one frame."""
    count, histograms = len(world.stamps[0]), len(world.sets)
    rows, parts, index, values, arrays, all_times = [], [], [], [], [], list(world.stamps)
    for row, growth in enumerate(world.growths):
        target = int(world.target_of[row])
        for part, bucket, begin, numbers in growth.components():
            rows.append(row)
            parts.append(part)
            index.append(bucket)
            values.append(numbers)
            if begin:
                all_times.append(world.stamps[target][begin:])
            arrays.append(len(all_times) - 1 if begin else target)

    def offsets(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)

    own = SampleFrame(
        np.concatenate(values), offsets(values), np.concatenate(all_times), offsets(all_times),
        np.array(arrays, np.int32), np.zeros(len(values), np.bool_),
    )  # fmt: skip
    native = HistogramColumns(
        np.array(rows, np.int64), np.zeros(len(rows), np.int32), np.array(parts, np.int8), np.array(index, np.int64),
        (LAYOUT,), own,
    )  # fmt: skip
    frame = SampleFrame(
        np.full(histograms * count, MARKER), np.arange(histograms + 1, dtype=np.int64) * count,
        np.concatenate(world.stamps), np.arange(len(world.stamps) + 1, dtype=np.int64) * count,
        world.target_of.astype(np.int32), np.zeros(histograms, np.bool_), native=native,
    )  # fmt: skip
    return Columns(LabelTable.of(world.sets), frame)


@dataclass
class Target:
    """What one target shows: series, and their numbers from some scrape on."""

    series: list[Labels]
    begins: np.ndarray
    cells: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, world: World, target: int) -> Target:
        """The markers and components of all histograms of a target."""
        series, begins, numbers = [], [], []
        for row in np.flatnonzero(world.target_of == target).tolist():
            series.append(world.sets[row])
            begins.append(0)
            numbers.append(np.full(len(world.stamps[target]), MARKER))
            for part, bucket, begin, values in world.growths[row].components():
                series.append(component_labels(world.sets[row], LAYOUT.text(part, bucket)))
                begins.append(begin)
                numbers.append(np.concatenate([np.zeros(begin), values]))
        return cls(series, np.array(begins), np.stack(numbers), np.full(len(series), -1, np.int32))

    def scrape(self, store: Store, group: str, time_ms: int, at: int) -> None:
        """Append all that is there."""
        old, new = np.flatnonzero(self.begins < at), np.flatnonzero(self.begins == at)
        labels = tuple(self.series[place] for place in new.tolist())
        row = Row(group, time_ms, self.columns[old], self.cells[old, at], labels, self.cells[new, at])
        (answer,) = store.append([row])
        assert answer.error == "", answer.error
        self.columns[new] = answer.columns


def stored(world: World, directory: Path) -> Store:
    """The histograms in a store, appended scrape by scrape."""
    clock = StoppedClock(END_MS)
    store = Store.open(StoreOptions(directory, fsync="never", retention_ms=10**12), DiskFiles(), clock)
    targets = [Target.of(world, number) for number in range(len(world.stamps))]
    for at in range(len(world.stamps[0])):
        for number, target in enumerate(targets):
            target.scrape(store, f"scrape/t/{number}", int(world.stamps[number][at]), at)
    store.sync()
    return store


def measured(snapshot: Snapshot, query: str) -> tuple[float, float, int]:
    """Seconds of CPU for the answer and for its JSON, the least of three, and the bytes of it."""
    options = QueryOptions()
    best = []
    for _ in range(3):
        began = time.process_time()
        result = range_(
            snapshot, query, END_MS - HOURS * 3_600_000, END_MS, STEP_MS, options, Budget(options)
        )
        evaluated = time.process_time()
        size = len(render_data(result))
        best.append((evaluated - began, time.process_time() - evaluated, size))
        if best[-1][0] > 5:
            break
    return min(best)


def asked(url: str, pid: int, query: str) -> str:
    """The CPU a server takes for an answer, the least of three."""

    def cpu_s() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    start, step = (END_MS - HOURS * 3_600_000) / 1000, STEP_MS / 1000
    parameters = urllib.parse.urlencode(
        {"query": query, "start": start, "end": END_MS / 1000, "step": step, "timeout": "600s"}
    )
    best = float("inf")
    for _ in range(3):
        began = cpu_s()
        try:
            with urllib.request.urlopen(f"{url}/api/v1/query_range?{parameters}", timeout=600) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            return f"refuses it ({error.code})"
        best = min(best, cpu_s() - began)
    return f"{best * 1000:6.0f} ms"


@contextmanager
def prometheus(directory: Path) -> Iterator[tuple[str, int]]:
    """A Prometheus on some blocks: its address and process."""
    config = directory.parent / "prometheus.yml"
    config.write_text("global: {}\n")
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}", "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:9491", "--enable-feature=native-histograms", "--query.timeout=10m",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = "http://127.0.0.1:9491"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
                    break
            except OSError:
                time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    """Print a line a query."""
    parser = argparse.ArgumentParser()
    parser.add_argument("histograms", type=int, nargs="?", default=1000)
    parser.add_argument("targets", type=int, nargs="?", default=1)
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--late", type=float, default=0.1, help="share of the buckets that appear late")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    world = World.of(arguments.histograms, arguments.targets, arguments.late)
    with ExitStack() as stack:
        peer = None
        snapshot: Snapshot = in_memory(world)
        if arguments.stored or arguments.peer:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            store = stored(world, directory / "trimon")
            stack.callback(store.close)
            snapshot = store.snapshot()
            if arguments.peer:
                names = BlockNames(StoppedClock(END_MS), SeededRandomness(1))
                for line in export_directory(DiskFiles(), directory / "trimon", directory / "out", names):
                    print(line[0], flush=True)
                peer = stack.enter_context(prometheus(directory / "out"))
        for query in QUERIES:
            if arguments.only in query:
                engine, answer, size = measured(snapshot, query)
                theirs = "" if peer is None else f"; Prometheus {asked(*peer, query)}"
                print(
                    f"{engine * 1000:9.0f} ms + {answer * 1000:6.0f} ms JSON ({size} bytes){theirs}  {query}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
