"""Death, torn writes, full disks and failing syncs at every step: nothing acknowledged is lost, nothing is made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.storage.conftest import ALL, EVER, NO_COLUMNS, START_MS, Bench, batch, first_row, read, series
from tests.support.faulty_files import Fault, FaultyFiles, Killed
from trimon.clock import StoppedClock
from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.model.labels import Labels
from trimon.model.rows import Row, SampleBatch
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

HOUR = 3_600_000
T = START_MS
Point = tuple[Labels, int, int]


def points_of(message: Row | SampleBatch, owners: dict[int, Labels]) -> set[Point]:
    """The samples of a message; `owners` tells whose its columns are."""

    def point(labels: Labels, time_ms: int, value: float) -> Point:
        return labels, int(time_ms), int(np.float64(value).view(np.int64))

    if isinstance(message, SampleBatch):
        return {
            point(message.series[i], t, v)
            for i, t, v in zip(message.series_index, message.timestamps_ms, message.values, strict=True)
        }
    cells = {
        owners[int(column)]: value for column, value in zip(message.columns, message.values, strict=True)
    }
    cells |= dict(zip(message.new_series, message.new_values, strict=True))
    return {point(labels, message.timestamp_ms, value) for labels, value in cells.items()}


class Workload:
    """Appends, cuts, merges and a deletion, noting what was acknowledged and what was under way."""

    def __init__(self, store: Store, clock: StoppedClock) -> None:
        self.store = store
        self.clock = clock
        self.acknowledged: set[Point] = set()
        self.under_way: set[Point] = set()
        self.deleted: tuple[int, int] | None = None
        self.owners: dict[int, Labels] = {}
        self.columns = NO_COLUMNS
        self.failures = 0

    def append(self, *messages: Row | SampleBatch) -> None:
        self.under_way = set().union(*(points_of(message, self.owners) for message in messages))
        try:
            answers = self.store.append(messages)
        except OperatingError:
            self.failures += 1
            self.under_way = set()
            return
        self.acknowledged |= self.under_way
        self.under_way = set()
        for message, answer in zip(messages, answers, strict=True):
            if isinstance(message, Row) and message.new_series:
                self.owners |= dict(zip(answer.columns.tolist(), message.new_series, strict=True))
                self.columns = np.concatenate((self.columns, answer.columns))

    def attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OperatingError:
            self.failures += 1

    def maintain(self) -> None:
        for _ in range(4):
            for job in self.store.plan(self.clock.now_ms()):
                self.attempt(job.run)
                self.attempt(job.install)

    def run(self) -> None:
        for step in range(22):
            time_ms = T + step * 20 * 60_000
            self.clock.value_ms = max(self.clock.value_ms, time_ms)
            new = tuple(series("m", i=str(i)) for i in range(3)) if step == 0 else ()
            if not step or not len(self.columns):
                new = tuple(series("m", i=str(i)) for i in range(3))
            elif step % 6 == 0:
                new = (series("n", step=str(step)),)
            values = np.arange(len(self.columns), dtype=np.float64) + step * 1.5
            row = Row("g", time_ms, self.columns, values, new, np.full(len(new), 7.0))
            self.append(row, batch((series("loose"), time_ms + 5, step / 3)))
            if step % 7 == 6:
                self.maintain()
            if step == 12:
                self.deleted = (T + 5_000_000, T + 9_000_000)
                self.attempt(lambda: self.store.delete_series(ALL, T + 5_000_000, T + 9_000_000))
            if step == 16:
                self.attempt(self.store.sync)
        self.maintain()
        self.store.close()


def start(path: Path, files: FaultyFiles) -> Workload:
    clock = StoppedClock(T)
    options = StoreOptions(path, lockfile=False, wal_segment_bytes=1500, min_block_ms=2 * HOUR)
    store = Store.open(options, files, clock)
    workload = Workload(store, clock)
    store.replay()
    return workload


def found_after(path: Path, clock: StoppedClock) -> tuple[Store, set[Point]]:
    """A fresh start on the directory as the dead process left it."""
    store = Store.open(StoreOptions(path, lockfile=False), DiskFiles(), clock)
    store.replay()
    return store, {
        (labels, time_ms, int(np.float64(value).view(np.int64)))
        for labels, pairs in read(store).items()
        for time_ms, value in pairs
    }


def check(workload: Workload, found: set[Point]) -> None:
    """All that was acknowledged is there, save what a deletion may have taken; nothing else is, save the last."""
    extra = found - workload.acknowledged - workload.under_way
    assert not extra
    lost = workload.acknowledged - found
    if workload.deleted is not None:
        start_ms, end_ms = workload.deleted
        lost = {point for point in lost if not start_ms <= point[1] <= end_ms}
    assert not lost


def changes_of_a_whole_run(path: Path) -> int:
    files = FaultyFiles()
    workload = start(path, files)
    workload.run()
    assert workload.failures == 0
    return files.changes


@pytest.mark.parametrize("fault", ["kill", "kill-torn"])
def test_death_at_every_change_loses_nothing(tmp_path: Path, fault: Fault) -> None:
    """Killed at any write, rename, sync or removal, the next start has every acknowledged sample and no other."""
    total = changes_of_a_whole_run(tmp_path / "whole")
    assert total > 150
    first = 1 if fault == "kill" else 2
    for fault_at in range(first, total + 1, 2):
        path = tmp_path / f"at-{fault_at}"
        files = FaultyFiles(fault, fault_at)
        workload: Workload | None = None
        try:
            workload = start(path, files)
            workload.run()
        except Killed:
            pass
        if workload is None:
            continue
        store, found = found_after(path, workload.clock)
        try:
            check(workload, found)
        except AssertionError as error:
            raise AssertionError(f"after a death at change {fault_at}, {files.log[fault_at - 1]}") from error
        finally:
            store.close()


@pytest.mark.parametrize("fault", ["error", "torn"])
def test_an_error_at_every_change_is_survived(tmp_path: Path, fault: Fault) -> None:
    """A failing write, rename or sync anywhere is an answer, not the end: the store goes on and loses nothing."""
    total = changes_of_a_whole_run(tmp_path / "whole")
    survived = 0
    for fault_at in range(1 if fault == "error" else 2, total + 1, 2):
        path = tmp_path / f"at-{fault_at}"
        files = FaultyFiles(fault, fault_at)
        try:
            workload = start(path, files)
        except OperatingError:
            continue
        workload.attempt(workload.run)
        survived += 1
        store, found = found_after(path, workload.clock)
        try:
            check(workload, found)
        except AssertionError as error:
            raise AssertionError(f"after a fault at change {fault_at}, {files.log[fault_at - 1]}") from error
        finally:
            store.close()
    assert survived > 50


def test_with_fsync_always_power_loss_loses_nothing(tmp_path: Path) -> None:
    """With fsync `always` every acknowledged row is still there when all that was not synced is gone."""
    files = FaultyFiles()
    clock = StoppedClock(T)
    store = Store.open(StoreOptions(tmp_path, fsync="always", lockfile=False), files, clock)
    workload = Workload(store, clock)
    for step in range(10):
        new = (series("a"),) if step == 0 else ()
        workload.append(
            Row("g", T + step, workload.columns, np.full(len(workload.columns), step), new, np.ones(len(new)))
        )
    files.power_loss()
    _, found = found_after(tmp_path, clock)
    check(workload, found)
    assert len(found) == 10


def test_power_loss_between_syncs_loses_only_the_unsynced(tmp_path: Path) -> None:
    """With fsync `interval` what was appended before `sync` survives power loss; nothing is made up."""
    files = FaultyFiles()
    clock = StoppedClock(T)
    store = Store.open(StoreOptions(tmp_path, lockfile=False), files, clock)
    (answer,) = store.append([first_row("g", T, {series("a"): 1.0})])
    store.sync()
    store.append([Row("g", T + 1, answer.columns, np.array([2.0]))])
    files.power_loss()
    reopened, found = found_after(tmp_path, clock)
    assert [time_ms for _, time_ms, _ in found] == [T]
    reopened.close()


def test_a_full_disk_refuses_appends_until_there_is_room(tmp_path: Path) -> None:
    """Out of space an append stores nothing and says so; with room again appending goes on, and replays."""
    files = FaultyFiles()
    clock = StoppedClock(T)
    store = Store.open(StoreOptions(tmp_path, lockfile=False), files, clock)
    (answer,) = store.append([first_row("g", T, {series("a"): 1.0, series("b"): 2.0})])
    files.room_bytes = 40
    for step in range(1, 4):
        with pytest.raises(OperatingError, match="No space left"):
            store.append(
                [Row("g", T + step, answer.columns, np.array([3.0, 4.0]), (series("c"),), np.ones(1))]
            )
        assert read(store) == {series("a"): [(T, 1.0)], series("b"): [(T, 2.0)]}
    files.room_bytes = None
    (again,) = store.append(
        [Row("g", T + 9, answer.columns, np.array([5.0, 6.0]), (series("c"),), np.ones(1))]
    )
    assert again.appended == 3
    wanted = {
        series("a"): [(T, 1.0), (T + 9, 5.0)],
        series("b"): [(T, 2.0), (T + 9, 6.0)],
        series("c"): [(T + 9, 1.0)],
    }
    assert read(store) == wanted
    store.close()
    store, _ = found_after(tmp_path, clock)
    assert read(store) == wanted
    store.close()


@pytest.mark.parametrize("room_bytes", [0, 20, 60])
def test_a_start_on_a_full_disk_answers_and_goes_on_with_room(tmp_path: Path, room_bytes: int) -> None:
    """Without room for the log and its name the store opens, reads, refuses samples with a reason, and later takes them."""
    clock = StoppedClock(T)
    store = Store.open(StoreOptions(tmp_path, lockfile=False), DiskFiles(), clock)
    store.append([first_row("g", T, {series("a"): 1.0})])
    store.close()
    files = FaultyFiles()
    files.room_bytes = room_bytes
    (tmp_path / "log-id").unlink()
    store = Store.open(StoreOptions(tmp_path, lockfile=False), files, clock)
    store.replay()
    assert any("the disk is full" in problem for problem in store.problems)
    for step in range(1, 4):
        with pytest.raises(OperatingError, match="No space left"):
            store.append([first_row("g", T + step, {series("b"): 1.0})])
    assert any("samples are refused" in problem and "3 times" in problem for problem in store.problems)
    assert read(store) == {series("a"): [(T, 1.0)]}
    files.room_bytes = None
    (answer,) = store.append([first_row("g", T + 9, {series("b"): 2.0})])
    assert answer.appended == 1
    store.close()
    assert len((tmp_path / "log-id").read_text()) == 32
    store, _ = found_after(tmp_path, clock)
    assert read(store) == {series("a"): [(T, 1.0)], series("b"): [(T + 9, 2.0)]}
    assert store.problems == []
    store.close()


@pytest.mark.parametrize("room_bytes", [0, 20, 120])
def test_a_disk_full_at_the_first_sample_of_another_window(tmp_path: Path, room_bytes: int) -> None:
    """When the log of a window cannot be made the append fails, and the next one with room succeeds."""
    files = FaultyFiles()
    clock = StoppedClock(T + 100 * HOUR)
    store = Store.open(StoreOptions(tmp_path, lockfile=False), files, clock)
    files.room_bytes = room_bytes
    for time_ms in (T, T + 50 * HOUR):
        with pytest.raises(OperatingError, match="No space left"):
            store.append([first_row("g", time_ms, {series("a"): 1.0})])
    files.room_bytes = None
    (answer,) = store.append([first_row("g", T, {series("a"): 1.0})])
    assert answer.appended == 1
    store.close()
    store, found = found_after(tmp_path, clock)
    assert [time_ms for _, time_ms, _ in found] == [T]
    store.close()


def test_a_full_disk_while_cutting_keeps_the_head(bench: Bench) -> None:
    """Without room for the block the cut fails, the head is still read, and the next attempt succeeds."""
    bench.store.close()
    bench.files = FaultyFiles()
    bench.reopen()
    bench.append(first_row("g", T, {series("m", i=str(i)): float(i) for i in range(200)}))
    before = bench.read()
    bench.clock.value_ms = T + 3 * HOUR
    (job,) = bench.store.plan(bench.clock.now_ms())
    bench.files.room_bytes = 300
    with pytest.raises(OperatingError, match="No space left"):
        job.run()
    assert bench.read() == before
    bench.files.room_bytes = None
    (job,) = bench.store.plan(bench.clock.now_ms())
    job.run()
    job.install()
    assert bench.read() == before
    assert len(bench.store.blocks()) == 1


def test_a_failing_fsync_is_reported_and_later_records_go_elsewhere(tmp_path: Path) -> None:
    """After a failed fsync the log goes on in a new file, because the old one cannot be trusted any more."""
    files = FaultyFiles()
    clock = StoppedClock(T)
    store = Store.open(StoreOptions(tmp_path, lockfile=False), files, clock)
    (answer,) = store.append([first_row("g", T, {series("a"): 1.0})])
    files.sync_fails = True
    with pytest.raises(OperatingError, match="fsync"):
        store.sync()
    files.sync_fails = False
    store.append([Row("g", T + 1, answer.columns, np.array([2.0]))])
    store.sync()
    assert len(list((tmp_path / "wal").iterdir())) == 2
    store.close()
    store, _ = found_after(tmp_path, clock)
    assert read(store) == {series("a"): [(T, 1.0), (T + 1, 2.0)]}
    store.close()


def test_a_read_only_file_system_is_one_clear_line(tmp_path: Path) -> None:
    """A directory that cannot be written to is refused with its name and the reason."""
    files = FaultyFiles()
    files.read_only = True
    with pytest.raises(OperatingError, match="Read-only file system") as error:
        Store.open(StoreOptions(tmp_path / "data"), files, StoppedClock(T))
    assert "\n" not in str(error.value)
    assert str(tmp_path / "data") in str(error.value)


def test_a_disk_that_becomes_read_only_keeps_answering(bench: Bench) -> None:
    """When writing fails from one moment on, appends are refused and everything stored is still read."""
    bench.store.close()
    bench.files = FaultyFiles()
    bench.reopen()
    bench.append(first_row("g", T, {series("a"): 1.0}))
    bench.files.read_only = True
    with pytest.raises(OperatingError, match="Read-only"):
        bench.append(first_row("g", T + 1, {series("b"): 1.0}))
    assert bench.read() == {series("a"): [(T, 1.0)]}
    bench.files.read_only = False


def test_empty_files_everywhere_do_not_stop_the_start(tmp_path: Path) -> None:
    """A directory whose files were all truncated to nothing opens as an empty store."""
    clock = StoppedClock(T)
    store = Store.open(StoreOptions(tmp_path), DiskFiles(), clock)
    store.replay()
    store.append([first_row("g", T, {series("a"): 1.0})])
    clock.value_ms = T + 3 * HOUR
    for job in store.plan(clock.now_ms()):
        job.run()
        job.install()
    store.append([first_row("g", T + 3 * HOUR, {series("a"): 1.0})])
    store.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    store = Store.open(StoreOptions(tmp_path), DiskFiles(), clock)
    store.replay()
    assert read(store) == {}
    assert store.problems
    (answer,) = store.append([first_row("g", T + 3 * HOUR + 1, {series("a"): 2.0})])
    assert answer.appended == 1
    store.close()


def test_a_clock_that_goes_back_refuses_and_recovers(bench: Bench) -> None:
    """Rows stamped by a clock that went back are out of order, not a crash; when it has caught up rows go on."""
    (answer,) = bench.append(first_row("g", T + 50_000, {series("a"): 1.0}))
    bench.clock.value_ms = T + 10_000
    (back,) = bench.append(Row("g", T + 10_000, answer.columns, np.array([2.0])))
    assert (back.appended, back.out_of_order) == (0, 1)
    assert bench.store.plan(bench.clock.now_ms()) == []
    bench.clock.value_ms = T + 60_000
    (on,) = bench.append(Row("g", T + 60_000, answer.columns, np.array([3.0])))
    assert on.appended == 1
    assert bench.read() == {series("a"): [(T + 50_000, 1.0), (T + 60_000, 3.0)]}


def test_half_a_million_new_series_in_one_row(bench: Bench) -> None:
    """A scrape of 500,000 new series is stored, found by any label, and replayed."""
    names = tuple((("__name__", f"metric_{i % 500}"), ("id", str(i)), ("job", "big")) for i in range(500_000))
    row = Row("g", T, NO_COLUMNS, np.zeros(0), names, np.arange(500_000.0))
    (answer,) = bench.append(row)
    assert (answer.series_created, answer.appended) == (500_000, 500_000)
    bench.append(Row("g", T + 1000, answer.columns, np.arange(500_000.0)))
    for _ in range(2):
        selection = bench.store.snapshot().select(ALL, *EVER)
        assert selection.labels.rows == 500_000
        frame = selection.frame(*EVER)
        assert len(frame.values) == 1_000_000
        assert len(frame.time_offsets) == 2
        bench.reopen()
