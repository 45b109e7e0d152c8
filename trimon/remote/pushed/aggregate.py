"""What StatsD's lines add up to between two flushes, and what of it is stored.

    lines ──> counters and gauges: a number       ──┐
              sets: the values since the last flush ├──> every flush_interval a sample of each series, at one time;
              timers, histograms: bucket counts   ──┘    one that was not heard of for `ttl` ends with a staleness marker

Counters only grow and distributions only fill, as those of exporters do, so that `rate` holds over restarts of whoever sends.
They begin anew with the server, which `rate` takes for the reset that it is. Distributions are native histograms of schema 3
(nine per cent between bounds), or classic ones where bounds are configured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from trimon import limits
from trimon.errors import UserError
from trimon.gotext.floats import format_g
from trimon.model.components import component_labels, split
from trimon.model.histogram import Buckets, FloatHistogram
from trimon.model.labels import METRIC_NAME, Labels, labels_of
from trimon.model.rows import SampleBatch
from trimon.model.sample import STALE_NAN
from trimon.remote.pushed.statsd import COUNTER, GAUGE, SET, Distribution, Observation, StatsdSeries, Stored

SCHEMA: Final = 3
ZERO_THRESHOLD: Final = 2.0**-128
# Of a flush: so many series take a few milliseconds when each is new, and so many samples are a batch.
SERIES_AT_ONCE: Final = 50
CELLS_AT_ONCE: Final = 10_000
# Values of all sets, some hundred bytes each.
MEMBERS_MAX: Final = 1_000_000


class StatsdAggregate:
    """The state of all series. Synchronous, for one thread."""

    def __init__(self, series_max: int, ttl_ms: int, bounds: Sequence[float] = ()) -> None:
        self._series: dict[Labels, StatsdSeries] = {}
        self._series_max = series_max
        self._ttl_ms = ttl_ms
        self._bounds = tuple(bounds)
        self._members = 0

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
            self._add_member(known, seen.text)
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

    def _add_member(self, known: StatsdSeries, text: bytes) -> None:
        if text not in known.members:
            if self._members >= MEMBERS_MAX:
                raise UserError(f"all sets together have more than {MEMBERS_MAX} values between two flushes")
            known.add_member(text)
            self._members += 1

    def _observe(self, into: Distribution, value: float, weight: float) -> None:
        if self._bounds:
            # The place of the bucket, beyond the last bound for what is larger.
            place = int(np.searchsorted(self._bounds, value))
            into.positive[place] = into.positive.get(place, 0.0) + weight
        elif abs(value) <= ZERO_THRESHOLD:
            into.zeros += weight
        else:
            side = into.positive if value > 0 else into.negative
            index = bucket_index(abs(value))
            if index not in side and len(into.positive) + len(into.negative) >= limits.HISTOGRAM_BUCKETS_MAX:
                raise UserError(f"a distribution has more than {limits.HISTOGRAM_BUCKETS_MAX} buckets")
            side[index] = side.get(index, 0.0) + weight
        into.count += weight
        into.sum += value * weight

    def flush(self, now_ms: int) -> Iterator[SampleBatch | None]:
        """A sample of every series at a time, in batches; None where others may have their turn between two."""
        series: list[Labels] = []
        values: list[float] = []
        for place, (labels, state) in enumerate(list(self._series.items()), 1):
            if self._ttl_ms and now_ms - state.heard_ms > self._ttl_ms:
                del self._series[labels]
                self._members -= len(state.members)
                names = self._names(labels, state)
                series += names
                values += [STALE_NAN] * len(names)
            else:
                names, numbers = self._cells(labels, state)
                series += names
                values += numbers
            if len(values) >= CELLS_AT_ONCE:
                yield _batch(series, values, now_ms)
                series, values = [], []
            elif place % SERIES_AT_ONCE == 0:
                yield None
        if values:
            yield _batch(series, values, now_ms)

    def _names(self, labels: Labels, state: StatsdSeries) -> Sequence[Labels]:
        """The series that a state is stored as, without the components of histograms."""
        if state.distribution is None or not self._bounds:
            return [labels]
        return self._cells(labels, state)[0]

    def _cells(self, labels: Labels, state: StatsdSeries) -> tuple[Sequence[Labels], Sequence[float]]:
        if state.type == SET:
            count, state.members = len(state.members), set()
            self._members -= count
            return [labels], [float(count)]
        seen, stored = state.distribution, state.stored
        if seen is None:
            return [labels], [state.value]
        if self._bounds:
            if stored is None:
                state.stored = stored = Stored(_classic_series(labels, self._bounds))
            return stored.series, _classic_values(seen, len(self._bounds))
        if stored is None or len(stored.positive) + len(stored.negative) < len(seen.positive) + len(
            seen.negative
        ):
            state.stored = stored = _native(labels, seen)
        buckets = [
            *map(seen.positive.__getitem__, stored.positive),
            *map(seen.negative.__getitem__, stored.negative),
        ]
        return stored.series, [stored.marker, seen.count, seen.sum, seen.zeros, *buckets]


def _batch(series: Sequence[Labels], values: Sequence[float], time_ms: int) -> SampleBatch:
    count = len(values)
    return SampleBatch(
        tuple(series),
        np.arange(count, dtype=np.int32),
        np.full(count, time_ms, np.int64),
        np.array(values),
        histograms=True,
    )


def bucket_index(value: float) -> int:
    """The bucket of a positive number: the `i` with `2^((i-1)/8) < value <= 2^(i/8)`."""
    index = math.ceil(math.log2(value) * 2**SCHEMA)
    # The logarithm of a number at a bound may be off by its last bit.
    if 2.0 ** ((index - 1) / 2**SCHEMA) >= value:
        return index - 1
    return index + 1 if 2.0 ** (index / 2**SCHEMA) < value else index


def _native(labels: Labels, seen: Distribution) -> Stored:
    """What a native histogram is stored as: the marker of the series, and its components."""
    positive, negative = (
        Buckets(np.array(sorted(side), np.int64), np.ones(len(side)))
        for side in (seen.positive, seen.negative)
    )
    histogram = FloatHistogram(SCHEMA, ZERO_THRESHOLD, seen.zeros, seen.count, seen.sum, positive, negative)
    marker, texts, _ = split(histogram)
    series = (labels, *(component_labels(labels, text) for text in texts))
    return Stored(series, marker, tuple(positive.index.tolist()), tuple(negative.index.tolist()))


def _classic_series(labels: Labels, bounds: Sequence[float]) -> tuple[Labels, ...]:
    pairs = dict(labels)
    name = pairs[METRIC_NAME]
    texts = [*map(format_g, bounds), "+Inf"]
    buckets = [labels_of({**pairs, METRIC_NAME: f"{name}_bucket", "le": text}) for text in texts]
    others = [labels_of({**pairs, METRIC_NAME: f"{name}_{part}"}) for part in ("sum", "count")]
    return (*buckets, *others)


def _classic_values(seen: Distribution, bounds: int) -> list[float]:
    below = itertools.accumulate(seen.positive.get(place, 0.0) for place in range(bounds + 1))
    return [*below, seen.sum, seen.count]
