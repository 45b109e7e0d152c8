"""The series of a head: label sets as runs of pair ids, found by hash, listed by metric name."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import count, repeat
from typing import Final

import numpy as np

from trimon.model.knownseries import KnownSeries, LabelBook
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.storage.head.arena import Arena, Int32s, Int64s, ragged_positions
from trimon.storage.head.seriestable import SeriesTable
from trimon.storage.symbols import METRIC_NAME_ID, Symbols

_EMPTY = np.int32(-1)
_numbers = count()
# Label sets of pushed series that are remembered; an entry is some 100 bytes beside the labels.
RECENT_MAX: Final = 500_000
# Books of labels whose numbers are remembered: those of remote write 1.0, its last one, and what else may come.
BOOKS_MAX: Final = 4
# New series that are listed under their metric names at once, where nobody asks for them before: it takes two milliseconds.
_POSTED_AT_ONCE: Final = 4096


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
    owner: SeriesIndex
    number: int

    def metric(self, pair_id: int) -> Int32s:
        """The series of one metric name, ascending."""
        listed = self.owner.listed(pair_id, self.series)
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
        self._table = SeriesTable(self.symbols.pair_hash)
        # by metric name its series, of those up to a number; who asks for more lists the others
        self._postings: dict[int, Arena[np.int32]] = {}
        self._posted = 0
        self._posting = threading.Lock()
        self._recent: dict[Labels, int] = {}
        self._of_books: dict[int, Int32s] = {}

    def __len__(self) -> int:
        return len(self._table)

    def view(self) -> IndexView:
        """The index as it is now, for readers."""
        symbols = self.symbols
        return IndexView(
            len(self),
            self._table.offsets.view(),
            self._table.flat.view(),
            symbols.pair_name.view(),
            symbols.pair_code.view(),
            symbols,
            self,
            next(_numbers),
        )

    def size_bytes(self) -> int:
        """Memory of the arrays."""
        # A copy, made in one step: others may add postings meanwhile.
        return self._table.size_bytes() + sum(
            posting.size_bytes for posting in tuple(self._postings.values())
        )

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
            found[told] = self._table.find(flat, lengths)[0]
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
        found[known] = self._table.find(flat, lengths)[0]
        return found

    def add(self, flat: Int32s, lengths: Int64s, limit: int = 0) -> tuple[Int32s, Int32s]:
        """Numbers of the given pair runs, creating what is missing, and the numbers created, ascending.

        No run is empty. With a `limit`, series beyond that many are not created: their number is -1.
        """
        first = len(self)
        found = self._table.add(flat, lengths, limit)
        if len(self) - self._posted >= _POSTED_AT_ONCE:
            with self._posting:
                self._post()
        return found, np.arange(first, len(self), dtype=np.int32)

    def listed(self, pair_id: int, series: int) -> Int32s:
        """The series of one metric name, ascending: all below a number, and perhaps more. From any thread."""
        if self._posted < series:
            with self._posting:
                self._post()
        posting = self._postings.get(pair_id)
        return posting.view() if posting is not None else np.zeros(0, np.int32)

    def _post(self) -> None:
        """List series under their metric names that are not there yet. With the lock."""
        first, end = self._posted, len(self)
        if first == end:
            return
        offsets = self._table.offsets.view()[: end + 1]
        pairs = self._table.flat.view()[offsets[first] : offsets[end]]
        runs = np.diff(offsets[first:])
        is_metric = self.symbols.pair_name.view()[pairs] == METRIC_NAME_ID
        series = np.repeat(np.arange(first, first + len(runs), dtype=np.int32), runs)[is_metric]
        metrics = pairs[is_metric]
        order = np.argsort(metrics, kind="stable")
        metrics, series = metrics[order], series[order]
        bounds = np.flatnonzero(np.diff(metrics, prepend=-1, append=-1))
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            pair_id = int(metrics[start])
            posting = self._postings.get(pair_id)
            if posting is None:
                posting = self._postings[pair_id] = Arena(np.int32, 4)
            posting.extend(series[start:stop])
        self._posted = end
