"""Made-up targets for the storage benchmarks: label sets like a node exporter's, values like its counters."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.labels import Labels, labels_of
from trimon.model.rows import Row
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

START_MS = 1_700_006_400_000
NONE = np.zeros(0, np.int32)


@contextmanager
def timed(what: str, count: float = 0, unit: str = "") -> Iterator[None]:
    """Print wall and CPU seconds of a block, and CPU time per item."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    each = f"  {cpu / count * 1e9:10.1f} ns/{unit}" if count else ""
    print(f"{what:<44} wall {wall:8.3f} s  cpu {cpu:8.3f} s{each}", flush=True)


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def label_sets(target: int, width: int) -> tuple[Labels, ...]:
    """The series of one target: few metrics with many series, many with one."""
    found: list[Labels] = []
    for number in range(width):
        metric = number // 8 if number % 3 else number
        pairs = {
            "__name__": f"node_metric_{metric}_total",
            "job": "node",
            "instance": f"10.0.{target // 250}.{target % 250}:9100",
        }
        if number % 3:
            pairs |= {
                "cpu": str(number % 8),
                "mode": ("idle", "user", "system")[number % 3],
                "device": f"sd{number % 5}",
            }
        found.append(labels_of(pairs))
    return tuple(dict.fromkeys(found))


@dataclass(slots=True)
class Target:
    """A target's values: constants, rare counters, steady counters, decimals, gauges, noise."""

    group: str
    labels: tuple[Labels, ...]
    random: np.random.Generator
    columns: npt.NDArray[np.int32] = field(default_factory=lambda: NONE)
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        self.values = np.floor(self.random.random(len(self.labels)) * 1e6)

    def step(self) -> npt.NDArray[np.float64]:
        """The next row."""
        values = self.values.copy()
        count = len(values)
        kinds = np.arange(count) % 20
        chance = self.random.random(count)
        rare = (kinds >= 10) & (kinds < 14) & (chance < 0.1)
        values[rare] += 1
        busy = (kinds >= 14) & (kinds < 17)
        values[busy] += np.floor(chance[busy] * 50)
        decimal = kinds == 17
        values[decimal] = np.round(values[decimal] + chance[decimal] * 15, 2)
        gauge = kinds == 18
        values[gauge] = np.floor(1e9 + chance[gauge] * 1e6)
        noise = kinds == 19
        values[noise] += chance[noise]
        self.values = values
        return values


class World:
    """A store and its targets."""

    def __init__(self, path: Path, targets: int, width: int) -> None:
        self.clock = StoppedClock(START_MS)
        self.options = StoreOptions(path, retention_ms=0)
        self.store = Store.open(self.options, DiskFiles(), self.clock)
        self.store.replay()
        self.targets = [
            Target(f"scrape/node/{number}", label_sets(number, width), np.random.default_rng(number))
            for number in range(targets)
        ]
        self.series = sum(len(target.labels) for target in self.targets)

    def begin(self) -> None:
        """The first scrape of every target: all series are new."""
        for target in self.targets:
            row = Row(target.group, self.clock.now_ms(), NONE, np.zeros(0), target.labels, target.values)
            (answer,) = self.store.append([row])
            target.columns = answer.columns

    def scrape(self, rounds: int, interval_ms: int, together: int = 8) -> int:
        """Rounds of scrapes, some targets to an append; how many samples."""
        for _ in range(rounds):
            self.clock.value_ms += interval_ms
            for begin in range(0, len(self.targets), together):
                rows = [
                    Row(target.group, self.clock.now_ms(), target.columns, target.step())
                    for target in self.targets[begin : begin + together]
                ]
                self.store.append(rows)
        return rounds * self.series

    def maintain(self) -> list[str]:
        """Do all maintenance that is due."""
        done: list[str] = []
        while jobs := self.store.plan(self.clock.now_ms()):
            for job in jobs:
                job.run()
                job.install()
                done.append(job.what)
        return done


def tree_bytes(path: Path) -> int:
    """Bytes of all files below a path."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
