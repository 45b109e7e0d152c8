"""What is sent: samples as columns, histograms and exemplars beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from trimon.model.components import Component, MarkerFlags, Part, is_marker, marker_flags
from trimon.model.labels import Labels, labels_of
from trimon.model.sample import is_stale
from trimon.model.spans import SpanHistogram, Spans
from trimon.records import dataclass
from trimon.remote.sending.series import DROPPED, SeriesTable

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Histogram(NamedTuple):
    """A native histogram of a series; None is the end of the series."""

    series: int
    time_ms: int
    value: SpanHistogram | None


class Exemplar(NamedTuple):
    """An exemplar of a series."""

    series: int
    labels: Labels
    value: float
    time_ms: int


class Counted(NamedTuple):
    """How many of each kind."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.samples + self.histograms + self.exemplars

    def plus(self, other: Counted) -> Counted:
        """Both together."""
        return Counted(
            self.samples + other.samples,
            self.histograms + other.histograms,
            self.exemplars + other.exemplars,
        )

    def minus(self, other: Counted) -> Counted:
        """Without the other."""
        return Counted(
            self.samples - other.samples,
            self.histograms - other.histograms,
            self.exemplars - other.exemplars,
        )


NONE: Final = Counted()


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Entries in order, of each kind apart."""

    series: Int32s
    times_ms: Int64s
    values: Floats
    histograms: tuple[Histogram, ...] = ()
    exemplars: tuple[Exemplar, ...] = ()

    def text_bytes(self, table: SeriesTable) -> float:
        """The bytes of the labels in a request of 1.0 with these; infinite where there is more than samples."""
        if self.histograms or self.exemplars:
            return math.inf
        return int(table.packed.lengths[self.series].sum())

    @property
    def counted(self) -> Counted:
        """How many there are."""
        return Counted(len(self.series), len(self.histograms), len(self.exemplars))

    def cut(self, begin: Counted, end: Counted) -> Entries:
        """A part of each kind."""
        return Entries(
            self.series[begin.samples : end.samples],
            self.times_ms[begin.samples : end.samples],
            self.values[begin.samples : end.samples],
            self.histograms[begin.histograms : end.histograms],
            self.exemplars[begin.exemplars : end.exemplars],
        )

    def since(self, lowest_ms: int) -> Entries:
        """Those of a time or later."""
        kept = self.times_ms >= lowest_ms
        return Entries(
            self.series[kept],
            self.times_ms[kept],
            self.values[kept],
            tuple(each for each in self.histograms if each.time_ms >= lowest_ms),
            tuple(each for each in self.exemplars if each.time_ms >= lowest_ms),
        )

    def by_time(self) -> list[Entries]:
        """Those of each time apart, ascending."""
        times = {
            *self.times_ms.tolist(),
            *(each.time_ms for each in self.histograms),
            *(each.time_ms for each in self.exemplars),
        }
        return [self.since(time_ms).until(time_ms) for time_ms in sorted(times)]

    def until(self, highest_ms: int) -> Entries:
        """Those of a time or earlier."""
        kept = self.times_ms <= highest_ms
        return Entries(
            self.series[kept],
            self.times_ms[kept],
            self.values[kept],
            tuple(each for each in self.histograms if each.time_ms <= highest_ms),
            tuple(each for each in self.exemplars if each.time_ms <= highest_ms),
        )

    @property
    def newest_ms(self) -> int:
        """The latest time; 0 of nothing."""
        times = [int(self.times_ms.max())] if len(self.times_ms) else [0]
        return max([*times, *(each.time_ms for each in self.histograms)])

    @property
    def oldest_ms(self) -> int:
        """The earliest time; 0 of nothing."""
        times = [int(self.times_ms.min())] if len(self.times_ms) else []
        return min([*times, *(each.time_ms for each in self.histograms)], default=0)


def joined(parts: Sequence[Entries]) -> Entries:
    """Several one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Entries(
        np.concatenate([part.series for part in parts]),
        np.concatenate([part.times_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        tuple(each for part in parts for each in part.histograms),
        tuple(each for part in parts for each in part.exemplars),
    )


class Sifter:
    """Makes entries of what the log says: numbers of histograms become histograms again."""

    def __init__(self, table: SeriesTable, *, histograms: bool, exemplars: bool) -> None:
        self._table = table
        self._histograms = histograms
        self._exemplars = exemplars
        # Series whose last sample was a histogram: their end is one, too.
        self._last_histogram: set[int] = set()
        self.dropped = NONE
        """Entries of series that rules dropped."""

    def forget(self, gone: Sequence[int]) -> None:
        """Numbers that the table has let go of mean nothing any more."""
        self._last_histogram.difference_update(gone)

    def sift(self, series: Int32s, times_ms: Int64s, values: Floats, exemplars: Sequence[Any]) -> Entries:
        """The entries of columns and of exemplars as the log has them."""
        marked = is_marker(values)
        found: tuple[Histogram, ...] = ()
        parts = self._table.owners[series] >= 0
        special = marked | parts
        if self._last_histogram:
            ends = is_stale(values) & ~special
            if ends.any():
                mine = np.fromiter(self._last_histogram, np.int32)
                special |= ends & np.isin(series, mine)
        if special.any():
            if self._histograms:
                at = np.flatnonzero(special & ~parts)
                found = self._built(series, times_ms, values, at, np.flatnonzero(parts))
            series, times_ms, values = series[~special], times_ms[~special], values[~special]
        dropped = series == DROPPED
        gone = Counted(int(np.count_nonzero(dropped)))
        if gone.samples:
            series, times_ms, values = series[~dropped], times_ms[~dropped], values[~dropped]
        told: list[Exemplar] = []
        if self._exemplars:
            for pairs, labels, value, time_ms in exemplars:
                number = int(self._table.resolve([labels_of(map(tuple, pairs))])[0])
                if number == DROPPED:
                    gone = gone.plus(Counted(exemplars=1))
                else:
                    told.append(Exemplar(number, labels_of(map(tuple, labels)), value, time_ms))
        self.dropped = self.dropped.plus(gone)
        return Entries(series, times_ms, values, found, tuple(told))

    def _built(
        self, series: Int32s, times_ms: Int64s, values: Floats, owners: Int64s, parts: Int64s
    ) -> tuple[Histogram, ...]:
        """Histograms whose markers, or ends, are at `owners`, of numbers at `parts`."""
        table = self._table
        numbers: dict[tuple[int, int], list[tuple[Component, float]]] = {}
        for number, time_ms, value in zip(
            series[parts].tolist(), times_ms[parts].tolist(), values[parts].tolist(), strict=True
        ):
            component = table.components[number]
            assert component is not None
            numbers.setdefault((int(table.owners[number]), time_ms), []).append((component, value))
        stale = is_stale(values[owners]).tolist()
        flags = marker_flags(values[owners]).tolist()
        out: list[Histogram] = []
        dropped = 0
        for place, (number, time_ms) in enumerate(
            zip(series[owners].tolist(), times_ms[owners].tolist(), strict=True)
        ):
            if number == DROPPED:
                dropped += 1
            elif stale[place]:
                self._last_histogram.discard(number)
                out.append(Histogram(number, time_ms, None))
            else:
                self._last_histogram.add(number)
                value = assembled(numbers.get((number, time_ms), []), flags[place])
                if value is not None:
                    out.append(Histogram(number, time_ms, value))
        self.dropped = self.dropped.plus(Counted(histograms=dropped))
        return tuple(out)


def assembled(numbers: Sequence[tuple[Component, float]], flags: int) -> SpanHistogram | None:
    """A histogram of its numbers; None where its count is not among them."""
    counts = [(component, value) for component, value in numbers if component.part is Part.COUNT]
    if not counts or counts[-1][0].layout is None:
        return None
    head, count = counts[-1]
    layout = head.layout
    assert layout is not None
    single = {Part.SUM: 0.0, Part.ZERO: 0.0}
    buckets: dict[Part, list[tuple[int, float]]] = {Part.POSITIVE: [], Part.NEGATIVE: []}
    for component, value in numbers:
        if component.prefix != head.prefix:
            continue
        if component.part in single:
            single[component.part] = value
        elif component.part in buckets:
            buckets[component.part].append((component.index, value))
    positive_spans, positive = _spanned(buckets[Part.POSITIVE])
    negative_spans, negative = _spanned(buckets[Part.NEGATIVE])
    return SpanHistogram(
        layout.schema,
        layout.zero_threshold,
        single[Part.ZERO],
        count,
        single[Part.SUM],
        positive_spans,
        positive,
        negative_spans,
        negative,
        layout.custom_values,
        integer=not flags & MarkerFlags.FLOAT,
        gauge=bool(flags & MarkerFlags.GAUGE),
    )


def _spanned(buckets: list[tuple[int, float]]) -> tuple[Spans, tuple[float, ...]]:
    """Buckets by index as spans and counts."""
    buckets.sort()
    spans: list[tuple[int, int]] = []
    following = 0
    for index, _ in buckets:
        if spans and index == following:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - following if spans else index, 1))
        following = index + 1
    return tuple(spans), tuple(value for _, value in buckets)
