"""One reading of a selection: which parts it looks at, how far it reads ahead, and what is too long to be kept."""

from __future__ import annotations

from tests.storage.conftest import ALL, START_MS, Bench, batch, series
from trimon.storage.read.cachedread import EVER_MS, CachedRead

MINUTE_MS = 60_000
END_MS = START_MS + 10 * MINUTE_MS


def reading(bench: Bench, start_ms: int, end_ms: int) -> CachedRead:
    selection = bench.store.snapshot().select(ALL, START_MS, END_MS)
    return CachedRead(selection.labels.rows, selection.parts, start_ms, end_ms)


def test_what_ends_at_the_newest_sample_is_read_without_an_end(bench: Bench) -> None:
    """An interval up to now reads all that comes; one that is over reads an eighth of itself more."""
    bench.append(batch(*((series("a"), START_MS + step * MINUTE_MS, 1.0) for step in range(11))))
    assert reading(bench, START_MS, END_MS).until_ms() == EVER_MS
    assert reading(bench, START_MS, START_MS + 8 * MINUTE_MS).until_ms() == START_MS + 9 * MINUTE_MS


def test_parts_without_samples_of_the_interval_are_left_out(bench: Bench) -> None:
    """Sources before or behind the interval are not asked."""
    bench.append(batch((series("a"), START_MS, 1.0), (series("a"), END_MS, 1.0)))
    assert len(reading(bench, START_MS, END_MS).sources) == 1
    assert not reading(bench, END_MS + 1, END_MS + MINUTE_MS).parts


def test_a_frame_may_be_half_as_long_again_as_the_interval(bench: Bench) -> None:
    """What spans more than that is too long; what spans as much is not."""
    bench.append(batch(*((series("a"), START_MS + step * MINUTE_MS, 1.0) for step in range(10))))
    whole = bench.store.snapshot().select(ALL, START_MS, END_MS).frame(START_MS, END_MS)
    assert not reading(bench, END_MS - 6 * MINUTE_MS, END_MS).is_exceeded_by(whole)
    assert reading(bench, END_MS - 5 * MINUTE_MS, END_MS).is_exceeded_by(whole)
