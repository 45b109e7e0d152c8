"""Which samples a metric gives, and from which of its numbers: what metrics of a family have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from typing import Final, TypeAlias

from trimon.gotext.floats import format_label
from trimon.limits import HISTOGRAM_BUCKETS_MAX
from trimon.model.components import Layout, MarkerFlags, Part, marker
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.records import dataclass
from trimon.scrape.exposition.protobuf.histograms import HistogramRules, bucket_sides
from trimon.scrape.exposition.protobuf.rawmetric import ABSENT, RawHistogram, RawMetric
from trimon.scrape.exposition.records import ExpositionError

COUNTER: Final = 0
GAUGE: Final = 1
SUMMARY: Final = 2
UNTYPED: Final = 3
HISTOGRAM: Final = 4
GAUGE_HISTOGRAM: Final = 5
TYPE_NAMES: Final = ("counter", "gauge", "summary", "unknown", "histogram", "gaugehistogram")

# A number of a metric: an even one is a double, an odd one a varint; -1 is none, and 0.
Ref: TypeAlias = int


def _double(number: int) -> Ref:
    return 2 * number if number >= 0 else ABSENT


def _varint(number: int) -> Ref:
    return 2 * number + 1 if number >= 0 else ABSENT


@dataclass(frozen=True, slots=True)
class SampleName:
    """Which series of a metric a sample belongs to; `component` is the text of a component, and empty for others."""

    suffix: str = ""
    label: tuple[str, str] | None = None
    component: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """The whole numbers of a native histogram that must agree: samples by number."""

    count: int
    sum: int
    parts: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The samples of a metric by number: where their values come from. What is in no list is constant.

    `steps` are differences of two numbers, `none` pairs that must be equal, as long as no series exists for what is between
    them. `zigzags` and `counts` are bucket counts, of which several may go to one sample; those that are zigzag are sums from
    `start` on. What is in `not_negative` must not be.
    """

    names: tuple[SampleName, ...]
    constants: tuple[float, ...]
    direct: tuple[tuple[int, Ref], ...] = ()
    steps: tuple[tuple[int, Ref, Ref], ...] = ()
    none: tuple[tuple[Ref, Ref], ...] = ()
    zigzags: tuple[tuple[int, int, int], ...] = ()
    counts: tuple[tuple[int, int], ...] = ()
    not_negative: tuple[int, ...] = ()
    balances: tuple[Balance, ...] = ()
    bounds: tuple[float, ...] = ()
    present: frozenset[int] = frozenset()
    """Of custom bounds the buckets that have components."""
    too_big: bool = False
    """Whether the histogram has more buckets than it may."""
    schema: int | None = None
    """That of the native histogram, which its first samples are; None where there is none."""
    counted: int = 1
    """How many samples there are, a histogram counting as one."""

    @property
    def has_histogram(self) -> bool:
        """Whether the first sample is a native histogram."""
        return self.schema is not None

    def values(self, raw: RawMetric) -> list[float]:
        """The values of its samples, one by one."""
        values = list(self.constants)
        for sample, ref in self.direct:
            values[sample] = number_of(raw, ref)
        for sample, plus, minus in self.steps:
            values[sample] = number_of(raw, plus) - number_of(raw, minus)
        for sample, number in self.counts:
            values[sample] += raw.doubles[number]
        for sample, number, start in self.zigzags:
            values[sample] += sum(raw.zigzags[start : number + 1])
        return values


def number_of(raw: RawMetric, ref: Ref) -> float:
    """The value of a number."""
    if ref < 0:
        return 0.0
    return float(raw.varints[ref >> 1]) if ref & 1 else raw.doubles[ref >> 1]


class _Builder:
    """Collects the samples of a metric."""

    def __init__(self) -> None:
        self.names: list[SampleName] = []
        self.constants: list[float] = []
        self.direct: list[tuple[int, Ref]] = []
        self.steps: list[tuple[int, Ref, Ref]] = []
        self.none: list[tuple[Ref, Ref]] = []
        self.zigzags: list[tuple[int, int, int]] = []
        self.counts: list[tuple[int, int]] = []
        self.not_negative: list[int] = []
        self.balances: list[Balance] = []
        self.bounds: tuple[float, ...] = ()
        self.present: set[int] = set()
        self.too_big = False
        self.schema: int | None = None

    def add(
        self,
        ref: Ref,
        suffix: str = "",
        label: tuple[str, str] | None = None,
        component: str = "",
        constant: float = 0.0,
    ) -> int:
        sample = len(self.names)
        self.names.append(SampleName(suffix, label, component))
        self.constants.append(constant)
        if ref >= 0:
            self.direct.append((sample, ref))
        return sample

    def shape(self) -> Shape:
        return Shape(
            tuple(self.names),
            tuple(self.constants),
            tuple(self.direct),
            tuple(self.steps),
            tuple(self.none),
            tuple(self.zigzags),
            tuple(self.counts),
            tuple(self.not_negative),
            tuple(self.balances),
            self.bounds,
            frozenset(self.present),
            self.too_big,
            self.schema,
            sum(not name.component for name in self.names),
        )


