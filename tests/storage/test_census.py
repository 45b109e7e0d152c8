"""Series that are created and removed are counted once, through windows, cuts and restarts."""

from __future__ import annotations

from tests.storage.block.test_blocks import HOUR, fill, maintain
from tests.storage.conftest import START_MS, Bench, batch, first_row, series
from tests.support.histogram_rows import row_of
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.storage.store import Store

MINUTE_MS = 60_000


def counts(bench: Bench) -> tuple[int, int, int]:
    """Series created, removed, and in the heads now."""
    figures = bench.store.figures().counts
    living = bench.store.statistics().series
    assert bench.store.figures().head_series == living
    return figures["series_created"], figures.get("series_removed", 0), living


def test_a_series_that_goes_on_is_created_once(bench: Bench) -> None:
    """Series that are pushed through three windows are new once; those that stop are removed with their last window."""
    lasting = [series("m", i=str(i)) for i in range(30)]
    for minute in range(0, 420, 5):
        now_ms = bench.clock.value_ms = START_MS + minute * MINUTE_MS
        fresh = series("short", minute=str(minute))
        bench.append(batch(*((labels, now_ms, 1.0) for labels in (*lasting, fresh))))
        maintain(bench)
        created, removed, living = counts(bench)
        assert created == 30 + minute // 5 + 1
        assert created - removed == living
    assert removed > 40
    bench.reopen()
    created, removed, living = counts(bench)
    assert (created, removed) == (living, 0)
    figures = bench.store.figures()
    assert figures.counts["chunks_created"] >= figures.head_chunks >= living


def test_scrapes_that_go_on_are_no_churn(bench: Bench) -> None:
    """Groups that are carried over to the next head bring no new series; the counts hold beside churn and loose samples."""
    fill(bench, 7.5)
    maintain(bench)
    created, removed, living = counts(bench)
    assert created - removed == living
    names = {dict(labels)["__name__"] for labels in bench.read()}
    assert {"m0", "churn"} <= names
    assert created == len(bench.read())
    assert removed > 0


def test_a_batch_that_spans_windows(bench: Bench) -> None:
    """A series that is new in two heads by one batch is one."""
    hour = START_MS // HOUR * HOUR
    edge = hour + (2 - hour // HOUR % 2) * HOUR
    bench.clock.value_ms = edge
    bench.append(batch((series("a"), edge - 1000, 1.0)))
    bench.append(batch((series("b"), edge - 1000, 1.0), (series("b"), edge + 1000, 2.0)))
    assert counts(bench) == (2, 0, 2)


def test_a_histogram_is_one_series(bench: Bench) -> None:
    """Its components are none, in the next window neither."""
    histogram = FloatHistogram(1, 0.5, 1.0, 3.0, 4.5, Buckets.of(1, (2.0,)))
    for hours in range(6):
        bench.clock.value_ms = START_MS + hours * HOUR
        bench.append(row_of("g", bench.clock.value_ms, {series("h"): histogram, series("f"): 1.0}))
        maintain(bench)
        assert counts(bench) == (2, 0, 2)


def test_samples_that_come_before_the_log_is_read(bench: Bench) -> None:
    """A series that is in the log and comes again while it is read is created once."""
    bench.append(first_row("g", START_MS, {series("m", i=str(i)): 1.0 for i in range(5)}))
    bench.store.close()
    bench.store = Store.open(bench.options, bench.files, bench.clock)
    bench.append(batch(*((series("m", i=str(i)), START_MS + 1000, 1.0) for i in range(3, 8))))
    bench.store.replay()
    assert counts(bench) == (8, 0, 8)
