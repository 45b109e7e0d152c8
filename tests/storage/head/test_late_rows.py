"""Rows of the window before, that come when the next one has begun."""

from __future__ import annotations

import numpy as np
import pytest

from tests.storage.conftest import EVER, START_MS, Bench, batch, first_row, series
from tests.support.upkeep import clean_tombstones
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Columns, Row
from trimon.storage.upkeep.jobs import CutJob

NEXT_MS = START_MS + 7_200_000
A, B = series("a"), series("b")
NAMED = Matcher("__name__", MatchType.REGEXP, "a|b")


def two_windows(bench: Bench) -> Columns:
    """Group `slow` is known to the first window only, `quick` has sample `a` in the second one; columns of `slow`."""
    bench.clock.value_ms = NEXT_MS + 60_000
    (answer,) = bench.append(first_row("slow", NEXT_MS - 60_000, {A: 1.0, B: 1.0}))
    bench.append(first_row("quick", NEXT_MS + 15_000, {A: 2.0}))
    return answer.columns


@pytest.mark.parametrize("sender", ["slow", "slow and sure", "other"])
def test_a_late_row_is_out_of_order_where_its_series_have_gone_on(bench: Bench, sender: str) -> None:
    """A row is judged by what other senders have brought its series in the next window; its other series go on."""
    columns = two_windows(bench)
    time_ms = NEXT_MS - 15_000
    row = first_row(sender, time_ms, {A: 3.0, B: 3.0})
    if sender == "slow and sure":
        row = Row("slow", time_ms, columns, np.array([3.0, 3.0]))
    (answer,) = bench.append(row)
    assert (answer.appended, answer.out_of_order) == (1, 1)
    expected = {
        A: [(NEXT_MS - 60_000, 1.0), (NEXT_MS + 15_000, 2.0)],
        B: [(NEXT_MS - 60_000, 1.0), (NEXT_MS - 15_000, 3.0)],
    }
    assert bench.read() == expected
    bench.reopen()
    assert bench.read() == expected


def test_of_two_late_samples_the_first_counts(bench: Bench) -> None:
    """With an out-of-order window a late row does not replace a late sample that the next window has already."""
    bench.configure(out_of_order_window_ms=3_600_000)
    two_windows(bench)
    bench.append(batch((A, NEXT_MS - 15_000, 4.0)))
    bench.append(first_row("slow", NEXT_MS - 15_000, {A: 3.0, B: 3.0}))
    assert bench.read()[A] == [(NEXT_MS - 60_000, 1.0), (NEXT_MS - 15_000, 4.0), (NEXT_MS + 15_000, 2.0)]
    bench.append(first_row("slow", NEXT_MS - 30_000, {B: 5.0}))
    assert bench.read()[B] == [(NEXT_MS - 60_000, 1.0), (NEXT_MS - 30_000, 5.0), (NEXT_MS - 15_000, 3.0)]


def test_of_two_late_samples_the_first_counts_in_blocks_too(bench: Bench) -> None:
    """A late sample after a restart does not come into a block before that of the sample it is too late for."""
    bench.configure(out_of_order_window_ms=3_600_000)
    bench.clock.value_ms = NEXT_MS + 60_000
    bench.append(first_row("quick", NEXT_MS + 15_000, {series("c"): 2.0}))
    bench.append(first_row("slow", NEXT_MS - 15_000, {A: 1.0}))
    bench.append(first_row("slow", NEXT_MS - 10_000, {A: 2.0}))
    bench.reopen()
    bench.append(batch((A, NEXT_MS - 15_000, 4.0), (B, NEXT_MS - 15_000, 4.0)))
    expected = {A: [(NEXT_MS - 15_000, 1.0), (NEXT_MS - 10_000, 2.0)], B: [(NEXT_MS - 15_000, 4.0)]}
    assert bench.read(NAMED) == expected
    bench.clock.value_ms = NEXT_MS + 5 * 7_200_000
    while jobs := bench.store.plan(bench.clock.now_ms()):
        for job in jobs:
            bench.clock.value_ms += 1
            job.run()
            job.install()
    assert bench.store.figures().head_samples == 0
    assert bench.read(NAMED) == expected


def test_a_rewritten_block_stays_before_those_that_came_later(bench: Bench) -> None:
    """Cleaning a block of deleted samples does not let the samples of a later, overlapping block win."""
    bench.configure(out_of_order_window_ms=4 * 7_200_000)
    bench.append(batch((A, START_MS, 1.0), (A, START_MS + 15_000, 2.0), (B, START_MS, 1.0)))
    bench.clock.value_ms = NEXT_MS + 60_000
    bench.append(batch((A, NEXT_MS + 1_000, 3.0)))
    cut_all(bench, NEXT_MS + 3_600_000)
    bench.append(batch((A, START_MS, 9.0)))
    cut_all(bench, NEXT_MS + 4 * 7_200_000)
    blocks = [meta for meta, _ in bench.store.blocks() if meta.min_ms == START_MS]
    assert len(blocks) == 2
    bench.store.delete_series([Matcher("__name__", MatchType.EQUAL, "b")], *EVER)
    clean_tombstones(bench.store)
    assert {meta.ulid for meta in blocks} != {
        meta.ulid for meta, _ in bench.store.blocks() if meta.min_ms == START_MS
    }
    assert bench.read() == {A: [(START_MS, 1.0), (START_MS + 15_000, 2.0), (NEXT_MS + 1_000, 3.0)]}


def cut_all(bench: Bench, now_ms: int) -> None:
    """Cut what is due, and merge nothing."""
    bench.clock.value_ms = now_ms
    while cuts := [job for job in bench.store.plan(now_ms) if isinstance(job, CutJob)]:
        for job in cuts:
            job.run()
            job.install()
