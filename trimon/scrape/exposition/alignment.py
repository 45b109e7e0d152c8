"""Which line of a body is which line of the body before, when some have moved, appeared or vanished."""

from __future__ import annotations

import secrets
from itertools import accumulate, compress, repeat
from operator import is_
from typing import Final, NamedTuple

import numpy as np

from trimon.compiled.library import ADDRESS, BYTES, INT64, UINT64, address_of, function
from trimon.scrape.exposition.bodymemory import BLANK, REMARK, Floats, Ints, KnownLines, Places
from trimon.scrape.exposition.samelines import OddLines

_match: Final = function(
    "trimon_match_lines",
    INT64,
    (
        *(ADDRESS, ADDRESS, ADDRESS, INT64, ADDRESS, INT64, UINT64),
        *(BYTES, INT64, INT64, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
    ),
)
# Nobody can prepare lines whose places in a table are all the same.
_SEED: Final = secrets.randbits(64)
# A number of so many digits or fewer is finite, and its float says all.
_DIGITS_MAX: Final = 15
_LINE_END: Final = 10

# So many lines that are new or gone in one place are stepped over before heads are looked up, and so many that are
# something else than they were.
_NEARBY: Final = 24
_REPLACED: Final = 3
# With more changes than one in so many lines, it is cheaper to look up every head.
_CHANGES_EVERY: Final = 12
_CHANGES_MIN: Final = 8
# A run may have this share of lines that are something else now; after one with more, shorter ones are tried.
_HOLES_SHARE: Final = 3
_CAUTIOUS: Final = 32


class MatchedLines(NamedTuple):
    """By line of a body: where it begins, which line of the body before it is, where the text that it has from there ends, and
    the number behind that.

    `origin` is -1 where none fits; the text then ends before the last word if that is the number, else where the line begins. A
    place may be given to two lines, if the body has a series twice, and a line that has more than a number behind its head
    may be missed. `odd` are those whose number is still to come. A remark that fits is the same to its end.
    """

    begins: Places
    origin: Places
    stops: Places
    values: Floats
    odd: OddLines


def line_count(body: bytes) -> int:
    """How many lines a body has; a quarter of what counting by bytes takes where lines are short."""
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == _LINE_END)) + 1


def match_lines(known: KnownLines, body: bytes) -> MatchedLines:
    """Pairs the lines of a body with those that are known."""
    if _match is None:
        return match_lines_plain(known, body)
    lines, remembered = line_count(body), len(known.ends)
    table = np.empty(1 << (2 * remembered + 1).bit_length(), np.int32)
    begins, origin, stops = np.empty((3, lines), np.int32)
    values, odd = np.empty(lines), np.empty((lines, 3), np.int32)
    found = _match(
        *(*known.addresses, remembered, address_of(table), len(table), _SEED, body, len(body), lines),
        *(address_of(begins), address_of(origin), address_of(stops), address_of(values), address_of(odd)),
    )
    assert found >= 0, "all lines were counted"
    return MatchedLines(begins, origin, stops, values, odd[:found].tolist())


def match_lines_plain(known: KnownLines, body: bytes) -> MatchedLines:
    """The twin: `match_lines` without the library. What is missed, and which numbers are odd, may differ."""
    lines = body.split(b"\n")
    aligned = Alignment(known.heads(), lines)
    begins = np.fromiter(accumulate((len(line) + 1 for line in lines[:-1]), initial=0), np.int32, len(lines))
    origin, heads = aligned.origin.astype(np.int32), aligned.heads
    remarks = np.append(known.slots, 0)[origin] == REMARK
    longer = remarks & np.fromiter(map(bool, aligned.tails), bool, len(lines))
    origin[longer] = -1
    sizes = np.fromiter((0 if head == BLANK else len(head) for head in heads), np.int32, len(heads))
    sizes[origin < 0] = 0
    values, odd, stops = np.zeros(len(lines)), [], begins + sizes
    for place in np.flatnonzero((origin >= 0) & ~remarks).tolist():
        tail, begin = aligned.tails[place], int(stops[place])
        if tail.isdigit() and len(tail) <= _DIGITS_MAX:
            values[place] = float(tail)
        else:
            odd.append([place, begin, begin + len(tail)])
    return MatchedLines(begins, origin, stops, values, odd)


