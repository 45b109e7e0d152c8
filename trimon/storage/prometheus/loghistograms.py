"""The native histograms of Prometheus' log with the buckets that they have in Prometheus.

A scrape leaves empty buckets out before it logs a histogram. Its head then stores it in a chunk, and all histograms of a chunk
have the buckets of any of them, so that some come back as empty ones. Queries tell a side with an empty bucket from one
without: the zero bucket reaches down to 0 where there are positive ones only.

```text
logged    zero 2, (1,2] 3      zero 2      zero 2, (4,8] 1      reset
a chunk   (1,2] (4,8] ──────── (1,2] (4,8] ──── (1,2] (4,8]  │  the next one
```

So samples are followed series by series, as they are stored. A chunk ends where Prometheus ends it: at another schema,
zero threshold, bounds or kind, at a reset, at a staleness marker, with its two hours, and where `chunks_head` says that the
next one begins. That is how those end that grew too big, but for those of the last minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import gt
from typing import Final

import numpy as np

from trimon.model.components import Layout, Part, component_labels
from trimon.model.sample import is_stale
from trimon.model.spans import SpanHistogram, Spans, indexes, spans_of
from trimon.storage.head.acceptance import RefusalTally
from trimon.storage.head.arena import Int32s
from trimon.storage.head.head import Head
from trimon.storage.options import HOUR_MS
from trimon.storage.prometheus.headchunks import ChunkStarts

_CHUNK_RANGE_MS: Final = 2 * HOUR_MS
# How many samples that came out of order Prometheus stores in one chunk.
_OUT_OF_ORDER_CHUNK: Final = 32

_Counts = tuple[float, ...]


class _Run:
    """The histograms of a chunk so far: their times, the last of them with all buckets of the chunk, and its components."""

    __slots__ = ("end_ms", "last", "rows", "times")

    def __init__(self, histogram: SpanHistogram, time_ms: int, rows: Int32s) -> None:
        self.last = histogram
        self.rows = rows
        self.times = [time_ms]
        self.end_ms = time_ms - time_ms % _CHUNK_RANGE_MS + _CHUNK_RANGE_MS

    def joined(self, histogram: SpanHistogram) -> SpanHistogram | None:
        """A later histogram with all buckets of the chunk and its own; None if it begins another chunk."""
        last = self.last
        if (
            histogram.schema != last.schema
            or histogram.zero_threshold != last.zero_threshold
            or histogram.integer != last.integer
            or histogram.gauge != last.gauge
            or histogram.custom_values != last.custom_values
        ):
            return None
        falls = not histogram.gauge
        if falls and (histogram.count < last.count or histogram.zero_count < last.zero_count):
            return None
        positive = _side(
            last.positive_spans, last.positive, histogram.positive_spans, histogram.positive, falls=falls
        )
        negative = _side(
            last.negative_spans, last.negative, histogram.negative_spans, histogram.negative, falls=falls
        )
        if positive is None or negative is None:
            return None
        if positive[0] is histogram.positive_spans and negative[0] is histogram.negative_spans:
            return histogram
        return replace(
            histogram,
            positive_spans=positive[0],
            positive=positive[1],
            negative_spans=negative[0],
            negative=negative[1],
        )


def _side(
    spans: Spans, counts: _Counts, later_spans: Spans, later: _Counts, *, falls: bool
) -> tuple[Spans, _Counts] | None:
    """The later spans and counts with all buckets of both; None if one of a counter fell."""
    if spans == later_spans:
        return None if falls and any(map(gt, counts, later)) else (later_spans, later)
    before = dict(zip(indexes(spans), counts, strict=True))
    now = dict(zip(indexes(later_spans), later, strict=True))
    if falls and any(count > now.get(index, 0) for index, count in before.items()):
        return None
    listed = sorted(before.keys() | now.keys())
    return spans_of(listed), tuple(now.get(index, 0) for index in listed)


class LogHistograms:
    """Stores native histograms of the log as components. Those of a series come in the order of the log.

    `starts` are the times at which a chunk begins, by Prometheus' references.
    """

    def __init__(self, head: Head, starts: ChunkStarts) -> None:
        self._head = head
        self._starts = starts
        self._runs: dict[int, _Run] = {}
        self._known: dict[tuple[int, tuple[str, ...]], Int32s] = {}
        # Samples that came out of order and wait until Prometheus' chunk of them is full.
        self._late: dict[int, list[tuple[int, SpanHistogram, bool]]] = {}
        self._rows: list[Int32s] = []
        self._times: list[int] = []
        self._values: list[float] = []

    def take(self, ref: int, number: int, time_ms: int, histogram: SpanHistogram, *, resets: bool) -> None:
        """One histogram or staleness marker of a series. `resets`: it is told that it begins anew.

        Raises HistogramError for one that contradicts itself.
        """
        stale = _is_stale(histogram)
        if not stale:
            histogram = histogram.kept()
        run = self._runs.get(number)
        if run is not None and time_ms <= run.times[-1]:
            # Prometheus passes it over here, and finds it in its second log.
            self._add(number, time_ms, histogram)
            return
        begins = resets or (run is not None and time_ms >= run.end_ms)
        if not begins and (known := self._starts.get(ref)) is not None:
            begins = time_ms in known
        self._follow(self._runs, number, time_ms, histogram, begins=begins)
        if stale:
            self._runs[number].end_ms = time_ms

    def take_late(self, number: int, time_ms: int, histogram: SpanHistogram, *, resets: bool) -> None:
        """One of the second log, where those are that came out of order. Raises HistogramError as `take`."""
        if not _is_stale(histogram):
            histogram = histogram.kept()
        late = self._late.setdefault(number, [])
        late.append((time_ms, histogram, resets))
        if len(late) >= _OUT_OF_ORDER_CHUNK:
            self._store_late(number, self._late.pop(number))

    def finish(self) -> None:
        """All that was taken is in the head then."""
        for number, late in self._late.items():
            self._store_late(number, late)
        self._late = {}
        self.flush()

    def flush(self) -> None:
        """Bring what was taken in order into the head."""
        if not self._rows:
            return
        lengths = [len(rows) for rows in self._rows]
        self._head.restore_loose(
            np.concatenate(self._rows),
            np.repeat(np.array(self._times, np.int64), lengths),
            np.array(self._values, np.float64),
        )
        self._rows, self._times, self._values = [], [], []

    def _store_late(self, number: int, late: list[tuple[int, SpanHistogram, bool]]) -> None:
        runs: dict[int, _Run] = {}
        for time_ms, histogram, resets in sorted(late, key=lambda sample: sample[0]):
            self._follow(runs, number, time_ms, histogram, begins=resets)
            if _is_stale(histogram):
                runs.clear()

    def _follow(
        self, runs: dict[int, _Run], number: int, time_ms: int, histogram: SpanHistogram, *, begins: bool
    ) -> None:
        """Store a histogram with the buckets of its chunk, and give those that it brings to the ones before it."""
        run = runs.get(number)
        joined = None if begins or run is None or _is_stale(histogram) else run.joined(histogram)
        if run is None or joined is None:
            runs[number] = _Run(histogram, time_ms, self._add(number, time_ms, histogram))
            return
        before, run.last = run.last, joined
        if _alike(before, joined):
            marker, _, parts = joined.components()
            self._put(run.rows, time_ms, (marker, *parts))
        else:
            self._fill(number, run.times, before, joined)
            run.rows = self._add(number, time_ms, joined)
        run.times.append(time_ms)

    def _fill(self, number: int, times: Iterable[int], before: SpanHistogram, now: SpanHistogram) -> None:
        """Give earlier histograms of a chunk the buckets that a later one brings."""
        layout = Layout(now.schema, now.zero_threshold, now.custom_values)
        texts: list[str] = []
        for part, old, new in (
            (Part.POSITIVE, before.positive_spans, now.positive_spans),
            (Part.NEGATIVE, before.negative_spans, now.negative_spans),
        ):
            known = set(indexes(old))
            texts += [layout.text(part, index) for index in indexes(new) if index not in known]
        if texts:
            rows = self._components(number, tuple(texts))
            for time_ms in times:
                self._put(rows, time_ms, (0.0,) * len(texts))

    def _add(self, number: int, time_ms: int, histogram: SpanHistogram) -> Int32s:
        """Store a histogram; its series and components."""
        marker, texts, parts = histogram.components()
        rows = np.concatenate((np.array([number], np.int32), self._components(number, texts)))
        self._put(rows, time_ms, (marker, *parts))
        return rows

    def _put(self, rows: Int32s, time_ms: int, values: Sequence[float]) -> None:
        self._rows.append(rows)
        self._times.append(time_ms)
        self._values += values

    def _components(self, number: int, texts: tuple[str, ...]) -> Int32s:
        """The components of a series with these texts."""
        key = number, texts
        if key not in self._known:
            labels = self._head.index.view().labels(number) if texts else ()
            listed = [component_labels(labels, text) for text in texts]
            self._known[key] = self._head.create(listed, RefusalTally())
        return self._known[key]


def _is_stale(histogram: SpanHistogram) -> bool:
    return histogram.sum != histogram.sum and bool(is_stale(np.array([histogram.sum]))[0])


def _alike(one: SpanHistogram, other: SpanHistogram) -> bool:
    return one.positive_spans == other.positive_spans and one.negative_spans == other.negative_spans
