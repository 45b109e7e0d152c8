"""Deltas summed to cumulative series."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimon.model.labels import labels_of
from trimon.remote.otlp.deltas import IDLE_S, DeltaLeftOut, DeltaSums
from trimon.remote.otlp.native import native_exponential
from trimon.remote.otlp.points import Buckets, ExponentialPoint, HistogramPoint, Point

SERIES = labels_of({"__name__": "d"})


def test_sums_begin_with_the_first_delta_and_go_on() -> None:
    """Also over a gap; what is not newer, or began before the first, is left out."""
    sums = DeltaSums()
    assert sums.add(SERIES, Point(10, 20, value=5.0)).value == 5.0
    assert sums.add(SERIES, Point(40, 50, value=7.0)).value == 12.0
    for late in (Point(30, 40, value=1.0), Point(40, 50, value=1.0), Point(5, 60, value=1.0)):
        with pytest.raises(DeltaLeftOut):
            sums.add(SERIES, late)
    assert sums.add(SERIES, Point(50, 60, value=-2.0)).start_ns == 10


def test_what_is_not_stored_does_not_count() -> None:
    """A request that is forgotten may come again."""
    sums = DeltaSums()
    sums.add(SERIES, Point(10, 20, value=5.0))
    sums.commit(0.0)
    sums.add(SERIES, Point(20, 30, value=7.0))
    sums.forget()
    assert sums.add(SERIES, Point(20, 30, value=7.0)).value == 12.0


def test_series_are_bounded_and_idle_ones_go() -> None:
    """One more series than there may be is left out, until an old one has said nothing for long."""
    sums = DeltaSums(streams_max=2)
    names = [labels_of({"__name__": name}) for name in "abc"]
    for number, name in enumerate(names[:2]):
        sums.add(name, Point(10, 20, value=1.0))
        sums.commit(100.0 * number)
    with pytest.raises(DeltaLeftOut, match="more than 2 series of deltas"):
        sums.add(names[2], Point(10, 20, value=1.0))
    assert sums.add(names[1], Point(20, 30, value=1.0)).value == 2.0
    sums.commit(IDLE_S)
    assert len(sums) == 1
    assert sums.add(names[2], Point(10, 20, value=1.0)).value == 1.0
    assert sums.add(names[1], Point(30, 40, value=1.0)).value == 3.0


def test_a_series_that_ended_begins_anew() -> None:
    """A point without a recorded value forgets the sum."""
    sums = DeltaSums()
    sums.add(SERIES, Point(10, 20, value=5.0))
    assert sums.add(SERIES, Point(20, 30, flags=1)).has_no_value
    assert sums.add(SERIES, Point(30, 40, value=2.0)).value == 2.0


def test_histograms_of_other_bounds_begin_anew() -> None:
    """Counts of the same bounds are added, other ones are not."""
    sums = DeltaSums()
    sums.add(SERIES, HistogramPoint(10, 20, count=3, sum=1.0, counts=[1, 2], bounds=[1.0]))
    total = sums.add(SERIES, HistogramPoint(20, 30, count=2, sum=0.5, counts=[1, 1], bounds=[1.0]))
    assert (total.count, total.sum, total.counts) == (5, 1.5, [2, 3])
    total = sums.add(SERIES, HistogramPoint(30, 40, count=1, counts=[0, 1], bounds=[2.0]))
    assert (total.count, total.sum, total.counts) == (1, None, [0, 1])


SIDES = st.builds(Buckets, st.integers(-400, 400), st.lists(st.integers(0, 9), max_size=200))
POINTS = st.builds(
    lambda positive, negative, scale, zeros: ExponentialPoint(
        count=zeros + sum(positive.counts) + sum(negative.counts),
        sum=1.0,
        scale=scale,
        zero_count=zeros,
        positive=positive,
        negative=negative,
    ),
    SIDES,
    SIDES,
    st.integers(-4, 20),
    st.integers(0, 5),
)


@given(st.lists(POINTS, min_size=1, max_size=4))
def test_exponential_sums_count_every_observation(points: list[ExponentialPoint]) -> None:
    """Whatever the scales and the distances: nothing is lost, and the sum of several is narrow."""
    sums = DeltaSums()
    total = points[0]
    for step, point in enumerate(points):
        point.start_ns, point.time_ns = 10 * step, 10 * step + 10
        total = sums.add(SERIES, point)
    assert total.count == sum(point.count for point in points)
    for side in ("positive", "negative"):
        counted = sum(sum(getattr(point, side).counts) for point in points)
        assert sum(getattr(total, side).counts) == counted
    assert total.scale <= min(point.scale for point in points)
    if len(points) > 1:
        assert max(len(total.positive.counts), len(total.negative.counts)) <= 160
    if total.scale >= -4:
        native_exponential(total, gauge=False).check()
