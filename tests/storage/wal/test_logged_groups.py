"""Rows of scraped groups that stay in the log after a replay until somebody reads them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.storage.conftest import START_MS, Bench, first_row, series
from trimon.model.rows import Row
from trimon.storage.wal.lazy import LoggedHead

ROWS = 200


def fill(bench: Bench, width: int) -> None:
    """Two groups of as many columns, one of so many rows that it would have been sealed three times, one of few."""
    random = np.random.default_rng(width)
    for group, rows in (("long", ROWS), ("short", 5)):
        names = [series("m", group=group, i=str(i)) for i in range(width)]
        (answer,) = bench.append(first_row(group, START_MS, dict.fromkeys(names, 0.5)))
        columns = np.asarray(answer.columns, np.int32)
        for step in range(1, rows):
            values = np.cumsum(random.integers(0, 9, width)).astype(float)
            bench.append(Row(group, START_MS + step * 1000, columns, values))


def logged(bench: Bench) -> LoggedHead:
    (head,) = [live.head for live in bench.store._core.state.heads if isinstance(live.head, LoggedHead)]
    return head


@pytest.mark.parametrize("width", [3, 100])
def test_rows_are_sealed_when_nobody_waits(bench: Bench, width: int) -> None:
    """A reader has all rows before the last ones of a long group are sealed; the job seals them, and nothing changes."""
    fill(bench, width)
    before = bench.read()
    bench.reopen()
    head = logged(bench)
    assert (head.waiting, head.unsealed) == (2, 0)
    assert bench.read() == before
    assert (head.waiting, head.unsealed) == (0, 1)
    view = next(group.view for group in head.groups if group.name == "long")
    raw = sum(chunk.rows for chunk in view.raw)
    (job,) = bench.store.plan(bench.clock.now_ms())
    assert "seal 1 groups" in job.what
    job.run()
    job.install()
    assert bench.read() == before
    view = next(group.view for group in head.groups if group.name == "long")
    assert raw > sum(chunk.rows for chunk in view.raw) == 1
    assert bench.store.plan(bench.clock.now_ms()) == []


def test_a_job_that_comes_first_seals_all(bench: Bench) -> None:
    """Where nobody has asked, the job unpacks and seals, and a reader finds the same."""
    fill(bench, 100)
    before = bench.read()
    bench.reopen()
    (job,) = bench.store.plan(bench.clock.now_ms())
    assert "unpack 2 groups" in job.what
    job.run()
    job.install()
    head = logged(bench)
    assert (head.waiting, head.unsealed) == (0, 0)
    assert bench.read() == before
