"""Series of which the label pairs are numbers into a book of pairs: new series on their way from a body to storage.

Storage keeps which of its own numbers each of a book's has, and nothing is made of a series until somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from trimon.model.labels import Labels


class PairBook:
    """Label pairs by number, a pair perhaps under several; it only grows."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []


class PairedSeries(Sequence[Labels]):
    """Label sets by the pairs of a book: those of series `i` are `flat[ends[i - 1]:ends[i]]` (int32 both), at least one."""

    __slots__ = ("book", "ends", "flat")

    def __init__(self, book: PairBook, flat: npt.NDArray[np.int32], ends: npt.NDArray[np.int32]) -> None:
        self.book = book
        self.flat = flat
        self.ends = ends

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many pairs each series has."""
        lengths = self.ends.astype(np.int64)
        lengths[1:] -= self.ends[:-1]
        return lengths

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> Labels: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Labels, ...]: ...
    def __getitem__(self, place: int | slice) -> Labels | tuple[Labels, ...]:
        if isinstance(place, slice):
            return tuple(self)[place]
        end = int(self.ends[place])
        begin = int(self.ends[place % len(self.ends) - 1]) if place % len(self.ends) else 0
        return tuple(map(self.book.pairs.__getitem__, self.flat[begin:end].tolist()))

    def __iter__(self) -> Iterator[Labels]:
        pairs = list(map(self.book.pairs.__getitem__, self.flat.tolist()))
        begin = 0
        for end in self.ends.tolist():
            yield tuple(pairs[begin:end])
            begin = end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))
