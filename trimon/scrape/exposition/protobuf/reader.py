"""Reading a body metric by metric: the first one of a target, and those in which more than numbers have changed."""

from __future__ import annotations

import numpy as np

from trimon import limits
from trimon.memory.series import SeriesGrant
from trimon.model.components import component_labels
from trimon.model.labels import METRIC_NAME, Labels
from trimon.scrape.exposition.bodymemory import (
    DROPPED,
    DUPLICATE,
    LINES_AT_ONCE,
    TIMED,
    BodyReading,
    BrokenBody,
    Lateness,
    SeriesExemplar,
)
from trimon.scrape.exposition.families import BodyFamilies, BodyFamily
from trimon.scrape.exposition.protobuf.checks import check_histogram
from trimon.scrape.exposition.protobuf.declarations import declare
from trimon.scrape.exposition.protobuf.exemplars import shown_exemplars
from trimon.scrape.exposition.protobuf.memory import FamilyKey, KnownMetrics, MetricList, MetricRules
from trimon.scrape.exposition.protobuf.rawmetric import RawMetric
from trimon.scrape.exposition.protobuf.runs import FamilyRuns
from trimon.scrape.exposition.protobuf.scan import Family, next_family
from trimon.scrape.exposition.protobuf.seriesslots import NEW, REFUSED, SeriesSlots
from trimon.scrape.exposition.protobuf.shape import SampleName, Shape, is_native_by_count
from trimon.scrape.exposition.records import (
    ExpositionError,
    LateError,
    LineExemplar,
    Pairs,
)
from trimon.wire import WireError


