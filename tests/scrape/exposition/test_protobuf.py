"""Bodies in protobuf: what was written is read, by whatever way, and no bytes are a bug."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.metricfamilies import FamilyNumbers, HistogramNumbers, MetricNumbers, body_of
from trimon.gotext.floats import format_label
from trimon.model.components import Layout, MarkerFlags, Part, component_labels, marker
from trimon.model.labels import Labels, labels_of
from trimon.scrape.exposition.bodymemory import BodyReading, BrokenBody
from trimon.scrape.exposition.families import MetadataCache
from trimon.scrape.exposition.protobuf.histograms import HistogramRules, schema_of_factor
from trimon.scrape.exposition.protobuf.layout import ProtobufLayout
from trimon.scrape.exposition.protobuf.memory import MetricRules
from trimon.scrape.exposition.protobuf.shape import Shapes
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

KINDS = ("counter", "gauge", "summary", "untyped", "histogram", "gaugehistogram")
NUMBERS = st.floats(width=64, allow_nan=False) | st.integers(0, 2**40).map(float)
COUNTS = st.integers(0, 2**34)


def layout(rules: HistogramRules | None = None, *, sample_limit: int = 0) -> ProtobufLayout:
    """A layout without labels of a target."""
    metric_rules = MetricRules(
        SeriesLabels((), PoolOptions("j")), True, Shapes(rules or HistogramRules(native=True)), False
    )
    return ProtobufLayout(metric_rules, MetadataCache(), sample_limit=sample_limit)


class Reader:
    """A layout, and the labels of its slots as a session would know them."""

    def __init__(self, rules: HistogramRules | None = None) -> None:
        self.layout = layout(rules)
        self.slots: list[Labels] = []

    def read(self, body: bytes) -> dict[Labels, float]:
        """The values by series, markers and components among them."""
        reading = self.layout.read(body)
        self.take(reading)
        return dict(zip(self.slots, reading.values.tolist(), strict=True))

    def take(self, reading: BodyReading) -> None:
        """Follows the slots."""
        if reading.moved:
            new = iter(reading.new_labels)
            self.slots = [self.slots[old] if old >= 0 else next(new) for old in reading.old_slot.tolist()]
            assert list(new) == []
        assert [hash(labels) for labels in self.slots] == self.layout.hashes.tolist()


@st.composite
def histograms(draw: st.DrawFn, *, native: bool) -> HistogramNumbers:
    """A histogram whose numbers agree."""
    total_sum = draw(NUMBERS)
    is_float = draw(st.booleans())
    if not native:
        bounds = sorted(draw(st.sets(st.sampled_from((0.1, 0.5, 1.0, 2.5, 10.0)))))
        steps = draw(st.lists(COUNTS, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
        cumulative = np.cumsum(steps).tolist()
        buckets = tuple(zip(bounds, cumulative, strict=False))
        return HistogramNumbers(cumulative[-1], total_sum, buckets, is_float=is_float)
    positive, negative = (
        tuple(sorted(draw(st.dictionaries(st.integers(-20, 20), COUNTS, max_size=5)).items())) for _ in "+-"
    )
    zero = draw(COUNTS)
    total = zero + sum(count for _, count in (*positive, *negative))
    return HistogramNumbers(
        max(total, 1) if is_float else total,
        total_sum,
        (),
        draw(st.integers(-4, 8)),
        2.0 ** draw(st.integers(-128, -1)),
        zero,
        positive,
        negative,
        is_float=is_float,
        packed=draw(st.booleans()),
    )


@st.composite
def metrics(draw: st.DrawFn, kind: str, native: bool, number: int) -> MetricNumbers:
    """A metric with numbers of its kind."""
    held = draw(histograms(native=native and "histogram" in kind))
    quantiles = sorted(draw(st.sets(st.sampled_from((0.5, 0.9, 0.99)))))
    return MetricNumbers(
        (("n", str(number)), ("x", draw(st.sampled_from(("", "a", "ä"))))),
        draw(NUMBERS),
        tuple((at, draw(NUMBERS)) for at in quantiles),
        replace(held, is_float=False) if kind == "summary" else held,
    )


@st.composite
def bodies(draw: st.DrawFn) -> tuple[FamilyNumbers, ...]:
    """Some families of a few metrics each."""
    families = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(KINDS))
        native = draw(st.booleans())
        made = tuple(draw(metrics(kind, native, one)) for one in range(draw(st.integers(0, 4))))
        families.append(FamilyNumbers(f"family_{number}", kind, made, "Help."))
    return tuple(families)


def expected(families: tuple[FamilyNumbers, ...]) -> dict[Labels, float]:
    """The series of families, worked out from what was put in."""
    out: dict[Labels, float] = {}
    for family in families:
        for metric in family.metrics:
            out |= _series(family, metric)
    return out


def _series(family: FamilyNumbers, metric: MetricNumbers) -> dict[Labels, float]:
    def own(suffix: str = "", **more: str) -> Labels:
        return labels_of({"__name__": family.name + suffix, **dict(metric.labels), **more})

    held = metric.histogram
    if family.kind == "summary":
        points = {own(quantile=format_label(at)): value for at, value in metric.quantiles}
        return {own("_count"): float(held.count), own("_sum"): held.sum, **points}
    if "histogram" not in family.kind:
        return {own(): metric.value}
    if not held.zero_threshold:
        buckets = {own("_bucket", le=format_label(bound)): float(count) for bound, count in held.buckets}
        total = float(held.count)
        return {own("_count"): total, own("_sum"): held.sum, **buckets, own("_bucket", le="+Inf"): total}
    shape = Layout(held.schema, held.zero_threshold)
    is_float = held.is_float and (held.count > 0 or held.zero_count > 0)
    flags = MarkerFlags.FLOAT if is_float else MarkerFlags.NONE
    if family.kind == "gaugehistogram":
        flags |= MarkerFlags.GAUGE
    numbers = {shape.text(Part.COUNT): held.count, shape.text(Part.ZERO): held.zero_count}
    numbers |= {shape.text(Part.POSITIVE, index): count for index, count in held.positive}
    numbers |= {shape.text(Part.NEGATIVE, index): count for index, count in held.negative}
    components = {component_labels(own(), text): float(value) for text, value in numbers.items()}
    return {own(): marker(flags), component_labels(own(), shape.text(Part.SUM)): held.sum, **components}


def same(one: dict[Labels, float], other: dict[Labels, float]) -> bool:
    """Equality with NaN bit by bit, as markers need it."""
    return one.keys() == other.keys() and all(
        np.float64(value).view(np.int64) == np.float64(other[labels]).view(np.int64) or value == other[labels]
        for labels, value in one.items()
    )


@given(bodies())
def test_what_was_written_is_read(families: tuple[FamilyNumbers, ...]) -> None:
    """Every series with its number, and every component of a native histogram."""
    assert same(Reader().read(body_of(families)), expected(families))


@given(bodies(), st.data())
def test_the_next_body_is_read_as_if_it_were_the_first(
    families: tuple[FamilyNumbers, ...], data: st.DataObject
) -> None:
    """After other numbers, of whatever length, and after metrics and buckets that come and go."""
    reader = Reader()
    reader.read(body_of(families))
    for _ in range(3):
        changed = []
        for family in families:
            kept = []
            for metric in family.metrics:
                what = data.draw(st.sampled_from(("same", "same", "value", "all", "gone")))
                if what == "value":
                    kept.append(metric.with_(value=data.draw(NUMBERS)))
                elif what == "all":
                    native = bool(metric.histogram.zero_threshold)
                    kept.append(data.draw(metrics(family.kind, native, int(metric.labels[0][1]))))
                elif what == "same":
                    kept.append(metric)
            changed.append(replace(family, metrics=tuple(kept)))
        families = tuple(changed)
        body = body_of(families)
        assert same(reader.read(body), expected(families))


def outcome(one: ProtobufLayout, body: bytes) -> Any:
    """What reading gives: values by hash, or the error."""
    try:
        reading = one.read(body)
    except BrokenBody as broken:
        return str(broken), broken.samples, broken.kept
    values = reading.values.view(np.int64).tolist()
    timed = [(labels, time_ms, np.float64(value).view(np.int64)) for labels, time_ms, value in reading.timed]
    return dict(zip(one.hashes.tolist(), values, strict=True)), timed, reading.samples, reading.kept


@given(bodies(), st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_bytes_are_a_bug(families: tuple[FamilyNumbers, ...], changes: list[tuple[int, int]]) -> None:
    """A body with some other bytes is read or refused, and by what is known of the last one as by nothing."""
    body = bytearray(body_of(families))
    for place, value in changes:
        if body:
            body[place % len(body)] = value
    known = layout()
    known.read(body_of(families))
    assert outcome(known, bytes(body)) == outcome(layout(), bytes(body))


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read(noise: bytes) -> None:
    """Whatever the bytes, nothing but BrokenBody is raised."""
    outcome(layout(), noise)


@given(bodies(), st.integers(0, 400))
def test_a_body_that_ends_early_is_refused(families: tuple[FamilyNumbers, ...], cut: int) -> None:
    """Unless it ends where a family does."""
    body = body_of(families)
    short = body[: max(len(body) - 1 - cut, 0)]
    ends = {len(body_of(families[:count])) for count in range(len(families) + 1)}
    if len(short) in ends:
        outcome(layout(), short)
    else:
        with pytest.raises(BrokenBody):
            layout().read(short)


def test_an_unchanged_layout_moves_nothing() -> None:
    """Numbers that grow in place, and numbers that grow longer, keep the slots; a bucket that is new moves them."""

    def body(value: float, count: int, *more: tuple[int, int]) -> bytes:
        held = HistogramNumbers(
            count + sum(number for _, number in more), 1.0, (), 1, 0.001, 0, ((0, count), *more)
        )
        return body_of(
            (
                FamilyNumbers("g", "gauge", (MetricNumbers((), value),)),
                FamilyNumbers("h", "histogram", (MetricNumbers((), histogram=held),)),
            )
        )

    reader = layout()
    assert reader.read(body(1, 1)).moved
    assert not reader.read(body(2, 2)).moved
    assert not reader.read(body(2, 2**40)).moved
    assert reader.read(body(2, 2**40, (4, 1))).moved
    assert not reader.read(body(2, 2**41, (4, 0))).moved


@given(histograms(native=True), st.integers(1, 12))
def test_buckets_beyond_the_limit_are_merged(histogram: HistogramNumbers, limit: int) -> None:
    """No more buckets than allowed are left, they hold the same, and only the coarsest resolution may fail."""
    body = body_of((FamilyNumbers("h", "histogram", (MetricNumbers((), histogram=histogram),)),))
    reader = Reader(HistogramRules(native=True, bucket_limit=limit))
    if len(histogram.positive) + len(histogram.negative) > limit and histogram.schema == -4:
        with pytest.raises(BrokenBody, match="histogram bucket limit exceeded"):
            reader.read(body)
        return
    event = outcome(layout(HistogramRules(native=True, bucket_limit=limit)), body)
    if event[0] == "histogram bucket limit exceeded":
        return
    found = reader.read(body)
    parts = {labels[0][1].split(":", 2)[2]: value for labels, value in found.items() if not labels[0][0]}
    buckets = [value for part, value in parts.items() if part[0] in "+-"]
    assert len(buckets) <= limit
    wanted = sum(count for _, count in (*histogram.positive, *histogram.negative))
    assert math.isclose(sum(buckets), wanted)


def test_schema_of_a_factor() -> None:
    """The finest resolution whose buckets grow at least so much."""
    found = [schema_of_factor(factor) for factor in (0, 1, 1.1, 1.5, 2, 4, 1e9, math.inf)]
    assert found == [8, 8, 2, 0, 0, -1, -4, -4]


@given(bodies())
def test_limits_count_a_histogram_as_one(families: tuple[FamilyNumbers, ...]) -> None:
    """Samples are the series that are no components."""
    series = [labels for labels in expected(families) if labels[0][0]]
    reading = layout().read(body_of(families))
    assert reading.samples == reading.kept == reading.series == len(series)
    if len(series) > 1:
        with pytest.raises(BrokenBody, match="sample limit exceeded"):
            layout(sample_limit=len(series) - 1).read(body_of(families))
    layout(sample_limit=max(len(series), 1)).read(body_of(families))
