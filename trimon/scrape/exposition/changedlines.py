"""A body in which some lines are new, gone or elsewhere: what was known is kept in bulk, the rest is parsed.

    before              now                  origin
    0  a{x="1"}         a{x="1"} 7             0     run: heads in the old order
    1  a{x="2"}         a{x="2"} 3             1
    2  b                c{y="9"} 4            -1     new: parsed, becomes a slot
    3  d                d 5                    3     next run
                        b 2                    2     moved: found among the heads that nobody has

Only the head of a line says which series it is. `Alignment` pairs lines with the heads of the body before: it guesses runs
by looking at a few lines, verifies each run in bulk with `bytes.removeprefix`, and steps over what is new, gone or moved.
From the pairs follow, as arrays, the slot that each line had (`kinds`), the slots now (numbered by the order of lines),
and which former slot each of them was (`old_slot`). A line without a head is parsed as if it were alone.

What makes that right: a line is taken by its head only when it begins with the whole head and a plain number follows, and
then no format reads it in another way, whatever stands above it, as long as everything above is whole. So all lines must
be accounted for: sizes add up, remarks are compared byte for byte, the end of the body is checked. Whenever something is
unusual (timestamps, a series given twice, a record over two lines, any error) the answer is None, and the body is read
record by record, which is right by construction and says what is wrong. Tests hold the two against each other.
"""

from __future__ import annotations

from dataclasses import field
from itertools import compress

import numpy as np

from trimon.memory.series import SeriesGrant
from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.scrape.exposition.alignment import Alignment
from trimon.scrape.exposition.bodymemory import (
    BLANK,
    DROPPED,
    LINES_AT_ONCE,
    REMARK,
    BodyReading,
    Ints,
    KnownLines,
    Lateness,
    SampleRules,
    SeriesExemplar,
    never_late,
)
from trimon.scrape.exposition.families import BodyFamilies, BodyFamily
from trimon.scrape.exposition.linebyline import is_remark
from trimon.scrape.exposition.numbers import Exemplars, read_numbers
from trimon.scrape.exposition.records import ExpositionError
from trimon.scrape.exposition.textformat import REMARK as REMARK_COMMENT

# A line that is neither known nor looked at yet, and one of a new series.
_UNREAD = -5
_NEW = -6
# Up to here every new series is compared with every old one.
_FEW = 20


@dataclass(slots=True)
class _News:
    """Series that were not found: labels and hashes of those that get a slot, and how many texts there were."""

    labels: list[Labels] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    texts: int = 0


def read_changed(
    lines: list[bytes],
    body_bytes: int,
    before: KnownLines,
    rules: SampleRules,
    known_families: dict[str, BodyFamily],
    is_late: Lateness = never_late,
    grant: SeriesGrant | None = None,
) -> tuple[KnownLines, BodyReading] | None:
    """The lines as they are now, and their numbers; None when the body has to be read line by line.

    That is so with timestamps, with series given twice, when a line is not what it seemed, when it is late, and when there
    may be more new series than the `grant` allows. Costs a little more than reading an unchanged body, and what new series
    cost. `body_bytes` is without line ends.
    """
    if before.one_by_one or before.timed_labels or before.duplicates or not before.heads:
        return None
    if not rules.text_format.ends_well(lines):
        return None
    aligned = Alignment(before.heads, lines)
    heads, tails, unknown = aligned.heads, aligned.tails, np.flatnonzero(aligned.origin < 0)
    kinds = before.slots[aligned.origin]
    kinds[unknown] = _UNREAD
    if any(compress(tails, (kinds == REMARK).tobytes())):
        return None  # a remark with more behind it than it had
    for place in unknown.tolist():
        line = lines[place]
        if is_remark(line):
            heads[place] = line or BLANK
            kinds[place] = REMARK
    if np.count_nonzero(kinds == _UNREAD) > len(lines) // 2:
        return None
    if grant is not None and not grant.reserve(int(np.count_nonzero(kinds == _UNREAD))):
        return None
    families = _families(lines, kinds, before, rules, known_families)
    news = families and _parse_unread(lines, aligned, kinds, before, families, rules, is_late)
    if not families or not news:
        return None
    slotted = (kinds >= 0) | (kinds == _NEW)
    old_slot = np.where(kinds >= 0, kinds, -1)[slotted]
    hashes = np.append(before.hashes, 0)[old_slot]
    hashes[old_slot < 0] = news.hashes
    if _any_twice(old_slot, before, news):
        return None
    slots = kinds
    slots[slotted] = np.arange(len(old_slot))
    now = KnownLines(families, heads, slots, hashes)
    read = read_numbers(tails, now.is_sample, body_bytes - now.heads_bytes, rules)
    if read is None:
        return None
    numbers, exemplars = read
    shown = series_exemplars(exemplars, now, lines, before.exemplar_labels, rules)
    if shown is None:
        return None
    return now, BodyReading(
        now.by_slot(numbers),
        now.samples,
        0,
        moved=True,
        old_slot=old_slot,
        new_labels=tuple(news.labels),
        added=news.texts,
        exemplars=shown,
    )


