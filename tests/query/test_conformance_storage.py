"""The reference scripts over a real store: live, replayed from the log, and in blocks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.promql_data import PROMQL_SCRIPTS
from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.components import split
from trimon.model.histogrambatch import with_histograms
from trimon.model.rows import SampleBatch
from trimon.query.conformance import script
from trimon.query.conformance.memory import MemoryStore
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

SCRIPTS = sorted(PROMQL_SCRIPTS.glob("*.test")) if PROMQL_SCRIPTS.is_dir() else []
# Storage keeps no start timestamps, about which one script is.
NATIVE = [path for path in SCRIPTS if "{{" in path.read_text() and path.stem != "start_timestamps"]
HOUR_MS = 3_600_000


def batch_of(memory: MemoryStore) -> SampleBatch:
    """All samples of a script's data, in order of time."""
    series = tuple(memory.series)
    index, times, values = [], [], []
    natives = []
    for number, each in enumerate(memory.series.values()):
        for time_ms, value, native in zip(each.times, each.values, each.histograms, strict=True):
            if native is None:
                index.append(number)
                times.append(time_ms)
                values.append(value)
            else:
                natives.append((number, time_ms, split(native)))
    floats = SampleBatch(
        series, np.array(index, np.int32), np.array(times, np.int64), np.array(values, np.float64)
    )
    return with_histograms(floats, natives)


class StoredScript:
    """Gives each case of a script a snapshot of a store that holds what is loaded; it is made anew when that changes."""

    def __init__(self, folder: Path, how: str) -> None:
        self.folder = folder
        self.how = how
        self.stores: list[Store] = []
        self._of: tuple[int, int] | None = None
        self.snapshot: Any = None

    def of(self, memory: MemoryStore) -> Any:
        """The snapshot for the data as it is now."""
        state = id(memory), sum(len(each.times) for each in memory.series.values())
        if state != self._of:
            self._of = state
            self.snapshot = self._made(memory)
        return self.snapshot

    def _made(self, memory: MemoryStore) -> Any:
        path = Path(tempfile.mkdtemp(dir=self.folder))
        newest_ms = max((each.times[-1] for each in memory.series.values() if each.times), default=0)
        clock = StoppedClock(newest_ms)
        store = Store.open(StoreOptions(path, out_of_order_window_ms=1 << 50), DiskFiles(), clock)
        store.replay()
        if memory.series:
            answer = store.append([batch_of(memory)])[0]
            assert not answer.error, answer
        if self.how == "log":
            store.close()
            store = Store.open(StoreOptions(path), DiskFiles(), clock)
            store.replay()
        if self.how == "blocks":
            clock.value_ms = newest_ms + 24 * HOUR_MS
            while jobs := store.plan(clock.now_ms()):
                for job in jobs:
                    job.run()
                    job.install()
            assert store.blocks() or not memory.series
        self.stores.append(store)
        return store.snapshot()

    def close(self) -> None:
        """Let go of all stores."""
        for store in self.stores:
            store.close()


@pytest.mark.skipif(not SCRIPTS, reason="the reference scripts are not beside the repository")
@pytest.mark.parametrize("how", ["head", "log", "blocks"])
@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.stem)
def test_native_histograms_of_the_reference_scripts(
    path: Path, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every case passes over what a store gives back, whichever way the samples have gone through it."""
    stored = StoredScript(tmp_path, how)
    run_case: Callable[..., script.CaseResult] = script.run_case

    def run_stored(memory: MemoryStore, *rest: Any) -> script.CaseResult:
        return run_case(stored.of(memory), *rest)

    monkeypatch.setattr(script, "run_case", run_stored)
    try:
        report = script.run_script(path.read_text())
    finally:
        stored.close()
    assert report.passed == len(report.cases), report.render()
    assert report.passed > 0
