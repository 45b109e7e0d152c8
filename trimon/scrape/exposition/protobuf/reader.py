"""Reading a body metric by metric: the first one of a target, and those in which more than numbers have changed."""

from __future__ import annotations

from typing import Final

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
from trimon.scrape.exposition.protobuf.shape import SampleName, Shape, is_native_by_count
from trimon.scrape.exposition.records import (
    BucketLimitError,
    ExpositionError,
    LateError,
    LineExemplar,
    Pairs,
    SampleLimitError,
    SeriesRoomError,
)
from trimon.wire import WireError

_NEW: Final = -1
# A series for which there was no memory.
REFUSED: Final = -5


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
        self.series: set[int] = set()
        """The hashes of all series that were read."""
        self._rules = rules
        self._before = before
        self._known_series = before.series() | known_series
        self._bounds_ms = bounds_ms
        self._sample_limit = sample_limit
        self._is_late = is_late
        self._grant = grant
        self._metrics = MetricList()
        self._heads: list[bytes] = []
        self._counts: list[int] = []
        self._old_slot: list[int] = []
        self._hashes: list[int] = []
        self._is_component: list[bool] = []
        self._new_labels: list[Labels] = []
        self._timed: list[tuple[Labels, int, float]] = []
        self._timed_components = 0
        self._starts: list[tuple[Labels, int, float]] = []
        self._exemplars: list[SeriesExemplar] = []
        self._claimed: set[int] = set()
        self._old_hashes: list[int] = before.hashes.tolist()
        self._slot_by_hash = dict(zip(self._old_hashes, range(len(self._old_hashes)), strict=True))
        self._metrics_of = before.ranges_by_key()
        self._places: dict[FamilyKey, dict[bytes, int]] = {}
        self._old_slots = before.slots.tolist()
        self._old_first = before.sample_first.tolist()
        self._samples = self._kept = self._added = self._repeats = self._refused = 0
        self._reached: list[int] = []
        self._one_by_one = False
        # where in the slots the histogram is whose components follow
        self._histogram_at = 0
        self._bucket_limit_broken = False
        in_runs = in_runs and not before.one_by_one
        self._ranges = before.ranges_by_head() if in_runs else {}

    def read(self, body: bytes) -> tuple[KnownMetrics, BodyReading] | None:
        """The metrics as they are now, and their numbers. Raises BrokenBody.

        None where one of those that were taken in runs has numbers that its shape does not fit.
        """
        try:
            self._read(body)
            if self._sample_limit and self._counting() > self._sample_limit:
                raise SampleLimitError("sample limit exceeded")
            if self._bucket_limit_broken:
                raise BucketLimitError("histogram bucket limit exceeded")
        except WireError as error:
            raise self._broken(ExpositionError(error.message)) from None
        except ExpositionError as error:
            raise self._broken(error) from None
        self.families.done()
        return self._result(body)

    def _broken(self, error: ExpositionError) -> BrokenBody:
        reached = np.array([slot for slot in self._reached if slot >= 0], np.int64)
        return BrokenBody(error, self._samples, self._kept, self._added, reached)

    def _result(self, body: bytes) -> tuple[KnownMetrics, BodyReading] | None:
        duplicates = self._metrics.slots.count(DUPLICATE)
        now = KnownMetrics(
            self.families,
            body,
            self._metrics,
            self._heads,
            self._counts,
            np.array(self._hashes, np.int64),
            self._is_component,
            samples=self._samples,
            duplicates=duplicates,
            one_by_one=self._one_by_one,
        )
        values = now.values()
        if values is None:
            assert self._ranges, "every metric was checked"
            return None
        reading = BodyReading(
            values,
            self._samples,
            duplicates,
            self._repeats,
            moved=True,
            old_slot=np.array(self._old_slot, np.int64),
            new_labels=tuple(self._new_labels),
            timed=tuple(self._timed),
            added=self._added,
            exemplars=tuple(self._exemplars),
            refused=self._refused,
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
        """Takes metrics that are as they were; False where one of their series is there twice, or there is a limit near."""
        before = self._before
        first, last = before.sample_first[old], before.sample_first[old + length]
        slots = before.slots[first:last]
        slotted = slots[slots >= 0]
        keys = before.hashes[slotted].tolist()
        components = before.is_component[slotted]
        kept = len(keys) - int(np.count_nonzero(components))
        if not self._claimed.isdisjoint(keys):
            return False
        if self._bucket_limit_broken or (self._sample_limit and self._counting() + kept > self._sample_limit):
            return False
        number = len(self._metrics.starts)
        ends = slice(place, place + length)
        self._metrics.add_run(before, old, old + length, family.starts[ends], family.ends[ends])
        numbered = np.full(len(slots), DROPPED, np.int64)
        numbered[slots >= 0] = len(self._old_slot) + np.arange(len(slotted))
        self._metrics.slots += numbered.tolist()
        self._claimed.update(keys)
        self.series.update(before.hashes[slotted[~components]].tolist())
        taken = slotted.tolist()
        self._old_slot += taken
        self._reached += taken
        self._hashes += keys
        self._is_component += components.tolist()
        self._samples += int(before.counted_first[old + length] - before.counted_first[old])
        self._kept += kept
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
        exemplars = shown_exemplars(raw, shape)
        started = bool(raw.created_ms) and self._rules.starts
        new_start = started and (old < 0 or self._before.created_ms.get(old) != raw.created_ms)
        labels: Labels | None = None
        values = shape.values(raw) if shape.has_histogram else []
        if before is shape and old in self._before.exemplar_labels:
            self._metrics.exemplar_labels[number] = self._before.exemplar_labels[old]
        for sample, name in enumerate(shape.names):
            slot = known[sample] if isinstance(known, list) else known.get(name, _NEW)
            if name.component:
                self._component(name.component, slot, labels)
                continue
            self._samples += 1
            self._histogram_at = len(self._metrics.slots)
            needed = slot in (_NEW, DUPLICATE, REFUSED, TIMED) or sample in exemplars or new_start
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
            self._claim(slot, labels, shape, is_histogram=is_histogram)
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

    def _counting(self) -> int:
        """How many samples count for the limit: one that is given twice does once."""
        return self._kept - self._repeats

    def _within(self) -> bool:
        return not self._bucket_limit_broken and (
            not self._sample_limit or self._counting() <= self._sample_limit
        )

    def _claim(self, slot: int, labels: Labels | None, shape: Shape, *, is_histogram: bool) -> None:
        """Gives a series its slot, unless it has one already."""
        if slot >= 0:
            key = self._old_hashes[slot]
        else:
            assert labels is not None
            key = hash(labels)
            slot = self._slot_by_hash.get(key, _NEW)
        if slot < 0 and key not in self._claimed and self._is_refused(shape, is_histogram=is_histogram):
            return
        self._kept += 1
        self._bucket_limit_broken = self._bucket_limit_broken or (is_histogram and shape.too_big)
        within = self._within()
        repeated = key in self._claimed
        self._repeats += repeated
        if repeated:
            self._metrics.slots.append(DUPLICATE)
            return
        self.series.add(key)
        self._added += within and key not in self._known_series
        if within:
            self._reached.append(slot)
        self._take_slot(key, slot, labels, is_component=False)

    def _take_slot(self, key: int, old: int, labels: Labels | None, *, is_component: bool) -> None:
        self._claimed.add(key)
        self._metrics.slots.append(len(self._old_slot))
        self._old_slot.append(old)
        self._hashes.append(key)
        self._is_component.append(is_component)
        if old < 0:
            assert labels is not None
            self._new_labels.append(labels)

    def _component(self, text: str, slot: int, labels: Labels | None) -> None:
        """A component goes where its histogram goes."""
        of_histogram = self._metrics.slots[self._histogram_at]
        if of_histogram < 0 or (slot < 0 and labels is None):
            self._metrics.slots.append(min(of_histogram, DUPLICATE))
            return
        own: Labels | None = None
        if slot >= 0:
            key = self._old_hashes[slot]
        else:
            assert labels is not None
            own = component_labels(labels, text)
            key = hash(own)
            slot = self._slot_by_hash.get(key, _NEW)
        if key in self._claimed:
            self._metrics.slots.append(DUPLICATE)
            return
        if self._within():
            self._reached.append(slot)
        if slot < 0 and self._grant is not None and self._grant.reserve(1):
            self._grant.left -= 1
        self._take_slot(key, slot, own, is_component=True)

    def _is_refused(self, shape: Shape, *, is_histogram: bool) -> bool:
        """Whether there is no memory for a new series, with all its components. Raises SeriesRoomError."""
        grant = self._grant
        if grant is None:
            return False
        if not is_histogram:
            if grant.take():
                return False
        elif grant.reserve(len(shape.names)):
            grant.left -= 1
            return False
        else:
            grant.refused += 1
        if grant.is_whole:
            raise SeriesRoomError(grant.text())
        self._one_by_one = True
        self._kept += 1
        self._refused += 1
        self._metrics.slots.append(REFUSED)
        return True

    def _timed_metric(self, key: FamilyKey, raw: RawMetric, shape: Shape) -> None:
        """A metric with a time of its own: its series have no slots, and do not end by vanishing."""
        pairs, values = raw.pairs(), shape.values(raw)
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
                self._bucket_limit_broken = self._bucket_limit_broken or shape.too_big
            self._kept += 1
            bounds_ms = self._bounds_ms
            stored = bounds_ms is None or bounds_ms[0] <= raw.timestamp_ms <= bounds_ms[1]
            hashed = hash(labels)
            if hashed not in self.series and stored:
                self.series.add(hashed)
                self._added += self._within() and hashed not in self._known_series
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
