"""The write-ahead log: what was acknowledged is there after the next start."""

from __future__ import annotations

import numpy as np
import pytest

from tests.storage.conftest import NO_COLUMNS, START_MS, Bench, batch, first_row, series
from trimon.errors import OperatingError
from trimon.model.labels import Labels
from trimon.model.rows import Row
from trimon.storage.store import Store

T = START_MS


def fill(bench: Bench, rows: int, seed: int = 1) -> None:
    """Rows with churn, batches, and values of every kind, from a fixed seed."""
    random = np.random.default_rng(seed)
    names: list[Labels] = [series(f"m{i % 7}", i=str(i)) for i in range(40)]
    (answer,) = bench.append(first_row("g", T, dict.fromkeys(names, 1.0)))
    columns = answer.columns
    for step in range(1, rows):
        values = np.where(random.random(len(columns)) < 0.4, random.integers(0, 9, len(columns)), 7.25)
        values[random.random(len(columns)) < 0.1] = random.normal() * 1e-3
        values[3] = [np.nan, np.inf, -0.0, 5e-324][step % 4]
        if step % 5 == 0:
            gone, columns = columns[-2:], columns[:-2]
            new = (series("new", i=str(step)), series("new", i=str(step), more="x"))
            row = Row("g", T + step * 1000, columns, values[:-2].copy(), new, np.array([1.0, 2.0]), gone)
            (answer,) = bench.append(row)
            columns = np.concatenate((columns, answer.columns))
        else:
            bench.append(Row("g", T + step * 1000, columns, values))
        bench.append(batch((series("loose", i=str(step % 3)), T + step * 1000 + 7, float(step) / 3)))


def exact(samples: dict[Labels, list[tuple[int, float]]]) -> dict[Labels, list[tuple[int, int]]]:
    return {
        labels: [(time, int(np.float64(value).view(np.int64))) for time, value in pairs]
        for labels, pairs in samples.items()
    }


def test_everything_is_there_after_a_restart(bench: Bench) -> None:
    """Rows, churn, loose samples and odd values are replayed bit for bit."""
    fill(bench, 200)
    before = exact(bench.read())
    report = bench.reopen()
    assert report.problems == []
    assert exact(bench.read()) == before


def test_restarts_pile_up(bench: Bench) -> None:
    """Several runs within one window are one history: replayed, and replayed again."""
    for run in range(4):
        bench.append(first_row("g", T + run * 1000, {series("a"): float(run), series("b"): 1.0}))
        bench.reopen()
    assert bench.read()[series("a")] == [(T + run * 1000, float(run)) for run in range(4)]


def test_appends_go_on_while_the_log_is_replayed(bench: Bench) -> None:
    """Before the replay new samples are taken and seen; after it old and new are one series."""
    fill(bench, 50)
    before = exact(bench.read())
    bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    (answer,) = bench.append(first_row("g", T + 90_000, {series("m1", i="1"): 5.0}))
    assert (answer.appended, bench.store.ready) == (1, False)
    assert list(bench.read()) == [series("m1", i="1")]
    bench.store.replay()
    assert bench.store.ready
    after = exact(bench.read())
    assert after[series("m1", i="1")][:-1] == before[series("m1", i="1")]
    assert {labels: pairs for labels, pairs in after.items() if labels != series("m1", i="1")} == {
        labels: pairs for labels, pairs in before.items() if labels != series("m1", i="1")
    }


def test_many_segments_are_one_log(bench: Bench) -> None:
    """The log is cut into files of about the size asked for, which are replayed in order."""
    bench.configure(wal_segment_bytes=2000)
    fill(bench, 150)
    before = exact(bench.read())
    assert len(list((bench.options.path / "wal").iterdir())) > 5
    bench.reopen()
    assert exact(bench.read()) == before


def test_a_torn_tail_is_cut_at_the_last_good_record(bench: Bench) -> None:
    """Whatever byte the last record is torn at, everything before it is there and nothing else."""
    bench.append(first_row("g", T, {series("a"): 1.0}))
    bench.store.close()
    path = max((bench.options.path / "wal").iterdir())
    good = path.read_bytes()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    bench.append(first_row("g", T + 1, {series("b"): 2.0}))
    bench.store.close()
    later = max((bench.options.path / "wal").iterdir())
    whole = later.read_bytes()
    for size in range(len(whole) - 1, 8, -7):
        later.write_bytes(whole[:size])
        path.write_bytes(good)
        bench.store = Store.open(bench.options, bench.files, bench.clock)
        report = bench.store.replay()
        assert bench.read() == {series("a"): [(T, 1.0)]}
        assert report.torn_tails <= 1
        bench.store.close()


def test_a_flipped_bit_loses_what_it_hits_and_makes_up_nothing(bench: Bench) -> None:
    """With one bit flipped anywhere every sample that is read was written, and most are read."""
    fill(bench, 130)
    written = exact(bench.read())
    total = sum(map(len, written.values()))
    bench.store.close()
    path = max((bench.options.path / "wal").iterdir())
    good = path.read_bytes()
    random = np.random.default_rng(5)
    for offset in random.integers(8, len(good), 40).tolist():
        broken = bytearray(good)
        broken[offset] ^= 1 << int(random.integers(8))
        path.write_bytes(broken)
        bench.store = Store.open(bench.options, bench.files, bench.clock)
        report = bench.store.replay()
        found = exact(bench.read())
        assert all(set(pairs) <= set(written[labels]) for labels, pairs in found.items())
        lost = total - sum(map(len, found.values()))
        assert report.damaged_bytes > 0 or lost == 0
        bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)


def test_a_second_process_is_turned_away(bench: Bench) -> None:
    """A directory in use is refused with the owner's pid; after closing it can be opened."""
    with pytest.raises(OperatingError, match=r"in use by another process \(pid \d+\)"):
        Store.open(bench.options, bench.files, bench.clock)
    bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)


def test_windows_have_logs_of_their_own(bench: Bench) -> None:
    """A row past the end of the window opens the next head; columns stay valid across the boundary."""
    bench.clock.value_ms = T + 2 * 3_600_000
    (answer,) = bench.append(first_row("g", T + 7_190_000, {series("a"): 1.0, series("b"): 2.0}))
    bench.append(Row("g", T + 7_200_000, answer.columns, np.array([3.0, 4.0])))
    bench.append(
        Row("g", T + 7_205_000, answer.columns[:1].copy(), np.array([5.0]), ended=answer.columns[1:].copy())
    )
    expected = exact(bench.read())
    assert [time for time, _ in expected[series("a")]] == [T + 7_190_000, T + 7_200_000, T + 7_205_000]
    assert len(expected[series("b")]) == 3
    bench.reopen()
    assert exact(bench.read()) == expected
    assert NO_COLUMNS.size == 0
