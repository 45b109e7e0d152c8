"""Reading a body line by line: the first body of a target, and those whose change is not a plain one."""

from __future__ import annotations

import numpy as np

from trimon.model.labels import Labels
from trimon.scrape.bodymemory import BLANK, DROPPED, DUPLICATE, REMARK, TIMED, Lines, Reading, Rules
from trimon.scrape.families import Families
from trimon.scrape.numbers import NUMBER_BYTES


def is_remark(line: bytes) -> bool:
    """Whether a line is blank or a comment."""
    return not line or line[0] == 35 or not line.strip(b" \t")  # 35 is '#'


class LineByLine:
    """One pass over a body; every line is looked up by its head, and parsed when it is not known."""

    def __init__(self, rules: Rules, before: Lines) -> None:
        self._rules = rules
        self._before = before
        self._families = Families(rules.text_format, before.families)
        self._heads: list[bytes] = []
        self._slots: list[int] = []
        self._values: list[float] = []
        self._old_slot: list[int] = []
        self._hashes: list[int] = []
        self._new_labels: list[Labels] = []
        self._timed: list[tuple[Labels, int, float]] = []
        self._timed_labels: dict[bytes, Labels | None] = {}
        # what this body has claimed so far, so that a series given twice is found
        self._claimed: set[int] = set()
        self._old_hashes: list[int] = before.hashes.tolist()
        self._known = {
            head: slot
            for head, slot in zip(before.heads, before.slots.tolist(), strict=True)
            if slot >= 0 or slot == DROPPED
        }

    def read(self, lines: list[bytes]) -> tuple[Lines, Reading]:
        """The lines as they are now, and their numbers. Raises ParseError."""
        find = self._known.get
        for line in lines:
            head, space, tail = line.rpartition(b" ")
            head += space
            old = find(head)
            if old is not None:
                value = float(tail) if tail.isdigit() else self._number(line, tail)
                self._sample(head, old, value)
            elif is_remark(line):
                self._families.learn(line)
                self._heads.append(line or BLANK)
                self._slots.append(REMARK)
            else:
                self._odd(line)
        self._families.done()
        now = Lines(
            self._families,
            self._heads,
            np.array(self._slots, np.int64),
            np.array(self._hashes, np.int64),
            self._timed_labels,
        )
        reading = Reading(
            np.array(self._values, np.float64),
            now.samples,
            now.duplicates,
            moved=True,
            old_slot=np.array(self._old_slot, np.int64),
            new_labels=tuple(self._new_labels),
            timed=tuple(self._timed),
        )
        return now, reading

    def _number(self, line: bytes, tail: bytes) -> float:
        if not tail.translate(None, NUMBER_BYTES):
            try:
                value = float(tail)
            except ValueError:
                return self._rules.text_format.tail(line, tail).value
            if value - value == 0:  # neither NaN nor infinite
                return value
        return self._rules.text_format.tail(line, tail).value

    def _sample(self, head: bytes, old: int, value: float) -> None:
        """A sample of a series that has been seen: in a slot, or dropped."""
        self._heads.append(head)
        if old < 0:
            self._slots.append(old)
            return
        self._claim(self._old_hashes[old], value, old)

    def _claim(self, key: int, value: float, old: int) -> bool:
        if key in self._claimed:
            self._slots.append(DUPLICATE)
            return False
        self._claimed.add(key)
        self._slots.append(len(self._values))
        self._values.append(value)
        self._old_slot.append(old)
        self._hashes.append(key)
        return True

    def _odd(self, line: bytes) -> None:
        """A sample that was never seen, or that has more than a number behind its head."""
        rules = self._rules
        size, pairs = rules.text_format.head(line)
        head = line[:size]
        parsed = rules.text_format.tail(line, line[size:])
        if parsed.timestamp_ms is not None and rules.honor_timestamps:
            self._heads.append(head)
            if head in self._before.timed_labels:
                labels = self._before.timed_labels[head]
            else:
                labels = rules.series_labels(pairs, self._families.by_name.get)
            self._timed_labels[head] = labels
            self._slots.append(TIMED)
            if labels is not None:
                self._timed.append((labels, parsed.timestamp_ms, parsed.value))
            return
        old = self._known.get(head)
        if old is not None:
            self._sample(head, old, parsed.value)
            return
        self._heads.append(head)
        labels = rules.series_labels(pairs, self._families.by_name.get)
        if labels is None:
            self._slots.append(DROPPED)
        elif self._claim(hash(labels), parsed.value, -1):
            self._new_labels.append(labels)
