"""Deltas summed to cumulative series: what each series was at its last point."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import field
from itertools import zip_longest
from typing import Final, TypeAlias, TypeVar

from trimon.errors import UserError
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.remote.otlp.points import Buckets, ExponentialPoint, HistogramPoint, Point

STREAMS_MAX: Final = 500_000
# A series that says nothing for so long begins anew.
IDLE_S: Final = 300.0
# Buckets of one side of an exponential sum: what is wider is kept in a coarser scale, as senders do.
_WIDTH_MAX: Final = 160

Stream: TypeAlias = tuple[Labels, type[Point]]
P = TypeVar("P", bound=Point)


class DeltaLeftOut(UserError):
    """A point that cannot be added to its series; others can."""


@dataclass(slots=True)
class _State:
    point: Point
    used_s: float


@dataclass(slots=True)
class DeltaSums:
    """The sums of all series, and those of the request at hand until it is known to be stored.

    One request at a time: what is summed is kept by `commit`, and forgotten by `forget`.
    """

    streams_max: int = STREAMS_MAX
    _states: dict[Stream, _State] = field(default_factory=dict)
    _changed: dict[Stream, Point | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._states)

    def add(self, series: Labels, point: P) -> P:
        """The series' sum with this point in it. Raises DeltaLeftOut for an old one, and beyond the number of series."""
        stream = (series, type(point))
        before = self._changed[stream] if stream in self._changed else self._stored(stream)
        if point.has_no_value:
            self._changed[stream] = None
            return point
        if before is None:
            if len(self._states) + len(self._changed) >= self.streams_max and stream not in self._states:
                raise DeltaLeftOut(f"more than {self.streams_max} series of deltas")
            total = deepcopy(point)
        elif not isinstance(before, type(point)):
            raise TypeError(f"the sum of a {type(point).__name__} is one")
        else:
            if point.start_ns < before.start_ns:
                raise DeltaLeftOut("a delta that began before the first of its series")
            if point.time_ns <= before.time_ns:
                raise DeltaLeftOut("a delta that is not newer than the last of its series")
            total = _added(before, point)
        self._changed[stream] = total
        return total

    def _stored(self, stream: Stream) -> Point | None:
        state = self._states.get(stream)
        return state.point if state is not None else None

    def commit(self, now_s: float) -> None:
        """What was summed since the last time is stored."""
        for stream, point in self._changed.items():
            self._states.pop(stream, None)
            if point is not None:
                point.exemplars = []
                self._states[stream] = _State(point, now_s)
        self._changed.clear()
        self._drop_idle(now_s)

    def forget(self) -> None:
        """What was summed since the last time is not stored: it will come again."""
        self._changed.clear()

    def _drop_idle(self, now_s: float) -> None:
        """The states are in order of their last use."""
        while self._states:
            stream, state = next(iter(self._states.items()))
            if state.used_s > now_s - IDLE_S:
                return
            del self._states[stream]


def _added(before: P, point: P) -> P:
    """A new sum; neither is changed."""
    total = deepcopy(point)
    total.start_ns = before.start_ns
    total.value = before.value + point.value
    total.count = before.count + point.count
    total.sum = None if before.sum is None or point.sum is None else before.sum + point.sum
    if isinstance(total, HistogramPoint) and isinstance(before, HistogramPoint):
        if total.bounds != before.bounds:
            return deepcopy(point)  # other buckets cannot be added: the series begins anew
        total.counts = _sums(before.counts, total.counts)
    elif isinstance(total, ExponentialPoint) and isinstance(before, ExponentialPoint):
        _add_exponential(total, before)
    return total


def _sums(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip_longest(one, other, fillvalue=0)]


def _add_exponential(total: ExponentialPoint, before: ExponentialPoint) -> None:
    total.zero_count += before.zero_count
    pairs = [(total.positive, before.positive), (total.negative, before.negative)]
    scale = min(total.scale, before.scale)
    while (
        max(_width(one, total.scale - scale, other, before.scale - scale) for one, other in pairs)
        > _WIDTH_MAX
    ):
        scale -= 1
    total.positive, total.negative = (
        _merged(_coarse(one, total.scale - scale), _coarse(other, before.scale - scale))
        for one, other in pairs
    )
    total.scale = scale


def _width(one: Buckets, one_levels: int, other: Buckets, other_levels: int) -> int:
    """How many buckets both together span when each is so many levels coarser."""
    ends = [
        (side.offset + edge) >> levels
        for side, levels in ((one, one_levels), (other, other_levels))
        if side.counts
        for edge in (0, len(side.counts) - 1)
    ]
    return max(ends) - min(ends) + 1 if ends else 0


def _coarse(side: Buckets, levels: int) -> Buckets:
    if levels == 0 or not side.counts:
        return side
    first = side.offset >> levels
    counts = [0] * (((side.offset + len(side.counts) - 1) >> levels) - first + 1)
    for index, count in enumerate(side.counts, side.offset):
        counts[(index >> levels) - first] += count
    return Buckets(first, counts)


def _merged(one: Buckets, other: Buckets) -> Buckets:
    if not one.counts or not other.counts:
        return one if one.counts else other
    first = min(one.offset, other.offset)
    end = max(one.offset + len(one.counts), other.offset + len(other.counts))
    counts = [0] * (end - first)
    for side in (one, other):
        for index, count in enumerate(side.counts, side.offset - first):
            counts[index] += count
    return Buckets(first, counts)
