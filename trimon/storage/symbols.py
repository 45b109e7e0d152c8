"""Label pairs as numbers: every distinct name=value is stored once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat

import numpy as np

from trimon.model.labels import METRIC_NAME, Labels
from trimon.model.pairedseries import PairBook, PairedSeries
from trimon.storage.head.arena import Arena, Int32s, Int64s, UInt64s

METRIC_NAME_ID = 0
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(numbers: UInt64s) -> UInt64s:
    """A 64-bit hash of every number (splitmix64's finisher)."""
    x = (numbers + np.uint64(1)) * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


class Symbols:
    """Interned label pairs. A pair id names a label name and a code in that name's dictionary.

    Name 0 is the metric name; code 0 of every dictionary is the empty string. Everything only grows. One
    thread writes; readers use ids below a mark they took.
    """

    def __init__(self) -> None:
        self.names: list[str] = [METRIC_NAME]
        self.values: list[list[str]] = [[""]]
        self.pair_name: Arena[np.int32] = Arena(np.int32)
        self.pair_code: Arena[np.int32] = Arena(np.int32)
        self.pair_hash: Arena[np.uint64] = Arena(np.uint64)
        self.text_bytes = 0
        self._name_ids: dict[str, int] = {METRIC_NAME: METRIC_NAME_ID}
        self._pair_ids: dict[tuple[str, str], int] = {}
        # of the pairs of a book, those of the last one that was met
        self._book: PairBook | None = None
        self._ids: Int32s = np.zeros(0, np.int32)

    @property
    def pairs(self) -> int:
        """Number of distinct pairs."""
        return len(self.pair_name)

    def name_id(self, name: str) -> int:
        """Number of a label name, -1 if it never occurred."""
        return self._name_ids.get(name, -1)

    def pair_id(self, name: str, value: str) -> int:
        """Number of a pair, -1 if it never occurred."""
        return self._pair_ids.get((name, value), -1)

    def pair(self, pair_id: int) -> tuple[str, str]:
        """Name and value of a pair."""
        name_id = int(self.pair_name.view()[pair_id])
        return self.names[name_id], self.values[name_id][int(self.pair_code.view()[pair_id])]

    def code(self, name: str, value: str) -> int:
        """The code of a value in its name's dictionary, -1 if it never occurred."""
        pair_id = self.pair_id(name, value)
        return -1 if pair_id < 0 else int(self.pair_code.view()[pair_id])

    def intern(self, label_sets: Sequence[Labels]) -> tuple[Int32s, Int64s]:
        """Pair ids of many label sets, flat, and the number of pairs of each."""
        if isinstance(label_sets, PairedSeries):
            return self._of_book(label_sets.book, label_sets.flat), label_sets.lengths
        lengths = np.fromiter(map(len, label_sets), np.int64, len(label_sets))
        flat = list(chain.from_iterable(label_sets))
        found = list(map(self._pair_ids.get, flat))
        if None in found:
            self._add_missing(flat, found)
        return np.array(found, np.int32), lengths

    def _of_book(self, book: PairBook, numbers: Int32s) -> Int32s:
        """Pair ids of pairs by their numbers in a book, each of which is looked up once."""
        if self._book is not book:
            self._book, self._ids = book, np.zeros(0, np.int32)
        if len(self._ids) < len(book.pairs):
            more = len(book.pairs) + len(book.pairs) // 4 - len(self._ids)
            self._ids = np.concatenate((self._ids, np.full(more, -1, np.int32)))
        found = self._ids[numbers]
        if len(found) and int(found.min()) < 0:
            missing = np.unique(numbers[found < 0])
            self._ids[missing] = self.intern_pairs([book.pairs[number] for number in missing.tolist()])
            found = self._ids[numbers]
        return found

    def known(self, label_sets: Sequence[Labels]) -> tuple[Int32s, Int64s]:
        """As `intern`, with -1 for pairs that never occurred."""
        lengths = np.fromiter(map(len, label_sets), np.int64, len(label_sets))
        flat = chain.from_iterable(label_sets)
        return np.fromiter(map(self._pair_ids.get, flat, repeat(-1)), np.int32), lengths

    def intern_pairs(self, pairs: Sequence[tuple[str, str]]) -> Int32s:
        """Ids of single pairs."""
        return self.intern([tuple(pairs)])[0]

    def _add_missing(self, flat: list[tuple[str, str]], found: list[int | None]) -> None:
        pair_ids = self._pair_ids
        name_ids = self._name_ids
        new_names: list[int] = []
        new_codes: list[int] = []
        first = next_id = self.pairs
        for position, known in enumerate(found):
            if known is not None:
                continue
            pair = flat[position]
            pair_id = pair_ids.get(pair)
            if pair_id is None:
                name, value = pair
                name_id = name_ids.get(name)
                if name_id is None:
                    name_id = len(self.names)
                    self.names.append(name)
                    self.values.append([""])
                    name_ids[name] = name_id
                dictionary = self.values[name_id]
                new_names.append(name_id)
                new_codes.append(len(dictionary))
                dictionary.append(value)
                self.text_bytes += len(name) + len(value)
                pair_ids[pair] = pair_id = next_id
                next_id += 1
            found[position] = pair_id
        self.pair_hash.extend(mix(np.arange(first, next_id, dtype=np.uint64)))
        self.pair_code.extend(np.array(new_codes, np.int32))
        self.pair_name.extend(np.array(new_names, np.int32))