def series_exemplars(
    exemplars: Exemplars,
    now: KnownLines,
    lines: list[bytes],
    known: dict[bytes, Labels | None],
    rules: SampleRules,
) -> tuple[SeriesExemplar, ...] | None:
    """Exemplars with the labels of their series, looked up by head or made anew; None when a head is not plain."""
    if not exemplars:
        return ()
    samples = np.flatnonzero(np.frombuffer(now.is_sample, bool))
    remarks_above = np.cumsum(now.slots == REMARK)
    out = []
    for index, exemplar in exemplars:
        place = int(samples[index])
        if now.slots[place] == DROPPED:
            continue
        head = now.heads[place]
        labels = known.get(head)
        if labels is None:
            plain = rules.text_format.head(lines[place])
            if plain is None:
                return None
            labels = rules.series_labels(plain[1], now.families.declared_after(int(remarks_above[place])))
            if labels is None:
                continue
        now.exemplar_labels[head] = labels
        out.append(SeriesExemplar(labels, exemplar, None))
    return tuple(out)


def _families(
    lines: list[bytes],
    kinds: Ints,
    before: KnownLines,
    rules: SampleRules,
    known_families: dict[str, BodyFamily],
) -> BodyFamilies | None:
    """What the remarks say; learned anew only when they are not those of the body before. None: one is not plain."""
    remarks = list(compress(lines, (kinds == REMARK).tobytes()))
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
    lines: list[bytes],
    aligned: Alignment,
    kinds: Ints,
    before: KnownLines,
    families: BodyFamilies,
    rules: SampleRules,
    is_late: Lateness,
) -> _News | None:
    """Parses the lines that were not found, and notes what they are; None when one is not plain or breaks a limit."""
    news = _News()
    unread = np.flatnonzero(kinds == _UNREAD).tolist()
    if not unread:
        return news
    remarks_above = np.cumsum(kinds == REMARK)
    missed: dict[bytes, int] | None = None
    for count, place in enumerate(unread):
        if not count % LINES_AT_ONCE and is_late():
            return None
        line = lines[place]
        plain = rules.text_format.head(line)
        if plain is None:
            return None
        size, pairs = plain
        head = aligned.heads[place] = line[:size]
        tail = aligned.tails[place] = line[size:]
        if b" " in tail or b"\t" in tail:
            # more than a number: it may be known, and was missed
            if missed is None:
                missed = dict(zip(before.heads, before.slots.tolist(), strict=True))
            if head in missed:
                kinds[place] = missed[head]
                continue
        try:
            labels = rules.series_labels(pairs, families.declared_after(int(remarks_above[place])))
        except ExpositionError:
            return None
        if labels is None:
            kinds[place] = DROPPED
            continue
        kinds[place] = _NEW
        news.labels.append(labels)
        news.hashes.append(hash(labels))
        news.texts += 1
    return news


def _any_twice(old_slot: Ints, before: KnownLines, news: _News) -> bool:
    """Whether a series is in the body twice: by its old slot, or by its labels."""
    known = old_slot[old_slot >= 0]
    seen = np.zeros(len(before.hashes), bool)
    seen[known] = True
    if np.count_nonzero(seen) != len(known):
        return True
    if not news.hashes:
        return False
    hashes = np.array(news.hashes, np.int64)
    kept = before.hashes  # also those that are gone: the series may stand here in other words
    if len(set(news.hashes)) != len(hashes):
        return True
    if len(hashes) <= _FEW:
        return bool((kept == hashes[:, None]).any())
    return bool(np.isin(kept, hashes).any())
