"""Which series came lately: by metric, label and target, through windows and restarts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.storage.conftest import START_MS, Bench, first_row, series
from tests.support.histogram_rows import row_of
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.storage import growth
from trimon.storage.growth import GrowingLabel
from trimon.storage.head.arena import ragged_positions

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def scrape(bench: Bench, time_ms: int, target: str, *ids: int, metric: str = "m") -> None:
    """A row of a target whose series have these ids."""
    bench.clock.value_ms = time_ms
    cells = {series(metric, job="j", instance=target, id=str(number)): 1.0 for number in ids}
    answer = bench.append(first_row(f"scrape/j/{target}", time_ms, cells))[0]
    assert answer.appended == len(ids)


def test_what_grows_is_named(bench: Bench) -> None:
    """New series since a time are counted by metric, by label with new values, by target; old ones are not."""
    begin = START_MS + MINUTE_MS
    scrape(bench, begin, "a", *range(10))
    scrape(bench, begin + 1, "b", *range(10), metric="n")
    for minute in range(1, 70):
        scrape(bench, begin + minute * MINUTE_MS, "a", *range(10))
    scrape(bench, begin + 70 * MINUTE_MS, "a", *range(8, 40))
    scrape(bench, begin + 70 * MINUTE_MS + 1, "b", 10, metric="n")
    found = bench.store.growth(HOUR_MS)
    assert (found.before, found.series) == (20, 31)
    assert found.metrics == (("m", 30), ("n", 1))
    assert found.labels == (GrowingLabel("id", 30, 31),)
    assert found.targets == (("j", "a", 30), ("j", "b", 1))
    assert found.culprit() == (
        "31 series are new, 30 of them of job j and instance a, label id has 30 new values"
    )
    assert bench.store.growth(HOUR_MS, 1).metrics == (("m", 30),)
    assert bench.store.growth(30 * MINUTE_MS).series == 31


def test_a_new_window_is_no_growth(bench: Bench) -> None:
    """Series that go on in the head of the next window are not new there; those that come with it are."""
    begin = START_MS + 100 * MINUTE_MS
    for minute in range(40):
        scrape(bench, begin + minute * MINUTE_MS, "a", *range(10 if minute < 30 else 12))
    found = bench.store.growth(25 * MINUTE_MS)
    assert (found.before, found.series) == (10, 2)
    assert found.labels == (GrowingLabel("id", 2, 2),)


def test_a_restart_is_no_growth(bench: Bench) -> None:
    """What is replayed was there before; nothing new has no culprit."""
    scrape(bench, START_MS + MINUTE_MS, "a", *range(10))
    bench.reopen()
    found = bench.store.growth(HOUR_MS)
    assert (found.before, found.series, found.metrics, found.labels, found.targets) == (10, 0, (), (), ())
    assert found.culprit() == ""


def test_a_histogram_is_one_series(bench: Bench) -> None:
    """Components are not counted, and their label is none."""
    bench.append(
        row_of("g", START_MS, {series("h"): FloatHistogram(1, 0.5, 1.0, 3.0, 4.5, Buckets.of(1, (2.0,)))})
    )
    found = bench.store.growth(HOUR_MS)
    assert (found.series, found.metrics) == (1, (("h", 1),))
    assert [each.name for each in found.labels] == ["__name__"]


def test_series_may_come_while_it_is_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that are added between two looks at the index change nothing of what was read."""
    begin = START_MS + MINUTE_MS
    scrape(bench, begin, "a", *range(10))
    scrape(bench, begin + MINUTE_MS, "b", *range(5))
    wanted = bench.store.growth(30_000)
    came = iter(range(100, 200))

    def meanwhile(*args: Any) -> Any:
        scrape(bench, begin + 2 * MINUTE_MS, f"c{next(came)}", next(came))
        return ragged_positions(*args)

    monkeypatch.setattr(growth, "ragged_positions", meanwhile)
    assert bench.store.growth(30_000 + MINUTE_MS).metrics == wanted.metrics
