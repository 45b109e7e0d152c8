"""Native histograms through the whole store: appended in any way, read back from log, heads and blocks."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.storage.conftest import ALL, EVER, START_MS, Bench, batch, series
from tests.support.histogram_rows import Shown, Value, batch_of, row_of, samples_of, shown
from tests.support.seeds import new_seed
from trimon.model.components import component_labels, split
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram, ResetHint
from trimon.model.labels import Labels
from trimon.model.matcher import Matcher, MatchType
from trimon.model.rows import Row, SampleBatch

STEP_MS = 15_000
NAMES = tuple(series("h", i=str(number)) for number in range(4))
Told = dict[Labels, list[tuple[int, Shown]]]


def histogram(pick: random.Random, schema: int = 2, *, gauge: bool = False) -> FloatHistogram:
    """Any histogram of a schema."""
    custom = schema == CUSTOM_SCHEMA
    counts = tuple(float(pick.randint(0, 9)) for _ in range(pick.randint(0, 6)))
    positive = Buckets.of(0 if custom else pick.randint(-3, 3), counts)
    negative = Buckets.of(
        1, tuple(float(pick.randint(0, 3)) for _ in range(0 if custom else pick.randint(0, 2)))
    )
    zero = 0.0 if custom else float(pick.randint(0, 3))
    return FloatHistogram(
        schema,
        0.0 if custom else 1e-128,
        zero,
        zero + sum(counts) + float(negative.counts.sum()),
        pick.uniform(-10, 10),
        positive,
        negative,
        tuple(map(float, range(1, 7))) if custom else (),
        ResetHint.GAUGE if gauge else ResetHint.UNKNOWN,
    )


def read(bench: Bench, *matchers: Matcher, start_ms: int = EVER[0], end_ms: int = EVER[1]) -> Told:
    """All samples of the series that match, asked for twice as a dashboard does, and as they are."""
    snapshot = bench.store.snapshot()
    selection = snapshot.select(matchers or ALL, start_ms, end_ms)
    answers: list[Told] = []
    for _ in range(3):
        frames = [selection.wide_frame(start_ms, end_ms, lambda _: None)]
        if not answers:
            frames.append(selection.frame(start_ms, end_ms))
        for frame in frames:
            rows = {
                selection.labels.labels(row): samples_of(frame, row, start_ms, end_ms)
                for row in range(frame.rows)
            }
            answers.append({labels: samples for labels, samples in rows.items() if samples})
    assert all(each == answers[0] for each in answers[1:])
    return answers[0]


def run_maintenance(bench: Bench) -> None:
    """Cut and merge all that is due."""
    while jobs := bench.store.plan(bench.clock.now_ms()):
        for job in jobs:
            job.run()
            job.install()


@pytest.mark.parametrize("turn", range(4))
def test_histograms_come_back_as_they_were_appended(bench: Bench, turn: int) -> None:
    """Rows and batches of histograms, floats and stale markers in turn, of changing layouts, live, replayed and in blocks."""
    seed = new_seed()
    pick = random.Random(seed)
    told: Told = {}
    time_ms = START_MS
    for step in range(700):
        time_ms += STEP_MS
        bench.clock.value_ms = time_ms
        samples: dict[Labels, Value] = {}
        for labels in NAMES:
            if pick.random() < 0.8:
                schema = pick.choice((2, 2, 2, 2, 3, CUSTOM_SCHEMA))
                native = histogram(pick, schema, gauge=pick.random() < 0.1)
                samples[labels] = native if pick.random() < 0.9 else float(pick.randint(0, 9))
        if step % 2:
            answers = bench.append(row_of("g", time_ms, samples))
        else:
            answers = bench.append(batch_of((labels, time_ms, value) for labels, value in samples.items()))
        assert answers[0].appended == len(samples)
        assert not answers[0].error
        for labels, value in samples.items():
            told.setdefault(labels, []).append((time_ms, shown(value)))
        if step in (150, 600):
            assert read(bench) == told
            bench.reopen()
            assert read(bench) == told
        if step in (550, 650):
            run_maintenance(bench)
    assert read(bench) == told
    assert bench.store.blocks()
    middle = START_MS + 300 * STEP_MS
    inside = {
        labels: [each for each in row if middle <= each[0] <= middle + 600_000]
        for labels, row in told.items()
    }
    assert read(bench, start_ms=middle, end_ms=middle + 600_000) == {k: v for k, v in inside.items() if v}
    bench.store.delete_series((Matcher("i", MatchType.EQUAL, "1"),), *EVER)
    del told[NAMES[1]]
    assert read(bench) == told
    bench.reopen()
    assert read(bench) == told
    job = bench.store.clean_job()
    assert job is not None
    job.run()
    job.install()
    assert read(bench) == told


def test_components_are_nowhere_among_series(bench: Bench) -> None:
    """Selections, names, values, and statistics know the series and not its components; no matcher finds them."""
    pick = random.Random(1)
    bench.append(row_of("g", START_MS, {labels: histogram(pick) for labels in NAMES}))
    snapshot = bench.store.snapshot()
    for matchers in (
        ALL,
        (),
        (Matcher("", MatchType.NOT_EQUAL, ""),),
        (Matcher("", MatchType.REGEXP, ".+"),),
    ):
        rows = snapshot.select(matchers, *EVER).labels
        assert rows.rows == (0 if matchers and matchers[0].name == "" else len(NAMES))
        assert "" not in snapshot.label_names(matchers, *EVER)
        assert snapshot.label_values("", matchers, *EVER) == []
    statistics = bench.store.statistics()
    assert (statistics.series, statistics.series_by_metric) == (4, [("h", 4)])
    assert "" not in dict(statistics.values_by_label)
    assert bench.store.figures().head_series == 4


def test_what_is_refused_is_refused_as_a_whole(bench: Bench) -> None:
    """An older histogram, and another one for the same time, leave no buckets behind, and count once."""
    labels = NAMES[0]
    one = FloatHistogram(2, 0.5, 1.0, 3.0, 4.5, Buckets.of(1, (2.0,)))
    other = FloatHistogram(2, 0.5, 1.0, 9.0, 4.5, Buckets.of(1, (2.0, 6.0)))
    assert bench.append(batch_of([(labels, START_MS, one)]))[0].appended == 1
    wanted = {labels: [(START_MS, shown(one))]}
    for send in (
        lambda time_ms: batch_of([(labels, time_ms, other)]),
        lambda time_ms: row_of("g", time_ms, {labels: other}),
    ):
        for time_ms, counts, text in (
            (START_MS, (1, 0), "duplicate sample for timestamp"),
            (START_MS - 1, (0, 1), "out of order sample"),
        ):
            answer = bench.append(send(time_ms))[0]
            assert (answer.duplicate, answer.out_of_order, answer.error) == (*counts, text)
            assert answer.appended == 0
            assert read(bench) == wanted
    again = bench.append(batch_of([(labels, START_MS, one)]))[0]
    assert (again.appended, again.duplicate, again.error) == (0, 0, "")
    answer = bench.append(batch((labels, START_MS, 1.5)))[0]
    assert answer.error == (
        f"duplicate sample for timestamp {START_MS}; overrides not allowed: existing is a histogram, new value is 1.5"
    )
    again = bench.append(batch_of([(labels, START_MS, other)], atomic=True))[0]
    assert (again.appended, again.duplicate, again.error) == (0, 1, "duplicate sample for timestamp")
    whole = bench.append(batch_of([(labels, START_MS + 1, one), (labels, START_MS - 5, other)], atomic=True))[
        0
    ]
    assert (whole.appended, whole.out_of_order) == (0, 1)
    assert read(bench) == wanted
    assert bench.append(batch_of([(labels, START_MS + 1, one)], atomic=True))[0].appended == 1
    assert read(bench) == {labels: [(START_MS, shown(one)), (START_MS + 1, shown(one))]}


def test_a_histogram_that_lacks_room_for_a_bucket_is_left_out(bench: Bench) -> None:
    """Where the limit of series refuses a component, none of its histogram is stored; others are."""
    one = FloatHistogram(2, 0.5, 1.0, 3.0, 4.5, Buckets.of(1, (2.0,)))
    more = replace(one, count=9.0, positive=Buckets.of(1, (2.0, 6.0)))
    bench.append(batch_of([(NAMES[0], START_MS, one), (NAMES[1], START_MS, one)]))
    bench.store.limit_series(10)
    ways: tuple[Callable[[int], Row | SampleBatch], ...] = (
        lambda time_ms: batch_of([(NAMES[0], time_ms, more), (NAMES[1], time_ms, one)]),
        lambda time_ms: row_of("g", time_ms, {NAMES[0]: more, NAMES[1]: one}),
    )
    for number, send in enumerate(ways, 1):
        answer = bench.append(send(START_MS + number))[0]
        assert (answer.appended, answer.series_refused) == (1, 1)
    found = read(bench)
    assert [time_ms for time_ms, _ in found[NAMES[0]]] == [START_MS]
    assert [time_ms for time_ms, _ in found[NAMES[1]]] == [START_MS, START_MS + 1, START_MS + 2]


def test_a_series_that_only_looks_like_a_component_harms_nobody(bench: Bench) -> None:
    """One whose text is none of a component, as an older version may have stored it: its neighbour is read as it is."""
    one = FloatHistogram(2, 0.5, 1.0, 3.0, 4.5, Buckets.of(1, (2.0,)))
    bench.append(batch_of([(NAMES[0], START_MS, one)]))
    bench.append(batch((component_labels(NAMES[0], "nonsense"), START_MS, 1.0)))
    bench.append(batch((component_labels(NAMES[1], ":x:+"), START_MS, 1.0), (NAMES[1], START_MS, 2.0)))
    assert read(bench) == {NAMES[0]: [(START_MS, shown(one))], NAMES[1]: [(START_MS, shown(2.0))]}


def test_late_histograms_are_kept_in_the_window_for_late_samples(bench: Bench) -> None:
    """Out of order and across windows, a histogram is read where it belongs, with all its buckets."""
    bench.configure(out_of_order_window_ms=4 * 3_600_000)
    pick = random.Random(5)
    times = [START_MS + number * 60_000 for number in range(-100, 0)]
    pick.shuffle(times)
    told = []
    for time_ms in times:
        native = histogram(pick)
        told.append((time_ms, shown(native)))
        assert bench.append(batch_of([(NAMES[0], time_ms, native)]))[0].appended == 1
    assert read(bench) == {NAMES[0]: sorted(told)}
    bench.reopen()
    assert read(bench) == {NAMES[0]: sorted(told)}


def test_a_series_ends_as_others_do(bench: Bench) -> None:
    """Columns of a histogram go on, and end with a staleness marker in its series; components without a marker mean nothing."""
    one = FloatHistogram(2, 0.5, 1.0, 3.0, 4.5, Buckets.of(1, (2.0,)))
    answer = bench.append(row_of("g", START_MS, {NAMES[0]: one}))[0]
    value, _, values = split(one, integer=True)
    columns = answer.columns
    bench.append(Row("g", START_MS + 1, columns, np.array([value, *values])))
    bench.append(Row("g", START_MS + 2, columns[:0], np.zeros(0), ended=columns))
    bench.append(batch((component_labels(NAMES[0], "2:0.5:+1"), START_MS + 3, 7.0)))
    found = read(bench)[NAMES[0]]
    assert found[:2] == [(START_MS, shown(one)), (START_MS + 1, shown(one))]
    assert [time_ms for time_ms, _ in found] == [START_MS, START_MS + 1, START_MS + 2]
    assert found[2][1][0] == "float"
