"""The series that memory allows: what is refused, and what is told of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from trimon.clock import WallClock
from trimon.files import DiskFiles
from trimon.model.rows import NO_COLUMNS, NO_VALUES, Row, SampleBatch
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store


def row(time_ms: int, names: list[str]) -> Row:
    series = tuple((("__name__", name),) for name in names)
    return Row("group", time_ms, NO_COLUMNS, NO_VALUES, series, np.ones(len(names)))


def test_new_series_beyond_memory_are_refused_and_told_once(tmp_path: Path) -> None:
    """Rows keep what fits, a batch of a sender is refused as a whole; the error and one problem name memory."""
    clock = WallClock()
    store = Store.open(StoreOptions(tmp_path / "data", series_max=10), DiskFiles(), clock)
    store.replay()
    now_ms = clock.now_ms()
    store.limit_series(2)
    (answer,) = store.append([row(now_ms, ["a", "b", "c"])])
    assert (answer.series_created, answer.series_refused) == (2, 1)
    assert "series limit of 2 reached, which is what memory allows: see --storage.memory-max" in answer.error
    new = SampleBatch(
        ((("__name__", "d"),),), np.zeros(1, np.int32), np.array([now_ms]), np.ones(1), atomic=True
    )
    (answer,) = store.append([new])
    assert "--storage.memory-max" in answer.error
    [problem] = [fault for fault in store.faults if fault.kind == "memory"]
    assert problem.count == 2
    store.limit_series(100)
    (answer,) = store.append([row(now_ms + 1000, [f"n{place}" for place in range(20)])])
    assert answer.series_created == 8
    assert answer.error == "series limit of 10 reached: see --storage.series-max"
    assert (store.head_series, store.group_series("group"), store.group_series("other")) == (10, 10, 0)
    store.close()


def test_new_series_beyond_the_flag_are_told(tmp_path: Path) -> None:
    """The problem counts what is refused, and is over with the first series that is made again."""
    clock = WallClock()
    store = Store.open(StoreOptions(tmp_path / "data", series_max=2), DiskFiles(), clock)
    store.replay()
    now_ms = clock.now_ms() // 7_200_000 * 7_200_000
    assert store.append([row(now_ms, ["a", "b"])])[0].error == ""
    assert list(store.faults) == []
    for turn in range(2):
        store.append([row(now_ms + 1000 * (turn + 1), ["c", "d", "e"])])
    [problem] = store.faults
    assert (problem.kind, problem.count, problem.over_ms) == ("limit", 6, 0)
    assert problem.text == "new series are refused: series limit of 2 reached: see --storage.series-max"
    new = SampleBatch(
        ((("__name__", "f"),),), np.zeros(1, np.int32), np.array([now_ms + 4000]), np.ones(1), atomic=True
    )
    assert store.append([new])[0].error == "series limit of 2 reached: see --storage.series-max"
    assert store.faults[0].count == 7
    store._core.options = dataclasses.replace(store._core.options, series_max=3)
    assert store.append([row(now_ms + 5000, ["g"])])[0].series_created == 1
    assert store.faults[0].over_ms > 0
    store.close()


def test_caches_hold_no_more_than_they_may(tmp_path: Path) -> None:
    """A smaller share empties what is beyond it; shedding empties all."""
    store = Store.open(StoreOptions(tmp_path / "data"), DiskFiles(), WallClock())
    cache = store._core.cache
    for key in range(20):
        cache.get(key, lambda: np.zeros(100_000))
    assert store.cache_bytes > 15_000_000
    store.limit_caches(2_000_000)
    assert store.cache_bytes < 2_000_000
    store.limit_caches(2**40)
    cache.get("one", lambda: np.zeros(100_000))
    assert cache.used_bytes > 800_000
    store.shed_caches()
    assert store.cache_bytes == 0
    store.close()