class Shapes:
    """The shapes of the metrics of a target, each made once. `rules` say what becomes of histograms."""

    def __init__(self, rules: HistogramRules) -> None:
        self._rules = rules
        self._known: dict[tuple[object, ...], Shape] = {}

    def forget(self) -> None:
        """Lets go of all shapes."""
        self._known = {}

    def shape_of(self, kind: int, raw: RawMetric, before: Shape | None) -> Shape:
        """The shape of a metric; `before` is the one it had. Raises ExpositionError for inconsistent spans."""
        if kind in (COUNTER, GAUGE, UNTYPED):
            number = (raw.counter, raw.gauge, ABSENT, raw.untyped)[kind]
            key: tuple[object, ...] = (number,)
        elif kind == SUMMARY:
            summary = raw.summary
            key = (
                (kind, summary.count, summary.sum, *summary.quantiles) if summary is not None else (kind, -1)
            )
        else:
            key = self._histogram_key(kind, raw, before)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._make(kind, raw, before)
        return found

    def _make(self, kind: int, raw: RawMetric, before: Shape | None) -> Shape:
        builder = _Builder()
        if kind == SUMMARY:
            summary = raw.summary
            builder.add(_varint(summary.count) if summary else ABSENT, "_count")
            builder.add(_double(summary.sum) if summary else ABSENT, "_sum")
            for at, number in summary.quantiles if summary else ():
                builder.add(_double(number), "", ("quantile", format_label(at)))
        elif kind in (HISTOGRAM, GAUGE_HISTOGRAM):
            self._histogram(builder, raw, before, gauge=kind == GAUGE_HISTOGRAM)
        else:
            builder.add(_double((raw.counter, raw.gauge, ABSENT, raw.untyped)[kind]))
        return builder.shape()

    def _histogram_key(self, kind: int, raw: RawMetric, before: Shape | None) -> tuple[object, ...]:
        histogram = raw.histogram or RawHistogram()
        _refuse_huge(histogram)
        native = self._rules.native and _is_native(histogram, raw)
        key: tuple[object, ...] = (
            kind,
            native,
            histogram.count,
            histogram.count_float,
            histogram.sum,
            tuple((bucket.bound, bucket.count, bucket.count_float) for bucket in histogram.buckets),
        )
        if native:
            return (
                *key,
                histogram.schema,
                histogram.zero_threshold,
                histogram.zero_count,
                histogram.zero_count_float,
                tuple(histogram.negative_spans),
                tuple(histogram.positive_spans),
                tuple(histogram.negative_deltas),
                tuple(histogram.positive_deltas),
                tuple(histogram.negative_counts),
                tuple(histogram.positive_counts),
            )
        return (*key, self._present(histogram, raw, before)) if self._rules.convert else key

    def _present(self, histogram: RawHistogram, raw: RawMetric, before: Shape | None) -> frozenset[int]:
        """Custom buckets that hold something, or once did."""
        found = set()
        below = 0.0
        total = number_of(raw, _total(histogram))
        finite = _finite(histogram)
        for index, ref in enumerate([*(ref for _, ref in finite), None]):
            value = total if ref is None else number_of(raw, ref)
            if value != below:
                found.add(index)
            below = value
        if before is not None and before.bounds == tuple(bound for bound, _ in finite):
            found |= before.present
        return frozenset(found)

    def _histogram(self, builder: _Builder, raw: RawMetric, before: Shape | None, *, gauge: bool) -> None:
        histogram, rules = raw.histogram or RawHistogram(), self._rules
        if rules.native and _is_native(histogram, raw):
            _native(builder, histogram, rules, gauge=gauge)
            if not rules.always_classic or not histogram.buckets:
                return
        elif rules.convert:
            _converted(builder, histogram, self._present(histogram, raw, before), rules, gauge=gauge)
            if not rules.always_classic:
                return
        _classic(builder, histogram)


def _is_native(histogram: RawHistogram, raw: RawMetric) -> bool:
    return bool(
        histogram.negative_spans
        or histogram.positive_spans
        or histogram.zero_threshold > 0
        or (histogram.zero_count >= 0 and raw.varints[histogram.zero_count] > 0)
    )


def is_native_by_count(histogram: RawHistogram | None) -> bool:
    """Whether only the count of the zero bucket may make a native histogram of it: it may change with a number."""
    return (
        histogram is not None
        and histogram.zero_count >= 0
        and not histogram.negative_spans
        and not histogram.positive_spans
        and not histogram.zero_threshold > 0
    )


def _total(histogram: RawHistogram) -> Ref:
    return _double(histogram.count_float) if histogram.count_float >= 0 else _varint(histogram.count)


def _cumulative(count: int, count_float: int) -> Ref:
    return _double(count_float) if count_float >= 0 else _varint(count)


