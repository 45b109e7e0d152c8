"""The series a queue knows, by numbers of its own: what their labels are once they are sent."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon.model.components import Component, is_component, parse_component
from trimon.model.labels import Labels
from trimon.model.relabel import Relabeling
from trimon.remote.sending.packedlabels import PackedLabels
from trimon.wire import put_block

Int32s = npt.NDArray[np.int32]

# The number of all series that rules drop: their samples are counted.
DROPPED: Final = 0


@lru_cache(maxsize=200_000)
def _pair(name: str, value: str) -> bytes:
    """A label as a field of a series."""
    return put_block(1, put_block(1, name.encode()) + put_block(2, value.encode()))


def label_bytes(labels: Labels) -> bytes:
    """Labels as fields of a series of 1.0."""
    return b"".join([_pair(name, value) for name, value in labels])


class SeriesTable:
    """Relabels each series once and keeps what is sent of it. One thread at a time; what it has handed out never changes.

    Who holds a number past `forget` holds one that may mean another series.
    """

    def __init__(self, external: Labels, relabeling: Relabeling, *, histograms: bool, symbols: bool) -> None:
        self._external = external
        self._relabeling = relabeling
        self._histograms = histograms
        self._symbols = symbols
        self._numbers: dict[Labels, int] = {}
        self._component_numbers: dict[tuple[int, str], int] = {}
        self.labels: list[Labels] = [()]
        self.packed = PackedLabels()
        """Of 1.0: the labels of each series as fields."""
        self.components: list[Component | None] = [None]
        self.symbols: list[str] = [""]
        """Of 2.0: all strings ever sent."""
        self._symbol_numbers: dict[str, int] = {"": 0}
        self.refs: list[Int32s] = [np.zeros(0, np.int32)]
        """Of 2.0: the numbers of names and values in turn."""
        self._size = 1
        self._free: list[int] = []
        self._owners = np.full(1024, -1, np.int32)
        self._hashes = np.zeros(1024, np.uint32)
        self.resolved = 0

    def __len__(self) -> int:
        return self._size

    @property
    def owners(self) -> Int32s:
        """The series that a component belongs to, -1 for what is none."""
        return self._owners[: self._size]

    @property
    def hashes(self) -> npt.NDArray[np.uint32]:
        """By which series are spread over shards: the same for equal labels in every process."""
        return self._hashes[: self._size]

    def forget(self, living: Sequence[Int32s]) -> list[int]:
        """Let go of all series but these, and of strings that no other has; which went: their numbers will be others'."""
        kept = np.zeros(self._size, np.bool_)
        kept[DROPPED] = True
        for numbers in living:
            kept[numbers[numbers >= 0]] = True
        kept[self.owners[kept & (self.owners >= 0)]] = True
        kept[self._free] = True
        gone = np.flatnonzero(~kept).tolist()
        for number in gone:
            self.labels[number], self.components[number] = (), None
            self.refs[number] = self.refs[DROPPED]
        self._owners[gone] = -1
        self._free += gone
        self.packed.forget(gone)
        self._numbers = {labels: number for labels, number in self._numbers.items() if kept[number]}
        parts = self._component_numbers
        self._component_numbers = {part: number for part, number in parts.items() if kept[number]}
        if self._symbols:
            self._forget_symbols()
        return gone

    def _forget_symbols(self) -> None:
        used = np.unique(np.concatenate(self.refs)).tolist()
        moved = np.zeros(len(self.symbols), np.int32)
        symbols = [""]
        for number in used:
            moved[number] = len(symbols)
            symbols.append(self.symbols[number])
        # who makes a message now goes on with the list that it has
        self.symbols = symbols
        self._symbol_numbers = {text: number for number, text in enumerate(symbols)}
        self.refs = [moved[each] for each in self.refs]

    def resolve(self, series: Sequence[Labels]) -> Int32s:
        """A number for each series, -1 for the parts of histograms that are not sent."""
        self.resolved += len(series)
        found = [self._component(each) if is_component(each) else self._series(each) for each in series]
        return np.array(found, np.int32)

    def _series(self, labels: Labels) -> int:
        sent = self._sent(labels)
        if sent is None:
            return DROPPED
        number = self._numbers.get(sent)
        if number is None:
            number = self._numbers[sent] = self._add(sent, None, -1)
        return number

    def _component(self, labels: Labels) -> int:
        if not self._histograms:
            return -1
        owner = self._series(labels[1:])
        text = labels[0][1]
        if owner == DROPPED:
            return -1
        number = self._component_numbers.get((owner, text))
        if number is None:
            number = self._add((), parse_component(text), owner)
            self._component_numbers[owner, text] = number
        return number

    def _sent(self, labels: Labels) -> Labels | None:
        """Labels as they are sent: with those of outside, which give way, after the rules; None if a rule drops them."""
        external = self._external
        if not external and not self._relabeling:
            return labels
        own = dict(labels)
        for name, value in external:
            own.setdefault(name, value)
        if not self._relabeling.apply(own):
            return None
        return tuple(sorted((name, value) for name, value in own.items() if value))

    def _add(self, labels: Labels, component: Component | None, owner: int) -> int:
        number = self._free.pop() if self._free else self._size
        if number == len(self._owners):
            self._owners = np.concatenate((self._owners, np.full(number, -1, np.int32)))
            self._hashes = np.concatenate((self._hashes, np.zeros(number, np.uint32)))
        packed, refs = b"", self.refs[0]
        if component is None:
            packed = label_bytes(labels)
            self._hashes[number] = zlib.crc32(packed)
            if self._symbols:
                refs = np.array([self._symbol(each) for pair in labels for each in pair], np.int32)
        self.packed.put(number, b"" if self._symbols else packed)
        self._owners[number] = owner
        if number < self._size:
            self.labels[number], self.components[number] = labels, component
            self.refs[number] = refs
            return number
        self.labels.append(labels)
        self.refs.append(refs)
        self.components.append(component)
        self._size = number + 1
        return number

    def _symbol(self, text: str) -> int:
        number = self._symbol_numbers.get(text)
        if number is None:
            number = self._symbol_numbers[text] = len(self.symbols)
            self.symbols.append(text)
        return number
