"""The memory of a body in protobuf, metric by metric."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import field
from typing import Final, TypeVar

import numpy as np

from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import NOTHING, Floats, Ints, SeriesExemplar, SeriesRule
from trimon.scrape.exposition.families import BodyFamilies, FamilyDeclaration
from trimon.scrape.exposition.protobuf.columns import Bytes, NumberPlaces, PlacesBuilder, ValuePlan
from trimon.scrape.exposition.protobuf.rawmetric import RawMetric
from trimon.scrape.exposition.protobuf.shape import TYPE_NAMES, Shape, Shapes

T = TypeVar("T")

# Labels that are not one piece at the beginning of a metric.
SCATTERED: Final = -1


@dataclass(frozen=True, slots=True)
class FamilyKey:
    """What tells families apart, and what is declared of them."""

    name: str
    type: int
    unit: str

    @property
    def declared(self) -> FamilyDeclaration:
        """What its comments would say in text."""
        return FamilyDeclaration(TYPE_NAMES[self.type], self.unit)


@dataclass(frozen=True, slots=True)
class MetricRules:
    """How the metrics of a target are read. `starts`: created timestamps are of interest."""

    series_labels: SeriesRule
    honor_timestamps: bool
    shapes: Shapes
    starts: bool


@dataclass(slots=True)
class MetricList:
    """The metrics of a body in its order, as they are read."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    label_bytes: list[int] = field(default_factory=list)
    families: list[FamilyKey] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    """By sample its slot, or what it is instead."""
    guards: list[tuple[int, int]] = field(default_factory=list)
    """Doubles that must stay above 0: metric and number."""
    again: list[int] = field(default_factory=list)
    """Metrics that are read again every time."""
    created_ms: dict[int, int] = field(default_factory=dict)
    exemplars: dict[int, list[SeriesExemplar]] = field(default_factory=dict)
    """Exemplars that metrics showed last."""
    exemplar_labels: dict[int, dict[int, Labels | None]] = field(default_factory=dict)
    """By metric and sample the labels of series that ever showed exemplars."""
    places: PlacesBuilder = field(default_factory=PlacesBuilder)

    def add(self, family: FamilyKey, start: int, end: int, raw: RawMetric, shape: Shape) -> int:
        """A metric that is read; its number."""
        number = len(self.starts)
        self.starts.append(start)
        self.ends.append(end)
        self.label_bytes.append(len(raw.label_bytes) if raw.labels_first else SCATTERED)
        self.families.append(family)
        self.shapes.append(shape)
        self.guards += [(number, guard) for guard in raw.guards]
        self.places.add(raw)
        return number

    def add_run(self, known: KnownMetrics, first: int, last: int, starts: list[int], ends: list[int]) -> None:
        """Metrics that are known, elsewhere in this body; their slots are not added."""
        number = len(self.starts)
        self.starts += starts
        self.ends += ends
        self.label_bytes += known.label_bytes[first:last]
        self.families += known.keys[first:last]
        self.shapes += known.shapes[first:last]
        begin, end = (bisect_left(known.guards, (metric, -1)) for metric in (first, last))
        self.guards += [(metric - first + number, guard) for metric, guard in known.guards[begin:end]]
        self.places.add_run(known.places, first, last, starts[0] - int(known.starts[first]))
        moved = range(first, last)
        self.created_ms |= _renumbered(known.created_ms, moved, number - first)
        self.exemplars |= _renumbered(known.exemplars, moved, number - first)
        self.exemplar_labels |= _renumbered(known.exemplar_labels, moved, number - first)


def _renumbered(of_metrics: dict[int, T], moved: range, by: int) -> dict[int, T]:
    """What is known of some metrics, under other numbers."""
    if not of_metrics:
        return {}
    return {metric + by: of_metrics[metric] for metric in moved if metric in of_metrics}


