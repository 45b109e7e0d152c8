"""The series of a head: label sets as runs of pair ids, found by hash, listed by metric name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, repeat
from typing import Final

import numpy as np

from trimon.model.knownseries import KnownSeries, LabelBook
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.storage.head.arena import Arena, Bools, Int32s, Int64s, UInt64s, ragged_positions
from trimon.storage.symbols import METRIC_NAME_ID, Symbols

_EMPTY = np.int32(-1)
_numbers = count()
# Label sets of pushed series that are remembered; an entry is some 100 bytes beside the labels.
RECENT_MAX: Final = 500_000
# Books of labels whose numbers are remembered: those of remote write 1.0, its last one, and what else may come.
BOOKS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class IndexView:
    """The first `series` series of an index; it never changes.

    `flat[offsets[s]:offsets[s + 1]]` are the pair ids of series `s`, ordered by label name. `number` is another one
    for every view of this process.
    """

    series: int
    offsets: Int64s
    flat: Int32s
    pair_name: Int32s
    pair_code: Int32s
    symbols: Symbols
    postings: dict[int, Arena[np.int32]]
    number: int

    def metric(self, pair_id: int) -> Int32s:
        """The series of one metric name, ascending."""
        posting = self.postings.get(pair_id)
        if posting is None:
            return np.zeros(0, np.int32)
        listed = posting.view()
        return listed[: np.searchsorted(listed, self.series)]

    def pairs_of(self, series: Int32s) -> tuple[Int32s, Int64s]:
        """Pair ids of the given series, flat, and how many each has."""
        starts = self.offsets[series]
        lengths = self.offsets[series.astype(np.int64) + 1] - starts
        return self.flat[ragged_positions(starts, lengths)], lengths

    def distinct_pairs(self, series: Int32s) -> tuple[list[tuple[str, str]], Int64s, Int64s]:
        """The names and values of the given series, each pair once; which pair each has in turn, flat, and how many it has."""
        flat, lengths = self.pairs_of(series)
        distinct, place = np.unique(flat, return_inverse=True)
        return [self.symbols.pair(pair_id) for pair_id in distinct.tolist()], place, lengths

    def labels(self, series: int) -> Labels:
        """The label set of one series."""
        run = self.flat[self.offsets[series] : self.offsets[series + 1]]
        return tuple(self.symbols.pair(int(pair_id)) for pair_id in run)


class SeriesIndex:
    """Label sets to series numbers, without an object per series.

    A series number counts from 0 in order of creation. The hash table is open-addressed and probed for many
    series at once. One thread writes; `view()` is for readers.
    """

    def __init__(self) -> None:
        self.symbols = Symbols()
        self._offsets: Arena[np.int64] = Arena(np.int64)
        self._offsets.append(0)
        self._flat: Arena[np.int32] = Arena(np.int32, 256)
        self._hashes: Arena[np.uint64] = Arena(np.uint64)
        self._table: Int32s = np.full(64, _EMPTY, np.int32)
        self._postings: dict[int, Arena[np.int32]] = {}
        self._recent: dict[Labels, int] = {}
        self._of_books: dict[int, Int32s] = {}

    def __len__(self) -> int:
        return len(self._hashes)

    def view(self) -> IndexView:
        """The index as it is now, for readers."""
        symbols = self.symbols
        return IndexView(
            len(self),
            self._offsets.view(),
            self._flat.view(),
            symbols.pair_name.view(),
            symbols.pair_code.view(),
            symbols,
            self._postings,
            next(_numbers),
        )

    def size_bytes(self) -> int:
        """Memory of the arrays."""
        parts = (
            self._offsets.size_bytes + self._flat.size_bytes + self._hashes.size_bytes + self._table.nbytes
        )
        # A copy, made in one step: the writer may add postings meanwhile, in its thread.
        return parts + sum(posting.size_bytes for posting in tuple(self._postings.values()))

    def find(self, label_sets: Sequence[Labels]) -> Int32s:
        """Series numbers, -1 where there is none; pairs never seen are not interned.

        What was found is remembered: those who push samples name the same series again and again.
        """
        if isinstance(label_sets, KnownSeries):
            return self._find_known(label_sets)
        recent = self._recent
        found = np.fromiter(map(recent.get, label_sets, repeat(-1)), np.int32, len(label_sets))
        unseen = np.flatnonzero(found < 0)
        if len(unseen):
            listed = [label_sets[place] for place in unseen.tolist()]
            found[unseen] = numbers = self._look_up(listed)
            if len(recent) + len(unseen) > RECENT_MAX:
                recent.clear()
            recent.update(
                (labels, number)
                for labels, number in zip(listed, numbers.tolist(), strict=True)
                if number >= 0
            )
        return found

    def _look_up(self, label_sets: Sequence[Labels]) -> Int32s:
        """Series numbers, -1 where there is none; pairs never seen are not interned."""
        found = np.full(len(label_sets), _EMPTY, np.int32)
        flat, lengths = self.symbols.known(label_sets)
        unseen = np.concatenate(([0], np.cumsum(flat < 0)))
        ends = np.cumsum(lengths)
        told = (unseen[ends] == unseen[ends - lengths]) & (lengths > 0)
        if told.any():
            flat, lengths = flat[np.repeat(told, lengths)], lengths[told]
            found[told] = self._probe(flat, lengths, self._hash(flat, lengths))
        return found

    def knows(self, series: KnownSeries) -> bool:
        """Whether all of these are known to be here, without looking at their labels."""
        of_book = self._of_books.get(series.book.number)
        places = series.places
        return (
            of_book is not None
            and len(places) > 0
            and int(places.max()) < len(of_book)
            and int(of_book[places].min()) >= 0
        )

    def _find_known(self, series: KnownSeries) -> Int32s:
        """`find` of series of a book: what was found out about a number of the book holds for ever."""
        of_book = self._of_books.get(series.book.number)
        places = series.places
        if of_book is None or len(of_book) < len(series.book.labels):
            of_book = self._with_book(series.book, of_book)
        found = of_book[places]
        if len(found) and int(found.min()) < 0:
            unseen = np.unique(places[found < 0])
            of_book[unseen] = self._look_up([series.book.labels[number] for number in unseen.tolist()])
            found = of_book[places]
        return found

    def _with_book(self, book: LabelBook, before: Int32s | None) -> Int32s:
        """Room for all numbers of a book; of other books the last one is kept."""
        room = np.full(len(book.labels) + len(book.labels) // 4, _EMPTY, np.int32)
        if before is not None:
            room[: len(before)] = before
        self._of_books.pop(book.number, None)
        while len(self._of_books) >= BOOKS_MAX:
            del self._of_books[next(iter(self._of_books))]
        self._of_books[book.number] = room
        return room

    def find_series(self, other: IndexView, series: Int32s) -> Int32s:
        """Numbers here of series of another index, -1 where there is none; nothing is interned."""
        if len(series) == 0:
            return series
        pairs, place, lengths = other.distinct_pairs(series)
        own = np.array([self.symbols.pair_id(name, value) for name, value in pairs], np.int32)[place]
        known = np.logical_and.reduceat(own >= 0, np.cumsum(lengths) - lengths)
        found = np.full(len(series), _EMPTY, np.int32)
        flat, lengths = own[np.repeat(known, lengths)], lengths[known]
        found[known] = self._probe(flat, lengths, self._hash(flat, lengths))
        return found

    def add(self, flat: Int32s, lengths: Int64s, limit: int = 0) -> tuple[Int32s, Int32s]:
        """Numbers of the given pair runs, creating what is missing, and the numbers created, ascending.

        No run is empty. With a `limit`, series beyond that many are not created: their number is -1.
        """
        hashes = self._hash(flat, lengths)
        found = self._probe(flat, lengths, hashes)
        missing = np.flatnonzero(found < 0)
        first = len(self)
        if len(missing):
            self._create(found, missing, flat, lengths, hashes, limit)
        return found, np.arange(first, len(self), dtype=np.int32)

    def _hash(self, flat: Int32s, lengths: Int64s) -> UInt64s:
        if len(lengths) == 0:
            return np.zeros(0, np.uint64)
        starts = np.cumsum(lengths) - lengths
        return np.add.reduceat(self.symbols.pair_hash.view()[flat], starts)

    def _probe(self, flat: Int32s, lengths: Int64s, hashes: UInt64s) -> Int32s:
        found = np.full(len(lengths), _EMPTY, np.int32)
        if len(self) == 0 or len(lengths) == 0:
            return found
        mask = np.uint64(len(self._table) - 1)
        stored = self._hashes.view()
        open_queries = np.arange(len(lengths))
        slots = (hashes & mask).astype(np.int64)
        while len(open_queries):
            candidates = self._table[slots]
            taken = candidates >= 0
            open_queries, slots, candidates = open_queries[taken], slots[taken], candidates[taken]
            same = stored[candidates] == hashes[open_queries]
            if same.any():
                same[same] = self._equal(flat, lengths, open_queries[same], candidates[same])
                found[open_queries[same]] = candidates[same]
            open_queries = open_queries[~same]
            slots = (slots[~same] + 1) & int(mask)
        return found

    def _equal(self, flat: Int32s, lengths: Int64s, queries: Int64s, series: Int32s) -> Bools:
        """Whether the pair runs of queries and stored series are the same."""
        offsets = self._offsets.view()
        starts = offsets[series]
        equal: Bools = lengths[queries] == offsets[series.astype(np.int64) + 1] - starts
        if not equal.all():
            equal[equal] = self._equal(flat, lengths, queries[equal], series[equal])
            return equal
        runs = lengths[queries]
        query_starts = (np.cumsum(lengths) - lengths)[queries]
        same = flat[ragged_positions(query_starts, runs)] == self._flat.view()[ragged_positions(starts, runs)]
        return np.logical_and.reduceat(same, np.cumsum(runs) - runs) if len(runs) else equal

    def _create(
        self, found: Int32s, missing: Int64s, flat: Int32s, lengths: Int64s, hashes: UInt64s, limit: int
    ) -> None:
        wanted = hashes[missing]
        if len(set(wanted.tolist())) == len(missing):
            chosen = missing[: max(0, limit - len(self))] if limit else missing
            first = len(self)
            self._store(chosen, flat, lengths, hashes)
            found[chosen] = np.arange(first, len(self), dtype=np.int32)
            return
        _, representative, inverse = np.unique(wanted, return_index=True, return_inverse=True)
        order = np.argsort(representative)
        chosen = missing[representative[order]]
        if limit:
            chosen = chosen[: max(0, limit - len(self))]
        first = len(self)
        self._store(chosen, flat, lengths, hashes)
        numbers = np.full(len(order), _EMPTY, np.int32)
        numbers[order[: len(chosen)]] = np.arange(first, len(self), dtype=np.int32)
        found[missing] = numbers[inverse]
        duplicates = np.setdiff1d(missing, missing[representative], assume_unique=True)
        if len(duplicates):
            self._settle_equal_hashes(found, duplicates, flat, lengths, hashes, limit)

    def _settle_equal_hashes(
        self, found: Int32s, duplicates: Int64s, flat: Int32s, lengths: Int64s, hashes: UInt64s, limit: int
    ) -> None:
        """Of equal hashes in one call most are the same series; the others are created one by one."""
        starts = np.cumsum(lengths) - lengths
        positions = ragged_positions(starts[duplicates], lengths[duplicates])
        settled = self._probe(flat[positions], lengths[duplicates], hashes[duplicates])
        for query in duplicates[settled < 0]:
            run = slice(starts[query], starts[query] + lengths[query])
            one = slice(query, query + 1)
            settled_one = self._probe(flat[run], lengths[one], hashes[one])
            if settled_one[0] < 0 and (not limit or len(self) < limit):
                self._store(np.array([query]), flat, lengths, hashes)
                settled_one[0] = len(self) - 1
            settled[duplicates == query] = settled_one[0]
        found[duplicates] = settled

    def _store(self, queries: Int64s, flat: Int32s, lengths: Int64s, hashes: UInt64s) -> None:
        """Append series and put them into the table and the postings."""
        if len(queries) == 0:
            return
        first = len(self)
        runs = lengths[queries]
        starts = (np.cumsum(lengths) - lengths)[queries]
        pairs = flat[ragged_positions(starts, runs)]
        self._offsets.extend(np.cumsum(runs) + len(self._flat))
        self._flat.extend(pairs)
        self._hashes.extend(hashes[queries])
        if 2 * len(self) > len(self._table):
            size = len(self._table)
            while size < 2 * len(self):
                size *= 2
            self._table = np.full(size, _EMPTY, np.int32)
            self._insert(np.arange(len(self), dtype=np.int32))
        else:
            self._insert(np.arange(first, len(self), dtype=np.int32))
        self._post(pairs, runs, first)

    def _insert(self, series: Int32s) -> None:
        mask = len(self._table) - 1
        slots = (self._hashes.view()[series] & np.uint64(mask)).astype(np.int64)
        while len(series):
            free = self._table[slots] < 0
            self._table[slots[free]] = series[free]
            lost = self._table[slots] != series
            series, slots = series[lost], (slots[lost] + 1) & mask

    def _post(self, pairs: Int32s, runs: Int64s, first: int) -> None:
        """List new series under their metric names."""
        is_metric = self.symbols.pair_name.view()[pairs] == METRIC_NAME_ID
        series = np.repeat(np.arange(first, first + len(runs), dtype=np.int32), runs)[is_metric]
        metrics = pairs[is_metric]
        order = np.argsort(metrics, kind="stable")
        metrics, series = metrics[order], series[order]
        bounds = np.flatnonzero(np.diff(metrics, prepend=-1, append=-1))
        for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            pair_id = int(metrics[begin])
            posting = self._postings.get(pair_id)
            if posting is None:
                posting = self._postings[pair_id] = Arena(np.int32, 4)
            posting.extend(series[begin:end])
