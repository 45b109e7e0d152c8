"""Label pairs that lines of bodies have shown, by their texts: what a new line is made of is mostly known from others.

```text
rpc_total{pod="a",code="200"} 7
^^^^^^^^^ ^^^^^^  ^^^^^^^^^^     three texts with a number each; a pair knows the number of its label's name
```

A line is read to numbers by a loop, and no text is made of what has a number. Lines with the same names of labels in the same
order have one shape, and how the labels of a shape are put in order with those of the target is found out once.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from trimon.compiled.library import ADDRESS, BYTES, INT64, UINT64, address_of, function
from trimon.model.labels import BUCKET_LABEL, METRIC_NAME, QUANTILE_LABEL, Labels
from trimon.model.pairedseries import PairBook, PairedSeries
from trimon.scrape.exposition.bodymemory import Ints, Places
from trimon.scrape.exposition.bounds import written_bound
from trimon.scrape.exposition.textformat import plain_head

_read: Final = function(
    "trimon_read_heads",
    INT64,
    (
        *(BYTES, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, INT64, UINT64, ADDRESS),
        *(ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS),
    ),
)  # fmt: skip
_arrange: Final = function(
    "trimon_arrange_pairs",
    INT64,
    (
        *(ADDRESS, ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, INT64),
        *(ADDRESS, ADDRESS, INT64, ADDRESS, INT64, ADDRESS, ADDRESS),
    ),
)
_any_twice: Final = function("trimon_any_twice", INT64, (ADDRESS, INT64, ADDRESS, INT64, ADDRESS, INT64))
# Nobody can prepare texts whose places in a table are all the same.
_SEED: Final = secrets.randbits(64)
_FULL: Final = -2
# As in the loop.
_SHAPES_MAX: Final = 32
_VALUE_MAX: Final = 1024
_LABELS_MAX: Final = 200
_ROOM_FIRST: Final = 2048
_ROOM_MAX: Final = 32_768
_BYTES_EACH: Final = 32
_BOOKS_TRIED: Final = 4
_HASH_MODULUS: Final = 1 << 64
_HASH_STARTS: Final = 2870177450012600261


class Heads(NamedTuple):
    """Lines as numbers: how long the text of each is, its shape, the numbers of all one after the other, and where each line's
    end; by shape a line that has it.
    """

    sizes: Places
    shapes: Places
    pieces: Places
    ends: Places
    shape_lines: list[int]


class PairTexts:
    """Texts by number, `room` at most; the pairs that they stand for are those of `book`. One thread at a time.

    `is_compiled` False is the twin.
    """

    def __init__(self, room: int = _ROOM_FIRST, *, is_compiled: bool = True) -> None:
        self.book = PairBook()
        self.room = room
        self.is_full = False
        self._read = _read if is_compiled else None
        self._arrange = _arrange if is_compiled else None
        self._text = np.empty(room * _BYTES_EACH, np.uint8)
        self._table = np.zeros(2 * room, np.int32)
        self._ends, self._names = np.zeros((2, room), np.int32)
        self._used = np.zeros(1, np.int64)
        self._hashes = np.empty(room, np.int64)
        self._bounds = np.empty((room, 2), np.int32)
        # the numbers of the twin, by text
        self._numbers: dict[bytes, int] = {}
        # those that stand for no text
        self._others: dict[tuple[str, str], int] = {}
        self._other((METRIC_NAME, ""))

    def successor(self) -> PairTexts:
        """An empty one for when this one is full, with more room where that may be."""
        return PairTexts(min(self.room * 4, _ROOM_MAX))

    # ---- numbers

    def _other(self, pair: tuple[str, str]) -> int:
        """The number of a pair that stands for no text; -1 where there is no room."""
        number = self._others.get(pair)
        if number is not None:
            return number
        number = int(self._used[0])
        if number >= self.room:
            self.is_full = True
            return -1
        self._ends[number], self._names[number] = self._ends[max(number - 1, 0)], -1
        self._used[0] = number + 1
        self._others[pair] = number
        self._note(number, pair)
        self._bounds[number] = number
        return number

    def _note(self, number: int, pair: tuple[str, str]) -> None:
        assert number == len(self.book.pairs)
        self.book.pairs.append(pair)
        self._hashes[number] = hash(pair)

    def _take_in(self) -> None:
        """Makes pairs of the texts that are new."""
        first, used = len(self.book.pairs), int(self._used[0])
        if first == used:
            return
        begin = int(self._ends[first - 1])
        texts, bounded = self._text[begin : int(self._ends[used - 1])].tobytes().decode("ascii"), []
        ends, names = (self._ends[first:used] - begin).tolist(), self._names[first:used].tolist()
        at = 0
        for number, end, name in zip(range(first, used), ends, names, strict=True):
            label, _, value = texts[at:end].partition('="')
            at = end
            self._note(number, (METRIC_NAME, label) if not name else (label, value))
            if name > 0 and label in (BUCKET_LABEL, QUANTILE_LABEL) and written_bound(value) != value:
                bounded.append((number, label, written_bound(value)))
        self._bounds[first:used] = np.arange(first, used)[:, None]
        for number, label, value in bounded:
            self._bounds[number, int(label == QUANTILE_LABEL)] = self._other((label, value))

    # ---- lines

    def read(self, body: bytes, begins: Places, stops: Places) -> Heads | None:
        """The lines of a body that have these places; None where one of them is not plain, or there is no room for it."""
        count = len(begins)
        sizes, shapes, ends = np.empty((3, count), np.int32)
        # A pair has at least five bytes; a line has a name, a space and a number.
        pieces = np.empty(count + int((stops - begins).sum()) // 5, np.int32)
        shape_lines = np.empty(_SHAPES_MAX, np.int32)
        if self._read is None:
            found = self._read_plain(body, begins, stops, (sizes, shapes, pieces, ends, shape_lines))
        else:
            found = self._read(
                *(body, len(body), address_of(begins), address_of(stops), count),
                *(address_of(self._text), len(self._text), address_of(self._ends), address_of(self._names), self.room),
                *(address_of(self._table), len(self._table), _SEED, address_of(self._used)),
                *(address_of(sizes), address_of(shapes), address_of(pieces), len(pieces)),
                *(address_of(ends), address_of(shape_lines)),
            )  # fmt: skip
        self._take_in()
        self.is_full |= found == _FULL
        if found < 0:
            return None
        return Heads(sizes, shapes, pieces[: int(ends[-1])], ends, shape_lines[:found].tolist())

    def _read_plain(
        self, body: bytes, begins: Places, stops: Places, out: tuple[Places, Places, Places, Places, Places]
    ) -> int:
        """The twin of `trimon_read_heads`."""
        sizes, shapes, pieces, ends, shape_lines = out
        names_seen: dict[tuple[int, ...], int] = {}
        at = 0
        for line, (begin, stop) in enumerate(zip(begins.tolist(), stops.tolist(), strict=True)):
            head = _texts_of(body[begin:stop])
            if head is None:
                return -1
            sizes[line], texts = head
            numbers = [self._number(texts[0], 0)]
            for text in texts[1:]:
                name = self._number(text[: text.index(b'="') + 2], -1)
                numbers.append(self._number(text, name) if name >= 0 else _FULL)
            if min(numbers) < 0 or at + len(numbers) > len(pieces):
                return _FULL
            pieces[at : at + len(numbers)] = numbers
            at += len(numbers)
            ends[line] = at
            shape = tuple(self._names[numbers].tolist())
            if shape not in names_seen:
                if len(names_seen) == _SHAPES_MAX:
                    return -1
                shape_lines[len(names_seen)] = line
            shapes[line] = names_seen.setdefault(shape, len(names_seen))
        return len(names_seen)

    def _number(self, text: bytes, name: int) -> int:
        number = self._numbers.get(text)
        if number is not None:
            return number
        number = int(self._used[0])
        begin = int(self._ends[number - 1])
        if number >= self.room or begin + len(text) > len(self._text):
            return _FULL
        self._text[begin : begin + len(text)] = np.frombuffer(text, np.uint8)
        self._ends[number], self._names[number] = begin + len(text), name
        self._used[0] = number + 1
        self._numbers[text] = number
        return number

    def pairs_of(self, heads: Heads, line: int) -> Labels:
        """The metric's name and the pairs of one line, in its order."""
        begin = int(heads.ends[line - 1]) if line else 0
        numbers = heads.pieces[begin : int(heads.ends[line])].tolist()
        return tuple(self.book.pairs[number] for number in numbers)

    def arranged(
        self, heads: Heads, orders: Sequence[Sequence[int]], target: Labels, kinds: Places
    ) -> tuple[PairedSeries, Ints] | None:
        """The series of lines, and the hashes of their labels; None where there is no room.

        `orders` say by shape where each label is among those of the target and then the line's own. `kinds` are 1 for lines of
        a histogram, whose bounds are rewritten, 2 for those of a summary.
        """
        targets = np.array([self._other(pair) for pair in target], np.int32)
        lengths = np.array(list(map(len, orders)), np.int32)
        flat = np.empty(int(lengths[heads.shapes].sum()), np.int32)
        ends, hashes = np.empty(len(kinds), np.int32), np.empty(len(kinds), np.int64)
        listed = np.array(list(chain.from_iterable(orders)), np.int32)
        if self._arrange is None:
            done = self._arrange_plain(heads, orders, targets, kinds, (flat, ends, hashes))
        else:
            order_ends = np.cumsum(lengths, dtype=np.int32)
            done = self._arrange(
                *(address_of(heads.pieces), address_of(heads.ends), address_of(heads.shapes), address_of(kinds), len(kinds)),
                *(address_of(listed), address_of(order_ends), len(orders), address_of(targets), len(targets)),
                *(address_of(self._bounds), address_of(self._hashes), int(self._used[0])),
                *(address_of(flat), len(flat), address_of(ends), address_of(hashes)),
            )  # fmt: skip
        return None if done < 0 else (PairedSeries(self.book, flat, ends), hashes)

    def _arrange_plain(
        self,
        heads: Heads,
        orders: Sequence[Sequence[int]],
        targets: Places,
        kinds: Places,
        out: tuple[Places, Places, Ints],
    ) -> int:
        """The twin of `trimon_arrange_pairs`."""
        flat, ends, hashes = out
        at = begin = 0
        for line, end in enumerate(heads.ends.tolist()):
            kind = int(kinds[line])
            own = heads.pieces[begin:end]
            begin = end
            every = [*targets.tolist(), *(self._bounds[own, kind - 1] if kind else own).tolist()]
            numbers = [every[place] for place in orders[int(heads.shapes[line])]]
            if numbers and min(numbers) < 0:
                return -1
            flat[at : at + len(numbers)] = numbers
            at += len(numbers)
            ends[line] = at
            hashes[line] = tuple_hash(self._hashes[numbers].tolist())
        return at


