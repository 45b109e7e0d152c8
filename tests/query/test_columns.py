"""Histograms as columns: what they become as objects."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage.conftest import START_MS, Bench
from tests.support.histogram_rows import batch_of
from trimon.model.components import is_marker
from trimon.model.frame import SampleFrame
from trimon.model.histogram import CUSTOM_SCHEMA, Buckets, FloatHistogram, ResetHint
from trimon.model.labels import Labels, labels_of
from trimon.model.sample import STALE_NAN, is_stale
from trimon.model.snapshot import Snapshot
from trimon.query.answer.json import render_data
from trimon.query.conformance.columns import with_columns
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import range_
from trimon.query.execution.budget import Budget
from trimon.query.histograms.framecells import with_objects
from trimon.query.language.options import EXPERIMENTAL_FUNCTIONS, QueryOptions

LAYOUTS = (
    FloatHistogram(1, 0.001),
    FloatHistogram(0, 0.001),
    FloatHistogram(-1, 0.001),
    FloatHistogram(1, 0.5),
    FloatHistogram(0, 1.5),
    FloatHistogram(CUSTOM_SCHEMA, custom_values=(1.0, 2.5, 10.0)),
    FloatHistogram(CUSTOM_SCHEMA, custom_values=(1.0, 10.0)),
)
SCRAPE_MS = 15_000
OPTIONS = QueryOptions(features=frozenset({EXPERIMENTAL_FUNCTIONS}))


Samples = list[float | FloatHistogram | None]


def samples_of(seed: int) -> Samples:
    """What a series has at each scrape: mostly histograms of one layout that grow, with resets, changes, floats and gaps."""
    rng = random.Random(seed)
    layout = rng.choice(LAYOUTS)
    odd = rng.choice([0.0, 0.0, 0.1, 0.4])
    gauge = rng.random() < 0.2
    whole = rng.random() < 0.5
    counts: dict[int, float] = {}
    total = 0.0
    out: Samples = []
    for _ in range(rng.randint(1, 40)):
        if rng.random() < odd / 2:
            out.append(rng.choice([None, None, STALE_NAN, rng.random() * 100]))
            continue
        if rng.random() < odd / 4:
            layout, counts, total = rng.choice(LAYOUTS), {}, 0.0
        if rng.random() < odd / 2:
            counts = {index: math.floor(count * rng.random()) for index, count in counts.items()}
        if rng.random() < odd / 8:
            gauge = not gauge
        for _ in range(rng.randint(0, 3)):
            index = rng.randint(0, len(layout.custom_values)) if layout.custom else rng.randint(-3, 6)
            counts[index] = counts.get(index, 0.0) + (rng.randint(0, 9) if whole else rng.random())
            total += rng.random() * 10 - 1
        out.append(histogram(layout, counts, total, gauge=gauge))
    return out


SERIES = st.lists(st.integers(0, 2**32).map(samples_of), min_size=1, max_size=4)


def histogram(
    layout: FloatHistogram, counts: dict[int, float], total: float, *, gauge: bool
) -> FloatHistogram:
    """A histogram; the even of the counts of an exponential one are in negative buckets, the first in the zero bucket."""
    number = sum(counts.values())
    hint = ResetHint.GAUGE if gauge else ResetHint.UNKNOWN
    if layout.custom:
        return replace(layout, count=number, sum=total, positive=buckets(counts), hint=hint)
    negative = {index: count for index, count in counts.items() if index < -1}
    positive = {index: count for index, count in counts.items() if index > 0}
    return replace(
        layout,
        count=number,
        sum=total,
        zero_count=number - sum(negative.values()) - sum(positive.values()) if number else 0.0,
        positive=buckets(positive),
        negative=buckets(negative),
        hint=hint,
    )


def buckets(counts: dict[int, float]) -> Buckets:
    """Buckets by their index."""
    return Buckets(
        np.array(sorted(counts), np.int64), np.array([counts[index] for index in sorted(counts)], np.float64)
    )


def name_of(number: int) -> Labels:
    """The labels of a series."""
    return labels_of({"__name__": "h_total", "i": str(number), "half": str(number % 2)})


def store_of(series: list[Samples], *, columns: bool, start_ms: int = 0) -> MemoryStore:
    """The series `h_total{i="0"}` and so on."""
    store = MemoryStore(columns=columns)
    for number, values in enumerate(series):
        for at, value in enumerate(values):
            if value is not None:
                store.append(name_of(number), start_ms + at * SCRAPE_MS, value)
    return store


def key(one: FloatHistogram) -> tuple[object, ...]:
    """All that a histogram is, to the bit. Those of custom buckets have no zero bucket."""
    numbers = (0.0 if one.custom else one.zero_count, one.count, one.sum, one.zero_threshold)
    sides = [array.tolist() for part in (one.positive, one.negative) for array in (part.index, part.counts)]
    shown = [[number(value) for value in side] for side in (*sides, numbers)]
    return (one.schema, one.custom_values, one.hint, str(shown))


def same(left: FloatHistogram | None, right: FloatHistogram | None) -> bool:
    """Equal in everything, empty buckets that are there included."""
    if left is None or right is None:
        return left is right

    return key(left) == key(right)


def objects_frame(series: list[Samples]) -> SampleFrame:
    """The samples as a frame with objects, hints as storage finds them."""
    return store_of(series, columns=False).select([], 0, 0).frame(0, 10**9)


@settings(max_examples=150, deadline=None)
@given(series=SERIES)
def test_columns_become_the_same_objects(series: list[Samples]) -> None:
    """Histograms that were made columns are the same objects again, with empty buckets and hints; no marker is left."""
    frame = objects_frame(series)
    again = with_objects(with_columns(frame))
    assert not is_marker(again.values).any()
    assert again.native is None
    if frame.histograms is None:
        assert again.histograms is None
        return
    assert again.histograms is not None
    for left, right in zip(frame.histograms.tolist(), again.histograms.tolist(), strict=True):
        assert same(left, right)
    floats = np.array([cell is None for cell in frame.histograms])
    assert frame.values[floats].tobytes() == again.values[floats].tobytes()


def test_a_marker_without_numbers_is_stale() -> None:
    """Of a histogram whose numbers are lost nothing is shown, least of all its marker."""
    made = with_columns(objects_frame([[histogram(LAYOUTS[0], {1: 2.0}, 3.0, gauge=False)] * 3]))
    native = made.native
    assert native is not None
    lost = replace(made, native=replace(native, part=np.full_like(native.part, 1)))
    again = with_objects(lost)
    assert again.histograms is None
    assert is_stale(again.values).all()
    assert again.has_stale.all()


FUNCTIONS = (
    "rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "last_over_time", "first_over_time",
    "count_over_time", "present_over_time", "ts_of_first_over_time", "ts_of_last_over_time", "resets", "changes",
    "min_over_time",
)  # fmt: skip
QUERIES = (
    "h_total",
    "h_total offset 20s",
    "h_total @ 100",
    "timestamp(h_total)",
    "histogram_count(h_total)",
    "histogram_count(sum(h_total))",
    "histogram_sum(sum_over_time(h_total[1m]))",
    *(f"{function}(h_total[{window}])" for function in FUNCTIONS for window in ("1m", "95s")),
    "rate(h_total[3m:10s])",
    *(
        f"histogram_quantile({q}, h_total)"
        for q in (-1, 0, 0.1, 0.5, 0.9, 1, 2, "NaN", "scalar(vector(time() / 600))")
    ),
    *(f"histogram_quantile({q}, rate(h_total[1m]))" for q in (0, 0.3, 0.8, 1)),
    *(
        f"histogram_fraction({low}, {high}, h_total)"
        for low, high in (
            (0, 1),
            (-1, 0),
            (-0.3, 0),
            ("-Inf", 0.7),
            (0.7, "Inf"),
            (1, 0),
            ("NaN", 1),
            (-2, -0.1),
            ("time() / 300 - 1", 2.5),
            (1, 10),
        )
    ),
    "histogram_fraction(0, 2, increase(h_total[1m]))",
    "histogram_avg(h_total)",
    *(
        f"{op}{by} ({of})"
        for op in ("sum", "avg")
        for by in ("", " by (half)")
        for of in (
            "h_total",
            "rate(h_total[1m])",
            "h_total{i!='0'}",
            "h_total or vector(1)",
            "h_total unless on(i) h_total{half='1'} offset 1m",
        )
    ),
    *(
        f"h_total {op} {factor}"
        for op in ("*", "/")
        for factor in (2, 0, -0.5, "Inf", "NaN", "(time() / 300 - 1)")
    ),
    "3 * rate(h_total[1m])",
    "-h_total",
    "2 / h_total",
    "h_total > 2",
    "h_total + 2",
    "histogram_quantile(0.5, h_total * 0)",
    "histogram_quantile(0.5, h_total / 0)",
    *(
        f"{a} {op} {b}"
        for op in ("+", "-", "*", "/", "==", "> bool")
        for a, b in (
            ("h_total", "h_total offset 30s"),
            ("rate(h_total[1m])", "rate(h_total[2m])"),
            ("h_total", "on(half) group_left() h_total{i='1'}"),
            ("h_total", "histogram_count(h_total)"),
            ("h_total", "on(i) (h_total{half='1'} or vector(2))"),
        )
    ),
    "histogram_count(h_total) * h_total",
    "h_total - h_total",
    "count(h_total)",
    "max(h_total)",
    "histogram_quantile(0.9, sum(rate(h_total[1m])))",
    "topk(1, h_total)",
    "limitk(2, h_total)",
    "count_values('v', h_total)",
    "label_replace(h_total, 'x', '$1', 'i', '(.*)')",
    "sort_desc(h_total)",
    "absent(h_total)",
    "scalar(h_total)",
    "h_total and on(half) h_total{i='1'}",
    "histogram_count(sum(h_total) by (half))",
    "sum_over_time(h_total[2m:40s])",
    "histogram_sum(rate(h_total[1m]))",
    "histogram_stddev(h_total)",
    "histogram_stdvar(increase(h_total[1m]))",
)


ROUNDED = "histogram_(quantile|fraction|std)"


def outcome(series: list[Samples], query: str, *, columns: bool) -> list[object]:
    """All of the answer to a query of series in memory."""
    return answer(store_of(series, columns=columns), query, 0)


def answer(snapshot: Snapshot, query: str, start_ms: int) -> list[Any]:
    """All of the answer to a query: samples by series and time, and what is said beside it."""
    result = range_(snapshot, query, start_ms, start_ms + 600_000, 20_000, OPTIONS, Budget(OPTIONS))
    samples = result.flat()
    shown: list[Any] = [result.warnings, result.infos]
    # Powers and logarithms of arrays may differ from those of single numbers in the last place.
    written = rounded if re.match(ROUNDED, query) else number
    for row in range(result.series):
        part = slice(int(samples.offsets[row]), int(samples.offsets[row + 1]))
        cells = [None] * (part.stop - part.start)
        if samples.histograms is not None:
            cells = samples.histograms[part].tolist()
        values = samples.values[part].tolist()
        both = zip(samples.times_ms[part].tolist(), values, cells, strict=True)
        shown.append(
            (result.labels.labels(row), [(t, written(v) if h is None else key(h)) for t, v, h in both])
        )
    return shown


def number(value: float) -> object:
    """A float by its bits; one NaN is as good as another."""
    return "NaN" if math.isnan(value) else float(value).hex()


def rounded(value: float) -> object:
    """A float without the last places."""
    return f"{value:.12g}"


@settings(max_examples=120, deadline=None)
@given(series=SERIES, data=st.data())
def test_columns_give_what_objects_give(series: list[Samples], data: st.DataObject) -> None:
    """Whatever is asked, columns give the same values to the bit, the same buckets, hints, gaps and remarks as objects."""
    for query in data.draw(st.lists(st.sampled_from(QUERIES), min_size=12, max_size=12, unique=True)):
        assert outcome(series, query, columns=True) == outcome(series, query, columns=False), query


@settings(max_examples=60, deadline=None)
@given(
    series=SERIES,
    query=st.sampled_from(
        ("h_total", "rate(h_total[1m])", "-h_total", "h_total or vector(1)", "h_total / 0")
    ),
)
def test_columns_are_written_as_objects_are(series: list[Samples], query: str) -> None:
    """The JSON of histograms is the same whether they are columns or objects, floats beside them included."""
    result = range_(store_of(series, columns=True), query, 0, 600_000, 20_000, OPTIONS, Budget(OPTIONS))
    written = render_data(result)
    assert (result.native is None) == (b'"histograms"' not in written)
    assert result.histograms is None or result.cells is not None
    assert render_data(result) == written
    orjson.loads(written)


def test_a_limited_answer_keeps_its_columns() -> None:
    """Of the first series of an answer the histograms are shown, and what they take in memory is counted."""
    one: Samples = [histogram(LAYOUTS[0], {1: float(at), 3: 2.0}, 3.0, gauge=False) for at in range(9)]
    series = [one] * 3
    result = range_(store_of(series, columns=True), "h_total", 0, 60_000, 20_000, OPTIONS, Budget(OPTIONS))
    shown, cut = result.limited(2)
    assert cut
    assert shown.native is not None
    assert shown.size_bytes < result.size_bytes
    assert orjson.loads(render_data(shown))["result"] == orjson.loads(render_data(result))["result"][:2]


@pytest.mark.parametrize("seed", range(6))
def test_storage_gives_what_memory_gives(tmp_path: Path, seed: int) -> None:
    """Histograms that went through a store are answered as those in memory are, as objects."""
    series, bench = [samples_of(seed * 10 + number) for number in range(4)], Bench(tmp_path / "data")
    for at in range(max(map(len, series))):
        time_ms = START_MS + at * SCRAPE_MS
        bench.clock.value_ms = time_ms
        shown = [(name_of(number), values[at]) for number, values in enumerate(series) if at < len(values)]
        known = [(labels, time_ms, value) for labels, value in shown if value is not None]
        if known:
            bench.append(batch_of(known, integer=False))
    memory, snapshot = store_of(series, columns=False, start_ms=START_MS), bench.store.snapshot()
    for query in QUERIES:
        if not re.search(r"time\(\)|@|limitk", query):
            found, wanted = answer(snapshot, query, START_MS), answer(memory, query, START_MS)
            # Storage has an order of series of its own, in which remarks come.
            assert list(map(sorted, found[:2])) == list(map(sorted, wanted[:2])), query
            assert found[2:] == wanted[2:], query
    bench.store.close()
