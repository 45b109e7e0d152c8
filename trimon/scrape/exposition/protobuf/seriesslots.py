"""Which slots the series of a body have: those of the body before, new ones, or none."""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon.memory.series import SeriesGrant
from trimon.model.components import component_labels
from trimon.model.labels import Labels
from trimon.scrape.exposition.bodymemory import DROPPED, DUPLICATE, Ints
from trimon.scrape.exposition.protobuf.memory import KnownMetrics
from trimon.scrape.exposition.protobuf.shape import Shape
from trimon.scrape.exposition.records import BucketLimitError, SampleLimitError, SeriesRoomError

NEW: Final = -1
# A series for which there was no memory.
REFUSED: Final = -5


class SeriesSlots:
    """The series of one body, taken one after the other in its order; those of the body before keep their slots.

    `slots` gets by sample its slot, or what it is instead. What counts for limits is here: `kept` samples, those that are
    `repeats` among them, and `added` series.
    """

    def __init__(
        self,
        slots: list[int],
        before: KnownMetrics,
        known_series: set[int],
        sample_limit: int,
        grant: SeriesGrant | None,
    ) -> None:
        self.series: set[int] = set()
        """The hashes of all series that were read."""
        self.known_series = before.series() | known_series
        self.old_slot: list[int] = []
        self.hashes: list[int] = []
        self.is_component: list[bool] = []
        self.new_labels: list[Labels] = []
        self.kept = self.added = self.repeats = self.refused = 0
        self.histogram_at = 0
        """Where in the slots the histogram is whose components follow."""
        self.bucket_limit_broken = False
        self._slots = slots
        self._sample_limit = sample_limit
        self._grant = grant
        self._claimed: set[int] = set()
        self._old_hashes: list[int] = before.hashes.tolist()
        self._slot_by_hash = dict(zip(self._old_hashes, range(len(self._old_hashes)), strict=True))
        self._reached: list[int] = []

    def reached(self) -> Ints:
        """The old slots of series that were read before any limit was met."""
        return np.array([slot for slot in self._reached if slot >= 0], np.int64)

    def check_limits(self) -> None:
        """Raises SampleLimitError and BucketLimitError."""
        if self._sample_limit and self._counting() > self._sample_limit:
            raise SampleLimitError("sample limit exceeded")
        if self.bucket_limit_broken:
            raise BucketLimitError("histogram bucket limit exceeded")

    def take_run(self, before: KnownMetrics, first: int, last: int) -> bool:
        """Takes samples that are as they were; False where one of their series is there twice, or there is a limit near."""
        slots = before.slots[first:last]
        slotted = slots[slots >= 0]
        keys = before.hashes[slotted].tolist()
        components = before.is_component[slotted]
        kept = len(keys) - int(np.count_nonzero(components))
        if not self._claimed.isdisjoint(keys):
            return False
        if self.bucket_limit_broken or (self._sample_limit and self._counting() + kept > self._sample_limit):
            return False
        numbered = np.full(len(slots), DROPPED, np.int64)
        numbered[slots >= 0] = len(self.old_slot) + np.arange(len(slotted))
        self._slots += numbered.tolist()
        self._claimed.update(keys)
        self.series.update(before.hashes[slotted[~components]].tolist())
        taken = slotted.tolist()
        self.old_slot += taken
        self._reached += taken
        self.hashes += keys
        self.is_component += components.tolist()
        self.kept += kept
        return True

    def _counting(self) -> int:
        """How many samples count for the limit: one that is given twice does once."""
        return self.kept - self.repeats

    def is_within(self) -> bool:
        """Whether no limit has been met so far."""
        return not self.bucket_limit_broken and (
            not self._sample_limit or self._counting() <= self._sample_limit
        )

    def take(self, slot: int, labels: Labels | None, shape: Shape, *, is_histogram: bool) -> None:
        """Gives a series its slot, unless it has one already."""
        if slot >= 0:
            key = self._old_hashes[slot]
        else:
            assert labels is not None
            key = hash(labels)
            slot = self._slot_by_hash.get(key, NEW)
        if slot < 0 and key not in self._claimed and self._is_refused(shape, is_histogram=is_histogram):
            return
        self.kept += 1
        self.bucket_limit_broken = self.bucket_limit_broken or (is_histogram and shape.too_big)
        within = self.is_within()
        repeated = key in self._claimed
        self.repeats += repeated
        if repeated:
            self._slots.append(DUPLICATE)
            return
        self.series.add(key)
        self.added += within and key not in self.known_series
        if within:
            self._reached.append(slot)
        self._take_slot(key, slot, labels, is_component=False)

    def _take_slot(self, key: int, old: int, labels: Labels | None, *, is_component: bool) -> None:
        self._claimed.add(key)
        self._slots.append(len(self.old_slot))
        self.old_slot.append(old)
        self.hashes.append(key)
        self.is_component.append(is_component)
        if old < 0:
            assert labels is not None
            self.new_labels.append(labels)

    def take_component(self, text: str, slot: int, labels: Labels | None) -> None:
        """A component goes where its histogram goes."""
        of_histogram = self._slots[self.histogram_at]
        if of_histogram < 0 or (slot < 0 and labels is None):
            self._slots.append(min(of_histogram, DUPLICATE))
            return
        own: Labels | None = None
        if slot >= 0:
            key = self._old_hashes[slot]
        else:
            assert labels is not None
            own = component_labels(labels, text)
            key = hash(own)
            slot = self._slot_by_hash.get(key, NEW)
        if key in self._claimed:
            self._slots.append(DUPLICATE)
            return
        if self.is_within():
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
        self.kept += 1
        self.refused += 1
        self._slots.append(REFUSED)
        return True
