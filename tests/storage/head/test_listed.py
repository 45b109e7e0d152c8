"""Series by metric name, which are listed when somebody asks, and series that come as numbers of pairs."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.seeds import new_seed
from trimon.model.labels import Labels
from trimon.model.pairedseries import PairBook, PairedSeries
from trimon.storage.head import index as index_module
from trimon.storage.head.acceptance import RefusalTally
from trimon.storage.head.arena import Int32s
from trimon.storage.head.head import Head
from trimon.storage.head.index import SeriesIndex
from trimon.storage.symbols import Symbols


def labels(metric: int, number: int) -> Labels:
    return (("__name__", f"m{metric}"), ("n", str(number)))


def add(index: SeriesIndex, sets: list[Labels]) -> None:
    index.add(*index.symbols.intern(sets))


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_a_view_lists_the_series_that_it_has(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each view lists by metric name what there was when it was made, whoever asked before, and in whatever order."""
    monkeypatch.setattr(index_module, "_POSTED_AT_ONCE", at_once)
    source = random.Random(new_seed())
    index = SeriesIndex()
    made: list[int] = []
    views = []
    for _ in range(12):
        more = [source.randrange(4) for _ in range(source.randrange(9))]
        add(index, [labels(metric, len(made) + place) for place, metric in enumerate(more)])
        made += more
        views.append((index.view(), len(made)))
        for view, count in source.sample(views, min(2, len(views))):
            for metric in range(4):
                pair = index.symbols.pair_id("__name__", f"m{metric}")
                wanted = [number for number, each in enumerate(made[:count]) if each == metric]
                assert view.metric(pair).tolist() == wanted


def test_threads_that_ask_while_series_come_find_all() -> None:
    """Readers in threads list each series once, while the writer adds others."""
    index = SeriesIndex()
    wrong: list[str] = []
    over = threading.Event()
    add(index, [labels(metric, 0) for metric in range(3)])
    pairs = [index.symbols.pair_id("__name__", f"m{metric}") for metric in range(3)]

    def read() -> None:
        while not over.is_set():
            view = index.view()
            found = np.sort(np.concatenate([view.metric(pair) for pair in pairs]))
            if found.tolist() != list(range(view.series)):
                wrong.append(f"{len(found)} of {view.series}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(1, 300):
        add(index, [labels(metric, 10 * step + place) for metric in range(3) for place in range(9)])
    over.set()
    for reader in readers:
        reader.join()
    assert not wrong


def paired(source: random.Random, book: PairBook, sets: list[Labels]) -> PairedSeries:
    """The same label sets as numbers of a book, in which a pair may be more than once."""
    flat = []
    for each in sets:
        for pair in each:
            known = [number for number, other in enumerate(book.pairs) if other == pair]
            if not known or source.random() < 0.1:
                book.pairs.append(pair)
                known = [len(book.pairs) - 1]
            flat.append(source.choice(known))
    ends = np.cumsum([len(each) for each in sets], dtype=np.int32)
    return PairedSeries(book, np.array(flat, np.int32), ends)


def test_series_of_books_are_those_that_their_labels_say() -> None:
    """Heads give series the same numbers whether they come as labels or as pairs of a book, of several books in turn."""
    source = random.Random(new_seed())
    plain, by_book = Head(0, 1), Head(0, 1)
    books = [PairBook(), PairBook()]
    for _ in range(20):
        sets = [labels(source.randrange(3), source.randrange(40)) for _ in range(source.randint(1, 12))]
        series = paired(source, source.choice(books), sets)
        assert series == tuple(sets)
        assert series[-1] == sets[-1]
        assert series[1:] == tuple(sets[1:])
        wanted = plain.create(tuple(sets), RefusalTally())
        assert by_book.create(series, RefusalTally()).tolist() == wanted.tolist()
        assert by_book.index.find(series).tolist() == wanted.tolist()
    plain_view, view = plain.index.view(), by_book.index.view()
    assert [view.labels(each) for each in range(view.series)] == [
        plain_view.labels(each) for each in range(plain_view.series)
    ]


def test_pairs_of_a_book_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a number of a book is in a head is found out the first time, and kept."""
    symbols, book = Symbols(), PairBook()
    book.pairs += [("__name__", "a"), ("n", "1"), ("n", "2")]
    asked: list[int] = []
    intern_pairs = symbols.intern_pairs

    def counting(pairs: Sequence[tuple[str, str]]) -> Int32s:
        asked.append(len(pairs))
        return intern_pairs(pairs)

    monkeypatch.setattr(symbols, "intern_pairs", counting)
    ends = np.array([2], np.int32)
    for flat in ([0, 1], [0, 1], [0, 2]):
        symbols.intern(PairedSeries(book, np.array(flat, np.int32), ends))
    assert asked == [2, 1]
