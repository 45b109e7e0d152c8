"""Deletions are about what was there: what comes later stays, whatever its time, also over restarts and cuts."""

from __future__ import annotations

import numpy as np

from tests.storage.block.test_blocks import maintain
from tests.storage.conftest import ALL, EVER, START_MS, Bench, batch, first_row, series
from trimon.model.rows import Row

SLOW, FAST, PUSHED = series("slow"), series("fast"), series("pushed")


def test_a_series_that_lags_keeps_what_comes_after_a_deletion(bench: Bench) -> None:
    """A sample in order for its series is not deleted by what was done before it came, though others were ahead."""
    bench.configure(out_of_order_window_ms=7_200_000)
    (slow, fast) = bench.append(
        first_row("slow", START_MS, {SLOW: 1.0}), first_row("fast", START_MS + 30_000, {FAST: 1.0})
    )
    bench.append(batch((PUSHED, START_MS, 1.0)))
    bench.store.delete_series(ALL, *EVER)
    assert bench.read() == {}
    (later,) = bench.append(Row("slow", START_MS + 15_000, slow.columns, np.array([2.0])))
    assert later.appended == 1
    bench.append(batch((PUSHED, START_MS + 15_000, 2.0)))
    kept = {SLOW: [(START_MS + 15_000, 2.0)], PUSHED: [(START_MS + 15_000, 2.0)]}
    assert bench.read() == kept
    bench.reopen()
    assert bench.read() == kept
    assert len(fast.columns) == 1


def test_samples_that_are_sent_again_after_a_deletion_stay(bench: Bench) -> None:
    """What replaces deleted samples is there at once, after two restarts, and in the block."""
    bench.configure(out_of_order_window_ms=7_200_000)
    times = [START_MS + step * 15_000 for step in range(20)]
    (answer,) = bench.append(first_row("g", times[0], {SLOW: -1.0}))
    for time_ms in times[1:]:
        bench.append(Row("g", time_ms, answer.columns, np.array([-1.0])))
    bench.append(batch(*((PUSHED, time_ms, -1.0) for time_ms in times)))
    bench.reopen()
    bench.append(batch((FAST, times[-1], 0.0)))
    bench.store.delete_series(ALL, times[0], times[-2])
    bench.append(batch(*((name, time_ms, 5.0) for name in (SLOW, PUSHED) for time_ms in times[:-1])))
    wanted = [*((time_ms, 5.0) for time_ms in times[:-1]), (times[-1], -1.0)]
    for _ in range(3):
        found = bench.read()
        assert found[SLOW] == found[PUSHED] == wanted
        bench.reopen()
    bench.clock.value_ms = START_MS + 20 * 3_600_000
    assert maintain(bench)
    found = bench.read()
    assert found[SLOW] == found[PUSHED] == wanted