class Alignment:
    """For each line the place of its head in the body before, the head, and what follows it.

    `origin[line]` is -1 and `heads[line]` is `BLANK` where no head was found; else the line begins with its head. A
    head may be given to two lines, if the body has a series twice. A line that has more than a number behind its head
    may be missed.
    """

    def __init__(self, before: list[bytes], lines: list[bytes]) -> None:
        self.origin: Ints = np.full(len(lines), -1, np.int64)
        self.heads: list[bytes] = []
        self.tails: list[bytes] = []
        self._before = before
        self._lines = lines
        self._longest = len(lines)
        self._places: dict[bytes, int] | None = None
        self._follow()
        self._find_moved()

    def _follow(self) -> None:
        """Finds runs of lines in the old order, and jumps between them."""
        before, lines = self._before, self._lines
        old, new = 0, 0
        changes = 0
        while new < len(lines):
            length = self._take_run(old, new)
            if length:
                old, new = old + length, new + length
                continue
            if not lines[new]:  # a blank line has no head to find
                old += old < len(before) and before[old] == BLANK
                self._skip(1)
                new += 1
                continue
            changes += 1
            if changes > _CHANGES_MIN + new // _CHANGES_EVERY:
                self._look_up(new)
                return
            old, new = self._resume(old, new)
            self._skip(new - len(self.heads))

    def _skip(self, count: int) -> None:
        self.heads += repeat(BLANK, count)
        self.tails += repeat(b"", count)

    def _look_up(self, new: int) -> None:
        """Looks up all lines from here on, one by one."""
        before = self._before
        texts = [line[: line.rfind(b" ") + 1] for line in self._lines[new:]]
        places = list(map(self._by_head().get, texts, repeat(-1)))
        self.origin[new:] = places
        heads = [before[place] if place >= 0 else BLANK for place in places]
        self.heads += heads
        self.tails += map(bytes.removeprefix, self._lines[new:], heads)

    def _find_moved(self) -> None:
        """Looks up the lines that were skipped among the heads that nobody has."""
        origin, before = self.origin, self._before
        skipped = np.flatnonzero(origin < 0).tolist()
        if not skipped:
            return
        unused = np.ones(len(before) + 1, bool)
        unused[origin] = False  # -1 is the one too many
        places = np.flatnonzero(unused).tolist()
        if not places:
            return
        left = dict(zip(compress(before, unused.tobytes()), places, strict=True))
        for new in skipped:
            place = left.get(_head(self._lines[new]))
            if place is not None:
                origin[new] = place
                self.heads[new] = before[place]
                self.tails[new] = self._lines[new].removeprefix(before[place])

    def _take_run(self, old: int, new: int) -> int:
        """Notes that lines from here on have the heads from there on, but for a few; how many lines that are."""
        before, lines = self._before, self._lines
        longest = min(len(before) - old, len(lines) - new, self._longest)
        if longest <= 0 or not lines[new].startswith(before[old]):
            return 0
        length = self._guess(old, new, longest)
        run, texts = before[old : old + length], lines[new : new + length]
        tails = list(map(bytes.removeprefix, texts, run))
        # what does not begin with the head is given back as it is
        misfits = bytes(map(is_, tails, texts))
        holes = misfits.count(1)
        if holes > length // _HOLES_SHARE:
            length = misfits.find(1)
            run, tails, holes = run[:length], tails[:length], 0
            self._longest = max(_CAUTIOUS, 2 * length)
        else:
            self._longest *= 2
        self.origin[new : new + length] = np.arange(old, old + length)
        self.heads += run
        self.tails += tails
        hole = -1
        for _ in range(holes):
            hole = misfits.find(1, hole + 1)
            self.origin[new + hole] = -1
            self.heads[new + hole] = BLANK
        return length

    def _guess(self, old: int, new: int, longest: int) -> int:
        """How long a run may be, by looking at a few of its lines: steps double, then halve."""
        before, lines = self._before, self._lines
        # the line at `equal` fits, the one at `unequal` does not or is none
        equal, unequal, step = 0, longest, 8
        while equal + step < longest:
            if not lines[new + equal + step].startswith(before[old + equal + step]):
                unequal = equal + step
                break
            equal += step
            step *= 2
        while unequal - equal > 1:
            middle = (equal + unequal) // 2
            if lines[new + middle].startswith(before[old + middle]):
                equal = middle
            else:
                unequal = middle
        return unequal

    def _resume(self, old: int, new: int) -> tuple[int, int]:
        """Where the next run begins."""
        before, lines = self._before, self._lines
        line = lines[new]
        olds, news = before[old : old + _NEARBY + 1], lines[new : new + _NEARBY + 1]
        for far in range(1, min(_REPLACED + 1, len(olds), len(news))):
            if news[far].startswith(olds[far]):
                return old + far, new + far
        for far in range(1, _NEARBY + 1):
            if far < len(olds) and line.startswith(olds[far]):
                return old + far, new
            if olds and far < len(news) and news[far].startswith(olds[0]):
                return old, new + far
        places = self._by_head()
        while new < len(lines):
            place = places.get(_head(lines[new]))
            if place is not None:
                return place, new
            new += 1
        return old, new

    def _by_head(self) -> dict[bytes, int]:
        if self._places is None:
            self._places = dict(zip(self._before, range(len(self._before)), strict=True))
        return self._places


def _head(line: bytes) -> bytes:
    """The head of a line that has nothing but a number behind it; a comment is its own head."""
    return line if line[:1] == b"#" else line[: line.rfind(b" ") + 1]
