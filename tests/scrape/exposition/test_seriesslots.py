"""Slots of the series of a protobuf body: kept, new, given twice, refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trimon.memory.series import SeriesAdmission, SeriesGrant
from trimon.model.components import component_labels
from trimon.model.labels import Labels, labels_of
from trimon.scrape.exposition.bodymemory import DUPLICATE
from trimon.scrape.exposition.families import BodyFamilies
from trimon.scrape.exposition.protobuf.memory import KnownMetrics
from trimon.scrape.exposition.protobuf.seriesslots import NEW, REFUSED, SeriesSlots
from trimon.scrape.exposition.records import BucketLimitError, SampleLimitError

A, B = (labels_of({"__name__": name}) for name in "ab")
PLAIN: Any = SimpleNamespace(names=("",), too_big=False)
TOO_BIG: Any = SimpleNamespace(names=("",), too_big=True)


def slots_of(
    slots: list[int],
    *,
    sample_limit: int = 0,
    grant: SeriesGrant | None = None,
    known: tuple[Labels, ...] = (),
) -> SeriesSlots:
    """The slots of a first body, of which some series may be known all the same."""
    before = KnownMetrics(BodyFamilies(None, {}))
    return SeriesSlots(slots, before, {hash(labels) for labels in known}, sample_limit, grant)


def test_a_series_that_is_there_twice_has_one_slot() -> None:
    """The second sample is a repetition, which counts as kept and adds no series."""
    slots: list[int] = []
    series = slots_of(slots, known=(B,))
    for labels in (A, B, A):
        series.take(NEW, labels, PLAIN, is_histogram=False)
    assert slots == [0, 1, DUPLICATE]
    assert (series.kept, series.repeats, series.added, series.new_labels) == (3, 1, 1, [A, B])


def test_limits_are_told_when_all_is_read() -> None:
    """A sample that is given twice counts once; what is beyond a limit adds no series."""
    series = slots_of([], sample_limit=1)
    series.take(NEW, A, PLAIN, is_histogram=False)
    series.take(NEW, A, PLAIN, is_histogram=False)
    series.check_limits()
    series.take(NEW, B, PLAIN, is_histogram=False)
    assert (series.is_within(), series.added) == (False, 1)
    with pytest.raises(SampleLimitError):
        series.check_limits()
    wide = slots_of([])
    wide.take(NEW, A, TOO_BIG, is_histogram=True)
    with pytest.raises(BucketLimitError):
        wide.check_limits()


def test_components_go_where_their_histogram_goes() -> None:
    """Those of a histogram have slots behind it, those of one that is there twice have none."""
    slots: list[int] = []
    series = slots_of(slots)
    for _ in range(2):
        series.histogram_at = len(slots)
        series.take(NEW, A, PLAIN, is_histogram=True)
        series.take_component("count", NEW, A)
    assert slots == [0, 1, DUPLICATE, DUPLICATE]
    assert series.new_labels == [A, component_labels(A, "count")]
    assert series.is_component == [False, True]


def test_a_series_without_memory_is_refused() -> None:
    """It has no slot, and is counted as kept and as refused."""
    slots: list[int] = []
    admission = SeriesAdmission(0)
    admission.refill(1, 0)
    grant = SeriesGrant(admission, "g", 0, is_whole=False)
    series = slots_of(slots, grant=grant)
    series.take(NEW, A, PLAIN, is_histogram=False)
    assert (slots, series.kept, series.refused, grant.refused) == ([REFUSED], 1, 1, 1)
