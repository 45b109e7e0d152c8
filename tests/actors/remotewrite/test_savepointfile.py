"""The file of a savepoint on a disk that fails: what a kill and what a power failure leave."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.simulation.disk import SimulatedDisk
from trimon.actors.remotewrite.savepointfile import SavepointFile
from trimon.files import DiskFiles, Files
from trimon.offload import InlineOffload
from trimon.remote.sending.entries import Counted
from trimon.remote.sending.savepoint import Savepoint

# The clock of the module that is tested.
MONOTONIC = "trimon.actors.remotewrite.savepointfile.time.monotonic"
PATH = Path("/data/remote-write/savepoints/a")


def file_on(disk: Files, told: list[str], path: Path = PATH) -> SavepointFile:
    return SavepointFile(path, disk, InlineOffload(), lambda error: told.append(str(error or "")))


def point(done: int, shards: int = 1) -> Savepoint:
    return Savepoint("log", done, {done: (1, done)}, "rules", (Counted(done),) * shards)


async def saved(file: SavepointFile, done: int, shards: int = 1) -> None:
    file.note(point(done, shards))
    await file.save()


@pytest.mark.parametrize("power_failed", [False, True])
@pytest.mark.parametrize("seed", range(40))
async def test_what_a_crash_leaves_is_the_last_write_or_the_last_synced_one(
    seed: int, power_failed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill at any write leaves it or the one before, a power failure one that is not older than the last sync."""
    print(f"seed {seed}")
    pick = random.Random(seed)
    disk = SimulatedDisk(pick)
    now_s = 0.0
    monkeypatch.setattr(MONOTONIC, lambda: now_s)
    told: list[str] = []
    file, done, synced = file_on(disk, told), 0, 0
    for _ in range(pick.randint(1, 3)):
        disk.crash_in = pick.randint(8, 40)
        while not disk.dead:
            now_s += pick.choice((0.01, 0.3, 2.0))
            done += 1
            before, syncs = disk.changes, file._synced_s
            # now and then there is so much to say that the slots are too small
            file.note(point(done, pick.choice((1, 1, 1, 300))))
            if pick.random() < 0.5 or not file.try_write():
                await file.save()
            if not disk.dead and (file._synced_s != syncs or disk.changes - before > 2):
                synced = done
        disk.start(power_failed=power_failed)
        file = file_on(disk, told)
        found = await file.load("log")
        lowest = synced if power_failed else done - 1
        if found is None:
            assert lowest <= 0
        else:
            assert lowest <= found.done <= done
            assert found.places == point(found.done).places
        done = synced = found.done if found else 0
        await saved(file, done)


async def test_a_disk_that_fails_is_told_and_then_written_anew() -> None:
    """The error is told while it lasts; the first write after it makes the file whole again."""
    disk, told = SimulatedDisk(random.Random(1)), list[str]()
    file = file_on(disk, told)
    await saved(file, 1)
    disk.error_share = 1.0
    await saved(file, 2)
    assert "Input/output error" in told[-1]
    disk.heal()
    await saved(file, 3)
    assert told[-1] == ""
    found = await file_on(disk, told).load("log")
    assert found == point(3)


async def test_a_full_disk_is_no_trouble_for_a_file_that_is_there(tmp_path: Path) -> None:
    """What is written in place needs no room, and its name and inode stay."""
    told: list[str] = []
    path = tmp_path / "savepoints" / "a"
    file = file_on(DiskFiles(), told, path)
    await saved(file, 1)
    inode, size = path.stat().st_ino, path.stat().st_size
    for done in range(2, 50):
        await saved(file, done)
        assert await file_on(DiskFiles(), told, path).load("log") == point(done)
    await file.aclose()
    assert (path.stat().st_ino, path.stat().st_size) == (inode, size)
    assert set(told) == {""}


async def test_a_savepoint_of_another_log_is_none(autojump_clock: MockClock) -> None:
    """The directory's log was made anew: its old positions say nothing."""
    del autojump_clock
    disk, told = SimulatedDisk(random.Random(1)), list[str]()
    await saved(file_on(disk, told), 1)
    await trio.lowlevel.checkpoint()
    assert await file_on(disk, told).load("other") is None
    assert await file_on(disk, told).load("log") == point(1)


async def test_the_loop_writes_only_what_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot is written at once, but not the first one, one that is longer, one that is synced, or one behind a slow write."""
    now_s = 0.0
    monkeypatch.setattr(MONOTONIC, lambda: now_s)
    path = tmp_path / "savepoints" / "a"
    file = file_on(DiskFiles(), [], path)
    assert file.try_write()  # there is nothing to write
    file.note(point(1))
    assert not file.try_write()
    await saved(file, 1)
    file.note(point(2))
    assert file.try_write()
    assert await file.load("log") == point(2)
    file.note(point(3, 3000))
    assert not file.try_write()
    await file.save()
    now_s = 1.5
    file.note(point(4))
    assert not file.try_write()
    await file.save()
    assert await file.load("log") == point(4)

    def slowly(began: list[float]) -> float:
        began.append(0.0)
        return 1.6 + len(began) * 0.01

    calls: list[float] = []
    monkeypatch.setattr(MONOTONIC, lambda: slowly(calls))
    file.note(point(5))
    assert file.try_write()
    file.note(point(6))
    assert not file.try_write()
    await file.aclose()