def _texts_of(line: bytes) -> tuple[int, list[bytes]] | None:
    """How long the series of a line is with its space, and the texts of it; None where the loop does not read it."""
    plain = plain_head(line)
    if plain is None or b"\\" in line[: plain[0]] or not line[: plain[0]].isascii():
        return None
    size, pairs = plain
    if len(pairs) > _LABELS_MAX + 1 or not all(0 < len(value) <= _VALUE_MAX for _, value in pairs):
        return None
    return size, [pairs[0][1].encode(), *(f'{name}="{value}'.encode() for name, value in pairs[1:])]


def tuple_hash(hashes: Sequence[int]) -> int:
    """The hash of a tuple of things that have these."""
    total = _HASH_STARTS
    for each in hashes:
        total = (total + each * 14029467366897019727) % _HASH_MODULUS
        total = (total << 31 | total >> 33) * 11400714785074694791 % _HASH_MODULUS
    total = (total + (len(hashes) ^ _HASH_STARTS ^ 3527539)) % _HASH_MODULUS
    if total == _HASH_MODULUS - 1:
        return 1546275796
    return total - _HASH_MODULUS if total >> 63 else total


_LIKE: Final = (("a", "b"), ("__name__", "c"), ("d", ""))
HASHES_AGREE: Final = hash(_LIKE) == tuple_hash(list(map(hash, _LIKE)))
"""Whether this interpreter hashes tuples as the loop does."""


