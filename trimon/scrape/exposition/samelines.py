"""A body whose lines are those of the body before, but for their numbers: its numbers, all at once.

A loop in C (`compiled/exposition.c`) compares each line with its text and reads the number behind it. What is no plain decimal
is odd, and read here: infinity, numbers of many digits, timestamps, exemplars.
"""

from __future__ import annotations

import threading
from itertools import compress
from typing import Final

import numpy as np

from trimon.compiled.library import ADDRESS, BYTES, INT64, address_of, function
from trimon.model.labels import Labels
from trimon.scrape.exposition.bodymemory import (
    BLANK,
    DROPPED,
    REMARK,
    Floats,
    KnownLines,
    SampleRules,
    SeriesExemplar,
)
from trimon.scrape.exposition.numbers import number_and_more

_compiled: Final = function(
    "trimon_same_lines",
    INT64,
    (ADDRESS, ADDRESS, ADDRESS, INT64, BYTES, INT64, ADDRESS, INT64, ADDRESS),
)
# A number of so many digits or fewer is finite, and its float says all.
_DIGITS_MAX: Final = 15


class _OddRoom(threading.local):
    """Room for the odd lines of a body, for each thread its own: where it is takes longer to ask than a line to read."""

    def __init__(self) -> None:
        self.places = np.empty((0, 3), np.int32)
        self.address = 0

    def of(self, lines: int) -> _OddRoom:
        """The same, with room for so many lines."""
        if len(self.places) < lines:
            self.places = np.empty((2 * lines, 3), np.int32)
            self.address = address_of(self.places)
        return self


_ODD: Final = _OddRoom()

# Lines that have something else than a plain decimal behind their heads: which, and where in the body that begins and ends.
OddLines = list[list[int]]


def same_lines(known: KnownLines, body: bytes) -> tuple[Floats, OddLines] | None:
    """The numbers of the slots, and the lines that are odd, whose numbers are still to come; None: lines have changed."""
    if _compiled is None:
        return same_lines_plain(known, body)
    lines, slots = len(known.ends), len(known.hashes)
    values = np.empty(slots)
    odd = _ODD.of(lines)
    found = _compiled(*known.addresses, lines, body, len(body), address_of(values), slots, odd.address)
    if found < 0:
        return None
    return values, odd.places[:found].tolist() if found else []


def same_lines_plain(known: KnownLines, body: bytes) -> tuple[Floats, OddLines] | None:
    """The twin: `same_lines` without the library. Which numbers are odd may differ, not what they are."""
    heads, lines = known.heads(), body.split(b"\n")
    if len(heads) != len(lines):
        return None
    sampled = known.slots != REMARK
    remarks = (head if head != BLANK else b"" for head in compress(heads, (~sampled).tobytes()))
    if list(remarks) != list(compress(lines, (~sampled).tobytes())):
        return None
    heads, lines = list(compress(heads, sampled.tobytes())), list(compress(lines, sampled.tobytes()))
    if not all(map(bytes.startswith, lines, heads)):
        return None
    tails = list(map(bytes.removeprefix, lines, heads))
    plain = np.fromiter((tail.isdigit() and len(tail) <= _DIGITS_MAX for tail in tails), bool, len(tails))
    numbers = np.zeros(len(tails))
    numbers[plain] = list(map(float, compress(tails, plain.tobytes())))
    ends = np.cumsum([len(line) + 1 for line in body.split(b"\n")]) - 1
    places = np.flatnonzero(sampled)[~plain].tolist()
    sizes = map(len, compress(tails, (~plain).tobytes()))
    odd = [
        [place, int(ends[place]) - size, int(ends[place])] for place, size in zip(places, sizes, strict=True)
    ]
    return numbers[known.slots[sampled] >= 0], odd


def read_odd(
    odd: OddLines,
    values: Floats,
    now: KnownLines,
    labels: dict[bytes, Labels | None],
    body: bytes,
    rules: SampleRules,
) -> tuple[SeriesExemplar, ...] | None:
    """Puts the numbers of odd lines in their slots; the exemplars behind them. None when a line is not plain.

    `labels` are those of series that showed exemplars before, by head; what is not among them is made anew.
    """
    exemplars = []
    for place, begin, end in odd:
        read = number_and_more(body[begin:end], rules)
        if read is None:
            return None
        slot = int(now.slots[place])
        if slot >= 0:
            values[slot] = read[0]
        if read[1] is None or slot == DROPPED:
            continue
        head = now.head(place)
        series = labels.get(head)
        if series is None:
            plain = rules.text_format.head(head + body[begin:end])
            if plain is None:
                return None
            remarks_above = int(np.count_nonzero(now.slots[:place] == REMARK))
            series = rules.series_labels(plain[1], now.families.declared_after(remarks_above))
            if series is None:
                continue
        now.exemplar_labels[head] = series
        exemplars.append(SeriesExemplar(series, read[1], None))
    return tuple(exemplars)
