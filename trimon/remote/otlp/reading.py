"""Reading the data points of a metric: usual ones that were seen before by their bytes, others one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Final, TypeVar

from trimon.errors import UserError
from trimon.model.labels import Labels, labels_of
from trimon.model.sample import STALE_NAN
from trimon.model.spans import SpanHistogram
from trimon.records import dataclass
from trimon.remote.otlp.deltas import DeltaLeftOut, DeltaSums
from trimon.remote.otlp.gathering import NS_PER_MS, Gathered, Histograms
from trimon.remote.otlp.metric import Kind, MetricContext
from trimon.remote.otlp.native import native_custom, native_exponential
from trimon.remote.otlp.points import (
    Point,
    exponential_point,
    histogram_point,
    number_point,
    summary_point,
)
from trimon.remote.otlp.series import Options
from trimon.wire import FieldCount

Places = list[tuple[int, int]]
P = TypeVar("P", bound=Point)

_START_TAG: Final = 0x11
_TIME_TAG: Final = 0x19
_DOUBLE_TAG: Final = 0x21
_INT_TAG: Final = 0x31
_COUNT_TAG: Final = 0x21
_SUM_TAG: Final = 0x29
_COUNTS_TAG: Final = 0x32
_BOUNDS_TAG: Final = 0x3A
_MIN_TAG: Final = 0x59
_MAX_TAG: Final = 0x61
# Starts that are remembered; beyond it the memory starts over.
_STARTS_MAX: Final = 1_000_000


@dataclass(slots=True)
class Starts:
    """The last start of each series, so that it makes one sample of 0. One request at a time, as with DeltaSums."""

    _known: dict[Labels, int] = field(default_factory=dict)
    _changed: dict[Labels, int] = field(default_factory=dict)

    def is_new(self, series: Labels, start_ms: int) -> bool:
        """Whether a series has not had this start before; then it has."""
        before = self._changed.get(series)
        if (self._known.get(series) if before is None else before) == start_ms:
            return False
        self._changed[series] = start_ms
        return True

    def commit(self) -> None:
        """What came since the last time is stored."""
        if len(self._known) + len(self._changed) > _STARTS_MAX:
            self._known.clear()
        self._known |= self._changed
        self._changed.clear()

    def forget(self) -> None:
        """What came since the last time is not stored: it will come again."""
        self._changed.clear()


class PointReader:
    """Reads the points of one request."""

    def __init__(
        self,
        data: bytes,
        gathered: Gathered,
        options: Options,
        deltas: DeltaSums,
        starts: Starts,
        fields: FieldCount,
    ) -> None:
        self._data = data
        self._gathered = gathered
        self._options = options
        self._deltas = deltas
        self._starts = starts
        self._fields = fields

    def read(self, context: MetricContext, places: Places, resource: int) -> None:
        """All points of a metric; `places` are their begins and ends. Raises UserError."""
        kind = context.head.kind
        if context.is_number:
            self._numbers(context, places, resource, {} if context.one_by_one else context.single)
        elif kind is Kind.HISTOGRAM:
            if context.one_by_one or self._options.config.convert_histograms_to_nhcb:
                places_left = places
            else:
                places_left = self._histograms(context, places, resource)
            for start, end in places_left:
                self._histogram(context, start, end, resource)
        elif kind is Kind.EXPONENTIAL:
            for start, end in places:
                self._exponential(context, start, end, resource)
        else:
            for start, end in places:
                self._summary(context, start, end, resource)

    def _numbers(
        self, context: MetricContext, places: Places, resource: int, known: dict[bytes, Labels]
    ) -> None:
        data, gathered = self._data, self._gathered
        numbers, series = gathered.numbers, gathered.series
        at, index = numbers.at, numbers.series
        before = len(at)
        for start, end in places:
            body = start + 9 if end - start >= 18 and data[start] == _START_TAG else start
            if (
                body + 18 <= end
                and data[body] == _TIME_TAG
                and (data[body + 9] == _DOUBLE_TAG or data[body + 9] == _INT_TAG)
            ):
                labels = known.get(data[body + 18 : end])
                if labels is not None:
                    at.append(body)
                    index.append(len(series))
                    series.append(labels)
                    continue
            self._number(context, start, end, resource)
        if numbers.runs and numbers.runs[-1][0] == resource:
            numbers.runs[-1][1] += len(at) - before
        else:
            numbers.runs.append([resource, len(at) - before])

    def _number(self, context: MetricContext, start: int, end: int, resource: int) -> None:
        point = number_point(self._data, start, end, self._fields)
        taken = self._taken(context, point, resource)
        if taken is None:
            return
        labels, summed = taken
        value = STALE_NAN if summed.has_no_value else summed.value
        self._add((labels,), summed, (value,), zeros=int(context.head.kind is Kind.SUM))
        if context.head.kind is Kind.SUM:
            self._add_exemplars([labels], point, ())

    def _labels(self, context: MetricContext, point: Point) -> Labels | None:
        """The series of the metric's own name; None where it has none, and its points are left out."""
        if not context.name:
            self._gathered.leave_out("a metric has no name")
            return None
        return context.of_point(bytes(point.attributes), self._fields)

    def _taken(self, context: MetricContext, point: P, resource: int) -> tuple[Labels, P] | None:
        """Series and point, the latter added to those before where deltas are summed; None where it is left out.

        A delta that is left out says nothing of its resource either: `target_info` has no sample of its time.
        """
        labels = self._labels(context, point)
        summed = point
        if labels is not None and context.head.is_delta and self._options.deltas_summed:
            try:
                summed = self._deltas.add(labels, point)
            except DeltaLeftOut as error:
                self._gathered.leave_out(str(error))
                return None
        self._gathered.add_time(resource, point.time_ns)
        return None if labels is None else (labels, summed)

    def _histograms(self, context: MetricContext, places: Places, resource: int) -> Places:
        """Takes usual points that were seen before; those that are left."""
        data, gathered = self._data, self._gathered
        series = gathered.series
        left: Places = []
        for start, end in places:
            body = start + 9 if end - start >= 18 and data[start] == _START_TAG else start
            if body + 30 > end or data[body] != _TIME_TAG or data[body + 9] != _COUNT_TAG:
                left.append((start, end))
                continue
            has_sum = data[body + 18] == _SUM_TAG
            at = body + 27 if has_sum else body + 18
            found = self._counts(at, end)
            if found is None:
                left.append((start, end))
                continue
            counts_at, buckets = found
            key_at = counts_at + 8 * buckets
            key_end = end
            if key_at + 18 <= end and data[end - 18] == _MIN_TAG and data[end - 9] == _MAX_TAG:
                key_end = end - 18
            known = context.several[has_sum].get(data[key_at:key_end])
            if known is None or len(known) != buckets + 1 + has_sum:
                left.append((start, end))
                continue
            group = gathered.histograms.get((buckets, has_sum))
            if group is None:
                group = gathered.histograms[buckets, has_sum] = Histograms()
            group.at.append(body)
            group.counts_at.append(counts_at)
            group.series.append(len(series))
            group.resources.append(resource)
            gathered.points.append((len(series), len(known)))
            series.extend(known)
        return left

    def _counts(self, at: int, end: int) -> tuple[int, int] | None:
        """Where the packed counts at a place begin, and how many they are."""
        data = self._data
        if at + 3 > end or data[at] != _COUNTS_TAG:
            return None
        size, begin = data[at + 1], at + 2
        if size >= 0x80:
            if data[begin] >= 0x80:
                return None
            size, begin = size & 0x7F | data[begin] << 7, begin + 1
        if not size or size % 8 or begin + size > end:
            return None
        return begin, size // 8

    def _histogram(self, context: MetricContext, start: int, end: int, resource: int) -> None:
        point = histogram_point(self._data, start, end, self._fields)
        taken = self._taken(context, point, resource)
        if taken is None:
            return
        labels, summed = taken
        if self._options.config.convert_histograms_to_nhcb:
            native = native_custom(summed, gauge=self._keeps_delta(context))
            self._add_native(labels, summed, native)
            self._add_exemplars([labels], point, ())
            return
        bounds = summed.bounds[: len(summed.counts)]
        series = context.of_histogram(
            bytes(point.attributes), bounds, has_sum=summed.sum is not None, fields=self._fields
        )
        cumulative, total = [], 0
        for count in summed.counts[: len(bounds)]:
            total += count
            cumulative.append(float(total))
        sums = () if summed.sum is None else (summed.sum,)
        values = (*sums, float(summed.count), *cumulative, float(summed.count))
        if summed.has_no_value:
            values = (STALE_NAN,) * len(values)
        self._add(series, summed, values, zeros=len(values))
        self._add_exemplars(series[len(sums) + 1 :], point, bounds)

    def _exponential(self, context: MetricContext, start: int, end: int, resource: int) -> None:
        point = exponential_point(self._data, start, end, self._fields)
        taken = self._taken(context, point, resource)
        if taken is None:
            return
        labels, summed = taken
        self._add_native(labels, summed, native_exponential(summed, gauge=self._keeps_delta(context)))
        self._add_exemplars([labels], point, ())

    def _summary(self, context: MetricContext, start: int, end: int, resource: int) -> None:
        point = summary_point(self._data, start, end, self._fields)
        self._gathered.add_time(resource, point.time_ns)
        if self._labels(context, point) is None:
            return
        quantiles = [quantile for quantile, _ in point.quantiles]
        series = context.of_summary(bytes(point.attributes), quantiles, self._fields)
        values = (point.sum or 0.0, float(point.count), *(value for _, value in point.quantiles))
        if point.has_no_value:
            values = (STALE_NAN,) * len(values)
        self._add(series, point, values, zeros=2)  # quantiles begin at no 0

    def _keeps_delta(self, context: MetricContext) -> bool:
        return context.head.is_delta and self._options.deltas_kept

    def _add(self, series: tuple[Labels, ...], point: Point, values: Sequence[float], *, zeros: int) -> None:
        """The samples of a point; to so many of its series its start may be worth a sample of 0."""
        gathered = self._gathered
        first = len(gathered.series)
        gathered.series.extend(series)
        time_ms, start_ms = point.time_ns // NS_PER_MS, point.start_ns // NS_PER_MS
        starting = series[:zeros] if self._options.starts_as_zeros and 0 < start_ms < time_ms else ()
        for place, labels in enumerate(starting, first):
            if self._starts.is_new(labels, start_ms):
                gathered.zeros.append((place, start_ms))
        gathered.odd.extend((place, time_ms, value) for place, value in enumerate(values, first))
        if len(values) > 1:
            gathered.points.append((first, len(values)))

    def _add_native(self, series: Labels, point: Point, histogram: SpanHistogram) -> None:
        gathered = self._gathered
        histogram = histogram.kept()
        place = gathered.native_place(series)
        time_ms, start_ms = point.time_ns // NS_PER_MS, point.start_ns // NS_PER_MS
        if self._options.starts_as_zeros and 0 < start_ms < time_ms and self._starts.is_new(series, start_ms):
            zero = SpanHistogram(
                histogram.schema, histogram.zero_threshold, custom_values=histogram.custom_values
            )
            gathered.native_zeros.append((place, start_ms, zero.components()))
        gathered.native.append((place, time_ms, histogram.components()))

    def _add_exemplars(self, series: Sequence[Labels], point: Point, bounds: Sequence[float]) -> None:
        """Exemplars go to the first series whose bound they do not exceed; both are in ascending order.

        Raises UserError for one without a value.
        """
        place = 0
        for exemplar in point.exemplars:
            if exemplar.value is None:
                raise UserError("unsupported exemplar value type: Empty")
            while place < len(bounds) and exemplar.value > bounds[place]:
                place += 1
            self._gathered.exemplars.append(
                (series[place], labels_of(exemplar.labels), exemplar.value, exemplar.time_ns // NS_PER_MS)
            )