def any_twice(numbers: Ints, others: Ints) -> bool:
    """Whether two of the numbers are the same, or one is among the others."""
    if _any_twice is None:
        return any_twice_plain(numbers, others)
    table = np.empty(1 << (2 * len(numbers) + 1).bit_length(), np.int32)
    numbers, others = np.ascontiguousarray(numbers), np.ascontiguousarray(others)
    found = _any_twice(
        *(address_of(numbers), len(numbers), address_of(others), len(others), address_of(table), len(table))
    )
    assert found >= 0, "the table is big enough"
    return bool(found)


def any_twice_plain(numbers: Ints, others: Ints) -> bool:
    """The twin: `any_twice` without the library."""
    listed = set(numbers.tolist())
    return len(listed) != len(numbers) or not listed.isdisjoint(others.tolist())


_lock: Final = threading.Lock()
_texts = PairTexts()


def read_series(
    body: bytes,
    begins: Places,
    stops: Places,
    orders_of: Callable[[PairTexts, Heads], list[tuple[int, ...]] | None],
    target: Labels,
    kinds: Places,
) -> tuple[Places, PairedSeries, Ints] | None:
    """How long the text of each of these lines is, their series, and the hashes of the labels; any thread.

    None where one of them is not plain. `orders_of` finds the orders of shapes: see `PairTexts.arranged`.
    """
    global _texts  # noqa: PLW0603 # one for all targets, whose labels are much the same
    if not HASHES_AGREE:
        return None
    with _lock:
        for _ in range(_BOOKS_TRIED):
            heads = _texts.read(body, begins, stops)
            orders = None if heads is None else orders_of(_texts, heads)
            if heads is not None and orders is not None:
                found = _texts.arranged(heads, orders, target, kinds)
                if found is not None:
                    return heads.sizes, *found
            if not _texts.is_full:
                return None
            _texts = _texts.successor()
    return None