def _refuse_huge(histogram: RawHistogram) -> None:
    """Raise ExpositionError for more buckets or spans than any histogram may have, before work is done for each."""
    listed: tuple[Sized, ...] = (
        histogram.buckets,
        histogram.positive_spans,
        histogram.negative_spans,
        histogram.positive_deltas,
        histogram.negative_deltas,
        histogram.positive_counts,
        histogram.negative_counts,
    )
    most = max(map(len, listed))
    if most > HISTOGRAM_BUCKETS_MAX:
        raise ExpositionError(
            f"a histogram has {most} buckets or spans, and at most {HISTOGRAM_BUCKETS_MAX} may be"
        )


def _finite(histogram: RawHistogram) -> list[tuple[float, Ref]]:
    """The finite bounds, ascending and distinct, with their cumulative counts."""
    found: dict[float, Ref] = {}
    for bucket in histogram.buckets:
        if math.isfinite(bucket.bound):
            found.setdefault(bucket.bound, _cumulative(bucket.count, bucket.count_float))
    return sorted(found.items())


def _classic(builder: _Builder, histogram: RawHistogram) -> None:
    total = _total(histogram)
    builder.add(total, "_count")
    builder.add(_double(histogram.sum), "_sum")
    infinite = False
    for bucket in histogram.buckets:
        label = ("le", format_label(bucket.bound))
        builder.add(_cumulative(bucket.count, bucket.count_float), "_bucket", label)
        infinite = infinite or bucket.bound == math.inf
    if not infinite:
        builder.add(total, "_bucket", ("le", "+Inf"))


def _converted(
    builder: _Builder, histogram: RawHistogram, present: frozenset[int], rules: HistogramRules, *, gauge: bool
) -> None:
    """A classic histogram as one with custom buckets."""
    finite, total = _finite(histogram), _total(histogram)
    is_float = histogram.count_float >= 0 or any(bucket.count_float >= 0 for bucket in histogram.buckets)
    layout = Layout(CUSTOM_SCHEMA, 0.0, tuple(bound or 0.0 for bound, _ in finite))
    builder.schema = CUSTOM_SCHEMA
    builder.bounds = tuple(bound for bound, _ in finite)
    builder.present.update(present)
    builder.too_big = bool(rules.bucket_limit) and len(present) > rules.bucket_limit
    builder.add(ABSENT, constant=_marker(is_float=is_float, gauge=gauge))
    builder.add(total, component=layout.text(Part.COUNT))
    builder.add(_double(histogram.sum), component=layout.text(Part.SUM))
    below = ABSENT
    for index, ref in enumerate([*(ref for _, ref in finite), total]):
        if index in present:
            sample = builder.add(ABSENT, component=layout.text(Part.POSITIVE, index))
            builder.steps.append((sample, ref, below))
            builder.not_negative.append(sample)
        else:
            builder.none.append((ref, below))
        below = ref
    for bucket in histogram.buckets:
        if bucket.bound == math.inf:
            builder.none.append((_cumulative(bucket.count, bucket.count_float), total))


def _marker(*, is_float: bool, gauge: bool) -> float:
    flags = MarkerFlags.FLOAT if is_float else MarkerFlags.NONE
    return marker(flags | MarkerFlags.GAUGE if gauge else flags)


def _native(builder: _Builder, histogram: RawHistogram, rules: HistogramRules, *, gauge: bool) -> None:
    is_float = histogram.count_float >= 0 or histogram.zero_count_float >= 0
    numbers = (
        (histogram.positive_counts, histogram.negative_counts)
        if is_float
        else (histogram.positive_deltas, histogram.negative_deltas)
    )
    sides = bucket_sides(histogram, len(numbers[0]), len(numbers[1]), rules)
    layout = Layout(sides.schema, histogram.zero_threshold)
    builder.schema = sides.schema
    builder.too_big = sides.too_big
    builder.add(ABSENT, constant=_marker(is_float=is_float, gauge=gauge))
    total = _double(histogram.count_float) if is_float else _varint(histogram.count)
    count = builder.add(total, component=layout.text(Part.COUNT))
    total_sum = builder.add(_double(histogram.sum), component=layout.text(Part.SUM))
    zero = _double(histogram.zero_count_float) if is_float else _varint(histogram.zero_count)
    parts = [builder.add(zero, component=layout.text(Part.ZERO))]
    parts += _side(builder, layout, Part.POSITIVE, sides.positive, numbers[0], is_float=is_float)
    parts += _side(builder, layout, Part.NEGATIVE, sides.negative, numbers[1], is_float=is_float)
    builder.not_negative += parts[1:]
    if not is_float:
        builder.balances.append(Balance(count, total_sum, tuple(parts)))


def _side(
    builder: _Builder,
    layout: Layout,
    part: Part,
    indexes: Iterable[int],
    numbers: Sequence[int],
    *,
    is_float: bool,
) -> list[int]:
    samples: dict[int, int] = {}
    for index, number in zip(indexes, numbers, strict=True):
        sample = samples.get(index)
        if sample is None:
            sample = samples[index] = builder.add(ABSENT, component=layout.text(part, index))
        if is_float:
            builder.counts.append((sample, number))
        else:
            builder.zigzags.append((sample, number, numbers[0]))
    return list(samples.values())