class KnownMetrics:
    """The metrics of the last good body.

    `heads` are the families' own fields, `counts` how many metrics each has. `hashes` has by slot the hash of the series'
    labels, `is_component` whether it is a component of a histogram. With `one_by_one` the next body is read metric by metric.
    """

    def __init__(
        self,
        families: BodyFamilies,
        body: bytes = b"",
        metrics: MetricList | None = None,
        heads: Sequence[bytes] = (),
        counts: Sequence[int] = (),
        hashes: Ints = NOTHING,
        is_component: Sequence[bool] = (),
        *,
        samples: int = 0,
        duplicates: int = 0,
        one_by_one: bool = False,
    ) -> None:
        metrics = metrics if metrics is not None else MetricList()
        self.families = families
        self.body = body
        self.bytes: Bytes = np.frombuffer(body, np.uint8)
        self.heads = list(heads)
        self.counts = list(counts)
        self.hashes = hashes
        self.is_component = np.array(is_component, bool)
        self.components = int(np.count_nonzero(self.is_component))
        self.samples = samples
        self.duplicates = duplicates
        self.one_by_one = one_by_one
        self.starts = np.array(metrics.starts, np.int64)
        self.ends = np.array(metrics.ends, np.int64)
        self.label_bytes = metrics.label_bytes
        self.keys = metrics.families
        self.shapes = metrics.shapes
        self.again = metrics.again
        self.created_ms = metrics.created_ms
        self.exemplars = metrics.exemplars
        self.exemplar_labels = metrics.exemplar_labels
        self.slots = np.array(metrics.slots, np.int64)
        self.places: NumberPlaces = metrics.places.done()
        self._plan = ValuePlan(self.shapes, self.places)
        self.sample_first = self._plan.sample_first
        self._slotted = np.flatnonzero(self.slots >= 0)
        self.guards = metrics.guards
        self.counted_first: Ints = np.concatenate(
            (np.zeros(1, np.int64), np.cumsum([shape.counted for shape in self.shapes], dtype=np.int64))
        )
        self._guards = np.array(
            [self.places.double_first[metric] + number for metric, number in metrics.guards], np.int64
        )
        self.mask = self.places.mask(len(body)) if not one_by_one else np.zeros(0, np.uint8)

    def values(self) -> Floats | None:
        """The values by slot; None when the numbers of the body do not fit its shapes."""
        found = self._plan.values(self.bytes, self.places, self._guards)
        return None if found is None else found[self._slotted]

    def replace(self, body: bytes, starts: Ints, ends: Ints, places: NumberPlaces) -> None:
        """The same metrics with other numbers, in another body."""
        self.body = body
        self.bytes = np.frombuffer(body, np.uint8)
        self.starts, self.ends, self.places = starts, ends, places
        self.mask = places.mask(len(body))

    def shown_exemplars(self) -> tuple[SeriesExemplar, ...]:
        """All exemplars that the body shows."""
        return tuple(one for of_metric in self.exemplars.values() for one in of_metric)

    def ranges_by_key(self) -> dict[FamilyKey, list[range]]:
        """The metrics of each family, which may be in a body more than once."""
        found: dict[FamilyKey, list[range]] = {}
        first = 0
        for count in self.counts:
            if count:
                found.setdefault(self.keys[first], []).append(range(first, first + count))
            first += count
        return found

    def places_by_labels(self, metrics: list[range]) -> dict[bytes, int]:
        """Metrics by the bytes of their labels; those whose labels are scattered are not found again."""
        found: dict[bytes, int] = {}
        for of_family in metrics:
            starts = self.starts[of_family.start : of_family.stop].tolist()
            sizes = self.label_bytes[of_family.start : of_family.stop]
            for number, start, size in zip(of_family, starts, sizes, strict=True):
                if size != SCATTERED:
                    found.setdefault(self.body[start : start + size], number)
        return found

    def ranges_by_head(self) -> dict[bytes, tuple[int, int]]:
        """By the own fields of families their first metric, and the one behind their last."""
        found: dict[bytes, tuple[int, int]] = {}
        first = 0
        for head, count in zip(self.heads, self.counts, strict=True):
            found.setdefault(head, (first, first + count))
            first += count
        return found

    def series(self) -> set[int]:
        """The hashes of the series that are known, without components."""
        return set(self.hashes[~self.is_component].tolist())

    def only(self, slots: Ints) -> KnownMetrics:
        """The memory of some of the slots, numbered anew in the order given: which metric they are is forgotten."""
        return KnownMetrics(
            BodyFamilies(),
            hashes=self.hashes[slots],
            is_component=self.is_component[slots].tolist(),
            one_by_one=True,
        )
