"""The engine over real storage: rows with holes, ended series, loose samples, sealed blocks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.query.test_peer import BASE_MS, Writer, samples
from tests.support.seeds import new_seed
from trimon.clock import StoppedClock
from trimon.errors import TrimonError
from trimon.files import DiskFiles
from trimon.model.labels import Labels
from trimon.model.rows import Row, SampleBatch
from trimon.model.sample import STALE_NAN
from trimon.model.snapshot import Snapshot
from trimon.query.answer.json import render_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.language.options import QueryOptions
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

OPTIONS = QueryOptions()
NO_COLUMNS = np.zeros(0, np.int32)
QUERIES = 150


def by_time(store: MemoryStore) -> dict[str, dict[int, dict[Labels, float]]]:
    """The samples as scrapes: by target and time."""
    out: dict[str, dict[int, dict[Labels, float]]] = {}
    for labels, series in store.series.items():
        pairs = dict(labels)
        target = f"scrape/{pairs['job']}/{pairs.get('instance', '')}"
        for time_ms, value in zip(series.times, series.values, strict=True):
            out.setdefault(target, {}).setdefault(time_ms, {})[labels] = value
    return out


def scrape(store: Store, target: str, scrapes: dict[int, dict[Labels, float]], memory: MemoryStore) -> None:
    """Append scrapes as rows; now and then a series ends with a stale marker, in both stores."""
    rng = random.Random(target)
    columns: dict[Labels, int] = {}
    for time_ms in sorted(scrapes):
        cells = scrapes[time_ms]
        known = [labels for labels in cells if labels in columns]
        fresh = tuple(labels for labels in cells if labels not in columns)
        gone = [labels for labels in columns if labels not in cells and rng.random() < 0.2]
        row = Row(
            target,
            time_ms,
            np.array([columns[labels] for labels in known], np.int32),
            np.array([cells[labels] for labels in known]),
            fresh,
            np.array([cells[labels] for labels in fresh]),
            np.array([columns.pop(labels) for labels in gone], np.int32),
        )
        (answer,) = store.append([row])
        assert answer.error == ""
        columns.update(zip(fresh, answer.columns.tolist(), strict=True))
        for labels, value in cells.items():
            memory.append(labels, time_ms, value)
        for labels in gone:
            memory.append(labels, time_ms, STALE_NAN)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, MemoryStore]]:
    """A real store, partly sealed, and the same samples in memory."""
    path = Path(tmp_path_factory.mktemp("store"))
    source, memory = samples(), MemoryStore()
    clock = StoppedClock(BASE_MS + 7_300_000)
    options = StoreOptions(path, fsync="never", out_of_order_window_ms=10_000_000, retention_ms=10**12)
    store = Store.open(options, DiskFiles(), clock)
    list_of_targets = by_time(source)
    loose = list_of_targets.pop("scrape/db/")
    for target, scrapes in sorted(list_of_targets.items()):
        scrape(store, target, scrapes, memory)
    for time_ms, cells in sorted(loose.items()):
        series = tuple(cells)
        index = np.arange(len(series), dtype=np.int32)
        times = np.full(len(series), time_ms, np.int64)
        store.append([SampleBatch(series, index, times, np.array(list(cells.values())))])
        for labels, value in cells.items():
            memory.append(labels, time_ms, value)
    yield store, memory
    store.close()


def answer(snapshot: Snapshot, query: str) -> str | dict[str, list[tuple[float, str]]]:
    """The series of a range query by their labels, or the text of its failure."""
    start, step = BASE_MS + 4_800_500, 37_000
    try:
        result = range_(snapshot, query, start, start + 40 * step, step, OPTIONS, Budget(OPTIONS))
    except TrimonError as error:
        return str(error)
    found = orjson.loads(render_data(result))["result"]
    return {orjson.dumps(item["metric"]).decode(): item["values"] for item in found}


def test_storage_and_memory_agree(stores: tuple[Store, MemoryStore]) -> None:
    """Generated queries over real storage give what the same samples in memory give, to the last digit but one.

    They are asked three times, and the last answer counts.
    """
    store, memory = stores
    seed = new_seed()
    for index in range(QUERIES):
        query = Writer(seed + index).vector(3)
        # from the second time on samples are kept, and what was found out about them
        first, _, mine = (answer(store.snapshot(), query) for _ in range(3))
        theirs = answer(memory, query)
        assert isinstance(first, str) == isinstance(mine, str), query
        if isinstance(mine, str) or isinstance(theirs, str):
            assert isinstance(mine, str), query
            assert isinstance(theirs, str), query
            continue
        assert mine.keys() == theirs.keys(), query
        for metric, points in mine.items():
            ours = np.array([[float(t), float(v)] for t, v in points])
            other = np.array([[float(t), float(v)] for t, v in theirs[metric]])
            np.testing.assert_allclose(ours, other, rtol=1e-10, atol=1e-10, err_msg=f"{query} {metric}")
