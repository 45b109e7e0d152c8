"""A text whose lines are not its series: classic histograms become native ones, and created times are no series.

The text is read as ever, into slots of lines; what belongs to a histogram is a slot of a part there. From the slots of lines
follow the slots of series, once a layout: those that are series themselves first, then for each histogram its marker and
its components.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from trimon.memory.series import SeriesGrant
from trimon.model.components import MarkerFlags, component_labels, marker
from trimon.model.labels import METRIC_NAME, Labels
from trimon.scrape.exposition.assembly import Assembly, SeriesSlots
from trimon.scrape.exposition.bodymemory import (
    NOTHING,
    BodyReading,
    BrokenBody,
    Floats,
    Ints,
    Lateness,
    SeriesExemplar,
    SeriesRule,
    never_late,
)
from trimon.scrape.exposition.customhistograms import Bools, ClassicGroup, CustomHistograms, group_lines
from trimon.scrape.exposition.families import BodyFamily
from trimon.scrape.exposition.familylines import FamilyLines, GroupKey, PartLine
from trimon.scrape.exposition.layout import BodyLayout
from trimon.scrape.exposition.openmetrics import OpenMetricsFormat
from trimon.scrape.exposition.records import BucketLimitError, ExpositionError, SampleLimitError
from trimon.scrape.exposition.textformat import ExpositionFormat

_SPARE: Final = 1000
_SECONDS_MAX: Final = 2**43


class AssembledLayout:
    """The memory of a target's text where lines are assembled. What it promises is what `BodyLayout` does.

    `always_classic`: the lines of histograms are series, too. `created`: `_created` lines say when series began.
    """

    def __init__(
        self,
        lines: BodyLayout,
        rule: FamilyLines,
        series_labels: SeriesRule,
        *,
        always_classic: bool,
        created: bool,
        sample_limit: int = 0,
        bucket_limit: int = 0,
    ) -> None:
        self._lines = lines
        self._rule = rule
        self._series_labels = series_labels
        self._always_classic = always_classic
        self._created = created
        self._created_slots: list[tuple[int, GroupKey]] = []
        self._sample_limit = sample_limit
        self._bucket_limit = bucket_limit
        # by slot of a line: its part, None where it is a series; and the labels of parts and of series that are new
        self._parts: list[PartLine | None] = []
        self._labels: list[Labels | None] = []
        self._assembly: Assembly | None = None
        self._hashes: Ints = NOTHING
        self._is_component: Bools = np.zeros(0, bool)
        self._members: list[tuple[int, ...]] = []
        # hashes of series that ended with a failed scrape: when they come back they are no new ones
        self._ended: set[int] = set()
        # slots of lines that go on after a failed scrape
        self._reached: Ints = NOTHING
        self._histogram_labels: dict[GroupKey, Labels | None] = {}
        self._before: CustomHistograms | None = None
        self._began_s: dict[GroupKey, float] = {}

    @property
    def flushes_forced(self) -> int:
        """How often so many texts of failed scrapes had gathered that they were forgotten."""
        return self._lines.flushes_forced

    @flushes_forced.setter
    def flushes_forced(self, count: int) -> None:
        self._lines.flushes_forced = count

    @property
    def families(self) -> dict[str, BodyFamily]:
        """What the bodies said of their families; those that are gone are kept for ten scrapes."""
        return self._lines.families

    @property
    def slots(self) -> int:
        """Number of series with the scrape's own timestamp, components among them."""
        return len(self._hashes)

    @property
    def line_count(self) -> int:
        """Number of lines that are remembered."""
        return self._lines.line_count

    @property
    def size_bytes(self) -> int:
        """About how much memory the lines take."""
        return self._lines.size_bytes + 200 * len(self._parts)

    @property
    def hashes(self) -> Ints:
        """By slot the hash of the series' labels."""
        return self._hashes

    def series_in(self, body: bytes) -> int:
        """How many lines of series a body has: that is what it takes to read it."""
        return self._lines.series_in(body)

    def use(self, text_format: ExpositionFormat) -> None:
        """Reads the next bodies in another format: no line of the old one is known any more."""
        self._lines.use(text_format)
        # elsewhere a name that ends so means nothing
        self._rule.created = self._created and isinstance(text_format, OpenMetricsFormat)
        self._forget(NOTHING, NOTHING)

    def read(
        self,
        body: bytes,
        bounds_ms: tuple[int, int] | None = None,
        is_late: Lateness = never_late,
        grant: SeriesGrant | None = None,
    ) -> BodyReading:
        """The numbers of the next body. Raises BrokenBody, also when it is late."""
        try:
            lines = self._lines.read(body, bounds_ms, is_late, grant)
        except BrokenBody as broken:
            raise self._translated(broken) from None
        if lines.moved:
            self._move(lines)
        assembly, series = self._assembly, None
        histograms = assembly.histograms if assembly is not None else self._grouped()
        counts, changed = histograms.read(lines.values)
        if assembly is None or changed:
            assembly, series = self._assemble(histograms, lines)
        values = np.concatenate(
            (lines.values[assembly.plain], histograms.values(lines.values, counts, assembly.taken))
        )
        timed, timed_components = self._timed(lines)
        reading = replace(
            lines,
            values=values,
            samples=assembly.samples + len(timed) - timed_components,
            duplicates=assembly.duplicates,
            repeats=assembly.duplicates,
            moved=False,
            old_slot=NOTHING,
            new_labels=(),
            timed=tuple(timed),
            added=0,
            exemplars=self._exemplars(lines),
            components=int(np.count_nonzero(self._is_component)) + timed_components,
            timed_components=timed_components,
            starts=self._starts(lines.values),
        )
        if series is not None:
            reading = self._moved(reading, series)
        self._check_limits(assembly, reading)
        return reading

    def _move(self, lines: BodyReading) -> None:
        """The slots of lines are new ones."""
        parts, labels, new, known = self._parts, self._labels, iter(lines.new_labels), self._rule.parts
        self._parts, self._labels = [], []
        for slot in lines.old_slot.tolist():
            if slot >= 0:
                self._parts.append(parts[slot])
                self._labels.append(labels[slot] if parts[slot] is not None else None)
            else:
                own = next(new)
                self._parts.append(known.get(own))
                self._labels.append(own)
        self._rule.prune({one for one in self._labels if one is not None}, set(self._lines.hashes.tolist()))
        self._assembly = None

    def _grouped(self) -> CustomHistograms:
        """The histograms of the lines as they are now."""
        lines = [
            (slot, part)
            for slot, part in enumerate(self._parts)
            if part is not None and part.role != "created"
        ]
        self._created_slots = [
            (slot, part.key)
            for slot, part in enumerate(self._parts)
            if part is not None and part.role == "created"
        ]
        histograms = CustomHistograms(group_lines(lines))
        if len(self._histogram_labels) > 2 * len(histograms.groups) + _SPARE:
            self._histogram_labels = {}
            self._began_s = {}
        if self._before is not None:
            histograms.inherit(self._before)
        self._before = histograms
        return histograms

    def _assemble(self, histograms: CustomHistograms, lines: BodyReading) -> tuple[Assembly, SeriesSlots]:
        """The series of lines that are others than before, or of which others are histograms."""
        series = SeriesSlots(dict(zip(self._hashes.tolist(), range(len(self._hashes)), strict=True)))
        hashes = self._lines.hashes.tolist()
        plain = []
        samples = lines.samples - len(lines.timed)
        duplicates = 0
        for slot, part in enumerate(self._parts):
            if part is None:
                hashed, labels = hashes[slot], self._labels[slot]
            elif not self._always_classic or part.role == "created":
                samples -= 1
                continue
            else:
                labels = self._series_labels(part.pairs, part.declared)
                if labels is None:
                    continue
                hashed = hash(labels)
            if series.add(hashed, labels, (slot,), component=False):
                plain.append(slot)
            else:
                duplicates += 1
        taken = histograms.sound.copy()
        largest = 0
        for owner in np.flatnonzero(histograms.sound).tolist():
            samples += 1
            labels = self._labels_of(histograms.groups[owner])
            if labels is None:
                taken[owner] = False
                continue
            members = histograms.groups[owner].members
            if not series.add(hash(labels), labels, members, component=False):
                taken[owner] = False
                duplicates += 1
                continue
            texts = histograms.components(owner)
            largest = max(largest, len(texts) - 2)
            for text in texts:
                own = component_labels(labels, text)
                series.add(hash(own), own, members, component=True)
        # what the lines say that are there twice
        duplicates += lines.duplicates
        assembly = Assembly(np.array(plain, np.int64), histograms, taken, samples, duplicates, largest)
        return assembly, series

    def _labels_of(self, group: ClassicGroup) -> Labels | None:
        """The labels of a histogram; None when relabeling drops it."""
        key = group.key
        if key not in self._histogram_labels:
            pairs = ((METRIC_NAME, key.family), *key.pairs)
            self._histogram_labels[key] = self._series_labels(pairs, group.parts[0].declared)
        return self._histogram_labels[key]

    def _moved(self, reading: BodyReading, series: SeriesSlots) -> BodyReading:
        """The slots of series are new ones."""
        hashes = np.array(series.hashes, np.int64)
        is_component = np.array(series.is_component, bool)
        old_slot = np.array(series.old_slot, np.int64)
        new = hashes[(old_slot < 0) & ~is_component].tolist()
        self._hashes, self._is_component, self._members = hashes, is_component, series.members
        added = sum(hashed not in self._ended for hashed in new)
        self._ended = set()
        return replace(
            reading,
            moved=True,
            old_slot=old_slot,
            new_labels=tuple(series.new_labels),
            added=added,
            components=int(np.count_nonzero(is_component)) + reading.timed_components,
        )

    def _check_limits(self, assembly: Assembly, reading: BodyReading) -> None:
        error: ExpositionError | None = None
        if self._sample_limit and reading.kept - reading.repeats > self._sample_limit:
            error = SampleLimitError("sample limit exceeded")
        elif self._bucket_limit and assembly.largest > self._bucket_limit:
            error = BucketLimitError("histogram bucket limit exceeded")
        if error is not None:
            self._assembly = None
            raise BrokenBody(error, reading.samples, reading.kept, 0, NOTHING)
        self._assembly = assembly

    def _exemplars(self, lines: BodyReading) -> tuple[SeriesExemplar, ...]:
        """Exemplars of lines, those of buckets with the histogram: they need a time of their own there."""
        found = []
        of_histograms = []
        for shown in lines.exemplars:
            part = self._rule.parts.get(shown.series)
            if part is None:
                found.append(shown)
            elif part.role != "created" and shown.exemplar.timestamp_ms is not None:
                labels = self._histogram_labels.get(part.key)
                if labels is not None:
                    of_histograms.append(
                        (
                            labels,
                            shown.exemplar.timestamp_ms,
                            shown.exemplar.value,
                            replace(shown, series=labels),
                        )
                    )
        of_histograms.sort(key=lambda one: one[:3])
        return (*found, *(shown for _, _, _, shown in of_histograms))

    def _timed(self, lines: BodyReading) -> tuple[list[tuple[Labels, int, float]], int]:
        """Samples with times of their own; and how many components there are among them."""
        if not lines.timed:
            return [], 0
        parts = self._rule.parts
        found = [sample for sample in lines.timed if sample[0] not in parts]
        components = 0
        placed = [
            (place, parts[labels])
            for place, (labels, _, _) in enumerate(lines.timed)
            if labels in parts and parts[labels].role != "created"
        ]
        if not placed:
            return found, 0
        histograms = CustomHistograms(group_lines(placed))
        numbers = np.array([value for _, _, value in lines.timed], np.float64)
        counts, _ = histograms.read(numbers)
        values = iter(histograms.values(numbers, counts, histograms.sound).tolist())
        for owner in np.flatnonzero(histograms.sound).tolist():
            group = histograms.groups[owner]
            labels, texts = self._labels_of(group), histograms.components(owner)
            time_ms = lines.timed[group.members[0]][1]
            numbers_of = [next(values) for _ in range(1 + len(texts))]
            if labels is None:
                continue
            found.append((labels, time_ms, numbers_of[0]))
            found += [
                (component_labels(labels, text), time_ms, number)
                for text, number in zip(texts, numbers_of[1:], strict=True)
            ]
            components += len(texts)
        return found, components

    def _starts(self, numbers: Floats) -> tuple[tuple[Labels, int, float], ...]:
        """What began at times that were not known."""
        found: list[tuple[Labels, int, float]] = []
        for slot, key in self._created_slots:
            seconds = float(numbers[slot])
            if self._began_s.get(key) == seconds:
                continue
            self._began_s[key] = seconds
            if not 0 < seconds < _SECONDS_MAX:
                continue
            began_ms = int(seconds * 1000)
            found += [(labels, began_ms, 0.0) for labels in self._rule.begun.get(key, ())]
            histogram = self._histogram_labels.get(key)
            if histogram is not None:
                found.append((histogram, began_ms, marker(MarkerFlags.NONE)))
        return tuple(found)

    def _translated(self, broken: BrokenBody) -> BrokenBody:
        """A body that failed, in slots of series: those all of whose lines were reached go on."""
        reached = set(broken.slots.tolist())
        slots = [slot for slot, members in enumerate(self._members) if reached.issuperset(members)]
        lines = sorted({line for slot in slots for line in self._members[slot]})
        self._reached = np.array(lines, np.int64)
        return BrokenBody(broken.cause, broken.samples, broken.kept, broken.added, np.array(slots, np.int64))

    def failed(self, slots: Ints) -> None:
        """After a failed scrape: the series of these slots go on, the others have ended."""
        lines = self._reached if len(slots) else NOTHING
        self._lines.failed(lines)
        self._forget(slots, lines)

    def keep(self, slots: Ints) -> None:
        """Forgets all lines; the series of some slots are numbered anew, in this order."""
        self._lines.keep(NOTHING)
        self._forget(slots, NOTHING)

    def _forget(self, slots: Ints, lines: Ints) -> None:
        kept = np.asarray(slots, np.int64)
        self._ended |= set(self._hashes[~self._is_component].tolist())
        self._hashes, self._is_component = self._hashes[kept], self._is_component[kept]
        places = lines.tolist()
        self._parts = [self._parts[line] for line in places]
        self._labels = [self._labels[line] for line in places]
        self._members = []
        self._assembly = None
        self._reached = NOTHING
        # a series that was refused may be taken when it is looked at again
        self._histogram_labels = {key: one for key, one in self._histogram_labels.items() if one is not None}
