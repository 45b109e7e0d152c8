"""What a job asks of histograms, and the rules that every native histogram keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from trimon.model.histogram import SCHEMA_MAX, SCHEMA_MIN
from trimon.records import dataclass
from trimon.scrape.exposition.protobuf.rawmetric import RawHistogram
from trimon.scrape.exposition.records import ExpositionError

# Coarser than any that is stored, and finer: schemas that may be reduced to one that is.
RESERVED_SCHEMA_MAX: Final = 52
_EVERYTHING: Final = 2**31


@dataclass(frozen=True, slots=True)
class HistogramRules:
    """What becomes of the histograms of a target: native ones taken, classic ones taken too, or turned into custom buckets.

    A `bucket_limit` of 0 is none; a finer schema than `schema_max` is reduced to it.
    """

    native: bool = False
    always_classic: bool = False
    convert: bool = False
    bucket_limit: int = 0
    schema_max: int = SCHEMA_MAX


def schema_of_factor(factor: float) -> int:
    """The finest schema whose buckets grow at least by a factor; a factor of up to 1 allows all."""
    if factor <= 1:
        return SCHEMA_MAX
    if math.isinf(factor):
        return SCHEMA_MIN
    return min(max(math.floor(-math.log2(math.log2(factor))), SCHEMA_MIN), SCHEMA_MAX)


@dataclass(frozen=True, slots=True)
class Sides:
    """The index of each bucket, in order; several may have the same after a reduction."""

    schema: int
    positive: tuple[int, ...]
    negative: tuple[int, ...]
    too_big: bool


def bucket_sides(histogram: RawHistogram, positive: int, negative: int, rules: HistogramRules) -> Sides:
    """The buckets of a native histogram with so many counts, reduced as the rules say. Raises ExpositionError."""
    if math.isnan(histogram.zero_threshold):
        raise ExpositionError("histogram has a zero threshold that is not a number")
    above = _indexes("positive", histogram.positive_spans, positive)
    below = _indexes("negative", histogram.negative_spans, negative)
    schema = histogram.schema
    if rules.schema_max < schema <= RESERVED_SCHEMA_MAX and rules.schema_max < SCHEMA_MAX:
        above, below = (_reduced(side, schema - rules.schema_max) for side in (above, below))
        schema = rules.schema_max
    too_big = False
    limit = rules.bucket_limit
    if limit:
        while len(set(above)) + len(set(below)) > limit and schema > SCHEMA_MIN:
            above, below = _reduced(above, 1), _reduced(below, 1)
            schema -= 1
        too_big = len(set(above)) + len(set(below)) > limit
    return Sides(schema, above, below, too_big)


def _indexes(side: str, spans: Sequence[tuple[int, int]], counts: int) -> tuple[int, ...]:
    needed = sum(length for _, length in spans)
    if needed != counts:
        raise ExpositionError(f"{side} side: spans require {needed} buckets, have {counts}")
    return tuple(_spanned(spans))


def _spanned(spans: Sequence[tuple[int, int]]) -> Iterator[int]:
    index = 0
    for offset, length in spans:
        index += offset
        yield from range(index, index + length)
        index += length


def _reduced(indexes: tuple[int, ...], by: int) -> tuple[int, ...]:
    """The indexes of the buckets into which these go when the schema is so much coarser."""
    return tuple(((index - 1) >> by) + 1 for index in indexes)
