"""Batches of the past, pushed into a store that has nothing yet."""

from __future__ import annotations

import pytest

from tests.storage.conftest import START_MS, Bench, batch, exact, read, series

WINDOW_MS = 7_200_000


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("shift_ms", [0, 1_000, -WINDOW_MS // 2])
def test_a_first_batch_over_several_windows_is_kept_whole(bench: Bench, atomic: bool, shift_ms: int) -> None:
    """The first batch ever may span windows: every sample that was acknowledged is there, also after a restart."""
    times = range(START_MS - 3 * WINDOW_MS + shift_ms, START_MS + shift_ms, 60_000)
    (answer,) = bench.append(
        batch(*((series(name), t, float(t)) for t in times for name in ("a", "b")), atomic=atomic)
    )
    assert (answer.appended, answer.error) == (2 * len(times), "")
    expected = {series(name): [(t, float(t)) for t in times] for name in ("a", "b")}
    assert exact(read(bench.store)) == exact(expected)
    bench.reopen()
    assert exact(read(bench.store)) == exact(expected)


def test_the_first_window_is_not_the_one_of_the_clock(bench: Bench) -> None:
    """A store that only holds the past has no head for the present that nothing was written to."""
    bench.append(batch((series("a"), START_MS - 5 * WINDOW_MS, 1.0)))
    assert bench.store.figures().head_min_ms == START_MS - 5 * WINDOW_MS
    assert bench.store.figures().head_samples == 1
