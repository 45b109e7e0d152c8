"""Rows of scrape groups: columns, new and ended series, what is accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.storage.conftest import NO_COLUMNS, START_MS, Bench, batch, first_row, series
from trimon.clock import StoppedClock
from trimon.files import DiskFiles
from trimon.model.rows import Row, SampleBatch
from trimon.model.sample import ABSENT, NORMAL_NAN_BITS, STALE_NAN_BITS
from trimon.storage.head.loose import SEAL_SAMPLES
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

A, B, C = series("a", job="x"), series("b", job="x"), series("c", job="y")
T = START_MS


def bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def test_rows_of_granted_columns_are_read_back(bench: Bench) -> None:
    """Columns granted with the first row take the values of later rows, also a part of them, also reordered."""
    (answer,) = bench.append(first_row("g", T, {A: 1.0, B: 2.0, C: 3.0}))
    assert (answer.series_created, answer.appended, answer.error) == (3, 3, "")
    columns = answer.columns
    bench.append(Row("g", T + 1000, columns, np.array([4.0, 5.0, 6.0])))
    bench.append(Row("g", T + 2000, columns[[2, 0]].copy(), np.array([7.0, 8.0])))
    assert bench.read() == {
        A: [(T, 1.0), (T + 1000, 4.0), (T + 2000, 8.0)],
        B: [(T, 2.0), (T + 1000, 5.0)],
        C: [(T, 3.0), (T + 1000, 6.0), (T + 2000, 7.0)],
    }


def test_an_ended_column_gets_a_staleness_marker_and_is_free(bench: Bench) -> None:
    """`ended` writes the marker at the row's time; the column cannot be used by the sender again."""
    (answer,) = bench.append(first_row("g", T, {A: 1.0, B: 2.0}))
    bench.append(
        Row("g", T + 1000, answer.columns[:1].copy(), np.array([3.0]), ended=answer.columns[1:].copy())
    )
    found = bench.read()
    assert found[A] == [(T, 1.0), (T + 1000, 3.0)]
    assert [bits(value) for _, value in found[B]] == [bits(2.0), STALE_NAN_BITS]
    with pytest.raises(ValueError, match="not granted"):
        bench.append(Row("g", T + 2000, answer.columns.copy(), np.array([1.0, 1.0])))


def test_a_series_that_comes_back_continues(bench: Bench) -> None:
    """A series that ended and appears again, after other series took columns, keeps all its samples."""
    (first,) = bench.append(first_row("g", T, {A: 1.0}))
    bench.append(Row("g", T + 1000, NO_COLUMNS, np.zeros(0), ended=first.columns))
    others = {series("n", i=str(i)): float(i) for i in range(50)}
    for step in range(2, 40):
        bench.append(first_row(f"h{step}", T + step * 1000, others))
        (grant,) = bench.append(first_row("g", T + step * 1000, {series("churn", i=str(step)): 1.0}))
        bench.append(Row("g", T + step * 1000 + 500, NO_COLUMNS, np.zeros(0), ended=grant.columns))
    (again,) = bench.append(first_row("g", T + 50_000, {A: 9.0}))
    assert again.series_created == 0
    assert again.appended == 1
    values = bench.read()[A]
    assert [time for time, _ in values] == [T, T + 1000, T + 50_000]
    assert values[-1][1] == 9.0


def test_cells_with_the_absent_bits_are_stored_as_nan(bench: Bench) -> None:
    """The private ABSENT pattern that arrives from outside becomes the ordinary NaN."""
    bench.append(first_row("g", T, {A: ABSENT}))
    assert [bits(value) for _, value in bench.read()[A]] == [NORMAL_NAN_BITS]


def test_same_time_and_bits_is_silent_other_bits_is_a_duplicate(bench: Bench) -> None:
    """A repeated sample is taken without a word; with another value it is refused as duplicate."""
    (answer,) = bench.append(first_row("g", T, {A: 1.0, B: 2.0}))
    (second,) = bench.append(Row("g", T, answer.columns, np.array([1.0, 5.0])))
    assert (second.appended, second.duplicate, second.out_of_order) == (0, 1, 0)
    assert second.error.startswith("duplicate sample for timestamp")
    assert bench.read() == {A: [(T, 1.0)], B: [(T, 2.0)]}


