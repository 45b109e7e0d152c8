"""The data directory is removed, emptied or replaced while it is used: it is told, and storing goes on."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.storage.block.test_blocks import HOUR, fill, maintain
from tests.storage.block.test_damage import open_blocks_of
from tests.storage.conftest import START_MS, Bench, exact, first_row, series
from tests.support.ports import free_port
from tests.support.process import Server
from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.model.rows import Row
from trimon.storage.store import Store

T = START_MS


class Sender:
    """A target whose columns go on over everything that happens."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.time_ms = bench.clock.value_ms
        names = tuple(series("m", i=str(i)) for i in range(20))
        (answer,) = bench.append(first_row("s", self.time_ms, dict.fromkeys(names, 1.0)))
        self.columns = answer.columns

    def send(self) -> None:
        """A row, a second later."""
        self.time_ms = self.bench.clock.value_ms = self.time_ms + 1000
        self.bench.append(Row("s", self.time_ms, self.columns, np.arange(20.0) + self.time_ms % 977))


def killed(bench: Bench) -> None:
    """Another store on the directory, as after kill -9."""
    for live in bench.store._core.state.heads:
        if live.log is not None:
            live.log._close_file()
    lock = bench.store._directory.lock
    assert lock is not None
    lock.abandon()
    bench.store._directory.lock = None
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()


def remove_all(path: Path) -> None:
    """The directory itself."""
    shutil.rmtree(path)


def empty(path: Path) -> None:
    """All that is in it."""
    shutil.rmtree(path)
    path.mkdir()


def remove_inner(path: Path) -> None:
    """All that is in it, one by one."""
    for inner in path.iterdir():
        shutil.rmtree(inner) if inner.is_dir() else inner.unlink()


def remove_log(path: Path) -> None:
    """Only the log."""
    shutil.rmtree(path / "wal")


def cut_log(path: Path) -> None:
    """The end of the log."""
    for segment in (path / "wal").iterdir():
        os.truncate(segment, segment.stat().st_size // 2)


@pytest.mark.parametrize("harm", [remove_all, empty, remove_inner, remove_log, cut_log])
def test_storing_goes_on_where_the_directory_was(bench: Bench, harm: Callable[[Path], None]) -> None:
    """What is in memory is answered; what comes after the look is there after kill -9, and at the end of the window all is."""
    fill(bench, 3.5)
    maintain(bench)
    sender = Sender(bench)
    sender.send()
    before = exact(bench.read())
    bench.store.check_directory()
    assert bench.store.problems == []
    harm(bench.options.path)
    sender.send()
    bench.store.check_directory()
    (fault,) = (line for line in bench.store.problems if "while the server runs" in line)
    assert str(bench.options.path) in fault
    bench.store.check_directory()
    assert sum("while the server runs" in line for line in bench.store.problems) == 1
    after = exact(bench.read())
    assert all(set(before[labels]) <= set(after[labels]) for labels in before)
    sender.send()
    sent = exact(bench.read())
    with pytest.raises(OperatingError, match="in use"):
        DiskFiles().lock(bench.options.path / "lock")
    killed(bench)
    kept = exact(bench.read())
    assert (sender.time_ms, int(np.float64(sender.time_ms % 977).view(np.int64))) in kept[series("m", i="0")]
    assert all(set(kept[labels]) <= set(sent[labels]) for labels in kept)


def test_a_file_in_its_place_is_told_until_it_is_gone(bench: Bench) -> None:
    """Where no directory can be made nothing is lost of memory, and storing goes on as soon as one can."""
    sender = Sender(bench)
    shutil.rmtree(bench.options.path)
    bench.options.path.write_text("no directory")
    for _ in range(2):
        bench.store.check_directory()
    assert any("cannot be used" in line and "(2 times" in line for line in bench.store.problems)
    bench.options.path.unlink()
    bench.store.check_directory()
    sender.send()
    killed(bench)
    assert (sender.time_ms, sender.time_ms % 977) in bench.read()[series("m", i="0")]


def test_all_of_the_window_is_on_disk_when_it_is_over(bench: Bench) -> None:
    """What the log has lost is still in memory, and becomes a block as ever."""
    sender = Sender(bench)
    for _ in range(5):
        sender.send()
    shutil.rmtree(bench.options.path)
    bench.store.check_directory()
    sender.send()
    before = exact(bench.read())
    bench.clock.value_ms += 4 * HOUR
    assert maintain(bench)
    bench.reopen()
    assert exact(bench.read()) == before


def test_a_copy_in_its_place_is_used_and_a_strange_one_is_not(bench: Bench, tmp_path: Path) -> None:
    """A restored copy has the log's name. In another's directory nothing is written or removed, until ours is back."""
    sender = Sender(bench)
    path, aside, copy = bench.options.path, tmp_path / "aside", tmp_path / "copy"
    shutil.copytree(path, copy)
    sender.send()
    path.rename(aside)
    copy.rename(path)
    bench.store.check_directory()
    sender.send()
    held = exact(bench.read())
    killed(bench)
    assert set(exact(bench.read())) == set(held)
    sender = Sender(bench)

    other = Bench(tmp_path / "other")
    other.append(first_row("o", T + 60_000, {series("other"): 1.0}))
    other.store.close()
    path.rename(copy)
    (tmp_path / "other").rename(path)
    there = sorted(inner.name for inner in path.rglob("*"))
    bench.store.check_directory()
    with pytest.raises(OperatingError, match=r"was removed or replaced .* restart the server"):
        sender.send()
    assert bench.store.plan(bench.clock.now_ms() + 9 * HOUR) == []
    with pytest.raises(OperatingError, match="restart the server"):
        bench.store.delete_series((), 0, T)
    assert sorted(inner.name for inner in path.rglob("*")) == there
    assert bench.read()
    path.rename(tmp_path / "other")
    copy.rename(path)
    bench.store.check_directory()
    sender.send()
    assert (sender.time_ms, sender.time_ms % 977) in bench.read()[series("m", i="0")]


def test_a_block_that_was_removed_is_told_once(bench: Bench) -> None:
    """It is read as long as it is open."""
    fill(bench, 3.5)
    maintain(bench)
    before = exact(bench.read())
    path = open_blocks_of(bench)[0].path
    shutil.rmtree(path)
    bench.store.shed_caches()
    for _ in range(3):
        bench.store.check_directory()
    (told,) = bench.store.faults
    assert path.name in told.text
    assert told.count == 1
    assert exact(bench.read()) == before


CONFIG = """
global: {scrape_interval: 1s}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:%d"]}]}]
"""


def test_a_server_lives_without_its_directory(tmp_path: Path) -> None:
    """`rm -rf data` is told within seconds in status and log; it scrapes on, and the next start has what came after."""
    server = Server(tmp_path / "data", port=free_port())
    server.config.write_text(CONFIG % server.port)
    server.command.append(f"--config.file={server.config}")
    server.start()
    try:
        server.until("up")
        shutil.rmtree(tmp_path / "data")
        deadline = time.monotonic() + 30
        while not server.get("/api/v1/status/storage")["data"]["problems"]:
            assert time.monotonic() < deadline, server.tail()
            time.sleep(0.2)
        (told,) = server.get("/api/v1/status/storage")["data"]["problems"]
        assert "was removed or replaced" in told
        assert server.query("count_over_time(up[5m]) > 1")
        time.sleep(3.5)
        assert server.tail().count("was removed or replaced") == 1
        server.kill()
        server.start()
        assert server.until("count_over_time(up[5m]) > 1")
    finally:
        server.kill()
