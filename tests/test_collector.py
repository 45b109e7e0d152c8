"""The collector of cycles looks at few objects at a time, and at old ones only when that is due."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import pytest

from trimon.clock import StoppedClock
from trimon.collector import FULL_INTERVAL_S, OLD_MIN, THRESHOLDS, Collector, uncollected


class Cycle:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def collector(clock: StoppedClock) -> Iterator[Collector]:
    thresholds = gc.get_threshold()
    collector = Collector(clock)
    collector.start()
    yield collector
    collector.stop()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def looked_at() -> int:
    """How many objects a full collection would look at."""
    return sum(len(gc.get_objects(generation)) for generation in range(3))


def test_what_survives_is_set_aside(collector: Collector) -> None:
    """However many objects stay, only the newest are ever looked at."""
    kept, most = [], 0
    for number in range(10 * OLD_MIN):
        kept.append([number])
        if not number % 1000:
            most = max(most, looked_at())
    assert most < 2 * OLD_MIN + sum(THRESHOLDS) * 3
    assert gc.get_freeze_count() > 8 * OLD_MIN
    del kept, collector


def test_young_cycles_go(collector: Collector) -> None:
    """A cycle that dies young is found by the collections that go on."""
    for _ in range(20 * THRESHOLDS[0]):
        Cycle()
    assert looked_at() < 4 * THRESHOLDS[0]
    del collector


def test_old_cycles_go_when_that_is_due(collector: Collector, clock: StoppedClock) -> None:
    """A cycle that was set aside is found once as many objects have become old again, and an hour has passed."""

    def age() -> list[list[int]]:
        return [[number] for number in range(6 * OLD_MIN)]

    cycles = [Cycle() for _ in range(4 * OLD_MIN)]
    kept = [age()]
    del cycles
    kept.append(age())
    assert sum(isinstance(one, Cycle) for one in gc.get_objects()) == 0  # they are set aside
    before = gc.get_freeze_count()
    clock.value_ms += int(FULL_INTERVAL_S * 1000) + 1000
    kept += [age() for _ in range(4)]
    assert gc.get_freeze_count() < before + 4 * 6 * OLD_MIN - 3 * OLD_MIN
    del collector


def test_nothing_is_collected_while_much_is_made() -> None:
    """No collection begins inside, many new objects are set aside at the end, few are not; also when it fails."""
    collections: list[str] = []

    def collected(phase: str, info: dict[str, int]) -> None:
        collections.append(phase)

    gc.collect()
    before = gc.get_freeze_count()
    gc.callbacks.append(collected)
    try:
        with contextlib.suppress(ValueError), uncollected():
            kept = [[number] for number in range(OLD_MIN * 2)]
            raise ValueError
        assert not collections
    finally:
        gc.callbacks.remove(collected)
    assert gc.isenabled()
    assert gc.get_freeze_count() - before > OLD_MIN
    assert len(kept) == OLD_MIN * 2
    gc.unfreeze()
    gc.collect()
    with uncollected():
        assert [[]]
    assert gc.get_freeze_count() == before
