"""Which numbers the histograms of some rows have: for each component its row, layout, part and bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import Layout, Part
from trimon.records import dataclass

Index = npt.NDArray[np.intp]
# Components of a histogram are in the order of their bounds, behind count and sum.
_SECTION: Final = np.array([0, 1, 3, 4, 2], np.int8)
assert [part.name for part in Part] == ["COUNT", "SUM", "ZERO", "POSITIVE", "NEGATIVE"]


@dataclass(frozen=True, slots=True)
class ComponentTable:
    """Components sorted by row, layout and place: count, sum, negative buckets from the lowest, zero bucket, positive ones."""

    row: Index
    layout: npt.NDArray[np.int32]
    part: npt.NDArray[np.int8]
    index: npt.NDArray[np.int64]
    layouts: tuple[Layout, ...]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def size_bytes(self) -> int:
        """The memory of it."""
        return 21 * len(self.row)

    @property
    def in_order(self) -> tuple[npt.NDArray[np.signedinteger], ...]:
        """The keys by which they are sorted, the first one first."""
        place = np.where(self.part == Part.NEGATIVE, -self.index, self.index)
        return self.row, self.layout, _SECTION[self.part], place

    def order(self) -> Index:
        """How to sort those that are not yet."""
        return np.lexsort(self.in_order[::-1])

    def at(self, places: Index | slice) -> ComponentTable:
        """Some of them."""
        return ComponentTable(
            self.row[places], self.layout[places], self.part[places], self.index[places], self.layouts
        )

    def bounds(self, rows: int) -> Index:
        """Row `r` of so many has the components from `bounds[r]` to the next."""
        return np.searchsorted(self.row, np.arange(rows + 1))

    def take(self, rows: Index, count: int) -> tuple[ComponentTable, Index | slice]:
        """The components of some of `count` rows, which get new numbers in their order, and where they were."""
        bounds = self.bounds(count)
        sizes = np.diff(bounds)[rows]
        places: Index | slice
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            places = slice(int(bounds[rows[0]]), int(bounds[rows[-1] + 1]))
        else:
            places = np.repeat(bounds[rows] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        taken = self.at(places)
        renumbered = np.repeat(np.arange(len(rows)), sizes)
        return ComponentTable(renumbered, taken.layout, taken.part, taken.index, self.layouts), places

    def units(self) -> Index:
        """Where the components of each row and layout begin."""
        if not len(self):
            return np.zeros(0, np.intp)
        changes = (self.row[1:] != self.row[:-1]) | (self.layout[1:] != self.layout[:-1])
        return np.concatenate([[0], np.flatnonzero(changes) + 1])

    def equal_runs(self) -> Index:
        """Where runs of equal components begin, of those that are sorted."""
        if not len(self):
            return np.zeros(0, np.intp)
        keys = (self.row, self.layout, self.part, self.index)
        return np.concatenate(
            [[0], np.flatnonzero(np.logical_or.reduce([key[1:] != key[:-1] for key in keys])) + 1]
        )


def united(tables: Sequence[ComponentTable]) -> tuple[ComponentTable, list[npt.NDArray[np.int32]]]:
    """The components of several tables one after the other, not sorted, and the new numbers of each one's layouts."""
    layouts = tuple(dict.fromkeys(layout for table in tables for layout in table.layouts))
    number = {layout: at for at, layout in enumerate(layouts)}
    maps = [np.array([number[layout] for layout in table.layouts], np.int32) for table in tables]
    return (
        ComponentTable(
            np.concatenate([table.row for table in tables]),
            np.concatenate([known[table.layout] for known, table in zip(maps, tables, strict=True)]),
            np.concatenate([table.part for table in tables]),
            np.concatenate([table.index for table in tables]),
            layouts,
        ),
        maps,
    )
