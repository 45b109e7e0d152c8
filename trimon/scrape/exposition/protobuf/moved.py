"""A body whose metrics are those of the one before: only numbers are others, perhaps longer ones."""

from __future__ import annotations

import itertools

import numpy as np

from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import LINES_AT_ONCE, Ints, Lateness, SeriesExemplar, never_late
from trimon.scrape.exposition.protobuf.columns import Bytes, NumberPlaces
from trimon.scrape.exposition.protobuf.exemplars import shown_exemplars
from trimon.scrape.exposition.protobuf.memory import KnownMetrics, MetricRules
from trimon.scrape.exposition.protobuf.rawmetric import RawMetric
from trimon.scrape.exposition.protobuf.scan import next_family
from trimon.scrape.exposition.records import ExpositionError
from trimon.wire import WireError


@dataclass(slots=True)
class _Bounds:
    """Where the metrics of a body are now."""

    starts: Ints
    ends: Ints


def follow(known: KnownMetrics, body: bytes, rules: MetricRules, is_late: Lateness = never_late) -> bool:
    """Whether all metrics are those that are known; then they are where they are in this body.

    What is known is not touched otherwise, so that the body may still be read metric by metric.
    """
    new: Bytes = np.frombuffer(body, np.uint8)
    again = list(known.again)
    if len(body) == len(known.body):
        differs = (new ^ known.bytes) & known.mask
        if not differs.any():
            if not again:
                known.body, known.bytes = body, new
                return True
            bounds, places = (
                _Bounds(known.starts, known.ends),
                known.places.moved(np.zeros_like(known.starts)),
            )
            return _read_again(known, body, bounds, places, again, rules, is_late)
    bounds_now = _scan(known, body)
    if bounds_now is None:
        return False
    again += _changed(known, new, bounds_now)
    places = known.places.moved(bounds_now.starts - known.starts)
    return _read_again(known, body, bounds_now, places, sorted(set(again)), rules, is_late)


def _scan(known: KnownMetrics, body: bytes) -> _Bounds | None:
    """Where the metrics are; None when there are others, or a family says something else of itself."""
    starts: list[int] = []
    ends: list[int] = []
    position, number, heads, counts = 0, 0, known.heads, known.counts
    try:
        while position < len(body):
            family, position = next_family(body, position)
            if number >= len(heads) or family.head != heads[number] or len(family.starts) != counts[number]:
                return None
            number += 1
            starts += family.starts
            ends += family.ends
    except (ExpositionError, WireError):
        return None
    if number != len(heads):
        return None
    return _Bounds(np.array(starts, np.int64), np.array(ends, np.int64))


def _changed(known: KnownMetrics, new: Bytes, now: _Bounds) -> list[int]:
    """The metrics that have another length, or differ in more than numbers."""
    old, mask, starts = known.bytes, known.mask, known.starts
    same = now.ends - now.starts == known.ends - starts
    shift = now.starts - starts
    # a run is of metrics of the same length that have moved equally far: it may be compared as one piece
    breaks = np.flatnonzero(~same[1:] | ~same[:-1] | (shift[1:] != shift[:-1])) + 1
    edges = np.concatenate(([0], breaks, [len(same)])).tolist()
    changed = np.flatnonzero(~same).tolist()
    for first, last in itertools.pairwise(edges):
        if not same[first]:
            continue
        begin, end, moved = int(starts[first]), int(known.ends[last - 1]), int(shift[first])
        differs = (new[begin + moved : end + moved] ^ old[begin:end]) & mask[begin:end]
        if differs.any():
            at = np.flatnonzero(differs) + begin
            metrics = np.searchsorted(starts, at, "right") - 1
            # between metrics are only lengths and tags, which were looked at
            changed += np.unique(metrics[at < known.ends[metrics]]).tolist()
    return changed


def _read_again(
    known: KnownMetrics,
    body: bytes,
    now: _Bounds,
    places: NumberPlaces,
    again: list[int],
    rules: MetricRules,
    is_late: Lateness,
) -> bool:
    """Reads some metrics one by one; False when one is not what it was."""
    exemplars: dict[int, list[SeriesExemplar]] = {}
    for count, metric in enumerate(again):
        if not count % LINES_AT_ONCE and is_late():
            return False
        start, end = int(now.starts[metric]), int(now.ends[metric])
        raw = RawMetric(body)
        key, before = known.keys[metric], known.shapes[metric]
        old = int(known.starts[metric])
        labels = known.body[old : old + known.label_bytes[metric]]
        try:
            raw.read(start, end)
            if (
                not raw.labels_first
                or raw.label_bytes != labels
                or (raw.timestamp_ms and rules.honor_timestamps)
                or (rules.starts and raw.created_ms != known.created_ms.get(metric, 0))
                or rules.shapes.shape_of(key.type, raw, before) is not before
            ):
                return False
        except (ExpositionError, WireError):
            return False
        places.put(metric, raw)
        shown = shown_exemplars(raw, before)
        if shown or metric in known.exemplars:
            labels_of = known.exemplar_labels.get(metric, {})
            if not shown.keys() <= labels_of.keys():
                return False
            exemplars[metric] = [
                SeriesExemplar(series, one, None)
                for sample, series in labels_of.items()
                if series is not None
                for one in shown.get(sample, ())
            ]
    known.replace(body, now.starts, now.ends, places)
    known.exemplars |= exemplars
    return True
