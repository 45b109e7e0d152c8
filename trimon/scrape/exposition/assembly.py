"""How the slots of series follow from those of lines, where lines are assembled."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import Ints
from trimon.scrape.exposition.customhistograms import Bools, CustomHistograms

UNKNOWN: Final = -1


@dataclass(slots=True)
class Assembly:
    """How series follow from the slots of lines: `plain` are the slots of lines that are series.

    `taken` are the groups that have slots: histograms that relabeling left, and that are not there twice.
    """

    plain: Ints
    histograms: CustomHistograms
    taken: Bools
    samples: int = 0
    duplicates: int = 0
    largest: int = 0
    """How many buckets the largest histogram has."""


@dataclass(slots=True)
class SeriesSlots:
    """The slots of series as they are collected."""

    known: dict[int, int]
    hashes: list[int] = field(default_factory=list)
    old_slot: list[int] = field(default_factory=list)
    new_labels: list[Labels] = field(default_factory=list)
    is_component: list[bool] = field(default_factory=list)
    members: list[tuple[int, ...]] = field(default_factory=list)
    claimed: set[int] = field(default_factory=set)

    def add(self, hashed: int, labels: Labels | None, members: tuple[int, ...], *, component: bool) -> bool:
        """Gives a series a slot, unless it has one."""
        if hashed in self.claimed:
            return False
        old = self.known.get(hashed, UNKNOWN)
        if old < 0 and labels is None:
            return False
        self.claimed.add(hashed)
        self.hashes.append(hashed)
        self.old_slot.append(old)
        self.is_component.append(component)
        self.members.append(members)
        if old < 0 and labels is not None:
            self.new_labels.append(labels)
        return True
