"""The loops that read new lines to numbers of label pairs, against their twins and the reading of one line after the other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.seeds import new_seed
from trimon.compiled import library
from trimon.model.labels import Labels
from trimon.model.pairedseries import PairedSeries
from trimon.scrape.exposition import pairtexts
from trimon.scrape.exposition.bodymemory import Ints, Places
from trimon.scrape.exposition.families import FamilyDeclaration
from trimon.scrape.exposition.pairtexts import Heads, PairTexts, any_twice, any_twice_plain, tuple_hash
from trimon.scrape.exposition.textformat import plain_head
from trimon.scrape.options import PoolOptions
from trimon.scrape.series_labels import SeriesLabels

pytestmark = pytest.mark.skipif(bool(library.MISSING), reason=library.MISSING or "built")
TARGET = (("instance", "i"), ("job", "j"))
TYPES = ("gauge", "histogram", "summary")

NAMES = st.sampled_from(["a", "b:c", "_x9", "http_requests_total", "A"])
LABELS = st.sampled_from(["le", "quantile", "code", "zone", "job2", "a"])
VALUES = st.sampled_from(["1", "1.0", "0.5", "5e-1", "x,y", "}", "{ ", "=", "v" * 40, "+Inf", "0.500"])
HEADS = st.builds(
    lambda name, pairs, comma: (
        name + ("{" + ",".join(f'{k}="{v}"' for k, v in pairs) + comma * bool(pairs) + "}" if pairs else "")
    ),
    NAMES,
    st.lists(st.tuples(LABELS, VALUES), max_size=4, unique_by=lambda pair: pair[0]),
    st.sampled_from(["", "", ","]),
)
ODD = st.sampled_from(
    [
        'a{b=""} 1', "a{} 1", "a{,} 1",
        'a{b="1",,} 1', 'a{b="1"}1', 'a{b="1"}  1', 'a{b="\\n"} 1', 'a{b="\0"} 1', 'a{b="ä"} 1',
        '{"a"} 1', "a", "a ", "a\t1", "9 1",
        'a{9="1"} 1', 'a{b="1" 1', 'a{b="1', 'a{b="', "a{b", "a{", "", " a 1", 'a {b="1"} 1',
        'a{b="' + "v" * 1025 + '"} 1',
        'a{b="' + "v" * 1024 + '"} 1', 'a{b="1"} {', 'a{b:c="1"} 1', "a{" + 'b="1",' * 201 + "} 1",
        "n" * 1025 + " 1",
    ]
)  # fmt: skip


def places_of(lines: Sequence[bytes]) -> tuple[bytes, Places, Places]:
    """A body of lines, and where each begins and stops."""
    stops = list(accumulate(len(line) + 1 for line in lines))
    begins = [0, *stops][: len(lines)]
    return b"\n".join(lines), np.array(begins, np.int32), np.array(stops, np.int32) - 1


def same(one: Heads | None, other: Heads | None) -> bool:
    if one is None or other is None:
        return one is other
    return [list(map(int, part)) for part in one] == [list(map(int, part)) for part in other]


def orders_of(texts: PairTexts, heads: Heads, rule: SeriesLabels) -> list[tuple[int, ...]] | None:
    orders = []
    for line in heads.shape_lines:
        pairs = texts.pairs_of(heads, line)
        rule(pairs, FamilyDeclaration())
        places = rule.places(tuple(name for name, _ in pairs))
        if places is None:
            return None
        orders.append(places)
    return orders


def labels_one_by_one(rule: SeriesLabels, line: bytes, kind: int) -> tuple[int, Labels]:
    plain = plain_head(line)
    assert plain is not None
    labels = rule(plain[1], FamilyDeclaration(TYPES[kind]))
    assert labels is not None
    return plain[0], labels


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.tuples(HEADS, st.integers(0, 2)), min_size=1, max_size=12), min_size=1, max_size=3)
)
@example([[('a{le="1"}', 1), ('a{le="1"}', 0), ('a{quantile="1",le="1"}', 2)]])
@example([[("a", 0)], [('a{le="1"}', 1)]])
def test_lines_have_the_labels_and_hashes_that_they_have_alone(bodies: list[list[tuple[str, int]]]) -> None:
    """Series read at once, by the loops and by their twins, are those that each line gives alone, and so are their hashes."""
    loops, twins = PairTexts(), PairTexts(is_compiled=False)
    for body in bodies:
        lines = [f"{head} 1".encode() for head, _ in body]
        kinds = np.array([kind for _, kind in body], np.int32)
        where = places_of(lines)
        heads, plain = loops.read(*where), twins.read(*where)
        assert heads is not None
        assert plain is not None
        assert same(heads, plain)
        assert loops.book.pairs == twins.book.pairs
        rule = SeriesLabels(TARGET, PoolOptions("j"))
        orders = orders_of(loops, heads, rule)
        assert orders is not None
        found: list[tuple[PairedSeries, Ints]] = []
        for texts in (loops, twins):
            arranged = texts.arranged(heads, orders, TARGET, kinds)
            assert arranged is not None
            found.append(arranged)
        wanted = [
            labels_one_by_one(rule, line, kind) for line, kind in zip(lines, kinds.tolist(), strict=True)
        ]
        assert heads.sizes.tolist() == [size for size, _ in wanted]
        for series, hashes in found:
            assert list(series) == [labels for _, labels in wanted]
            assert [series[place] for place in range(len(series))] == list(series)
            assert hashes.tolist() == [hash(labels) for labels in series]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(HEADS.map(lambda head: head + " 1"), ODD), min_size=1, max_size=4), st.data())
def test_lines_that_are_odd_or_damaged_are_left_alone(lines: list[str], data: st.DataObject) -> None:
    """The loop takes what its twin takes, whatever bytes there are, and reads it alike."""
    raw = [bytearray(line.encode()) for line in lines]
    for _ in range(data.draw(st.integers(0, 2))):
        line = data.draw(st.sampled_from(raw))
        if line:
            place = data.draw(st.integers(0, len(line) - 1))
            line[place] = data.draw(st.sampled_from(b'"{},= \\x\0\x80#\t1'))
    where = places_of([bytes(line) for line in raw])
    loops, twins = PairTexts(), PairTexts(is_compiled=False)
    assert same(loops.read(*where), twins.read(*where))


def test_a_book_that_is_full_takes_nothing_more() -> None:
    """Where there is no room for a text, the loop and its twin say so, and what was known is still read."""
    body, begins, stops = places_of([f'm{{n="{number}"}} 1'.encode() for number in range(40)])
    for is_compiled in (True, False):
        texts = PairTexts(16, is_compiled=is_compiled)
        assert texts.read(body, begins[:10], stops[:10]) is not None
        states = [texts.is_full]
        assert texts.read(body, begins, stops) is None
        assert [*states, texts.is_full] == [False, True]
        assert len(texts.book.pairs) == 16
        assert texts.read(body, begins[:10], stops[:10]) is not None
        assert texts.successor().room == 64
        long = b'm{n="' + b"v" * 600 + b'"} 1'
        ends = np.array([len(long)], np.int32)
        short = PairTexts(16, is_compiled=is_compiled)
        assert short.read(long, ends - len(long), ends) is None
        assert short.is_full


def test_what_does_not_fit_is_read_with_the_next_book(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full book is replaced by a larger one, and lines are read all the same."""
    monkeypatch.setattr(pairtexts, "_texts", PairTexts(16))
    rule = SeriesLabels(TARGET, PoolOptions("j"))
    where = places_of([f'm{{n="{number}"}} 1'.encode() for number in range(40)])
    found = pairtexts.read_series(
        *where, lambda texts, heads: orders_of(texts, heads, rule), TARGET, np.zeros(40, np.int32)
    )
    assert found is not None
    assert list(found[1]) == [
        (("__name__", "m"), ("instance", "i"), ("job", "j"), ("n", str(number))) for number in range(40)
    ]
    beyond = places_of([f'm{{n="{number}"}} 1'.encode() for number in range(400)])
    kinds = np.zeros(400, np.int32)
    assert (
        pairtexts.read_series(*beyond, lambda texts, heads: orders_of(texts, heads, rule), TARGET, kinds)
        is not None
    )