def test_older_samples_are_out_of_order(bench: Bench) -> None:
    """Without an out-of-order window an older row is refused; a new series in it is stored."""
    (answer,) = bench.append(first_row("g", T + 5000, {A: 1.0}))
    late = Row("g", T, answer.columns, np.array([7.0]), (B,), np.array([8.0]))
    (second,) = bench.append(late)
    assert (second.appended, second.out_of_order) == (1, 1)
    assert second.error.startswith("out of order sample")
    assert bench.read() == {A: [(T + 5000, 1.0)], B: [(T, 8.0)]}


def test_far_future_and_far_past_are_out_of_bounds(bench: Bench) -> None:
    """More than ten minutes ahead of the clock, or more than an hour behind the newest sample, is refused."""
    now_ms = bench.clock.now_ms()
    (ahead,) = bench.append(first_row("g", now_ms + 600_001, {A: 1.0}))
    (edge,) = bench.append(first_row("g", now_ms + 600_000, {B: 1.0}))
    (behind,) = bench.append(first_row("h", now_ms + 600_000 - 3_600_001, {C: 1.0}))
    assert (ahead.out_of_bounds, edge.out_of_bounds, behind.out_of_bounds) == (1, 0, 1)
    assert behind.error.startswith("out of bounds")
    assert bench.read() == {B: [(now_ms + 600_000, 1.0)]}


def test_the_out_of_order_window_takes_late_samples_and_tells_too_old_ones(bench: Bench) -> None:
    """With a window, late samples are stored in their place; those behind the window are too old."""
    bench.configure(out_of_order_window_ms=30_000)
    (answer,) = bench.append(first_row("g", T + 60_000, {A: 1.0}))
    (late,) = bench.append(Row("g", T + 40_000, answer.columns, np.array([2.0])))
    (too_old,) = bench.append(Row("g", T + 29_999, answer.columns, np.array([3.0])))
    assert (late.appended, too_old.too_old) == (1, 1)
    assert too_old.error.startswith("too old sample")
    assert bench.read() == {A: [(T + 40_000, 2.0), (T + 60_000, 1.0)]}


def test_two_groups_may_write_one_series(bench: Bench) -> None:
    """A series has one home; samples of another group are stored under the same rules of order."""
    (one,) = bench.append(first_row("g", T, {A: 1.0}))
    (two,) = bench.append(first_row("h", T + 500, {A: 2.0}))
    assert two.series_created == 0
    (three,) = bench.append(Row("g", T + 400, one.columns, np.array([3.0])))
    assert three.out_of_order == 1
    bench.append(Row("h", T + 1500, two.columns, np.array([4.0])))
    bench.append(Row("g", T + 2000, one.columns[:0].copy(), np.zeros(0), ended=one.columns))
    bench.append(Row("h", T + 2500, two.columns, np.array([5.0])))
    times = [time for time, _ in bench.read()[A]]
    assert times == [T, T + 500, T + 1500, T + 2000, T + 2500]


def test_the_series_limit_refuses_new_series_only(bench: Bench) -> None:
    """Beyond `series_max` new series get column -1 and are counted; known series go on."""
    bench.configure(series_max=2)
    (answer,) = bench.append(first_row("g", T, {A: 1.0, B: 2.0, C: 3.0}))
    assert answer.columns.tolist() == [0, 1, -1]
    assert (answer.series_refused, answer.appended) == (1, 2)
    assert "series limit of 2" in answer.error
    (more,) = bench.append(Row("g", T + 1, answer.columns[:2].copy(), np.array([4.0, 5.0])))
    assert more.appended == 2


def test_a_batch_judges_each_sample_after_the_one_before(bench: Bench) -> None:
    """Within one batch order and duplicates count as if the samples had come one by one."""
    (answer,) = bench.append(
        batch(
            (A, T, 1.0),
            (B, T + 5, 1.0),
            (A, T + 10, 2.0),
            (A, T + 5, 9.0),
            (A, T + 10, 2.0),
            (A, T + 10, 3.0),
        )
    )
    assert (answer.appended, answer.out_of_order, answer.duplicate) == (3, 1, 1)
    assert bench.read() == {A: [(T, 1.0), (T + 10, 2.0)], B: [(T + 5, 1.0)]}


