"""The rules that every histogram keeps that is stored."""

from __future__ import annotations

from collections.abc import Sequence

from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.model.spans import HistogramError, SpanHistogram, absolute
from trimon.scrape.exposition.protobuf.rawmetric import RawHistogram, RawMetric
from trimon.scrape.exposition.protobuf.shape import Shape, number_of
from trimon.scrape.exposition.records import ExpositionError


def check_histogram(raw: RawMetric, shape: Shape, values: Sequence[float]) -> None:
    """Raises ExpositionError for a native histogram, or one that was made of a classic one, that is not stored."""
    assert shape.schema is not None
    if shape.schema == CUSTOM_SCHEMA:
        if any(values[sample] < 0 for sample in shape.not_negative):
            raise ExpositionError("the counts of a classic histogram do not grow from bucket to bucket")
        if any(number_of(raw, one) != number_of(raw, other) for one, other in shape.none):
            raise ExpositionError("the count of a classic histogram is not that of its last bucket")
        return
    try:
        _as_sent(raw, shape.schema, values).check()
    except HistogramError as error:
        raise ExpositionError(error.message) from None


def _as_sent(raw: RawMetric, schema: int, values: Sequence[float]) -> SpanHistogram:
    """The histogram with the buckets that the target sent, of which some may have been merged since."""
    histogram = raw.histogram or RawHistogram()
    is_float = histogram.count_float >= 0 or histogram.zero_count_float >= 0

    def counts(deltas: Sequence[int], floats: Sequence[int]) -> tuple[float, ...]:
        if is_float:
            return tuple(raw.doubles[number] for number in floats)
        return absolute([raw.zigzags[number] for number in deltas])

    return SpanHistogram(
        schema,
        histogram.zero_threshold,
        values[3],
        values[1],
        values[2],
        tuple(histogram.positive_spans),
        counts(histogram.positive_deltas, histogram.positive_counts),
        tuple(histogram.negative_spans),
        counts(histogram.negative_deltas, histogram.negative_counts),
        integer=not is_float,
    )
