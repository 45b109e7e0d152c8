"""Native histograms: arithmetic, quantiles, trimming, and their JSON."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimon.model.histogram import Buckets, FloatHistogram, ResetHint, ordered, upper_bounds
from trimon.model.histogramtext import histogram_expression, histogram_text
from trimon.model.labels import labels_of
from trimon.query.answer.json import render_data
from trimon.query.conformance.memory import MemoryStore
from trimon.query.engine import instant, range_
from trimon.query.execution.budget import Budget
from trimon.query.histograms.arithmetic import IncompatibleError, added, combined, equal, scaled, to_schema
from trimon.query.histograms.quantile import fraction, quantile, variance
from trimon.query.histograms.resets import was_reset
from trimon.query.histograms.text import as_data
from trimon.query.histograms.trim import trimmed
from trimon.query.language.options import QueryOptions

OPTIONS = QueryOptions()
counts = st.lists(st.integers(0, 50).map(float), min_size=0, max_size=6).map(tuple)


@st.composite
def exponential(draw: st.DrawFn) -> FloatHistogram:
    """A histogram with exponential buckets whose count is the sum of its buckets."""
    positive, negative = draw(counts), draw(counts)
    zero = float(draw(st.integers(0, 9)))
    return FloatHistogram(
        draw(st.integers(-2, 4)),
        draw(st.sampled_from([0.0, 0.001, 0.3])),
        zero,
        sum(positive) + sum(negative) + zero,
        draw(st.integers(-100, 100).map(float)),
        Buckets.of(draw(st.integers(-3, 5)), positive),
        Buckets.of(draw(st.integers(-3, 5)), negative),
    )


def population(histogram: FloatHistogram) -> float:
    """All observations that are in any bucket."""
    buckets = float(histogram.positive.counts.sum() + histogram.negative.counts.sum())
    return buckets + histogram.zero_count


@settings(max_examples=200, deadline=None)
@given(left=exponential(), right=exponential())
def test_addition_loses_no_observation(left: FloatHistogram, right: FloatHistogram) -> None:
    """Adding is commutative and keeps every observation, whatever the resolutions and zero buckets are."""
    total, turned = added(left, right).histogram, added(right, left).histogram
    assert equal(total, turned)
    assert population(total) == pytest.approx(population(left) + population(right))
    assert total.count == left.count + right.count
    assert equal(total, combined([left, right]).histogram)


@settings(max_examples=100, deadline=None)
@given(histogram=exponential(), other=exponential())
def test_subtraction_undoes_addition(histogram: FloatHistogram, other: FloatHistogram) -> None:
    """What was added and taken away again leaves the counts as they were, as a gauge."""
    back = added(added(histogram, other).histogram, other, subtract=True).histogram
    assert back.hint is ResetHint.GAUGE
    assert back.count == pytest.approx(histogram.count)
    assert population(back) == pytest.approx(population(histogram))


@settings(max_examples=100, deadline=None)
@given(histogram=exponential(), schema=st.integers(-4, 4))
def test_lower_resolution_keeps_the_edges(histogram: FloatHistogram, schema: int) -> None:
    """At a lower resolution every bucket is within one of the wider buckets, and no observation is lost."""
    coarse = to_schema(histogram, schema)
    assert population(coarse) == population(histogram)
    wide = ordered(coarse)
    for low, high in zip(ordered(histogram).lower, ordered(histogram).upper, strict=True):
        assert ((wide.lower <= low) & (wide.upper >= high)).any()


@settings(max_examples=200, deadline=None)
@given(histogram=exponential(), q=st.floats(0, 1))
def test_fraction_inverts_quantile(histogram: FloatHistogram, q: float) -> None:
    """The share of observations below a quantile is that quantile, as far as buckets are populated there."""
    # A zero bucket wider than the buckets beside it would overlap them.
    histogram = replace(histogram, zero_threshold=min(histogram.zero_threshold, 1e-6))
    value, _ = quantile(q, histogram)
    if histogram.count == 0:
        assert math.isnan(value)
        return
    share, _ = fraction(-math.inf, value, histogram)
    above, _ = fraction(-math.inf, math.nextafter(value, math.inf), histogram)
    assert share - 1e-9 <= q <= above + 1e-6 or histogram.zero_threshold == 0


@settings(max_examples=200, deadline=None)
@given(histogram=exponential(), value=st.floats(-20, 20))
def test_trimming_cuts_in_two(histogram: FloatHistogram, value: float) -> None:
    """What lies below a value and what lies above it are together everything."""
    below = trimmed(histogram, value, keep_below=True)
    above = trimmed(histogram, value, keep_below=False)
    assert below.count + above.count == pytest.approx(histogram.count)


@settings(max_examples=100, deadline=None)
@given(histogram=exponential(), growth=exponential())
def test_a_growing_counter_was_not_reset(histogram: FloatHistogram, growth: FloatHistogram) -> None:
    """A histogram that only grew shows no reset; one that lost a populated bucket does."""
    grown = added(histogram, to_schema(growth, histogram.schema)).histogram
    if grown.zero_threshold == histogram.zero_threshold:
        assert not was_reset(grown, histogram)
    if histogram.count > 0:
        assert was_reset(scaled(histogram, 0.5), histogram)


def test_exponential_and_custom_do_not_mix() -> None:
    """Histograms of the two kinds of buckets can not be added."""
    custom = FloatHistogram(-53, count=1, sum=1, positive=Buckets.of(0, (1.0,)), custom_values=(5.0,))
    with pytest.raises(IncompatibleError):
        added(FloatHistogram(), custom)


def test_means_do_not_overflow() -> None:
    """The mean of huge counts is right although their sum is infinite."""
    parts = [FloatHistogram(count=1.7e308, sum=1.0), FloatHistogram(count=1.1e308, sum=3.0)]
    with np.errstate(all="ignore"):
        mean = combined(parts, mean=True).histogram
    assert mean.count == pytest.approx(1.4e308)
    assert mean.sum == 2.0


def test_text() -> None:
    """The text has brackets that tell which ends belong to a bucket."""
    histogram = FloatHistogram(
        0, 0.001, 2.0, 20.0, 10.0, Buckets.of(0, (1.0, 2.0)), Buckets.of(0, (1.0, 2.0))
    )
    shown = "{count:20, sum:10, [-2,-1):2, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:2}"
    assert histogram_text(histogram) == shown


def test_json() -> None:
    """The API shows histograms beside floats: bounds, counts and which ends belong to a bucket."""
    store = MemoryStore()
    labels = labels_of({"__name__": "h"})
    histogram = FloatHistogram(0, 0.5, 1.0, 4.0, 10.5, Buckets.of(1, (3.0, 0.0)))
    store.append(labels, 0, 7.0)
    store.append(labels, 15_000, histogram)
    result = instant(store, "h", 15_000, OPTIONS, Budget(OPTIONS))
    shown = {"count": "4", "sum": "10.5", "buckets": [[3, "-0.5", "0.5", "1"], [0, "1", "2", "3"]]}
    assert orjson.loads(render_data(result))["result"] == [
        {"metric": {"__name__": "h"}, "histogram": [15, shown]}
    ]
    ranged = range_(store, "h", 0, 30_000, 15_000, OPTIONS, Budget(OPTIONS))
    (series,) = orjson.loads(render_data(ranged))["result"]
    assert series["values"] == [[0, "7"]]
    assert series["histograms"] == [[15, shown], [30, shown]]
    (raw,) = orjson.loads(render_data(instant(store, "h[1m]", 15_000, OPTIONS, Budget(OPTIONS))))["result"]
    assert raw["histograms"] == [[15, shown]]


def test_bounds_are_those_of_prometheus_to_the_bit() -> None:
    """Bounds are not always the nearest floats to the powers of two; the last finite one is the largest float."""
    schema_3 = [0.5452538663326288, 0.5946035575013605, 0.6484197773255048, 0.7071067811865475]
    assert upper_bounds(3, np.arange(1, 5)).tolist() == [2 * bound for bound in schema_3]
    assert upper_bounds(8, np.array([255])).tolist() == [2 * 0.9972960560854698]
    assert upper_bounds(1, np.array([-1, 3])).tolist() == [0.7071067811865475, 4 * 0.7071067811865475]
    largest = float(np.finfo(np.float64).max)
    assert upper_bounds(0, np.array([1024, 1025])).tolist() == [largest, float("inf")]
    assert upper_bounds(2, np.array([4096])).tolist() == [largest]
    assert upper_bounds(-2, np.array([256])).tolist() == [largest]


def test_histograms_in_the_notation_of_unit_tests() -> None:
    """What is zero is left out; counts run from the first populated bucket to the last."""
    buckets = Buckets(np.array([-1, 1]), np.array([2.0, 3.0]))
    histogram = FloatHistogram(1, 0.5, 4.0, 9.0, -1.5, buckets, hint=ResetHint.GAUGE)
    want = "{{schema:1 count:9 sum:-1.5 z_bucket:4 z_bucket_w:0.5 counter_reset_hint:gauge offset:-1 buckets:[2 0 3]}}"
    assert histogram_expression(histogram) == want
    custom = FloatHistogram(-53, count=1.0, positive=Buckets.of(0, (1.0,)), custom_values=(0.5, 5.0))
    assert histogram_expression(custom) == "{{schema:-53 count:1 custom_values:[0.5 5] buckets:[1]}}"
    assert histogram_expression(FloatHistogram()) == "{{}}"


def test_buckets_end_where_the_zero_bucket_begins() -> None:
    """Exponential buckets that reach below the zero threshold are shown and counted with from there on; texts have all."""
    histogram = FloatHistogram(
        0, 0.75, 1.0, 9.0, 1.0, Buckets.of(0, (2.0, 2.0)), Buckets.of(0, (2.0, 2.0))
    )  # fmt: skip
    bounds = [["-2", "-1"], ["-1", "-0.75"], ["-0.75", "0.75"], ["0.75", "1"], ["1", "2"]]
    assert [row[1:3] for row in as_data(histogram, lambda number: f"{number:g}")["buckets"]] == bounds
    assert "(0.5,1]:2" in histogram_text(histogram)
    store = MemoryStore()
    store.append(labels_of({"__name__": "h"}), 0, histogram)
    native = instant(store, "h", 0, OPTIONS, Budget(OPTIONS))
    (shown,) = orjson.loads(render_data(native))["result"]
    assert [row[1:3] for row in shown["histogram"][1]["buckets"]] == bounds
    for query, wanted in (
        ("histogram_quantile(7 / 9, h)", 1.0),
        ("histogram_quantile(6 / 9, h)", math.sqrt(0.75)),
        ("histogram_fraction(0, 0.75, h)", 0.5 / 9),
    ):
        (found,) = orjson.loads(render_data(instant(store, query, 0, OPTIONS, Budget(OPTIONS))))["result"]
        assert float(found["value"][1]) == pytest.approx(wanted)
    middle = math.sqrt(0.75), math.sqrt(2)
    away = sum(2 * ((side * each - 1 / 9) ** 2) for side in (1, -1) for each in middle) + (1 / 9) ** 2
    assert variance(histogram) == pytest.approx(away / 9)
