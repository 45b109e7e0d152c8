"""Series that a sender names again and again, as numbers into a book of label sets.

Whoever stores a batch keeps what it found out about a book's numbers, and looks at labels only the first time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import overload

import numpy as np
import numpy.typing as npt

from trimon.model.labels import Labels

_numbers = count()


class LabelBook:
    """Label sets by number; it only grows. `number` is another one for every book of this process."""

    __slots__ = ("labels", "number")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.labels: list[Labels] = []


class KnownSeries(Sequence[Labels]):
    """Label sets of a book: those of `places` (int32), in this order. Nothing is made of them until somebody looks."""

    __slots__ = ("book", "places")

    def __init__(self, book: LabelBook, places: npt.NDArray[np.int32]) -> None:
        self.book = book
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Labels: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Labels, ...]: ...
    def __getitem__(self, place: int | slice) -> Labels | tuple[Labels, ...]:
        listed = self.book.labels
        if isinstance(place, slice):
            return tuple(listed[number] for number in self.places[place].tolist())
        return listed[int(self.places[place])]

    def __iter__(self) -> Iterator[Labels]:
        listed = self.book.labels
        return (listed[number] for number in self.places.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))
