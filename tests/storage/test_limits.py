"""Limits of a store that change while it is open."""

from __future__ import annotations

import numpy as np

from tests.storage.conftest import Bench, first_row
from tests.storage.head.test_rows import A, T
from trimon.model.rows import Row
from trimon.storage.exemplars import StoredExemplar
from trimon.storage.options import DAY_MS, HOUR_MS, StoreLimits

LIMITS = StoreLimits(
    out_of_order_window_ms=0,
    retention_ms=15 * DAY_MS,
    retention_bytes=0,
    retention_percentage=0.0,
    exemplars_max=2,
)


def test_the_out_of_order_window_opens_and_closes(bench: Bench) -> None:
    """Late samples are refused, taken and refused again as the window changes; what was taken survives a restart."""
    (answer,) = bench.append(first_row("g", T + 60_000, {A: 1.0}))

    def late(time_ms: int) -> int:
        (found,) = bench.append(Row("g", time_ms, answer.columns, np.array([2.0])))
        return found.appended

    assert late(T + 40_000) == 0
    bench.store.configure(StoreLimits(30_000, LIMITS.retention_ms, 0, 0.0, 2))
    assert (late(T + 40_000), late(T + 50_000), late(T + 29_999)) == (1, 1, 0)
    bench.store.configure(LIMITS)
    assert (late(T + 45_000), late(T + 61_000)) == (0, 1)
    wanted = {A: [(T + 40_000, 2.0), (T + 50_000, 2.0), (T + 60_000, 1.0), (T + 61_000, 2.0)]}
    assert bench.read() == wanted
    bench.reopen()
    assert bench.read() == wanted


def test_exemplars_are_kept_up_to_the_new_number(bench: Bench) -> None:
    """Fewer exemplars: the newest stay; none: new ones are refused; more: there is room again."""
    store = bench.store

    def keep(value: float) -> list[str]:
        return store.append_exemplars([StoredExemplar(A, (("id", f"{value:g}"),), value, T + int(value))])

    store.configure(LIMITS)
    for value in (1.0, 2.0, 3.0):
        assert keep(value) == [""]
    assert len(store.exemplars) == 2
    store.configure(StoreLimits(0, LIMITS.retention_ms, 0, 0.0, 0))
    assert len(store.exemplars) == 0
    assert "disabled" in keep(4.0)[0]
    store.configure(LIMITS)
    assert keep(5.0) == [""]


def test_retention_is_that_of_the_last_change(bench: Bench) -> None:
    """The options that planning reads are the new ones, the others stay."""
    before = bench.store.options
    bench.store.configure(StoreLimits(0, 3 * HOUR_MS, 7, 5.0, 2))
    after = bench.store.options
    assert (after.retention_ms, after.retention_bytes, after.retention_percentage) == (3 * HOUR_MS, 7, 5.0)
    assert (after.path, after.min_block_ms, after.fsync) == (before.path, before.min_block_ms, before.fsync)
    assert bench.store._core.options is after
