"""What StatsD's lines add up to between two flushes, and what of it is stored.

    lines ──> counters and gauges: a number       ──┐
              sets: the values since the last flush ├──> every flush_interval a sample of each series, at one time;
              timers, histograms: bucket counts   ──┘    one that was not heard of for `ttl` ends with a staleness marker

Counters only grow and distributions only fill, as those of exporters do, so that `rate` holds over restarts of whoever sends.
They begin anew with the server, which `rate` takes for the reset that it is. Distributions are native histograms of schema 3
(nine per cent between bounds), or classic ones where bounds are configured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from trimon.errors import UserError
from trimon.gotext.floats import format_g
from trimon.model.components import component_labels, split
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.rows import SampleBatch
from trimon.model.sample import STALE_NAN
from trimon.remote.pushed.statsd import COUNTER, GAUGE, SET, Distribution, Observation, StatsdSeries

SCHEMA: Final = 3
ZERO_THRESHOLD: Final = 2.0**-128


class StatsdAggregate:
    """The state of all series. Synchronous, for one thread."""

    def __init__(self, series_max: int, ttl_ms: int, bounds: Sequence[float] = ()) -> None:
        self._series: dict[Labels, StatsdSeries] = {}
        self._series_max = series_max
        self._ttl_ms = ttl_ms
        self._bounds = tuple(bounds)

    def __len__(self) -> int:
        return len(self._series)

    def take(self, seen: Observation, now_ms: int) -> None:
        """Counts one value. Raises UserError for what does not go with what is known, or is too much."""
        known = self._series.get(seen.series)
        if known is None:
            if len(self._series) >= self._series_max:
                raise UserError(
                    f"there are {self._series_max} series already, which is the limit (series_max)"
                )
            known = StatsdSeries(seen.type, now_ms)
        elif known.type != seen.type:
            raise UserError(f"type {seen.type} of a series that is of type {known.type}")
        if seen.type == SET:
            known.add_member(seen.text)
        elif seen.type == COUNTER:
            if (change := seen.value * seen.weight) < 0:
                raise UserError(f"a counter cannot change by {change:g}")
            known.value += change
        elif seen.type == GAUGE:
            known.value = known.value + seen.value if seen.is_change else seen.value
        else:
            known.distribution = known.distribution or Distribution()
            self._observe(known.distribution, seen.value, seen.weight)
        known.heard_ms = now_ms
        self._series[seen.series] = known

    def _observe(self, into: Distribution, value: float, weight: float) -> None:
        into.count += weight
        into.sum += value * weight
        if self._bounds:
            # The place of the bucket, beyond the last bound for what is larger.
            place = int(np.searchsorted(self._bounds, value))
            into.positive[place] = into.positive.get(place, 0.0) + weight
        elif abs(value) <= ZERO_THRESHOLD:
            into.zeros += weight
        else:
            side = into.positive if value > 0 else into.negative
            index = bucket_index(abs(value))
            side[index] = side.get(index, 0.0) + weight

    def flush(self, now_ms: int) -> SampleBatch | None:
        """A sample of every series at a time; None where there is nothing."""
        cells: list[tuple[Labels, float]] = []
        for labels, series in list(self._series.items()):
            if self._ttl_ms and now_ms - series.heard_ms > self._ttl_ms:
                del self._series[labels]
                cells += [(each, STALE_NAN) for each in self._names(labels, series)]
            else:
                cells += self._cells(labels, series)
        if not cells:
            return None
        count = len(cells)
        return SampleBatch(
            tuple(labels for labels, _ in cells),
            np.arange(count, dtype=np.int32),
            np.full(count, now_ms, np.int64),
            np.array([value for _, value in cells]),
            histograms=True,
        )

    def _names(self, labels: Labels, series: StatsdSeries) -> list[Labels]:
        """The series that a state is stored as, without the components of histograms."""
        if series.distribution is None or not self._bounds:
            return [labels]
        return [each for each, _ in self._cells(labels, series)]

    def _cells(self, labels: Labels, series: StatsdSeries) -> list[tuple[Labels, float]]:
        if series.type == SET:
            count, series.members = len(series.members), set()
            return [(labels, float(count))]
        if series.distribution is None:
            return [(labels, series.value)]
        if self._bounds:
            return _classic(labels, series.distribution, self._bounds)
        marker, texts, values = split(_native(series.distribution))
        parts = [(component_labels(labels, text), value) for text, value in zip(texts, values, strict=True)]
        return [(labels, marker), *parts]


def bucket_index(value: float) -> int:
    """The bucket of a positive number: the `i` with `2^((i-1)/8) < value <= 2^(i/8)`."""
    index = math.ceil(math.log2(value) * 2**SCHEMA)
    # The logarithm of a number at a bound may be off by its last bit.
    if 2.0 ** ((index - 1) / 2**SCHEMA) >= value:
        return index - 1
    return index + 1 if 2.0 ** (index / 2**SCHEMA) < value else index


def _native(seen: Distribution) -> FloatHistogram:
    positive, negative = (
        Buckets(np.array(sorted(side), np.int64), np.array([side[index] for index in sorted(side)]))
        for side in (seen.positive, seen.negative)
    )
    return FloatHistogram(SCHEMA, ZERO_THRESHOLD, seen.zeros, seen.count, seen.sum, positive, negative)


def _classic(labels: Labels, seen: Distribution, bounds: Sequence[float]) -> list[tuple[Labels, float]]:
    pairs = dict(labels)
    name = pairs[METRIC_NAME]
    cells, below = [], 0.0
    for place, bound in enumerate((*bounds, math.inf)):
        below += seen.positive.get(place, 0.0)
        bucket = {
            **pairs,
            METRIC_NAME: f"{name}_bucket",
            "le": format_g(bound) if bound < math.inf else "+Inf",
        }
        cells.append((labels_of(bucket), below))
    cells.append((labels_of({**pairs, METRIC_NAME: f"{name}_sum"}), seen.sum))
    cells.append((labels_of({**pairs, METRIC_NAME: f"{name}_count"}), seen.count))
    return cells
