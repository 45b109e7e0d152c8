"""Segments that no run of ours has written, or that change under the reader: nobody waits, and memory is bounded."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.storage.conftest import START_MS, Bench, first_row, series
from trimon.files import DiskFiles
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row
from trimon.storage.store import Store
from trimon.storage.tools.checking import repair, verify
from trimon.storage.wal.frame import SEGMENT_BYTES_MAX, DamagedBytes, records, segment_seed
from trimon.storage.wal.log import SegmentName

T = START_MS


def rows(bench: Bench, count: int = 50) -> None:
    """A few rows of one group."""
    names = tuple(series("m", i=str(i)) for i in range(20))
    (answer,) = bench.append(first_row("g", T, dict.fromkeys(names, 1.0)))
    for step in range(1, count):
        bench.append(Row("g", T + step * 1000, answer.columns, np.sin(np.arange(20) * step)))


def first_segment(bench: Bench) -> Path:
    """The only segment that holds something."""
    return max((bench.options.path / "wal").iterdir(), key=lambda path: path.stat().st_size)


def test_a_huge_segment_is_read_in_pieces(bench: Bench) -> None:
    """Of a sparse file of 10 GB memory holds a piece; its records are read, the rest is told and not waited for."""
    rows(bench)
    before = bench.read()
    bench.store.close()
    path = first_segment(bench)
    os.truncate(path, 10 * 2**30)
    tracemalloc.start()
    try:
        bench.store = Store.open(bench.options, bench.files, bench.clock)
        bench.store.replay()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 * 2**20
    assert bench.read() == before
    assert any(f"{path.name} has {10 * 2**30} bytes" in problem for problem in bench.store.problems)
    assert path.stat().st_size == 10 * 2**30  # it is none of ours to cut
    with (path.parent / "00000099-000000").open("wb") as file:
        file.truncate(SEGMENT_BYTES_MAX + 1000)
    (found,) = records(DiskFiles().open(path.parent / "00000099-000000"), segment_seed(99, 0))
    assert isinstance(found, DamagedBytes)
    assert found.offset + found.size_bytes == SEGMENT_BYTES_MAX


@pytest.mark.parametrize(
    "name", ["00000000-999999", "00999999999-000000", "00000000-99999999999", "999999999999999999-999999"]
)
def test_gaps_are_ranges(bench: Bench, name: str) -> None:
    """A number far beyond all others is not counted up to; what the store writes next can be read again."""
    rows(bench)
    before = bench.read()
    bench.store.close()
    (bench.options.path / "wal" / name).write_bytes(b"")
    started_s = time.process_time()
    for _ in range(2):
        bench.store = Store.open(bench.options, bench.files, bench.clock)
        bench.store.replay()
        assert bench.read() == before
        (answer,) = bench.append(first_row("g", bench.clock.value_ms, {series("fresh"): 1.0}))
        assert answer.appended == 1
        before = bench.read()
        bench.clock.value_ms += 1000
        bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    assert time.process_time() - started_s < 5
    assert len(bench.store.problems) < 5


@pytest.mark.parametrize("name", ["٠٠٠٠٠٠٠٠-٠٠٠٠٠٠", "9999999999999999999-000000", "0-0", "00000000-000000x"])
def test_what_is_no_segment(name: str) -> None:
    """Digits that are not ASCII, numbers beyond 64 bits and shorter ones are other files' names."""
    assert SegmentName.parse(name) is None


@pytest.mark.parametrize("last", [True, False])
def test_an_emptied_log_is_told(bench: Bench, last: bool) -> None:
    """Of a segment of 0 bytes nobody says that nothing is lost: start, verify and repair name it."""
    rows(bench)
    wal = bench.options.path / "wal"
    bench.store._core.state.heads[-1].log._close_file()  # type: ignore[union-attr] # as kill -9 does
    bench.store._directory.release()
    path = first_segment(bench)
    os.truncate(path, 0)
    if not last:
        (wal / "00000000-000001").write_bytes((wal / "00000000-000000").read_bytes())
    wanted = f"{path.name} is empty: what it held, if anything, is lost"
    assert any(wanted in line for fine, line in verify(DiskFiles(), bench.options.path) if not fine)
    told = list(repair(DiskFiles(), bench.options.path))
    assert any(wanted in line for line in told)
    assert not any("nothing is lost" in line for line in told)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    assert any(wanted in problem for problem in bench.store.problems)


def test_a_log_that_is_cut_before_its_rows_are_unpacked(bench: Bench) -> None:
    """Rows wait in the log until they are read: without the log they are missing, and told with each answer.

    An answer about the newest samples alone tells it, too, and one about other series does not.
    """
    rows(bench)
    bench.store.close()
    path = first_segment(bench)
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    os.truncate(path, 200)
    store = bench.store
    matchers, last_ms = (Matcher("__name__", MatchType.REGEXP, ".+"),), store.figures().head_max_ms
    assert last_ms is not None
    assert store.snapshot().select(matchers, 0, last_ms).newest(last_ms - 1000, last_ms) is None
    for _ in range(2):
        (warning,) = store.snapshot().select(matchers, 0, last_ms).frame(0, last_ms).missing
        assert " samples of group " in warning
    assert store.problems == [warning]
    other = (Matcher("__name__", MatchType.EQUAL, "nobody"),)
    assert store.snapshot().select(other, 0, last_ms).frame(0, last_ms).missing == ()
    assert store.figures().counts["log_corruptions"] > 0
