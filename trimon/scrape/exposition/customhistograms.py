"""Classic histograms of a text as native ones with custom buckets: which is which once a layout, numbers for all at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.model.components import Layout, MarkerFlags, Part, marker
from trimon.model.histogram import CUSTOM_SCHEMA
from trimon.records import dataclass
from trimon.scrape.exposition.bodymemory import Floats, Ints
from trimon.scrape.exposition.familylines import GroupKey, PartLine

Bools: TypeAlias = npt.NDArray[np.bool_]

_WHOLE: Final = marker(MarkerFlags.NONE)
_FRACTIONS: Final = marker(MarkerFlags.FLOAT)
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class ClassicGroup:
    """The lines of one classic histogram: places of its numbers, -1 for none. Bounds ascend and are finite."""

    key: GroupKey
    parts: tuple[PartLine, ...]
    members: tuple[int, ...]
    bounds: tuple[float, ...]
    cumulative: tuple[int, ...]
    infinite: int
    count: int
    sum: int

    @property
    def total(self) -> int:
        """Where the number of all observations is."""
        if self.count >= 0:
            return self.count
        return self.infinite if self.infinite >= 0 else self.cumulative[-1] if self.cumulative else _NONE


def group_lines(parts: Sequence[tuple[int, PartLine]]) -> list[ClassicGroup]:
    """The groups of lines one after the other; parts of created times are not among them."""
    groups: list[ClassicGroup] = []
    begin = 0
    for end in range(1, len(parts) + 1):
        if end < len(parts) and parts[end][1].key == parts[begin][1].key and _follows(parts, end):
            continue
        groups.append(_group(parts[begin:end]))
        begin = end
    return groups


def _follows(parts: Sequence[tuple[int, PartLine]], place: int) -> bool:
    return parts[place][0] == parts[place - 1][0] + 1


def _group(lines: Sequence[tuple[int, PartLine]]) -> ClassicGroup:
    buckets: dict[float, int] = {}
    infinite = count = total_sum = _NONE
    for place, part in lines:
        if part.role == "count":
            count = place
        elif part.role == "sum":
            total_sum = place
        elif part.bound == math.inf:
            infinite = place
        else:
            buckets.setdefault(part.bound, place)
    ordered = sorted(buckets.items())
    return ClassicGroup(
        lines[0][1].key,
        tuple(part for _, part in lines),
        tuple(place for place, _ in lines),
        tuple(bound or 0.0 for bound, _ in ordered),
        tuple(place for _, place in ordered),
        infinite,
        count,
        total_sum,
    )


class CustomHistograms:
    """The numbers of many groups. A bucket that never held anything has no component."""

    def __init__(self, groups: Sequence[ClassicGroup]) -> None:
        self.groups = list(groups)
        steps = [
            (owner, place, before)
            for owner, group in enumerate(groups)
            for place, before in zip(
                (*group.cumulative, group.total), (_NONE, *group.cumulative), strict=True
            )
        ]
        columns = np.array(steps, np.int64).reshape(-1, 3).T
        self._owner, self._plus, self._minus = columns
        self._total: Ints = np.array([group.total for group in groups], np.int64)
        self._sum: Ints = np.array([group.sum for group in groups], np.int64)
        self._infinite: Ints = np.array(
            [group.infinite if group.infinite >= 0 else group.total for group in groups], np.int64
        )
        self.present = np.zeros(len(steps), bool)
        """Of all buckets those that hold something, or once did."""
        edges = np.searchsorted(self._owner, np.arange(len(groups) + 1)).tolist()
        self._ranges = list(pairwise(edges))
        self.sound = np.zeros(len(groups), bool)
        """The groups that are histograms: their counts grow, and the last is their count."""

    def read(self, numbers: Floats) -> tuple[Floats, bool]:
        """The counts of all buckets; whether others than last time are there, or other groups are histograms."""
        known = np.append(numbers, 0.0)
        counts = known[self._plus] - known[self._minus]
        bad = np.bincount(self._owner[~(counts >= 0)], minlength=len(self.groups)) > 0
        bad |= known[self._infinite] != known[self._total]
        # a number of observations that is NaN is none
        bad |= ~(known[self._total] >= 0)
        sound = ~bad
        present = self.present | ((counts != 0) & sound[self._owner])
        changed = bool((sound != self.sound).any() or (present != self.present).any())
        self.sound, self.present = sound, present
        return counts, changed

    def values(self, numbers: Floats, counts: Floats, taken: Bools) -> Floats:
        """By group that is taken, of those that are sound: the marker, the count, the sum, the buckets that are present."""
        known = np.append(numbers, 0.0)
        fractions = np.bincount(self._owner[counts != np.floor(counts)], minlength=len(self.groups)) > 0
        shown = self.present & taken[self._owner]
        buckets = np.bincount(self._owner[shown], minlength=len(self.groups))
        first = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.where(taken, buckets + 3, 0))))
        values = np.zeros(int(first[-1]), np.float64)
        heads = first[:-1][taken]
        values[heads] = np.where(fractions, _FRACTIONS, _WHOLE)[taken]
        values[heads + 1] = known[self._total][taken]
        values[heads + 2] = known[self._sum][taken]
        is_bucket = np.ones(len(values), bool)
        is_bucket[heads] = is_bucket[heads + 1] = is_bucket[heads + 2] = False
        values[is_bucket] = counts[shown]
        return values

    def components(self, owner: int) -> list[str]:
        """The texts of the components of a group, in the order of their values."""
        layout = Layout(CUSTOM_SCHEMA, 0.0, self.groups[owner].bounds)
        begin, end = self._ranges[owner]
        buckets = (
            layout.text(Part.POSITIVE, index) for index in np.flatnonzero(self.present[begin:end]).tolist()
        )
        return [layout.text(Part.COUNT), layout.text(Part.SUM), *buckets]

    def inherit(self, before: CustomHistograms) -> None:
        """Buckets of groups with the same bounds that held something before."""
        known = {
            (group.key, group.bounds): before.present[begin:end]
            for group, (begin, end) in zip(before.groups, before._ranges, strict=True)
        }
        for group, (begin, end) in zip(self.groups, self._ranges, strict=True):
            held = known.get((group.key, group.bounds))
            if held is not None:
                self.present[begin:end] = held
