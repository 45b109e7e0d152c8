"""Readers beside the writer: they see whole rows, and what they saw stays."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from tests.storage.conftest import ALL, EVER, START_MS, Bench, batch, first_row, series
from tests.storage.read.test_framecache import rows_of, small_pages
from trimon.model.frame import SampleFrame
from trimon.model.rows import Row
from trimon.model.sample import STALE_NAN_BITS
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
    stop, faults = threading.Event(), list[str]()
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


def ask_again(store: Store, now: list[int], stop: threading.Event, faults: list[str]) -> None:
    """The same windows up to now, from what is kept; every sample has its time as value, and frames stay."""
    held: list[tuple[SampleFrame, bytes]] = []
    while not stop.is_set() and not faults:
        end_ms = now[0]
        for start_ms in (end_ms - 300_000, end_ms - 4_000_000):
            selection = store.snapshot().select(ALL, start_ms, end_ms)
            wide = selection.wide_frame(start_ms, end_ms, lambda _: None)
            found = rows_of(wide, start_ms, end_ms)
            if found != rows_of(selection.frame(start_ms, end_ms), start_ms, end_ms):
                faults.append("what is kept differs from what is there")
            if any(
                bits not in (int(np.float64(t).view(np.int64)), STALE_NAN_BITS)
                for row in found
                for t, bits in row
            ):
                faults.append("a sample of another time")
            held.append((wide, wide.values.tobytes()))
        while len(held) > 20:
            frame, content = held.pop(0)
            if frame.values.tobytes() != content:
                faults.append("a frame changed under its reader")


def test_what_is_kept_is_the_same_for_all_readers_beside_a_writer() -> None:
    """Three readers ask again while columns come, are handed back, late and pushed samples come and heads are cut."""
    with tempfile.TemporaryDirectory() as directory, small_pages(200):
        bench = Bench(Path(directory) / "data")
        bench.configure(out_of_order_window_ms=7_200_000)
        now, stop, faults = [START_MS], threading.Event(), list[str]()
        arguments = (bench.store, now, stop, faults)
        readers = [threading.Thread(target=ask_again, args=arguments) for _ in range(3)]
        names = [series("m", i=f"{i:02}") for i in range(WIDTH)]
        (answer,) = bench.append(first_row("g", START_MS, dict.fromkeys(names, float(START_MS))))
        columns = answer.columns
        for reader in readers:
            reader.start()
        for step in range(1, 500):
            time_ms = START_MS + step * 20_000
            bench.clock.value_ms = max(bench.clock.value_ms, time_ms)
            fresh = tuple(names[:3]) if step % 30 == 0 else ()
            ended = columns[:3] if step % 30 == 29 else columns[:0]
            going = columns[3:] if step % 30 in (0, 29) else columns
            message = Row(
                "g",
                time_ms,
                going,
                np.full(len(going), float(time_ms)),
                fresh,
                np.full(len(fresh), float(time_ms)),
            )
            (answer,) = bench.append(message)
            if len(ended):
                bench.append(Row("g", time_ms + 1, going[:0], np.zeros(0), ended=ended))
                columns = going
            columns = np.concatenate((answer.columns, columns)) if fresh else columns
            late_ms = time_ms - step % 40 * 20_000 + 7
            bench.append(
                batch((series("p"), time_ms, float(time_ms)), (names[step % 9], late_ms, float(late_ms)))
            )
            now[0] = time_ms
            for job in bench.store.plan(bench.clock.now_ms()) if step % 100 == 0 else ():
                job.run()
                job.install()
        stop.set()
        for reader in readers:
            reader.join()
        bench.store.close()
        assert faults == []
