"""A block whose files are cut, or whose disk fails, while they are in use costs what is gone, and nobody's life."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.block.test_damage import open_blocks_of, wide
from tests.storage.conftest import ALL, EVER, START_MS, Bench, exact
from tests.support.process import running
from trimon.files import DiskFiles
from trimon.openfiles import ReadFile
from trimon.storage.store import Store
from trimon.storage.tools.checking import repair, verify

T = START_MS


def cold(bench: Bench) -> None:
    """Forget all that was read of blocks."""
    bench.store.shed_caches()
    for block in open_blocks_of(bench):
        for kept in (block.__dict__, block._samples.__dict__):
            for name in ("_metrics", "_pages", "_times", "_series_band", "_band_sizes", "_series_place"):
                kept.pop(name, None)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_data_that_is_cut_while_it_is_used_costs_what_is_gone(bench: Bench, keep: float) -> None:
    """What is left is right, what is not is told in the answer and in problems; so it is after the next start."""
    wide(bench, 4.5)
    maintain(bench)
    before = exact(bench.read())
    path = open_blocks_of(bench)[0].path
    size = (path / "data").stat().st_size
    os.truncate(path / "data", int(keep * size))
    for turn in ("running", "started again"):
        cold(bench)
        frame = bench.store.snapshot().select(ALL, *EVER).wide_frame(*EVER, lambda _bytes: None)
        assert frame.missing, turn
        assert all(path.name in line for line in frame.missing)
        after = exact(bench.read())
        assert all(set(after.get(labels, [])) <= set(before[labels]) for labels in before)
        assert sum(map(len, after.values())) >= sum(map(len, before.values())) // 3
        assert any(path.name in problem and "cannot be read" in problem for problem in bench.store.problems)
        assert not any("nothing is lost" in problem for problem in bench.store.problems)
        bench.reopen()
    assert any(f"{int(keep * size)} bytes instead of {size}" in problem for problem in bench.store.problems)
    assert any("cut off" in line for fine, line in verify(DiskFiles(), path.parent) if not fine)
    bench.store.close()
    assert not any("nothing is lost" in line for line in repair(DiskFiles(), path.parent))
    bench.reopen()
    assert exact(bench.read()) == after


@pytest.mark.parametrize("keep", [0.0, 0.4])
def test_an_index_that_is_cut_while_it_is_used_costs_its_block(bench: Bench, keep: float) -> None:
    """Half an index is one of its copies, which is enough; with less the other blocks answer, with a warning."""
    fill(bench, 4.5)
    maintain(bench)
    before = exact(bench.read())
    path = open_blocks_of(bench)[0].path
    os.truncate(path / "index", int(keep * (path / "index").stat().st_size))
    cold(bench)
    frame = bench.store.snapshot().select(ALL, *EVER).wide_frame(*EVER, lambda _bytes: None)
    after = exact(bench.read())
    assert all(set(after.get(labels, [])) <= set(before[labels]) for labels in before)
    assert any(path.name in problem for problem in bench.store.problems)
    assert bool(frame.missing) == (after != before)
    assert after


class _FailingRead:
    """A file whose bytes from one place on cannot be read."""

    def __init__(self, file: ReadFile, bad_from: int) -> None:
        self._file = file
        self._bad_from = bad_from
        self.size_bytes = file.size_bytes

    def read(self, offset: int, size_bytes: int) -> bytes:
        if offset + size_bytes > self._bad_from:
            raise OSError(errno.EIO, "Input/output error")
        return self._file.read(offset, size_bytes)


@pytest.mark.parametrize("name", ["data", "index"])
def test_a_disk_that_fails_to_read_costs_what_it_does_not_give(bench: Bench, name: str) -> None:
    """An input/output error is damage of the page or section that is read; an index has a second copy."""

    class Failing(DiskFiles):
        def open(self, path: Path) -> ReadFile:
            file = super().open(path)
            bad_from = (file.size_bytes // 2 + 519) // 512 * 512  # a disk fails by sectors
            return _FailingRead(file, bad_from) if path.name == name else file

    wide(bench, 2.5)
    maintain(bench)
    before = exact(bench.read())
    bench.store.close()
    bench.store = Store.open(bench.options, Failing(), bench.clock)
    bench.store.replay()
    after = exact(bench.read())
    if name == "index":
        assert after == before
        assert any("nothing is lost" in problem for problem in bench.store.problems)
        return
    assert 0 < sum(map(len, after.values())) < sum(map(len, before.values()))
    assert all(set(after[labels]) <= set(before[labels]) for labels in after)
    assert any("Input/output error" in problem for problem in bench.store.problems)
    bench.store.close()


def test_a_server_lives_when_its_blocks_are_cut(tmp_path: Path) -> None:
    """The process that has a block open answers on, with a warning, when its files shrink to nothing."""
    bench = Bench(tmp_path / "data")
    wide(bench, 4.5)
    maintain(bench)
    bench.store.close()
    with running(tmp_path / "data", "", "--storage.tsdb.retention.time=100y") as server:
        for data in (tmp_path / "data").glob("*/data"):
            os.truncate(data, 0)
        for index in (tmp_path / "data").glob("*/index"):
            os.truncate(index, 100)
        query = {"query": "count(count_over_time(wide[5h]))", "time": str(T // 1000 + 5 * 3600)}
        answer = server.get("/api/v1/query", **query)
        assert "cannot be read" in " ".join(answer["warnings"])
        assert server.get("/api/v1/query", query="1")["status"] == "success"