def test_too_many_shapes_are_left_alone() -> None:
    """More ways of naming labels than a body ever has are not read at once, by neither of the two."""
    lines = [
        ("m{" + ",".join(f'l{k}="1"' for k in range(number)) + "} 1").encode() for number in range(1, 34)
    ]
    for is_compiled in (True, False):
        texts = PairTexts(is_compiled=is_compiled)
        assert texts.read(*places_of(lines[:32])) is not None
        assert texts.read(*places_of(lines)) is None
        assert not texts.is_full


def test_a_place_beyond_its_arrays_is_refused() -> None:
    """An order that names a label which is not there is not followed."""
    texts = PairTexts()
    heads = texts.read(*places_of([b'm{n="1"} 1']))
    assert heads is not None
    for order in ((0, 4), (-1,)):
        assert texts.arranged(heads, [order], TARGET, np.zeros(1, np.int32)) is None
    assert texts.arranged(heads, [(0,)], TARGET, np.array([3], np.int32)) is None


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=9))
def test_a_tuple_hashes_as_python_hashes_it(pairs: list[tuple[str, str]]) -> None:
    """The hash that is made of hashes is that of the tuple."""
    assert tuple_hash(list(map(hash, pairs))) == hash(tuple(pairs))


def test_numbers_that_come_twice_are_found() -> None:
    """The loop finds what sets find: a number that comes twice, or is among the others."""
    source = random.Random(new_seed())
    for _ in range(300):
        most = source.choice([4, 50, 2**62])
        numbers = np.array([source.randint(-most, most) for _ in range(source.randrange(12))], np.int64)
        others = np.array([source.randint(-most, most) for _ in range(source.randrange(40))], np.int64)
        assert any_twice(numbers, others) == any_twice_plain(numbers, others)
