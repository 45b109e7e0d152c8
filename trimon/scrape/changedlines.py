"""A body in which some lines are new, gone or elsewhere: what was known is kept in bulk, the rest is parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from trimon.model.labels import Labels
from trimon.scrape.alignment import Alignment
from trimon.scrape.bodymemory import BLANK, DROPPED, REMARK, Ints, Lines, Reading, Rules
from trimon.scrape.families import Families
from trimon.scrape.linebyline import is_remark
from trimon.scrape.numbers import read_numbers

# A line that is neither known nor looked at yet, and one of a new series.
_UNREAD = -5
_NEW = -6
# Up to here every new series is compared with every old one.
_FEW = 20


@dataclass(slots=True)
class _News:
    """Series that were not found: labels and hashes of those that get a slot."""

    labels: list[Labels] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)


def read_changed(
    lines: list[bytes], body_bytes: int, before: Lines, rules: Rules
) -> tuple[Lines, Reading] | None:
    """The lines as they are now, and their numbers; None when the body has to be read line by line.

    That is so with timestamps, with series given twice, and when a line is not what it seemed. Costs a little more than
    reading an unchanged body, and what new series cost. `body_bytes` is without line ends. Raises ParseError.
    """
    if before.timed_labels or before.duplicates or not before.heads:
        return None
    aligned = Alignment(before.heads, lines)
    heads, tails, unknown = aligned.heads, aligned.tails, np.flatnonzero(aligned.origin < 0)
    kinds = before.slots[aligned.origin]
    kinds[unknown] = _UNREAD
    for place in unknown.tolist():
        line = lines[place]
        if is_remark(line):
            heads[place] = line or BLANK
            kinds[place] = REMARK
    if np.count_nonzero(kinds == _UNREAD) > len(lines) // 2:
        return None
    families = _families(lines, kinds, before, rules)
    news = _parse_unread(lines, aligned, kinds, before, families, rules)
    slotted = (kinds >= 0) | (kinds == _NEW)
    old_slot = np.where(kinds >= 0, kinds, -1)[slotted]
    hashes = np.append(before.hashes, 0)[old_slot]
    hashes[old_slot < 0] = news.hashes
    if _any_twice(old_slot, before, news):
        return None
    slots = kinds
    slots[slotted] = np.arange(len(old_slot))
    now = Lines(families, heads, slots, hashes)
    numbers = read_numbers(lines, tails, now.is_sample, body_bytes - now.heads_bytes, rules)
    if numbers is None:
        return None
    return now, Reading(
        now.by_slot(numbers),
        now.samples,
        0,
        moved=True,
        old_slot=old_slot,
        new_labels=tuple(news.labels),
    )


def _families(lines: list[bytes], kinds: Ints, before: Lines, rules: Rules) -> Families:
    """What the remarks say; learned anew only when they are not those of the body before. Raises ParseError."""
    remarks = list(compress(lines, (kinds == REMARK).tobytes()))
    if before.families.same_as(remarks):
        return before.families
    families = Families(rules.text_format, before.families)
    for remark in remarks:
        families.learn(remark)
    families.done()
    return families


def _parse_unread(
    lines: list[bytes], aligned: Alignment, kinds: Ints, before: Lines, families: Families, rules: Rules
) -> _News:
    """Parses the lines that were not found, and notes what they are."""
    news = _News()
    unread = np.flatnonzero(kinds == _UNREAD).tolist()
    if not unread:
        return news
    remarks_above = np.cumsum(kinds == REMARK)
    missed: dict[bytes, int] | None = None
    for place in unread:
        line = lines[place]
        size, pairs = rules.text_format.head(line)
        head = aligned.heads[place] = line[:size]
        tail = aligned.tails[place] = line[size:]
        if b" " in tail or b"\t" in tail:
            # more than a number: it may be known, and was missed
            if missed is None:
                missed = dict(zip(before.heads, before.slots.tolist(), strict=True))
            if head in missed:
                kinds[place] = missed[head]
                continue
        labels = rules.series_labels(pairs, families.after(int(remarks_above[place])))
        if labels is None:
            kinds[place] = DROPPED
            continue
        kinds[place] = _NEW
        news.labels.append(labels)
        news.hashes.append(hash(labels))
    return news


def _any_twice(old_slot: Ints, before: Lines, news: _News) -> bool:
    """Whether a series is in the body twice: by its old slot, or by its labels."""
    known = old_slot[old_slot >= 0]
    seen = np.zeros(len(before.hashes), bool)
    seen[known] = True
    if np.count_nonzero(seen) != len(known):
        return True
    if not news.hashes:
        return False
    hashes = np.array(news.hashes, np.int64)
    kept = before.hashes[seen]
    if len(set(news.hashes)) != len(hashes):
        return True
    if len(hashes) <= _FEW:
        return bool((kept == hashes[:, None]).any())
    return bool(np.isin(kept, hashes).any())
