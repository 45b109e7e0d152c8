"""Native histograms as spans and counts: the form in which others send and keep them, and what is wrong with one."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import Final

from trimon.errors import UserError
from trimon.gotext.floats import format_g
from trimon.model.components import Layout, MarkerFlags, Part, marker
from trimon.model.histogram import CUSTOM_SCHEMA, SCHEMA_MAX, SCHEMA_MIN
from trimon.model.sample import STALE_NAN, STALE_NAN_BITS
from trimon.records import dataclass

# Exponential schemas that are known but finer than any that is kept: they are reduced.
SCHEMA_KNOWN_MAX: Final = 52
_SIGN: Final = 1 << 63
_STALE_SUM: Final = STALE_NAN_BITS.to_bytes(8, "little")

# (offset, length) each: so many buckets are left out before, so many are there.
Spans = tuple[tuple[int, int], ...]


class HistogramError(UserError):
    """A histogram that contradicts itself, in Prometheus' words."""


@dataclass(frozen=True, slots=True)
class SpanHistogram:
    """One sample. `positive` and `negative` are absolute counts of the buckets that the spans list.

    The first offset of spans counts from bucket 0, later ones from the bucket behind the span before.
    """

    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0
    count: float = 0
    sum: float = 0.0
    positive_spans: Spans = ()
    positive: tuple[float, ...] = ()
    negative_spans: Spans = ()
    negative: tuple[float, ...] = ()
    custom_values: tuple[float, ...] = ()
    integer: bool = True
    gauge: bool = False

    def check(self) -> None:
        """Raises HistogramError for the first contradiction."""
        if self.schema == CUSTOM_SCHEMA:
            try:
                self._check_custom()
            except HistogramError as error:
                raise HistogramError(f"custom buckets: {error}") from None
            self._check_nothing_but_custom()
        elif SCHEMA_MIN <= self.schema <= SCHEMA_MAX:
            _check_spans("positive", self.positive_spans, len(self.positive))
            _check_spans("negative", self.negative_spans, len(self.negative))
            _check_counts("negative", self.negative, integer=self.integer)
            if not self.integer and self.zero_count < 0:
                raise HistogramError(
                    f"zero bucket has observation count of {_shown(self.zero_count)}: "
                    "histogram has a bucket whose observation count is negative"
                )
            if math.isnan(self.zero_threshold):
                # 3.14 takes it, and never ends a query in which it meets another one.
                raise HistogramError("histogram has a zero threshold that is not a number")
            if self.custom_values:
                raise HistogramError("histogram with exponential schema must not have custom bounds")
        else:
            raise HistogramError(
                f"histogram has an invalid schema, which must be between {SCHEMA_MIN} and {SCHEMA_MAX} for exponential "
                f"buckets, or {CUSTOM_SCHEMA} for custom buckets, got schema {self.schema}"
            )
        if not self.integer and self.count < 0:
            # Two blanks, as in Prometheus.
            raise HistogramError(
                f"observation count is  {_shown(self.count)}: histogram's observation count is negative"
            )
        _check_counts("positive", self.positive, integer=self.integer)
        if self.integer:
            self._check_total()

    def _check_custom(self) -> None:
        before = -math.inf
        for place, bound in enumerate(self.custom_values):
            if math.isnan(bound):
                raise HistogramError("histogram custom bounds must not be NaN")
            if place and bound <= before:
                raise HistogramError(
                    f"previous bound is {before:f} and current is {bound:f}: "
                    "histogram custom bounds must be in strictly increasing order"
                )
            before = bound
        if before == math.inf:
            raise HistogramError(
                "last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"
            )
        _check_offsets(self.positive_spans, 0)
        _check_lengths(self.positive_spans, len(self.positive))
        total = sum(offset + length for offset, length in self.positive_spans)
        if len(self.custom_values) + 1 < total:
            raise HistogramError(
                f"only {len(self.custom_values)} custom bounds defined which is insufficient to cover total span length of "
                f"{total}: histogram custom bounds are too few"
            )

    def _check_nothing_but_custom(self) -> None:
        for wrong, text in (
            (self.zero_count != 0, "must have zero count of 0"),
            (self.zero_threshold != 0, "must have zero threshold of 0"),
            (bool(self.negative_spans), "must not have negative spans"),
            (bool(self.negative), "must not have negative buckets"),
        ):
            if wrong:
                raise HistogramError(f"custom buckets: {text}")

    def _check_total(self) -> None:
        total = sum(self.positive) + sum(self.negative) + self.zero_count
        wrong = ""
        if math.isnan(self.sum):
            if total > self.count:
                wrong = "should be at least the number of observations found in the buckets"
        elif total != self.count:
            wrong = "should equal the number of observations found in the buckets (in absence of NaN)"
        if wrong:
            raise HistogramError(
                f"{int(total)} observations found in buckets, but the Count field is {int(self.count)}: "
                f"histogram's observation count {wrong}"
            )

    def reduced(self, schema: int) -> SpanHistogram:
        """The same in a lower resolution. Its spans must have passed `check` but for the schema."""
        positive_spans, positive = _merged(self.positive_spans, self.positive, self.schema - schema)
        negative_spans, negative = _merged(self.negative_spans, self.negative, self.schema - schema)
        return replace(
            self,
            schema=schema,
            positive_spans=positive_spans,
            positive=positive,
            negative_spans=negative_spans,
            negative=negative,
        )

    def kept(self) -> SpanHistogram:
        """As it is kept: in the finest schema that there is, if it comes in a finer one. Raises HistogramError."""
        if not SCHEMA_MAX < self.schema <= SCHEMA_KNOWN_MAX:
            self.check()
            return self
        _check_spans("positive", self.positive_spans, len(self.positive))
        _check_spans("negative", self.negative_spans, len(self.negative))
        coarse = self.reduced(SCHEMA_MAX)
        coarse.check()
        return coarse

    def components(self) -> tuple[float, tuple[str, ...], tuple[float, ...]]:
        """The marker, the texts of the components, and their values. A staleness marker, a sum with its bits, has none."""
        if struct.pack("<d", self.sum) == _STALE_SUM:
            return STALE_NAN, (), ()
        flags = MarkerFlags.NONE if self.integer else MarkerFlags.FLOAT
        if self.gauge:
            flags |= MarkerFlags.GAUGE
        texts = texts_of(
            self.schema, self.zero_threshold, self.custom_values, self.positive_spans, self.negative_spans
        )
        head = (
            (self.count, self.sum)
            if self.schema == CUSTOM_SCHEMA
            else (self.count, self.sum, self.zero_count)
        )
        return marker(flags), texts, (*head, *self.positive, *self.negative)