def test_an_atomic_batch_is_stored_whole_or_not_at_all(bench: Bench) -> None:
    """One refused sample refuses an atomic batch; not even its new series are made."""
    bench.append(batch((A, T + 10, 1.0)))
    (answer,) = bench.append(batch((B, T, 1.0), (A, T, 1.0), atomic=True))
    assert (answer.appended, answer.out_of_order, answer.series_created) == (0, 1, 0)
    assert bench.read() == {A: [(T + 10, 1.0)]}
    (fine,) = bench.append(batch((B, T, 1.0), (A, T + 20, 2.0), atomic=True))
    assert fine.appended == 2


def test_rows_and_batches_mix(bench: Bench) -> None:
    """A series written by a group and by batches has its samples in order of time."""
    (answer,) = bench.append(first_row("g", T, {A: 1.0}))
    bench.append(batch((A, T + 500, 1.5)))
    bench.append(Row("g", T + 1000, answer.columns, np.array([2.0])), batch((A, T + 1500, 2.5)))
    assert bench.read() == {A: [(T, 1.0), (T + 500, 1.5), (T + 1000, 2.0), (T + 1500, 2.5)]}


def test_a_snapshot_does_not_change(bench: Bench) -> None:
    """What is appended after a snapshot is not in it, whatever happens to arenas and columns since."""
    (answer,) = bench.append(first_row("g", T, {A: 1.0}))
    snapshot = bench.store.snapshot()
    for step in range(1, 300):
        bench.append(Row("g", T + step, answer.columns, np.array([float(step)])))
        bench.append(first_row(f"n{step}", T + step, {series("n", i=str(step)): 1.0}))
    from tests.storage.conftest import ALL, EVER

    selection = snapshot.select(ALL, *EVER)
    frame = selection.frame(*EVER)
    assert [selection.labels.labels(row) for row in range(selection.labels.rows)] == [A]
    assert frame.values.tolist() == [1.0]
    assert len(bench.read()) == 300


def test_many_loose_samples_are_sealed_and_read_in_order(bench: Bench) -> None:
    """Beyond a hundred thousand loose samples pages are sealed; order, first-come and replay stay right."""
    bench.configure(out_of_order_window_ms=3_600_000)
    names = tuple(series("l", i=str(i)) for i in range(500))
    random = np.random.default_rng(2)
    wanted: dict[tuple[int, int], float] = {}
    for step in range(60):
        index = random.integers(0, 500, 5000).astype(np.int32)
        times = T + step * 1000 + random.integers(0, 3000, 5000)
        values = random.integers(0, 1000, 5000) / 4
        bench.append(SampleBatch(names, index, times, values))
        for key, value in zip(zip(index.tolist(), times.tolist(), strict=True), values.tolist(), strict=True):
            wanted.setdefault(key, value)
    assert bench.store.figures().loose_samples > 2 * SEAL_SAMPLES
    for _ in range(2):
        found = {(int(dict(k)["i"]), t): v for k, pairs in bench.read().items() for t, v in pairs}
        assert found == wanted
        bench.reopen()


def test_ending_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    """Ended columns that ended before, never existed, or go on in the same row are left alone."""
    store = Store.open(StoreOptions(tmp_path), DiskFiles(), StoppedClock(1_700_000_000_000))
    store.replay()
    none, zero = np.zeros(0, np.int32), np.zeros(0)
    labels = tuple((("__name__", name),) for name in "ab")
    (first,) = store.append([Row("g", 1_700_000_000_000, none, zero, labels, np.array([1.0, 2.0]))])
    ended = np.array([0, 1, 7, 0], np.int32)
    store.append([Row("g", 1_700_000_001_000, first.columns[:1], np.array([3.0]), ended=ended)])
    store.append([Row("g", 1_700_000_002_000, first.columns[:1], np.array([4.0]), ended=first.columns[1:])])
    frame = store.snapshot().select([], 0, 2**50).frame(0, 2**50)
    by_length = sorted(np.diff(frame.offsets).tolist())
    assert by_length == [2, 3]
    assert frame.has_stale.sum() == 1
    store.close()