class MetricByMetric:
    """One pass over a body; metrics that were in the one before keep their slots.

    The arguments are those of `LineByLine`; `known_series` are hashes of series that are not new although no slot has them.
    """

    def __init__(
        self,
        rules: MetricRules,
        before: KnownMetrics,
        known_families: dict[str, BodyFamily],
        known_series: set[int],
        bounds_ms: tuple[int, int] | None,
        sample_limit: int,
        is_late: Lateness,
        grant: SeriesGrant | None,
        *,
        in_runs: bool = True,
    ) -> None:
        self.families = BodyFamilies(None, known_families)
        self._rules = rules
        self._before = before
        self._bounds_ms = bounds_ms
        self._is_late = is_late
        self._metrics = MetricList()
        self._slots = SeriesSlots(self._metrics.slots, before, known_series, sample_limit, grant)
        self.series = self._slots.series
        """The hashes of all series that were read."""
        self._heads: list[bytes] = []
        self._counts: list[int] = []
        self._timed: list[tuple[Labels, int, float]] = []
        self._timed_components = 0
        self._starts: list[tuple[Labels, int, float]] = []
        self._exemplars: list[SeriesExemplar] = []
        self._metrics_of = before.ranges_by_key()
        self._places: dict[FamilyKey, dict[bytes, int]] = {}
        self._old_slots = before.slots.tolist()
        self._old_first = before.sample_first.tolist()
        self._samples = 0
        self._one_by_one = False
        in_runs = in_runs and not before.one_by_one
        self._ranges = before.ranges_by_head() if in_runs else {}

    def read(self, body: bytes) -> tuple[KnownMetrics, BodyReading] | None:
        """The metrics as they are now, and their numbers. Raises BrokenBody.

        None where one of those that were taken in runs has numbers that its shape does not fit.
        """
        try:
            self._read(body)
            self._slots.check_limits()
        except WireError as error:
            raise self._broken(ExpositionError(error.message)) from None
        except ExpositionError as error:
            raise self._broken(error) from None
        self.families.done()
        return self._result(body)

    def _broken(self, error: ExpositionError) -> BrokenBody:
        slots = self._slots
        return BrokenBody(error, self._samples, slots.kept, slots.added, slots.reached())

    def _result(self, body: bytes) -> tuple[KnownMetrics, BodyReading] | None:
        slots = self._slots
        duplicates = self._metrics.slots.count(DUPLICATE)
        now = KnownMetrics(
            self.families,
            body,
            self._metrics,
            self._heads,
            self._counts,
            np.array(slots.hashes, np.int64),
            slots.is_component,
            samples=self._samples,
            duplicates=duplicates,
            one_by_one=self._one_by_one or slots.refused > 0,
        )
        values = now.values()
        if values is None:
            assert self._ranges, "every metric was checked"
            return None
        reading = BodyReading(
            values,
            self._samples,
            duplicates,
            slots.repeats,
            moved=True,
            old_slot=np.array(slots.old_slot, np.int64),
            new_labels=tuple(slots.new_labels),
            timed=tuple(self._timed),
            added=slots.added,
            exemplars=tuple(self._exemplars),
            refused=slots.refused,
            components=now.components + self._timed_components,
            timed_components=self._timed_components,
            starts=tuple(self._starts),
        )
        return now, reading

    def _read(self, body: bytes) -> None:
        position = count = 0
        while position < len(body):
            family, position = next_family(body, position)
            self._heads.append(family.head)
            self._counts.append(len(family.starts))
            if not family.starts:
                if not len(self._heads) % LINES_AT_ONCE:
                    self._check_late(body)
                continue
            key = declare(family, self.families)
            self._read_metrics(family, key, body, count)
            count += len(family.starts)

    def _read_metrics(self, family: Family, key: FamilyKey, body: bytes, count: int) -> None:
        """The metrics of a family, those that are as they were in one go; there were so many before."""
        if count + len(family.starts) > limits.SCRAPE_LINES_MAX:
            raise ExpositionError(f"body has more metrics than the limit of {limits.SCRAPE_LINES_MAX}")
        known = self._ranges.get(family.head)
        runs = None
        if known is not None:
            runs = FamilyRuns(self._before, np.frombuffer(body, np.uint8), family, *known)
        place, looked = 0, -1
        while place < len(family.starts):
            if (count + place) // LINES_AT_ONCE != looked:
                looked = (count + place) // LINES_AT_ONCE
                self._check_late(body)
            if runs is not None:
                old, length = runs.at(place)
                if length and self._take_run(family, place, old, length):
                    place += length
                    continue
            found = self._metric(key, body, family.starts[place], family.ends[place])
            if runs is not None:
                runs.read_alone(found)
            place += 1

    def _check_late(self, body: bytes) -> None:
        if self._is_late():
            raise LateError(f"reading a body of {len(body)} bytes: context deadline exceeded")

    def _take_run(self, family: Family, place: int, old: int, length: int) -> bool:
        """Takes metrics that are as they were; False where their series cannot be taken in one go."""
        before = self._before
        first, last = before.sample_first[old], before.sample_first[old + length]
        if not self._slots.take_run(before, first, last):
            return False
        number = len(self._metrics.starts)
        ends = slice(place, place + length)
        self._metrics.add_run(before, old, old + length, family.starts[ends], family.ends[ends])
        self._samples += int(before.counted_first[old + length] - before.counted_first[old])
        if self._metrics.exemplars:
            for metric in range(number, number + length):
                self._exemplars += self._metrics.exemplars.get(metric, ())
        return True

    def _metric(self, key: FamilyKey, body: bytes, start: int, end: int) -> int:
        """Reads a metric; the number that it had, or -1."""
        raw = RawMetric(body)
        raw.read(start, end)
        places = self._places.get(key)
        if places is None:
            places = self._places[key] = self._before.places_by_labels(self._metrics_of.get(key, []))
        old = places.get(raw.label_bytes, -1) if raw.labels_first else -1
        before = self._before.shapes[old] if old >= 0 else None
        pairs = raw.pairs() if before is None else None
        try:
            shape = self._rules.shapes.shape_of(key.type, raw, before)
        except ExpositionError as error:
            raise ExpositionError(f'histogram "{key.name}": {error}') from None
        number = self._metrics.add(key, start, end, raw, shape)
        if is_native_by_count(raw.histogram):
            self._metrics.again.append(number)
        if raw.timestamp_ms and self._rules.honor_timestamps:
            self._one_by_one = True
            self._timed_metric(key, raw, shape)
        else:
            self._slotted_metric(number, key, raw, shape, old, pairs)
        return old

    def _labels(self, key: FamilyKey, name: SampleName, pairs: Pairs) -> Labels | None:
        own = ((METRIC_NAME, key.name + name.suffix), *pairs)
        return self._rules.series_labels(own if name.label is None else (*own, name.label), key.declared)

    def _slotted_metric(
        self, number: int, key: FamilyKey, raw: RawMetric, shape: Shape, old: int, pairs: Pairs | None
    ) -> None:
        """A metric whose samples have the time of the scrape."""
        before = self._before.shapes[old] if old >= 0 else None
        first = self._old_first[old] if old >= 0 else 0
        known: list[int] | dict[SampleName, int]
        if before is shape:
            known = self._old_slots[first : first + len(shape.names)]
        elif before is not None:
            slots = self._old_slots[first : first + len(before.names)]
            known = dict(zip(before.names, slots, strict=True))
        else:
            known = {}
        claims = self._slots
        exemplars = shown_exemplars(raw, shape)
        started = bool(raw.created_ms) and self._rules.starts
        new_start = started and (old < 0 or self._before.created_ms.get(old) != raw.created_ms)
        labels: Labels | None = None
        values = shape.values(raw) if shape.has_histogram else []
        if before is shape and old in self._before.exemplar_labels:
            self._metrics.exemplar_labels[number] = self._before.exemplar_labels[old]
        for sample, name in enumerate(shape.names):
            slot = known[sample] if isinstance(known, list) else known.get(name, NEW)
            if name.component:
                claims.take_component(name.component, slot, labels)
                continue
            self._samples += 1
            claims.histogram_at = len(self._metrics.slots)
            needed = slot in (NEW, DUPLICATE, REFUSED, TIMED) or sample in exemplars or new_start
            if needed or (shape.has_histogram and isinstance(known, dict)):
                pairs = pairs if pairs is not None else raw.pairs()
                labels = self._labels(key, name, pairs)
                if sample in exemplars:
                    self._metrics.exemplar_labels.setdefault(number, {})[sample] = labels
                if labels is None:
                    slot = DROPPED
            if slot == DROPPED:
                self._metrics.slots.append(DROPPED)
                continue
            is_histogram = shape.has_histogram and sample == 0
            if is_histogram:
                check_histogram(raw, shape, values)
            claims.take(slot, labels, shape, is_histogram=is_histogram)
            if labels is not None:
                self._note(number, sample, labels, exemplars, None)
                if new_start:
                    self._start(labels, shape, sample, raw.created_ms)
        if started:
            self._metrics.created_ms[number] = raw.created_ms

    def _start(self, labels: Labels, shape: Shape, sample: int, created_ms: int) -> None:
        """A series began at a time: with 0, or an empty histogram."""
        self._starts.append((labels, created_ms, shape.constants[sample]))
        if shape.has_histogram and sample == 0:
            components = (name.component for name in shape.names if name.component)
            self._starts += [(component_labels(labels, text), created_ms, 0.0) for text in components]

    def _timed_metric(self, key: FamilyKey, raw: RawMetric, shape: Shape) -> None:
        """A metric with a time of its own: its series have no slots, and do not end by vanishing."""
        pairs, values, claims = raw.pairs(), shape.values(raw), self._slots
        exemplars = shown_exemplars(raw, shape)
        labels: Labels | None = None
        for sample, name in enumerate(shape.names):
            self._metrics.slots.append(TIMED)
            if name.component:
                if labels is not None:
                    self._timed.append(
                        (component_labels(labels, name.component), raw.timestamp_ms, values[sample])
                    )
                    self._timed_components += 1
                continue
            self._samples += 1
            labels = self._labels(key, name, pairs)
            if labels is None:
                continue
            if shape.has_histogram and sample == 0:
                check_histogram(raw, shape, values)
                claims.bucket_limit_broken = claims.bucket_limit_broken or shape.too_big
            claims.kept += 1
            bounds_ms = self._bounds_ms
            stored = bounds_ms is None or bounds_ms[0] <= raw.timestamp_ms <= bounds_ms[1]
            hashed = hash(labels)
            if hashed not in claims.series and stored:
                claims.series.add(hashed)
                claims.added += claims.is_within() and hashed not in claims.known_series
            self._timed.append((labels, raw.timestamp_ms, values[sample]))
            self._note(-1, sample, labels, exemplars, raw.timestamp_ms)

    def _note(
        self,
        number: int,
        sample: int,
        labels: Labels,
        exemplars: dict[int, list[LineExemplar]],
        timestamp_ms: int | None,
    ) -> None:
        """Notes the exemplars of a sample."""
        shown = [SeriesExemplar(labels, one, timestamp_ms) for one in exemplars.get(sample, ())]
        if not shown:
            return
        self._exemplars += shown
        if number >= 0:
            self._metrics.exemplars.setdefault(number, []).extend(shown)
