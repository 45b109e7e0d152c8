"""A body in which some lines are new, gone or elsewhere: what was known is kept in bulk, the rest is parsed.

    before              now                  origin
    0  a{x="1"}         a{x="1"} 7             0     run: heads in the old order
    1  a{x="2"}         a{x="2"} 3             1
    2  b                c{y="9"} 4            -1     new: parsed, becomes a slot
    3  d                d 5                    3     next run
                        b 2                    2     moved: found among the heads that nobody has

Only the head of a line says which series it is. `match_lines` pairs lines with the heads of the body before, and steps over
what is new, gone or moved.
From the pairs follow, as arrays, the slot that each line had (`kinds`), the slots now (numbered by the order of lines),
and which former slot each of them was (`old_slot`). A line without a head is parsed as if it were alone.

What makes that right: a line is taken by its head only when it begins with the whole head and a plain number follows, and
then no format reads it in another way, whatever stands above it, as long as everything above is whole. So all lines must
be accounted for: sizes add up, remarks are compared byte for byte, the end of the body is checked. Whenever something is
unusual (timestamps, a series given twice, a record over two lines, any error) the answer is None, and the body is read
record by record, which is right by construction and says what is wrong. Tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Final, cast

import numpy as np

from trimon.compiled.library import ADDRESS, BYTES, INT64, address_of, function
from trimon.memory.series import SeriesGrant
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.scrape.exposition.alignment import MatchedLines, match_lines
from trimon.scrape.exposition.bodymemory import (
    BLANK,
    DROPPED,
    LINES_AT_ONCE,
    NOTHING,
    REMARK,
    ArrangingRule,
    BodyReading,
    Ints,
    KnownLines,
    Lateness,
    Places,
    SampleRules,
    Texts,
    never_late,
)
from trimon.scrape.exposition.families import BodyFamilies, BodyFamily, FamilyDeclaration
from trimon.scrape.exposition.linebyline import is_remark
from trimon.scrape.exposition.numbers import number_alone
from trimon.scrape.exposition.pairtexts import Heads, PairTexts, any_twice, read_series
from trimon.scrape.exposition.records import ExpositionError
from trimon.scrape.exposition.samelines import OddLines, read_odd
from trimon.scrape.exposition.textformat import REMARK as REMARK_COMMENT

_gather: Final = function(
    "trimon_gather", INT64, (BYTES, INT64, ADDRESS, ADDRESS, INT64, ADDRESS, INT64, ADDRESS)
)
# A line that is neither known nor looked at yet, and one of a new series.
_UNREAD = -5
_NEW = -6
# By byte whether a line that begins with it may be a remark.
_BEGINS_REMARK: Final = np.isin(np.arange(256), list(b"# \t"))
# More new lines than this are read one by one, so that others have a turn.
_BULK_MAX: Final = 16_384


@dataclass(slots=True)
class _News:
    """Series that were not found: labels and hashes of those that get a slot, how many texts there were, and the lines that
    have more than a number.
    """

    labels: Sequence[Labels] = ()
    hashes: Ints = field(default_factory=lambda: NOTHING)
    texts: int = 0
    odd: OddLines = field(default_factory=list)


class _Body:
    """A body and what is known of its lines; `kinds` has by line its slot before, or what else it is."""

    __slots__ = ("body", "ends", "kinds", "matched")

    def __init__(self, body: bytes, matched: MatchedLines, before: KnownLines) -> None:
        self.body = body
        self.matched = matched
        self.ends = np.append(matched.begins[1:] - 1, len(body)).astype(np.int32)
        self.kinds: Places = before.slots[matched.origin]
        self.kinds[matched.origin < 0] = _UNREAD

    def line(self, place: int) -> bytes:
        """The whole line."""
        return self.body[self.matched.begins[place] : self.ends[place]]

    def take(self, place: int, kind: int, size: int) -> None:
        """Notes what a line is that was not known, and how long its text is."""
        self.kinds[place] = kind
        self.matched.stops[place] = self.matched.begins[place] + size

    def take_all(self, places: Ints, kinds: list[int] | int, sizes: list[int] | Places) -> None:
        """`take` for many lines."""
        self.kinds[places] = kinds
        self.matched.stops[places] = self.matched.begins[places] + np.asarray(sizes, np.int32)

    def take_remarks(self) -> None:
        """Notes which of the lines that were not known are remarks."""
        places = np.flatnonzero(self.kinds == _UNREAD)
        begins = self.matched.begins[places]
        begin_as = _BEGINS_REMARK[np.frombuffer(self.body or BLANK, np.uint8).take(begins, mode="clip")]
        for place in places[begin_as | (begins == self.ends[places])].tolist():
            line = self.line(place)
            if is_remark(line):
                self.take(place, REMARK, len(line))

    def texts(self) -> tuple[Texts, Places]:
        """The texts of all lines one behind the other, and where each ends."""
        begins, stops = self.matched.begins, self.matched.stops
        if _gather is None:
            return gather_plain(self.body, begins, stops)
        out, ends = np.empty(int((stops - begins).sum()), np.uint8), np.empty(len(begins), np.int32)
        used = _gather(
            *(self.body, len(self.body), address_of(begins), address_of(stops), len(begins)),
            *(address_of(out), len(out), address_of(ends)),
        )
        assert used == len(out), "pieces are within the body"
        return out, ends


def gather_plain(body: bytes, begins: Places, stops: Places) -> tuple[Texts, Places]:
    """The twin of `trimon_gather`: pieces of a body one behind the other, and where each ends."""
    pieces = b"".join([body[begin:stop] for begin, stop in zip(begins.tolist(), stops.tolist(), strict=True)])
    return np.frombuffer(pieces, np.uint8), np.cumsum(stops - begins, dtype=np.int32)


def read_changed(
    body: bytes,
    before: KnownLines,
    rules: SampleRules,
    known_families: dict[str, BodyFamily],
    is_late: Lateness = never_late,
    grant: SeriesGrant | None = None,
) -> tuple[KnownLines, BodyReading] | None:
    """The lines as they are now, and their numbers; None when the body has to be read line by line.

    That is so with timestamps, with series given twice, when a line is not what it seemed, when it is late, and when there
    may be more new series than the `grant` allows. Costs a little more than reading an unchanged body, and what new series
    cost.
    """
    if before.one_by_one or before.timed_labels or before.duplicates or not before.lines:
        return None
    if not rules.text_format.ends_well(body):
        return None
    matched = match_lines(before, body)
    now = _Body(body, matched, before)
    kinds = now.kinds
    now.take_remarks()
    unread = int(np.count_nonzero(kinds == _UNREAD))
    if unread > len(kinds) // 2 or (grant is not None and not grant.reserve(unread)):
        return None
    families = _families(now, before, rules, known_families)
    news = families and _parse_unread(now, before, families, rules, is_late)
    if not families or not news:
        return None
    slotted = (kinds >= 0) | (kinds == _NEW)
    old_slot = np.where(kinds >= 0, kinds, -1)[slotted].astype(np.int64)
    hashes = np.append(before.hashes, 0)[old_slot]
    hashes[old_slot < 0] = news.hashes
    if _any_twice(old_slot, before, news):
        return None
    kinds[slotted] = np.arange(len(old_slot))
    lines = KnownLines(families, *now.texts(), kinds, hashes)
    values = matched.values[slotted]
    odd = sorted([*matched.odd, *news.odd])
    exemplars = read_odd(odd, values, lines, before.exemplar_labels, body, rules) if odd else ()
    if exemplars is None:
        return None
    return lines, BodyReading(
        values,
        lines.samples,
        0,
        moved=True,
        old_slot=old_slot,
        new_labels=news.labels,
        added=news.texts,
        exemplars=exemplars,
    )


def _families(
    now: _Body, before: KnownLines, rules: SampleRules, known_families: dict[str, BodyFamily]
) -> BodyFamilies | None:
    """What the remarks say; learned anew only when they are not those of the body before. None: one is not plain."""
    places = np.flatnonzero(now.kinds == REMARK)
    if np.array_equal(now.matched.origin[places], np.flatnonzero(before.slots == REMARK)):
        return before.families
    remarks = [now.line(place) for place in places.tolist()]
    if before.families.same_as(remarks):
        return before.families
    families = BodyFamilies(before.families, known_families)
    for remark in remarks:
        comment = families.read_before(remark) or rules.text_format.remark(remark)
        if comment is None and not remark:
            comment = REMARK_COMMENT  # it stands where one may be: the end was looked at
        if comment is None:
            return None
        families.learn(remark, comment)
    families.done()
    return families


def _parse_unread(
    now: _Body, before: KnownLines, families: BodyFamilies, rules: SampleRules, is_late: Lateness
) -> _News | None:
    """Parses the lines that were not found, and notes what they are; None when one is not plain or breaks a limit."""
    unread = np.flatnonzero(now.kinds == _UNREAD)
    if not len(unread):
        return _News()
    above = np.cumsum(now.kinds == REMARK)[unread]
    news = None
    if len(unread) <= _BULK_MAX and not is_late():
        news = _parse_at_once(now, unread, above, families, rules)
    return news or _parse_each(now, unread, above, before, families, rules, is_late)


def _parse_at_once(
    now: _Body, unread: Ints, above: Ints, families: BodyFamilies, rules: SampleRules
) -> _News | None:
    """As `_parse_each`, when lines are plain and nothing but the names of their labels decides over these."""
    if getattr(rules.series_labels, "is_by_names", False) is not True:
        return None
    rule = cast("ArrangingRule", rules.series_labels)
    begins, ends, stops = now.matched.begins[unread], now.ends[unread], now.matched.stops[unread]

    def orders_of(texts: PairTexts, heads: Heads) -> list[tuple[int, ...]] | None:
        orders = []
        for line in heads.shape_lines:
            pairs = texts.pairs_of(heads, line)
            names = tuple([name for name, _ in pairs])
            if rule.places(names) is None:
                try:
                    rule(pairs, families.declared_after(int(above[line])))  # which finds it out
                except ExpositionError:
                    return None
            places = rule.places(names)
            if places is None:
                return None
            orders.append(places)
        return orders

    found = read_series(now.body, begins, ends, orders_of, rule.target_labels, families.bound_kinds(above))
    if found is None:
        return None
    sizes, labels, hashes = found
    odd: OddLines = []
    for each in np.flatnonzero(stops != begins + sizes).tolist():
        begin, end, place = int(begins[each] + sizes[each]), int(ends[each]), int(unread[each])
        tail = now.body[begin:end]
        if b" " in tail or b"\t" in tail:
            return None
        value = number_alone(tail, rules.text_format)
        if value is None:
            odd.append([place, begin, end])
        else:
            now.matched.values[place] = value
    now.take_all(unread, _NEW, sizes)
    return _News(labels, hashes, len(labels), odd)


def _parse_each(
    now: _Body,
    unread: Ints,
    above: Ints,
    before: KnownLines,
    families: BodyFamilies,
    rules: SampleRules,
    is_late: Lateness,
) -> _News | None:
    """One line after the other."""
    news = _News()
    remarks_above = above.tolist()
    begins, stops, ends = (of[unread].tolist() for of in (now.matched.begins, now.matched.stops, now.ends))
    last_above, declared = -1, FamilyDeclaration()
    missed: dict[bytes, int] | None = None
    body, head_of, labels_of = now.body, rules.text_format.head, rules.series_labels
    kinds: list[int] = []
    sizes: list[int] = []
    all_labels: list[Labels] = []
    for count, (place, begin, end) in enumerate(zip(unread.tolist(), begins, ends, strict=True)):
        if not count % LINES_AT_ONCE and is_late():
            return None
        line = body[begin:end]
        plain = head_of(line)
        if plain is None:
            return None
        size, pairs = plain
        tail = line[size:]
        sizes.append(size)
        if stops[count] != begin + size:
            value = number_alone(tail, rules.text_format)
            if value is None:
                news.odd.append([place, begin + size, end])
            else:
                now.matched.values[place] = value
        if b" " in tail or b"\t" in tail:
            # more than a number: it may be known, and was missed
            if missed is None:
                missed = dict(zip(before.heads(), before.slots.tolist(), strict=True))
            head = line[:size]
            if head in missed:
                kinds.append(missed[head])
                continue
        if remarks_above[count] != last_above:
            last_above = remarks_above[count]
            declared = families.declared_after(last_above)
        try:
            labels = labels_of(pairs, declared)
        except ExpositionError:
            return None
        if labels is None:
            kinds.append(DROPPED)
            continue
        kinds.append(_NEW)
        all_labels.append(labels)
    news.labels, news.texts = tuple(all_labels), len(all_labels)
    news.hashes = np.fromiter(map(hash, all_labels), np.int64, len(all_labels))
    now.take_all(unread, kinds, sizes)
    return news


def _any_twice(old_slot: Ints, before: KnownLines, news: _News) -> bool:
    """Whether a series is in the body twice: by its old slot, or by its labels."""
    known = old_slot[old_slot >= 0]
    seen = np.zeros(len(before.hashes), bool)
    seen[known] = True
    if np.count_nonzero(seen) != len(known):
        return True
    # Also those that are gone: the series may stand here in other words.
    return bool(len(news.hashes)) and any_twice(news.hashes, before.hashes)
