"""Which series have samples in an interval: nothing that has is left out, and what is not sealed is told exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.conftest import START_MS, Bench, batch, first_row, series
from trimon.model.labels import Labels

NAMES = [series("m", i=str(i)) for i in range(6)]
STEP_MS = 15_000
TIMES = st.integers(0, 40)


def living(bench: Bench, start_ms: int, end_ms: int) -> set[Labels]:
    """What the store says of an interval."""
    selection = bench.store.snapshot().select((), start_ms, end_ms)
    rows = np.flatnonzero(selection.living(start_ms, end_ms)).tolist()
    return {selection.labels.labels(row) for row in rows}


def holding(bench: Bench, start_ms: int, end_ms: int) -> set[Labels]:
    """What has samples there when all of them are read."""
    selection = bench.store.snapshot().select((), start_ms, end_ms)
    lengths = selection.frame(start_ms, end_ms).lengths
    return {selection.labels.labels(row) for row in np.flatnonzero(lengths).tolist()}


@given(
    rows=st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=12),
    loose=st.lists(st.tuples(st.sampled_from(NAMES), TIMES), max_size=12),
    begin=TIMES,
    length=st.integers(0, 20),
)
@settings(max_examples=150, deadline=None)
def test_of_what_is_not_sealed_it_is_exact(
    rows: list[set[Labels]],
    loose: list[tuple[Labels, int]],
    begin: int,
    length: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Scraped and pushed series alike are found in an interval if and only if they have a sample in it."""
    bench = Bench(tmp_path_factory.mktemp("living"))
    try:
        bench.configure(out_of_order_window_ms=3_600_000)
        columns: dict[Labels, int] = {}
        for number, present in enumerate(rows):
            row = first_row("g", START_MS + number * STEP_MS, dict.fromkeys(sorted(present), 1.0))
            (answer,) = bench.append(row)
            columns |= dict(zip(sorted(present), answer.columns.tolist(), strict=True))
        pushed = [((*labels, ("pushed", "y")), START_MS + step * STEP_MS, 1.0) for labels, step in loose]
        if pushed:
            bench.append(batch(*pushed))
        start_ms = START_MS + begin * STEP_MS
        end_ms = start_ms + length * STEP_MS
        assert living(bench, start_ms, end_ms) == holding(bench, start_ms, end_ms)
    finally:
        bench.store.close()


def test_of_blocks_and_sealed_pages_nothing_is_left_out(bench: Bench) -> None:
    """Whatever has a sample in an interval is found, however it is stored, and most of what has none is not."""
    fill(bench, 7)
    maintain(bench)
    spare = asked = 0
    for begin in range(0, 7 * 60, 25):
        start_ms = START_MS + begin * 60_000
        for end_ms in (start_ms, start_ms + 7 * 60_000, start_ms + 90 * 60_000):
            assert holding(bench, start_ms, end_ms) <= living(bench, start_ms, end_ms)
            asked += len(living(bench, start_ms, end_ms))
            spare += len(living(bench, start_ms, end_ms)) - len(holding(bench, start_ms, end_ms))
    assert spare < asked / 3


def test_a_series_with_one_sample_is_not_found_elsewhere(bench: Bench, tmp_path: Path) -> None:
    """A pushed series with a single sample lives at its time, sealed or not."""
    once, often = series("once"), series("often")
    bench.append(batch((once, START_MS, 1.0)))
    for seal in (False, True):
        for step in range(1, 200):
            bench.append(batch((often, START_MS + (step + 300 * seal) * 1000, 1.0)))
        if seal:
            for live in bench.store._core.state.heads:
                live.head.loose.seal()
                live.head.publish()
        later = START_MS + 100_000
        assert living(bench, later, later + 5000) == {often}
        assert living(bench, START_MS, START_MS) == {once}
