"""A metric of one scope of one resource: its name as series, its type, and the labels of its data points."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from trimon.errors import UserError
from trimon.gotext.floats import format_plain
from trimon.gotext.strings import go_quote
from trimon.model.labellimits import checked
from trimon.model.labels import BUCKET_LABEL, METRIC_NAME, QUANTILE_LABEL, Labels
from trimon.records import dataclass
from trimon.remote.otlp.names import Namer, Unit
from trimon.remote.otlp.points import attributes_of
from trimon.remote.otlp.series import Options, Resource, Scope, point_labels, type_and_unit
from trimon.wire import FieldCount, put_block

DELTA: Final = 1
CUMULATIVE: Final = 2


class Kind(IntEnum):
    """What a metric's data is; the values are the numbers of its fields."""

    EMPTY = 0
    GAUGE = 5
    SUM = 7
    HISTOGRAM = 9
    EXPONENTIAL = 10
    SUMMARY = 11


@dataclass(frozen=True, slots=True)
class MetricHead:
    """What a metric says of all its data points."""

    name: str
    description: str
    unit: str
    kind: Kind
    temporality: int
    is_monotonic: bool

    def check(self, options: Options) -> None:
        """Raises UserError for one without data, and for a temporality that is not taken."""
        if self.kind is Kind.EMPTY:
            raise UserError(
                f"could not get aggregation temporality for {self.name} as it has unsupported metric type Empty"
            )
        if self.kind in (Kind.GAUGE, Kind.SUMMARY) or self.temporality == CUMULATIVE:
            return
        if self.temporality == DELTA and (options.deltas_summed or options.deltas_kept):
            return
        raise UserError(f"invalid temporality and type combination for metric {go_quote(self.name)}")

    def type_name(self, options: Options) -> str:
        """In Prometheus' words."""
        if self.is_delta and options.deltas_kept:
            return "unknown"
        if self.kind is Kind.SUM:
            return "counter" if self.is_monotonic else "gauge"
        return {Kind.GAUGE: "gauge", Kind.SUMMARY: "summary"}.get(self.kind, "histogram")

    @property
    def is_delta(self) -> bool:
        """Whether points say what came since the one before."""
        return self.kind not in (Kind.GAUGE, Kind.SUMMARY) and self.temporality == DELTA


class MetricContext:
    """Makes the labels of a metric's series, and remembers them by the bytes of attributes."""

    def __init__(
        self, head: MetricHead, resource: Resource, scope: Scope, options: Options, namer: Namer
    ) -> None:
        """Raises UserError for a metric that is not taken."""
        head.check(options)
        self.head = head
        self.name = namer.metric(
            head.name,
            head.unit,
            is_counter=head.kind is Kind.SUM and head.is_monotonic,
            is_gauge=head.kind is Kind.GAUGE,
        )
        self.type_name = head.type_name(options)
        self.family = (
            self.name,
            self.type_name,
            head.description,
            Unit.of(head.unit).label(escapes=namer.escapes),
        )
        self.is_number = head.kind in (Kind.GAUGE, Kind.SUM)
        self.one_by_one = options.starts_as_zeros or (head.is_delta and options.deltas_summed)
        """Whether each data point is looked at by itself, also one that was seen before."""
        self.said = type_and_unit(self.type_name, head.unit, options, namer)
        self.single: dict[bytes, Labels] = {}
        """Series of one sample a point, by the bytes of attributes."""
        self.several: tuple[dict[bytes, tuple[Labels, ...]], dict[bytes, tuple[Labels, ...]]] = ({}, {})
        """Series of histograms by the bytes of bounds and attributes, without a sum and with one; of summaries likewise."""
        self.remembered_bytes = 0
        """How many bytes more are remembered than when the decoder last asked."""
        self._resource = resource
        self._scope = scope
        self._namer = namer

    def of_point(self, attributes: bytes, fields: FieldCount) -> Labels:
        """The series that has the metric's own name. Raises UserError."""
        labels = self.single.get(attributes)
        if labels is None:
            labels = checked({**self._base(attributes, fields), METRIC_NAME: self.name})
            self.single[attributes] = labels
            self.remembered_bytes += len(attributes) + _LABEL_BYTES * len(labels)
        return labels

    def of_histogram(
        self, attributes: bytes, bounds: Sequence[float], *, has_sum: bool, fields: FieldCount
    ) -> tuple[Labels, ...]:
        """Sum if there is one, count, buckets. Raises UserError."""
        key = put_block(7, struct.pack(f"<{len(bounds)}d", *bounds)) + attributes
        series = self.several[has_sum].get(key)
        if series is None:
            base = self._base(attributes, fields)
            ends = [*map(format_plain, bounds), "+Inf"]
            bucket = f"{self.name}_bucket"
            series = (
                *self._sum_and_count(base, has_sum=has_sum),
                *(checked({**base, METRIC_NAME: bucket, BUCKET_LABEL: end}) for end in ends),
            )
            self._remember(self.several[has_sum], key, series)
        return series

    def of_summary(
        self, attributes: bytes, quantiles: Sequence[float], fields: FieldCount
    ) -> tuple[Labels, ...]:
        """Sum, count, quantiles. Raises UserError."""
        key = put_block(6, struct.pack(f"<{len(quantiles)}d", *quantiles)) + attributes
        series = self.several[True].get(key)
        if series is None:
            base = self._base(attributes, fields)
            series = (
                *self._sum_and_count(base, has_sum=True),
                *(
                    checked({**base, METRIC_NAME: self.name, QUANTILE_LABEL: format_plain(quantile)})
                    for quantile in quantiles
                ),
            )
            self._remember(self.several[True], key, series)
        return series

    def _sum_and_count(self, base: dict[str, str], *, has_sum: bool) -> tuple[Labels, ...]:
        names = ("sum", "count") if has_sum else ("count",)
        return tuple(checked({**base, METRIC_NAME: f"{self.name}_{name}"}) for name in names)

    def _base(self, attributes: bytes, fields: FieldCount) -> dict[str, str]:
        said = attributes_of(attributes, fields)
        return point_labels(said, self._resource, self._scope, self.said, self._namer)

    def _remember(
        self, known: dict[bytes, tuple[Labels, ...]], key: bytes, series: tuple[Labels, ...]
    ) -> None:
        known[key] = series
        self.remembered_bytes += len(key) + sum(_LABEL_BYTES * len(labels) for labels in series)


# What a remembered label weighs: two texts and their tuple, some of which others share.
_LABEL_BYTES: Final = 150
