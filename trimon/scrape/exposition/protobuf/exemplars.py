"""The exemplars of a metric, by sample."""

from __future__ import annotations

from collections.abc import Iterable

from trimon.scrape.exposition.protobuf.rawmetric import RawMetric
from trimon.scrape.exposition.protobuf.shape import Shape
from trimon.scrape.exposition.records import LineExemplar


def shown_exemplars(raw: RawMetric, shape: Shape) -> dict[int, list[LineExemplar]]:
    """By number of the sample its exemplars. Those of a native histogram need a time of their own."""
    if raw.exemplar is not None:
        return {0: [raw.exemplar]}
    histogram = raw.histogram
    if histogram is None:
        return {}
    of_buckets = [bucket.exemplar for bucket in histogram.buckets]
    found: dict[int, list[LineExemplar]] = {}
    if shape.has_histogram:
        own = _timed(histogram.exemplars or [one for one in of_buckets if one is not None])
        if own:
            found[0] = own
    if any(one is not None for one in of_buckets):
        samples = (sample for sample, name in enumerate(shape.names) if name.suffix == "_bucket")
        # a bucket that was added for +Inf comes last, and has none
        for sample, one in zip(samples, of_buckets, strict=False):
            if one is not None:
                found[sample] = [one]
    return found


def _timed(exemplars: Iterable[LineExemplar]) -> list[LineExemplar]:
    timed = [(one.timestamp_ms, one) for one in exemplars if one.timestamp_ms is not None]
    return [one for _, one in sorted(timed, key=lambda pair: (pair[0], pair[1].value, pair[1].labels))]
