"""Native histograms count by their size wherever samples are counted, as they do in Prometheus."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.support.seeds import new_seed
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram
from trimon.model.labels import labels_of
from trimon.query.answer.json import render_data
from trimon.query.answer.result import QueryResult
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.histograms.weights import weight_of
from trimon.query.language.errors import QueryError
from trimon.query.language.options import EXPERIMENTAL_FUNCTIONS, QueryOptions
from trimon.query.operators import subquery

OPTIONS = QueryOptions(features=frozenset({EXPERIMENTAL_FUNCTIONS}))
SCRAPE_MS, STEP_MS, SAMPLES = 15_000, 37_000, 60
START_MS, END_MS = 400_007, 880_007
# The bytes of a histogram and its time, and of a float and its time.
OWN_BYTES, FLOAT_BYTES = 176, 16
Sample = float | FloatHistogram
FULL = FloatHistogram(1, 0.01, count=3.0, positive=Buckets(np.arange(7, dtype=np.int64), np.ones(7)))


def buckets(rng: random.Random) -> list[int]:
    """Some buckets, with and without gaps."""
    return sorted(rng.sample(range(-6, 12), rng.randint(0, 9)))


def size_of(sample: Sample) -> int:
    """For how many floats a sample counts, said with a loop."""
    if isinstance(sample, float):
        return 1
    bytes_ = OWN_BYTES + 8 * len(sample.custom_values)
    for side in (sample.positive.index.tolist(), sample.negative.index.tolist()):
        bytes_ += 8 * len(side) + 8 * sum(index - 1 not in side for index in side)
    return bytes_ // FLOAT_BYTES


def series_of(rng: random.Random) -> dict[int, Sample]:
    """Samples by their time: histograms of the same buckets each, some of another layout, and floats."""
    custom = rng.random() < 0.3
    bounds = tuple(float(bound) for bound in range(rng.randint(1, 6))) if custom else ()
    layout = FloatHistogram(CUSTOM_SCHEMA if custom else 2, 0.0 if custom else 0.01, custom_values=bounds)
    sides = [list(range(len(bounds))), []] if custom else [buckets(rng), buckets(rng)]
    floats, other = rng.choice([(0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (0.2, 0.2)])
    out: dict[int, Sample] = {}
    for at in range(SAMPLES):
        if rng.random() < floats:
            out[at * SCRAPE_MS] = float(at)
            continue
        counts = [Buckets(np.array(side, np.int64), np.full(len(side), at + 1.0)) for side in sides]
        shown = replace(layout, count=float(99 * at), sum=1.0, positive=counts[0], negative=counts[1])
        out[at * SCRAPE_MS] = FloatHistogram(0, 0.5, count=float(99 * at)) if rng.random() < other else shown
    return out


def store_of(series: list[dict[int, Sample]], *, columns: bool) -> MemoryStore:
    """The series `h{i=...}`."""
    store = MemoryStore(columns=columns)
    for number, samples in enumerate(series):
        store.extend(labels_of({"__name__": "h", "i": str(number)}), sorted(samples.items()))
    return store


def asked(store: MemoryStore, query: str, options: QueryOptions = OPTIONS) -> QueryResult:
    """A query over a range."""
    return range_(store, query, START_MS, END_MS, STEP_MS, options, Budget(options))


@pytest.mark.parametrize("columns", [True, False])
def test_every_sample_counts_by_its_size(columns: bool) -> None:
    """What a selector looks at and reads is the sizes of its samples at each step, as a loop adds them up."""
    rng = random.Random(new_seed())
    series = [series_of(rng) for _ in range(5)]
    store = store_of(series, columns=columns)
    times = range(START_MS, END_MS + 1, STEP_MS)
    windows = [[range(ref - 90_000 + 1, ref + 1) for ref in times]] * len(series)
    windowed = [
        [sum(size_of(v) for t, v in one.items() if t in window) for window in shown]
        for one, shown in zip(series, windows, strict=True)
    ]
    newest = [[size_of(one[max(t for t in one if t <= ref)]) for ref in times] for one in series]
    for query, wanted in (("h", newest), ("count_over_time(h[90s])", windowed), ("rate(h[90s])", windowed)):
        stats = asked(store, query).stats
        assert stats.samples_per_step.tolist() == np.sum(wanted, axis=0).tolist(), query
        assert stats.samples_peak >= np.sum(newest, axis=0).max() or query != "h"
    read = asked(store, "last_over_time(h[90s])").stats.read_per_step.tolist()
    fresh = [range(max(ref - 90_000, ref - STEP_MS) + 1, ref + 1) for ref in times]
    fresh[0] = range(times[0] - 90_000 + 1, times[0] + 1)
    assert read == [sum(size_of(v) for one in series for t, v in one.items() if t in w) for w in fresh]
    shown = instant(store, "h[90s]", END_MS, OPTIONS, Budget(OPTIONS)).stats
    last = range(END_MS - 90_000 + 1, END_MS + 1)
    assert shown.samples_total == sum(size_of(v) for one in series for t, v in one.items() if t in last)


def test_the_size_of_one() -> None:
    """A histogram is 11 floats, and half a one for each bucket, span and custom bound, cut."""
    index = np.array([-3, -2, 4, 5, 9], np.int64)
    some = Buckets(index, np.ones(5))
    assert weight_of(FloatHistogram(3)) == 11
    assert weight_of(FloatHistogram(3, positive=some)) == 11 + (5 + 3) // 2
    assert weight_of(FloatHistogram(3, positive=some, negative=Buckets(index[:1], np.ones(1)))) == 11 + 5
    assert weight_of(FloatHistogram(CUSTOM_SCHEMA, custom_values=(1.0, 2.0, 3.0))) == 12


@pytest.mark.parametrize("columns", [True, False])
def test_what_only_some_samples_have_counts_for_all(columns: bool) -> None:
    """A bucket that comes later counts for the samples before it, as in Prometheus' chunks; objects count what they have."""
    store = MemoryStore(columns=columns)
    for at in range(10):
        index = np.arange(1 if at < 5 else 5, dtype=np.int64)
        one = FloatHistogram(1, 0.01, count=float(at), positive=Buckets(index, np.full(len(index), 1.0 + at)))
        store.append(labels_of({"__name__": "h"}), at * SCRAPE_MS, one)
    stats = instant(store, "count_over_time(h[150s])", 9 * SCRAPE_MS, OPTIONS, Budget(OPTIONS)).stats
    assert stats.samples_total == (10 * 14 if columns else 5 * 12 + 5 * 14)