@lru_cache(maxsize=16_384)
def texts_of(
    schema: int, zero_threshold: float, custom_values: tuple[float, ...], positive: Spans, negative: Spans
) -> tuple[str, ...]:
    """The texts of the components of histograms of a layout: count, sum, zero count but for custom bounds, and buckets."""
    layout = Layout(schema, zero_threshold, custom_values)
    parts = (Part.COUNT, Part.SUM) if schema == CUSTOM_SCHEMA else (Part.COUNT, Part.SUM, Part.ZERO)
    return (
        *map(layout.text, parts),
        *(layout.text(Part.POSITIVE, index) for index in indexes(positive)),
        *(layout.text(Part.NEGATIVE, index) for index in indexes(negative)),
    )


def indexes(spans: Spans) -> list[int]:
    """The indexes of the buckets that spans list."""
    found: list[int] = []
    at = 0
    for offset, length in spans:
        at += offset
        found.extend(range(at, at + length))
        at += length
    return found


def spans_of(listed: Sequence[int]) -> Spans:
    """The spans of buckets with these indexes, which ascend."""
    spans: list[tuple[int, int]] = []
    end = 0
    for index in listed:
        if spans and index == end:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - end, 1))
        end = index + 1
    return tuple(spans)


def absolute(deltas: Sequence[int]) -> tuple[int, ...]:
    """Counts, from the differences between one bucket and the next."""
    return tuple(accumulate(deltas))


def _merged(spans: Spans, counts: Sequence[float], levels: int) -> tuple[Spans, tuple[float, ...]]:
    totals: dict[int, float] = {}
    for index, count in zip(indexes(spans), counts, strict=True):
        place = ((index - 1) >> levels) + 1
        totals[place] = totals.get(place, 0) + count
    return spans_of(list(totals)), tuple(totals.values())


def _check_spans(side: str, spans: Spans, buckets: int) -> None:
    try:
        _check_offsets(spans, 1)
        _check_lengths(spans, buckets)
    except HistogramError as error:
        raise HistogramError(f"{side} side: {error}") from None


def _check_offsets(spans: Spans, first: int) -> None:
    for number, (offset, _) in enumerate(spans):
        if number >= first and offset < 0:
            raise HistogramError(
                f"span number {number + 1} with offset {offset}: histogram has a span whose offset is negative"
            )


def _check_lengths(spans: Spans, buckets: int) -> None:
    needed = sum(length for _, length in spans)
    if needed != buckets:
        raise HistogramError(
            f"spans need {needed} buckets, have {buckets} buckets: "
            "histogram spans specify different number of buckets than provided"
        )


def _check_counts(side: str, counts: Sequence[float], *, integer: bool) -> None:
    """A whole count beyond 63 bits is a negative one to all that count with signed numbers, and refused in their words."""
    if not counts or (min(counts) >= 0 and not (integer and max(counts) >= _SIGN)):
        return
    for number, count in enumerate(counts, 1):
        seen = (int(count) + _SIGN) % (2 * _SIGN) - _SIGN if integer else count
        if seen < 0:
            raise HistogramError(
                f"{side} side: bucket number {number} has observation count of {_shown(seen)}: "
                "histogram has a bucket whose observation count is negative"
            )


def _shown(count: float) -> str:
    return format_g(count) if isinstance(count, float) else str(count)
