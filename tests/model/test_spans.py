"""Histograms as spans and counts: what contradicts itself, and lower resolutions."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.histogram import CUSTOM_SCHEMA, upper_bounds
from trimon.model.spans import HistogramError, SpanHistogram, absolute, indexes, spans_of

GOOD = SpanHistogram(1, 0.001, 2, 12, 18.4, ((0, 2), (1, 2)), (1, 2, 1, 1), ((0, 2), (1, 2)), (1, 2, 1, 1))
CUSTOM = SpanHistogram(
    CUSTOM_SCHEMA, count=6, positive_spans=((0, 3),), positive=(1, 2, 3), custom_values=(0.5, 5.0)
)
MISMATCH = "histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
FEW = "histogram's observation count should be at least the number of observations found in the buckets"
PARTS = ("count", "sum", "zero", "+0", "+1", "+3", "+4", "-0", "-1", "-3", "-4")
NEGATIVE = "histogram has a bucket whose observation count is negative"


@given(st.lists(st.integers(-50, 50), unique=True).map(sorted))
def test_spans_list_what_they_are_made_of(listed: list[int]) -> None:
    """The indexes of the spans of some buckets are those buckets, in as few spans as there are runs."""
    spans = spans_of(listed)
    assert indexes(spans) == listed
    runs = sum(after != before + 1 for before, after in itertools.pairwise(listed)) + bool(listed)
    assert len(spans) == runs


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (replace(GOOD, count=99), f"12 observations found in buckets, but the Count field is 99: {MISMATCH}"),
        (
            replace(GOOD, count=3, sum=math.nan),
            f"12 observations found in buckets, but the Count field is 3: {FEW}",
        ),
        (
            replace(GOOD, positive=(1, -2, 1, 1)),
            f"positive side: bucket number 2 has observation count of -2: {NEGATIVE}",
        ),
        (
            replace(GOOD, negative_spans=((0, 2), (-1, 2))),
            "negative side: span number 2 with offset -1: histogram has a span whose offset is negative",
        ),
        (
            replace(GOOD, positive=(1, 2)),
            (
                "positive side: spans need 4 buckets, have 2 buckets: "
                "histogram spans specify different number of buckets than provided"
            ),
        ),
        (
            replace(GOOD, schema=9),
            (
                "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom "
                "buckets, got schema 9"
            ),
        ),
        (
            replace(GOOD, custom_values=(1.0,)),
            "histogram with exponential schema must not have custom bounds",
        ),
        (
            replace(GOOD, integer=False, count=-1.5),
            "observation count is  -1.5: histogram's observation count is negative",
        ),
        (
            replace(GOOD, integer=False, zero_count=-2.0),
            f"zero bucket has observation count of -2: {NEGATIVE}",
        ),
        (
            replace(CUSTOM, custom_values=(5.0, 5.0)),
            (
                "custom buckets: previous bound is 5.000000 and current is 5.000000: "
                "histogram custom bounds must be in strictly increasing order"
            ),
        ),
        (
            replace(CUSTOM, custom_values=(1.0, math.inf)),
            "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite",
        ),
        (
            replace(CUSTOM, custom_values=(math.nan, 1.0)),
            "custom buckets: histogram custom bounds must not be NaN",
        ),
        (
            replace(CUSTOM, custom_values=(1.0,)),
            (
                "custom buckets: only 1 custom bounds defined which is insufficient to cover total span length of 3: "
                "histogram custom bounds are too few"
            ),
        ),
        (replace(CUSTOM, zero_threshold=0.1), "custom buckets: must have zero threshold of 0"),
        (replace(CUSTOM, zero_count=1), "custom buckets: must have zero count of 0"),
        (replace(CUSTOM, negative_spans=((0, 1),)), "custom buckets: must not have negative spans"),
    ],
)
def test_contradictions_are_told(wrong: SpanHistogram, text: str) -> None:
    """The first thing that is wrong is told in Prometheus' words."""
    with pytest.raises(HistogramError) as told:
        wrong.check()
    assert str(told.value) == text


def test_more_observations_than_counted_are_fine_with_a_sum_that_is_none() -> None:
    """An observation of NaN is in no bucket; floats need not add up at all."""
    replace(GOOD, count=99, sum=math.nan).check()
    replace(GOOD, integer=False, count=3.5).check()
    CUSTOM.check()


@given(
    st.lists(st.integers(-300, 300), unique=True, max_size=20).map(sorted),
    st.integers(9, 20),
)
def test_a_finer_schema_is_kept_in_the_finest_there_is(listed: list[int], schema: int) -> None:
    """Every count goes to the bucket that covers its own, and none is lost."""
    counts = tuple(range(1, len(listed) + 1))
    fine = SpanHistogram(schema, count=sum(counts), positive_spans=spans_of(listed), positive=counts)
    coarse = fine.kept()
    assert coarse.schema == 8
    totals = dict(zip(indexes(coarse.positive_spans), coarse.positive, strict=True))
    wanted: dict[int, int] = {}
    for index, count in zip(listed, counts, strict=True):
        # The upper bound of the fine bucket lies in the coarse one.
        place = math.ceil(index / 2 ** (schema - 8))
        wanted[place] = wanted.get(place, 0) + count
    assert totals == wanted


def test_deltas_add_up() -> None:
    """Counts are the running totals of deltas; components have the counts."""
    assert absolute((1, 1, -1, 0)) == (1, 2, 1, 1)
    value, texts, values = GOOD.components()
    assert texts == tuple(
        "1:0.001:" + part for part in ["count", "sum", "zero", "+0", "+1", "+3", "+4", "-0", "-1", "-3", "-4"]
    )
    assert list(values) == [12, 18.4, 2, 1, 2, 1, 1, 1, 2, 1, 1]
    assert np.isnan(value)
    assert upper_bounds(1, np.array([2]))[0] == 2.0


def test_a_zero_threshold_is_a_number() -> None:
    """One that is none is refused: it equals no other, and queries would look for a common one for ever."""
    histogram = SpanHistogram(zero_threshold=math.nan, integer=False)
    with pytest.raises(HistogramError, match="zero threshold"):
        histogram.check()
