"""From the numbers of a body to the values of all samples at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import Floats, Ints
from trimon.scrape.exposition.protobuf.rawmetric import RawMetric
from trimon.scrape.exposition.protobuf.shape import Shape

Bytes: TypeAlias = npt.NDArray[np.uint8]

_VARINT_BYTES_MAX = 10
_CONTINUED = np.uint8(0x80)


@dataclass(slots=True)
class NumberPlaces:
    """Where the numbers of a body are, in the order of its metrics: `first[m]` is the first one of metric `m`."""

    double_at: Ints
    double_first: Ints
    varint_at: Ints
    varint_bytes: Ints
    varint_first: Ints
    zigzag_at: Ints
    zigzag_bytes: Ints
    zigzag_first: Ints

    def moved(self, shift: Ints) -> NumberPlaces:
        """The same numbers when each metric has moved by so many bytes."""

        def move(places: Ints, first: Ints) -> Ints:
            return places + np.repeat(shift, np.diff(first))

        return NumberPlaces(
            move(self.double_at, self.double_first),
            self.double_first,
            move(self.varint_at, self.varint_first),
            self.varint_bytes.copy(),
            self.varint_first,
            move(self.zigzag_at, self.zigzag_first),
            self.zigzag_bytes.copy(),
            self.zigzag_first,
        )

    def put(self, metric: int, raw: RawMetric) -> None:
        """The places of one metric that was read again."""
        self.double_at[self.double_first[metric] : self.double_first[metric + 1]] = raw.double_at
        for first, at, size, found in (
            (self.varint_first, self.varint_at, self.varint_bytes, raw.varint_at),
            (self.zigzag_first, self.zigzag_at, self.zigzag_bytes, raw.zigzag_at),
        ):
            if found:
                begin = int(first[metric])
                at[begin : begin + len(found)] = [place for place, _ in found]
                size[begin : begin + len(found)] = [length for _, length in found]

    def mask(self, body_bytes: int) -> Bytes:
        """By byte the bits that must not change while only numbers do: lengths of varints are kept, too."""
        mask = np.full(body_bytes, 0xFF, np.uint8)
        mask[(self.double_at[:, None] + np.arange(8)).ravel()] = 0
        for at, size in ((self.varint_at, self.varint_bytes), (self.zigzag_at, self.zigzag_bytes)):
            for byte in range(int(size.max(initial=0))):
                mask[at[size > byte] + byte] = _CONTINUED
        return mask


class PlacesBuilder:
    """Collects places metric by metric."""

    def __init__(self) -> None:
        self._doubles: list[int] = []
        self._varints: list[tuple[int, int]] = []
        self._zigzags: list[tuple[int, int]] = []
        self._firsts: list[tuple[int, int, int]] = [(0, 0, 0)]

    def add(self, raw: RawMetric) -> None:
        """The next metric."""
        self._doubles += raw.double_at
        self._varints += raw.varint_at
        self._zigzags += raw.zigzag_at
        self._firsts.append((len(self._doubles), len(self._varints), len(self._zigzags)))

    def add_run(self, known: NumberPlaces, first: int, last: int, shift: int) -> None:
        """Metrics that are known, so many bytes from where they were."""
        sizes = []
        for of_kind, before in (
            (self._doubles, known.double_first),
            (self._varints, known.varint_first),
            (self._zigzags, known.zigzag_first),
        ):
            sizes.append((before[first + 1 : last + 1] - (before[first] - len(of_kind))).tolist())
        self._firsts += zip(*sizes, strict=True)
        begin, end = known.double_first[first], known.double_first[last]
        self._doubles += (known.double_at[begin:end] + shift).tolist()
        begin, end = known.varint_first[first], known.varint_first[last]
        at, size = known.varint_at[begin:end] + shift, known.varint_bytes[begin:end]
        self._varints += zip(at.tolist(), size.tolist(), strict=True)
        begin, end = known.zigzag_first[first], known.zigzag_first[last]
        at, size = known.zigzag_at[begin:end] + shift, known.zigzag_bytes[begin:end]
        self._zigzags += zip(at.tolist(), size.tolist(), strict=True)

    def done(self) -> NumberPlaces:
        """All places."""
        firsts = np.array(self._firsts, np.int64).reshape(-1, 3).T.copy()
        varints = np.array(self._varints, np.int64).reshape(-1, 2)
        zigzags = np.array(self._zigzags, np.int64).reshape(-1, 2)
        return NumberPlaces(
            np.array(self._doubles, np.int64),
            firsts[0],
            varints[:, 0].copy(),
            varints[:, 1].copy(),
            firsts[1],
            zigzags[:, 0].copy(),
            zigzags[:, 1].copy(),
            firsts[2],
        )


def _varints(body: Bytes, at: Ints, size: Ints) -> npt.NDArray[np.uint64]:
    found = np.zeros(len(at), np.uint64)
    for byte in range(min(int(size.max(initial=0)), _VARINT_BYTES_MAX)):
        here = size > byte
        bits = (body[at[here] + byte] & 0x7F).astype(np.uint64)
        found[here] |= bits << np.uint64(7 * byte)
    return found


class ValuePlan:
    """How the values of all samples follow from the numbers of a body. Made once a layout; shapes are gathered by kind."""

    def __init__(self, shapes: Sequence[Shape], places: NumberPlaces) -> None:
        counts = np.fromiter((len(shape.names) for shape in shapes), np.int64, len(shapes))
        self.sample_first: Ints = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        self._places = places
        self._metrics: dict[int, list[int]] = {}
        by_id: dict[int, Shape] = {}
        for metric, shape in enumerate(shapes):
            self._metrics.setdefault(id(shape), []).append(metric)
            by_id[id(shape)] = shape
        self._shapes = [(by_id[key], np.array(metrics)) for key, metrics in self._metrics.items()]
        self._doubles = int(places.double_first[-1])
        self._nothing = self._doubles + int(places.varint_first[-1])
        self._constants = np.zeros(int(self.sample_first[-1]), np.float64)
        for shape, metrics in self._shapes:
            if any(shape.constants):
                at = self.sample_first[metrics][:, None] + np.arange(len(shape.constants))
                self._constants[at] = shape.constants
        sample, double, zigzag = self.sample_first, places.double_first, places.zigzag_first
        self._direct = self._gather(lambda shape: shape.direct, (sample, None))
        self._steps = self._gather(lambda shape: shape.steps, (sample, None, None))
        self._none = self._gather(lambda shape: shape.none, (None, None))
        self._zigzags = self._gather(lambda shape: shape.zigzags, (sample, zigzag, zigzag))
        self._counts = self._gather(lambda shape: shape.counts, (sample, double))
        self._not_negative = self._gather(lambda shape: [(one,) for one in shape.not_negative], (sample,))
        self._balances = self._gather(
            lambda shape: [(one.count, one.sum) for one in shape.balances], (sample, sample)
        )
        self._balanced = self._owners()

    def _gather(
        self, rows: Callable[[Shape], Sequence[tuple[int, ...]]], bases: tuple[Ints | None, ...]
    ) -> tuple[Ints, ...]:
        """The rows of all shapes, a column each: numbers of a metric become those of the body. A base of None: a Ref."""
        columns: list[list[Ints]] = [[] for _ in bases]
        for shape, metrics in self._shapes:
            relative = rows(shape)
            if not relative:
                continue
            for column, base, of_rows in zip(columns, bases, zip(*relative, strict=True), strict=True):
                numbers = np.array(of_rows, np.int64)
                if base is not None:
                    column.append((base[metrics][:, None] + numbers).ravel())
                else:
                    column.append(self._refs(metrics, numbers).ravel())
        return tuple(np.concatenate(column) if column else np.zeros(0, np.int64) for column in columns)

    def _refs(self, metrics: Ints, refs: Ints) -> Ints:
        """Refs of metrics as places in the numbers of the body: doubles, varints, and one that is 0."""
        places = self._places
        doubles = places.double_first[metrics][:, None] + (refs >> 1)
        varints = self._doubles + places.varint_first[metrics][:, None] + (refs >> 1)
        found = np.where(refs & 1, varints, doubles)
        return np.where(refs < 0, self._nothing, found)

    def _owners(self) -> tuple[Ints, Ints]:
        """The samples that are parts of a balance, and of which."""
        parts, owners, first = [], [], 0
        for shape, metrics in self._shapes:
            for balance in shape.balances:  # one at most
                of_metric = self.sample_first[metrics][:, None] + np.array(balance.parts, np.int64)
                parts.append(of_metric.ravel())
                owners.append((first + np.arange(len(metrics))).repeat(len(balance.parts)))
                first += len(metrics)
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(parts), np.concatenate(owners)

    def values(self, body: Bytes, places: NumberPlaces, guards: Ints) -> Floats | None:
        """The values of all samples; None where a number is not what the shapes were made for, or cannot be."""
        doubles = body[(places.double_at[:, None] + np.arange(8)).ravel()].view("<f8")
        if len(guards) and not (doubles[guards] > 0).all():
            return None
        numbers = np.concatenate(
            (doubles, _varints(body, places.varint_at, places.varint_bytes).astype(np.float64), np.zeros(1))
        )
        if len(self._none[0]) and (numbers[self._none[0]] != numbers[self._none[1]]).any():
            return None
        values = self._constants.copy()
        values[self._direct[0]] = numbers[self._direct[1]]
        if len(self._steps[0]):
            values[self._steps[0]] = numbers[self._steps[1]] - numbers[self._steps[2]]
        if len(self._counts[0]):
            np.add.at(values, self._counts[0], doubles[self._counts[1]])
        if len(self._zigzags[0]):
            self._add_zigzags(values, body, places)
        return values if self._is_sound(values) else None

    def _add_zigzags(self, values: Floats, body: Bytes, places: NumberPlaces) -> None:
        written = _varints(body, places.zigzag_at, places.zigzag_bytes)
        deltas = (written >> np.uint64(1)).astype(np.int64) ^ -(written & np.uint64(1)).astype(np.int64)
        sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(deltas)))
        samples, numbers, starts = self._zigzags
        np.add.at(values, samples, (sums[numbers + 1] - sums[starts]).astype(np.float64))

    def _is_sound(self, values: Floats) -> bool:
        """Whether the counts of histograms are what they may be."""
        if (values[self._not_negative[0]] < 0).any():
            return False
        counts, sums = self._balances
        if not len(counts):
            return True
        parts, owners = self._balanced
        found = np.bincount(owners, values[parts], len(counts))
        total = values[counts]
        return bool(np.where(np.isnan(values[sums]), found <= total, found == total).all())
