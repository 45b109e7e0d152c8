"""Readers beside the writer: they see whole rows, and what they saw stays."""

from __future__ import annotations

import threading
import time

import numpy as np

from tests.storage.conftest import ALL, EVER, START_MS, Bench, first_row, series
from trimon.model.rows import Row
from trimon.storage.store import Store

WIDTH = 40


def watch(store: Store, stop: threading.Event, faults: list[str]) -> None:
    """Read again and again: all samples of a row have its time as value, or the row is not there."""
    seen = 0
    while not stop.is_set():
        snapshot = store.snapshot()
        selection = snapshot.select(ALL, *EVER)
        frame = selection.frame(*EVER)
        again = snapshot.select(ALL, *EVER).frame(*EVER)
        if not np.array_equal(frame.values, again.values):
            faults.append("a snapshot changed")
        lengths = np.diff(frame.offsets)
        if len(lengths) and (lengths.min() != lengths.max() or len(lengths) != WIDTH):
            faults.append(f"part of a row: {sorted(set(lengths.tolist()))} samples in {len(lengths)} series")
        for row in range(frame.rows):
            array = frame.time_of_row[row]
            times = frame.times[frame.time_offsets[array] : frame.time_offsets[array + 1]]
            if not np.array_equal(
                frame.values[frame.offsets[row] : frame.offsets[row + 1]], times.astype(float)
            ):
                faults.append("a value of another row")
        if len(lengths) and int(lengths.max()) < seen:
            faults.append("samples went away")
        seen = max(seen, int(lengths.max()) if len(lengths) else 0)


def test_readers_see_whole_rows_while_pages_are_sealed_and_heads_are_cut(bench: Bench) -> None:
    """Four readers beside a writer that crosses two windows, seals, cuts and drops logs: never half a row."""
    stop, faults = threading.Event(), []
    readers = [threading.Thread(target=watch, args=(bench.store, stop, faults)) for _ in range(4)]
    names = [series("m", i=f"{i:02}") for i in range(WIDTH)]
    (answer,) = bench.append(first_row("g", START_MS, dict.fromkeys(names, float(START_MS))))
    for reader in readers:
        reader.start()
    for step in range(1, 700):
        time_ms = START_MS + step * 20_000
        bench.clock.value_ms = max(bench.clock.value_ms, time_ms)
        bench.append(Row("g", time_ms, answer.columns, np.full(WIDTH, float(time_ms))))
        if step % 100 == 0:
            for job in bench.store.plan(bench.clock.now_ms()):
                job.run()
                job.install()
    time.sleep(0.2)
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert len(bench.store.blocks()) == 1
    assert len(bench.read()[names[0]]) == 700


def test_readers_of_a_replayed_head_wait_for_nothing_but_their_own_groups(bench: Bench) -> None:
    """While a log is unpacked in the background and new rows come, readers of every group see all of it."""
    names = {f"g{g}": [series("m", g=str(g), i=f"{i:02}") for i in range(WIDTH)] for g in range(6)}
    columns = {}
    for step in range(150):
        time_ms = START_MS + step * 1000
        bench.clock.value_ms = max(bench.clock.value_ms, time_ms)
        for group, listed in names.items():
            if step == 0:
                (answer,) = bench.append(first_row(group, time_ms, dict.fromkeys(listed, float(time_ms))))
                columns[group] = answer.columns
            else:
                bench.append(Row(group, time_ms, columns[group], np.full(WIDTH, float(time_ms))))
    before = bench.read()
    bench.reopen()
    (job,) = bench.store.plan(bench.clock.now_ms())
    found: list[object] = []
    readers = [threading.Thread(target=lambda: found.append(bench.read())) for _ in range(4)]
    worker = threading.Thread(target=job.run)
    for thread in (*readers, worker):
        thread.start()
    for thread in (*readers, worker):
        thread.join()
    job.install()
    assert found == [before] * 4
    assert bench.store.plan(bench.clock.now_ms()) == []