@pytest.mark.parametrize(
    ("query", "weight"),
    [
        ("histogram_count(h)", 11),
        ("histogram_sum(sum(h))", 11),
        ("histogram_avg(rate(h[15s]))", 11),
        ("histogram_avg(last_over_time(h[15s]))", 11),
        ("histogram_quantile(0.5, h)", 15),
        ("timestamp(h)", 1),
    ],
)
def test_what_is_not_read_has_no_weight(query: str, weight: int) -> None:
    """Buckets do not count where nothing but count and sum is read, nor does a histogram where its time is asked for."""
    stats = asked(store_of([dict.fromkeys(range(0, END_MS, SCRAPE_MS), FULL)], columns=True), query).stats
    assert stats.samples_per_step.tolist() == [weight] * len(range(START_MS, END_MS + 1, STEP_MS))


@pytest.mark.parametrize(
    "query", ["sum_over_time(h[2m:20s])", "rate(h[2m:20s])", "last_over_time((h * 2)[1m:7s])"]
)
def test_subqueries_in_parts_weigh_the_same(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a subquery made counts by its size in the windows over it, and is the same, at once as part by part."""
    rng = random.Random(new_seed())
    store = store_of([series_of(rng) for _ in range(4)], columns=True)
    whole = asked(store, query)
    monkeypatch.setattr(subquery, "_STEPS_FEW", 0)
    monkeypatch.setattr(subquery, "_PART_STEPS_MIN", 3)
    monkeypatch.setattr(subquery, "WHOLE_BYTES", 1)
    parts = asked(store, query)
    assert parts.stats.samples_per_step.tolist() == whole.stats.samples_per_step.tolist()
    assert render_data(parts) == render_data(whole)
    assert parts.stats.samples_total > 11 * len(parts.stats.samples_per_step)


@pytest.mark.parametrize("query", ["h", "h[5m]", "rate(h[5m])", "rate(h[5m:15s])", "sum(h)"])
def test_the_limit_of_samples_weighs_them(query: str) -> None:
    """A query of few histograms is over the limit of samples where these are as large as more floats."""
    times = range(0, END_MS, SCRAPE_MS)
    store = store_of([dict.fromkeys(times, FULL)] * 3, columns=True)
    few, many = (replace(OPTIONS, samples_max=most) for most in (40, 5_000))
    with pytest.raises(QueryError, match="too many samples"):
        instant(store, query, END_MS, few, Budget(few))
    assert instant(store, query, END_MS, many, Budget(many)).stats.samples_peak > few.samples_max


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize(
    ("query", "noted"),
    [
        ("histogram_count(sum(h))", False),
        ("histogram_avg(avg(h))", False),
        ("histogram_sum(h{i='0'} + ignoring(i) h{i='1'})", False),
        ("histogram_count(rate(changing[2m]))", False),
        ("histogram_sum(sum_over_time(changing[2m]))", False),
        ("sum(h)", True),
        ("h{i='0'} + ignoring(i) h{i='1'}", True),
        ("sum_over_time(changing[2m])", True),
        ("histogram_quantile(0.5, sum(h)) + histogram_count(sum(h))", True),
    ],
)
def test_custom_buckets_that_nobody_reads_are_no_note(query: str, noted: bool, columns: bool) -> None:
    """Bounds that differ are told where buckets are read, and not below functions that read count and sum alone."""
    store = MemoryStore(columns=columns)
    bounds = (1.0, 2.0), (1.0, 3.0)
    for at in range(9):
        some = Buckets(np.arange(3, dtype=np.int64), np.full(3, 1.0 + at))
        one, other = (
            FloatHistogram(CUSTOM_SCHEMA, count=3.0 + 3 * at, sum=at, positive=some, custom_values=each)
            for each in bounds
        )
        for labels, shown in (({"i": "0"}, one), ({"i": "1"}, other)):
            store.append(labels_of({"__name__": "h", **labels}), at * SCRAPE_MS, shown)
        store.append(labels_of({"__name__": "changing"}), at * SCRAPE_MS, one if at < 5 else other)
    result = instant(store, query, 8 * SCRAPE_MS, OPTIONS, Budget(OPTIONS))
    assert any("mismatched custom buckets" in info for info in result.infos) == noted
    assert result.present.any()
