"""The memory of a body in protobuf, metric by metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from trimon.model.labels import Labels
from trimon.scrape.exposition.bodymemory import NOTHING, Floats, Ints, SeriesExemplar, SeriesRule
from trimon.scrape.exposition.families import BodyFamilies, FamilyDeclaration
from trimon.scrape.exposition.protobuf.columns import Bytes, NumberPlaces, PlacesBuilder, ValuePlan
from trimon.scrape.exposition.protobuf.rawmetric import RawMetric
from trimon.scrape.exposition.protobuf.shape import TYPE_NAMES, Shape, Shapes

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

    def places_by_labels(self) -> dict[tuple[FamilyKey, bytes], int]:
        """The metrics by family and the bytes of their labels; those whose labels are scattered are not found again."""
        found: dict[tuple[FamilyKey, bytes], int] = {}
        starts = self.starts.tolist()
        for number, (key, start, size) in enumerate(zip(self.keys, starts, self.label_bytes, strict=True)):
            if size != SCATTERED:
                found.setdefault((key, self.body[start : start + size]), number)
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
