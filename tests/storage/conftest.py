"""A store on a temporary directory, and short ways to fill and read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.labels import Labels, labels_of
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Appended, Row, SampleBatch
from trimon.random import SeededRandomness
from trimon.storage.block.meta import BlockNames
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

START_MS = 1_700_006_400_000  # on a two-hour boundary
ALL = (Matcher("__name__", MatchType.REGEXP, ".+"),)
EVER = (-(1 << 60), 1 << 60)
NAMES = BlockNames(StoppedClock(START_MS), SeededRandomness(1))
NO_COLUMNS = np.zeros(0, np.int32)

Samples = dict[Labels, list[tuple[int, float]]]


def series(name: str, **labels: str) -> Labels:
    """A label set."""
    return labels_of({"__name__": name, **labels})


def read(store: Store, *matchers: Matcher, start_ms: int = EVER[0], end_ms: int = EVER[1]) -> Samples:
    """Every sample of the matching series, in the plainest form; series without samples are left out."""
    selection = store.snapshot().select(matchers or ALL, start_ms, end_ms)
    frame = selection.frame(start_ms, end_ms)
    assert frame.rows == selection.labels.rows
    found: Samples = {}
    for row in range(frame.rows):
        values = frame.values[frame.offsets[row] : frame.offsets[row + 1]].tolist()
        array = frame.time_of_row[row]
        times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]].tolist()
        labels = selection.labels.labels(row)
        assert labels not in found
        if values:
            assert len(times) == len(values)
            found[labels] = list(zip(times, values, strict=True))
    return found


def exact(samples: Samples) -> dict[Labels, list[tuple[int, int]]]:
    """Values as bits, so that NaNs compare."""
    return {
        labels: [(t, int(np.float64(v).view(np.int64))) for t, v in pairs]
        for labels, pairs in samples.items()
    }


def first_row(group: str, time_ms: int, cells: dict[Labels, float]) -> Row:
    """A row in which every series is new to the sender."""
    return Row(group, time_ms, NO_COLUMNS, np.zeros(0), tuple(cells), np.array(list(cells.values())))


def batch(*samples: tuple[Labels, int, float], atomic: bool = False) -> SampleBatch:
    """A batch of single samples."""
    labels = tuple(dict.fromkeys(sample[0] for sample in samples))
    place = {label_set: index for index, label_set in enumerate(labels)}
    return SampleBatch(
        labels,
        np.array([place[sample[0]] for sample in samples], np.int32),
        np.array([sample[1] for sample in samples], np.int64),
        np.array([sample[2] for sample in samples]),
        atomic,
    )


class Bench:
    """A data directory that can be opened again and again."""

    def __init__(self, path: Path) -> None:
        self.options = StoreOptions(path)
        self.clock = StoppedClock(START_MS + 60_000)
        self.files: Any = DiskFiles()
        self.store = self._open()
        self.store.replay()

    def _open(self) -> Store:
        return Store.open(self.options, self.files, self.clock)

    def configure(self, **changes: Any) -> None:
        """Open again with other options."""
        self.store.close()
        self.options = replace(self.options, **changes)
        self.store = self._open()
        self.store.replay()

    def reopen(self) -> Any:
        """Close, open and replay; the report."""
        self.store.close()
        self.store = self._open()
        return self.store.replay()

    def append(self, *messages: Row | SampleBatch) -> list[Appended]:
        """Append in one go."""
        return self.store.append(messages)

    def read(self, *matchers: Matcher, **bounds: int) -> Samples:
        """Everything, or what matches."""
        return read(self.store, *matchers, **bounds)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.store.close()


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    made: list[Bench] = []

    def make(name: str) -> Bench:
        made.append(Bench(tmp_path / name))
        return made[-1]

    yield make
    for one in made:
        one.store.close()
