"""The newest sample of each series: where storage tells it without a frame, it is what the frame has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.block.test_blocks import fill, maintain
from tests.storage.conftest import START_MS, Bench, batch, first_row, series
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row
from trimon.model.sample import STALE_NAN, is_stale
from trimon.model.snapshot import NewestSamples, Selection

NAMES = [series("m", i=str(i)) for i in range(6)]
STEP_MS = 15_000
VALUES = st.sampled_from([0.0, -1.5, 7.25, float("nan"), STALE_NAN])
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1), min_size=1, max_size=40)


def selected(bench: Bench, name: str, start_ms: int, end_ms: int) -> Selection:
    matcher = Matcher("__name__", MatchType.EQUAL, name)
    return bench.store.snapshot().select((matcher,), start_ms, end_ms)


def by_frame(selection: Selection, after_ms: int, until_ms: int) -> list[tuple[int, bytes] | None]:
    """Time and bits of each series' newest sample, as all samples of the interval have them."""
    frame = selection.frame(after_ms + 1, until_ms)
    out: list[tuple[int, bytes] | None] = []
    for row, length in enumerate(frame.lengths.tolist()):
        at = int(frame.time_offsets[frame.time_of_row[row]]) + length - 1
        value = frame.values[int(frame.offsets[row]) + length - 1 if length else 0 :][:1]
        out.append((int(frame.times[at]), value.tobytes()) if length else None)
    return out


def shown(found: NewestSamples) -> list[tuple[int, bytes] | None]:
    return [
        (int(time_ms), value.tobytes()) if there else None
        for time_ms, value, there in zip(found.times_ms, found.values, found.present, strict=True)
    ]


@given(
    rows=st.lists(ROWS, min_size=1, max_size=3),
    begin=st.integers(0, 45),
    length=st.integers(1, 20),
    gone=st.integers(0, 2),
    pushed=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_it_is_what_the_frame_has(
    rows: list[list[dict[Labels, float]]],
    begin: int,
    length: int,
    gone: int,
    pushed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Of several targets whose series come, go and are stale, over any window; a bit of a NaN counts."""
    bench = Bench(tmp_path_factory.mktemp("newest"))
    try:
        for target, bodies in enumerate(rows):
            for number, body in enumerate(bodies):
                labelled = {(*labels, ("target", str(target))): value for labels, value in body.items()}
                bench.append(first_row(f"g{target}", START_MS + number * STEP_MS + target, labelled))
        if pushed:
            bench.append(batch((series("other"), START_MS + gone * STEP_MS, 1.0)))
        after_ms = START_MS + begin * STEP_MS
        until_ms = after_ms + length * STEP_MS
        for name in ("m", "other"):
            selection = selected(bench, name, after_ms + 1, until_ms)
            found = selection.newest(after_ms, until_ms)
            if found is not None:
                assert shown(found) == by_frame(selection, after_ms, until_ms)
            else:
                assert name == "other"
                assert pushed
    finally:
        bench.store.close()


def test_a_scraped_selection_needs_no_frame(bench: Bench) -> None:
    """The usual case is told: series of two targets, one of which is stale, another not in the last scrape."""
    first, second, third = (series("m", i=str(i)) for i in range(3))
    bench.append(first_row("a", START_MS, {first: 1.0, second: 2.0}))
    bench.append(first_row("a", START_MS + STEP_MS, {first: 3.0}))
    bench.append(first_row("b", START_MS, {third: 4.0}))
    bench.append(first_row("b", START_MS + STEP_MS, {third: STALE_NAN}))
    found = selected(bench, "m", START_MS - 1, START_MS + STEP_MS).newest(START_MS - 1, START_MS + STEP_MS)
    assert found is not None
    assert found.present.all()
    assert found.values[:2].tolist() == [3.0, 2.0]
    assert is_stale(found.values).tolist() == [False, False, True]
    assert found.times_ms.tolist() == [START_MS + STEP_MS, START_MS, START_MS + STEP_MS]


@pytest.mark.parametrize("width", [3, 100])
def test_a_group_that_has_just_sealed_needs_no_frame(bench: Bench, width: int) -> None:
    """Through 200 rows and their pages, of few and of many columns, the newest samples are at hand after each row."""
    names = [series("m", i=f"{number:03}") for number in range(width)]
    bench.append(first_row("a", START_MS, dict.fromkeys(names, 0.0)))
    columns = np.arange(width, dtype=np.int32)
    for number in range(1, 200):
        time_ms = START_MS + number * 1000
        values = np.arange(width, dtype=np.float64) + number / 8
        bench.append(Row("a", time_ms, columns, values, (), np.zeros(0)))
        found = selected(bench, "m", time_ms - 5000, time_ms).newest(time_ms - 5000, time_ms)
        assert found is not None
        assert found.times_ms.tolist() == [time_ms] * width
        assert found.values.tolist() == values.tolist()
    assert selected(bench, "m", START_MS, time_ms).frame(START_MS, time_ms).lengths.tolist() == [200] * width


def test_where_there_is_more_to_look_at_only_a_frame_tells(bench: Bench) -> None:
    """Pushed series, deleted samples, and what lies in blocks."""
    name = series("m")
    bench.append(batch((name, START_MS, 1.0)))
    assert selected(bench, "m", START_MS - 1, START_MS).newest(START_MS - 1, START_MS) is None
    fill(bench, 7)
    maintain(bench)
    for begin in range(0, 7 * 60, 50):
        after_ms = START_MS + begin * 60_000
        selection = bench.store.snapshot().select((), after_ms + 1, after_ms + 300_000)
        found = selection.newest(after_ms, after_ms + 300_000)
        if found is not None:
            assert shown(found) == by_frame(selection, after_ms, after_ms + 300_000)
    assert np.count_nonzero(bench.store.snapshot().select((), START_MS, START_MS).living(START_MS, START_MS))
