"""A log on a disk in trouble: what the simulated worlds found, each in a few steps."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from tests.simulation.disk import SimulatedDisk
from tests.storage.conftest import NO_COLUMNS, START_MS, batch, read, series
from trimon.clock import StoppedClock
from trimon.errors import OperatingError
from trimon.model.rows import Row
from trimon.random import SeededRandomness
from trimon.storage.options import StoreOptions
from trimon.storage.store import Store

A, B = series("a"), series("b")
Policy = Literal["always", "interval", "never"]


class Keeps(random.Random):
    """A power failure after which nothing is left but what was synced."""

    def choice(self, seq: object) -> object:  # type: ignore[override]  # only the disk asks
        """The first: what was synced."""
        return seq[0]  # type: ignore[index]  # the disk's tuples

    def randint(self, a: int, b: int) -> int:
        """The least."""
        return a


class Host:
    """A machine with one disk and one store."""

    def __init__(self, fsync: Policy = "interval", segment_bytes: int = 1 << 20) -> None:
        self.disk = SimulatedDisk(Keeps(0))
        self.options = StoreOptions(Path("/data"), fsync=fsync, wal_segment_bytes=segment_bytes)
        self.clock = StoppedClock(START_MS + 60_000)
        self.store = self.start()

    def start(self, *, power_failed: bool = False) -> Store:
        """The next process, after a kill or a power failure."""
        self.disk.die()
        self.disk.start(power_failed=power_failed)
        self.store = Store.open(self.options, self.disk, self.clock, SeededRandomness(1))
        self.store.replay()
        return self.store

    def push(self, name: tuple[tuple[str, str], ...], step: int) -> None:
        """A sample; its time and value are the step. Raises OperatingError."""
        (answer,) = self.store.append([batch((name, START_MS + step, float(step)))])
        assert not answer.error

    def steps(self, name: tuple[tuple[str, str], ...]) -> list[int]:
        """The steps that can be read."""
        return [time_ms - START_MS for time_ms, _ in read(self.store).get(name, [])]


def fails(host: Host, step: int) -> None:
    """A push that the disk refuses."""
    with pytest.raises(OperatingError):
        host.push(A, step)


def test_a_segment_that_cannot_be_removed_does_not_take_its_name_away() -> None:
    """After a segment could be neither finished nor removed, the next append finds a place to go on."""
    host = Host("never", segment_bytes=100)
    host.push(A, 1)
    host.push(A, 2)
    host.disk.error_share = 1.0
    created = host.disk.change

    def first_succeeds(size_bytes: int = 0) -> int:
        host.disk.change = created  # type: ignore[method-assign]  # only the creation of the file succeeds
        return size_bytes

    for _ in range(3):
        host.disk.change = first_succeeds  # type: ignore[method-assign]  # as said there
        fails(host, 3)
    host.disk.heal()
    host.push(A, 4)
    assert host.steps(A) == [1, 2, 4]
    host.start()
    assert host.steps(A) == [1, 2, 4]


def test_what_a_killed_process_wrote_lasts_from_the_next_start_on() -> None:
    """A kill, a start and a power failure lose nothing of what was acknowledged, though nobody synced before the kill."""
    host = Host()
    host.push(A, 1)
    host.start()
    host.start(power_failed=True)
    assert host.steps(A) == [1]


def test_without_syncs_a_power_failure_loses_what_was_written() -> None:
    """The disk of these tests does lose what nobody synced."""
    host = Host("never")
    host.push(A, 1)
    host.start()
    host.start(power_failed=True)
    assert host.steps(A) == []


def test_after_a_failed_sync_the_log_builds_on_nothing_that_may_be_lost() -> None:
    """What is written and synced after a failed sync is there after a power failure, though its series were new before."""
    host = Host()
    new = Row("g", START_MS + 1, NO_COLUMNS, np.zeros(0), (A, B), np.array([1.0, 1.0]))
    (answer,) = host.store.append([new])
    host.disk.error_share = 1.0
    with pytest.raises(OperatingError):
        host.store.sync()
    host.disk.heal()
    for step in (2, 3):
        host.store.append([Row("g", START_MS + step, answer.columns, np.full(2, float(step)))])
    host.push(A, 4)
    host.store.sync()
    host.start(power_failed=True)
    assert host.steps(A) == [2, 3, 4]
    assert host.steps(B) == [2, 3]


def test_a_segment_with_a_torn_end_is_synced_before_it_is_left() -> None:
    """A write that stops half way and cannot be cut off ends a segment; what came before it lasts with the next sync."""
    host = Host()
    host.push(A, 1)
    host.disk.error_share = 1.0
    fails(host, 2)
    host.disk.heal()
    host.push(A, 3)
    host.store.sync()
    host.start(power_failed=True)
    assert host.steps(A) == [1, 3]
