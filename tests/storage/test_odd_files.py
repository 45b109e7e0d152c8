"""Under the names of the data directory may stand anything: a start neither waits nor ends without saying what it is."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from types import FrameType

import pytest

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.block.test_damage import open_blocks_of
from tests.storage.conftest import ALL, START_MS, Bench, exact, first_row, series
from trimon.actors.querying.activequeries import ActiveFile, left_over
from trimon.errors import OperatingError
from trimon.files import DiskFiles
from trimon.storage.store import Store
from trimon.storage.tools.checking import repair, verify

T = START_MS


def _socket(path: Path) -> None:
    # The whole path may be longer than the 107 bytes that an address has room for.
    with socket.socket(socket.AF_UNIX) as made, chdir(path.parent):
        made.bind(path.name)


def _unreadable(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


KINDS: dict[str, Callable[[Path], object]] = {
    "directory": lambda path: (path / "inner").mkdir(parents=True),
    "pipe": os.mkfifo,
    "socket": _socket,
    "link to nowhere": lambda path: path.symlink_to(path.parent / "gone"),
    "link in a circle": lambda path: path.symlink_to(path),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "empty": lambda path: path.write_bytes(b""),
    "unreadable": _unreadable,
}
NAMES = (
    "log-ends",
    "log-id",
    "lock",
    "metadata",
    "wal",
    "segment",
    "index",
    "data",
    "meta.json",
    "tombstones",
)
# What the store cannot put its own in the place of.
REFUSED = {
    ("log-id", "directory"),
    *(("lock", kind) for kind in KINDS if kind not in ("empty", "link to nowhere")),
}


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Whoever waits for a pipe is woken by an error."""

    def wake(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("it waits for ever")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two blocks, one with deletions, and a log."""
    bench = Bench(tmp_path_factory.mktemp("odd") / "data")
    fill(bench, 4.5, step_ms=300_000)
    maintain(bench)
    bench.store.delete_series((ALL[0],), T + 60_000, T + 120_000)
    bench.store.close()
    return bench.options.path


def place_of(name: str, directory: Path) -> Path:
    """The path of a file of each kind there is."""
    if name == "segment":
        return max((directory / "wal").iterdir(), key=lambda path: path.stat().st_size)
    if name in ("index", "data", "meta.json", "tombstones"):
        return min(path for path in directory.iterdir() if len(path.name) == 26) / name
    return directory / name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_start_says_what_it_found(
    filled: Path, make_bench: Callable[[str], Bench], name: str, kind: str
) -> None:
    """Either nothing starts, with a message that names the path, or all starts and problems do; what is stored then lasts."""
    if kind == "unreadable" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    bench = make_bench("data")
    bench.store.close()
    shutil.rmtree(bench.options.path)
    shutil.copytree(filled, bench.options.path)
    bench.clock.value_ms = T + 5 * 3_600_000
    path = place_of(name, bench.options.path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    KINDS[kind](path)
    list(verify(DiskFiles(), bench.options.path))
    if (name == "wal" and kind != "directory") or (name, kind) in REFUSED:
        with pytest.raises(OperatingError, match=re.escape(str(path))):
            Store.open(bench.options, bench.files, bench.clock)
        return
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.store.replay()
    if not (name == "lock" or (name in ("log-ends", "log-id", "metadata") and kind == "link to nowhere")):
        told = " ".join(bench.store.problems)
        subject = path.parent.name if len(path.parent.name) == 26 else path.name
        assert subject in told or (name == "log-id" and "log-id" in told), told
    bench.append(first_row("new", bench.clock.value_ms, {series("fresh"): 1.0}))
    before = exact(bench.read())
    assert before
    bench.reopen()
    assert exact(bench.read()) == before
    bench.store.close()
    assert list(repair(DiskFiles(), bench.options.path))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("empty", "unreadable")])
def test_a_block_that_is_no_directory_is_told(bench: Bench, kind: str) -> None:
    """What has the name of a block and is none is left alone and named: it may be a disk that is not there yet."""
    path = bench.options.path / "01HF8MP28CA4CHY4WKDMPYX0AA"
    KINDS[kind](path)
    bench.reopen()
    assert any(path.name in problem for problem in bench.store.problems)


@pytest.mark.parametrize("kind", KINDS)
def test_the_journal_of_queries_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    """It is made, or cannot be, with an error that says why; and what is left over of it is nothing."""
    path = tmp_path / "queries.active"
    KINDS[kind](path)
    assert left_over(path) == []
    if kind in ("empty", "link to nowhere") or (kind == "unreadable" and os.geteuid() == 0):
        ActiveFile(path, 3).begin("up", 1)
        assert left_over(path) == [("up", 1)]
        return
    with pytest.raises(OperatingError, match=r"queries\.active"):
        ActiveFile(path, 3)


def test_a_journal_that_is_cut_ends_nobody(tmp_path: Path) -> None:
    """Entries of queries that begin after the file was emptied are written all the same."""
    journal = ActiveFile(tmp_path / "queries.active", 3)
    os.truncate(tmp_path / "queries.active", 0)
    journal.end(journal.begin("first", 1))
    journal.begin("second", 2)
    assert left_over(tmp_path / "queries.active") == [("second", 2)]


def test_blocks_of_before_are_there(filled: Path) -> None:
    """The directory of these tests is what they say."""
    bench = Bench(filled)
    assert len(open_blocks_of(bench)) == 2
    bench.store.close()
