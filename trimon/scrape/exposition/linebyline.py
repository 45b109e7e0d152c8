"""Reading a body line by line: the first body of a target, and those whose change is not a plain one."""

from __future__ import annotations

import numpy as np

from trimon.memory.series import SeriesGrant
from trimon.model.labels import Labels
from trimon.scrape.exposition.bodymemory import (
    BLANK,
    DROPPED,
    DUPLICATE,
    LINES_AT_ONCE,
    REMARK,
    TIMED,
    BodyReading,
    BrokenBody,
    KnownLines,
    Lateness,
    SampleRules,
    SeriesExemplar,
    never_late,
)
from trimon.scrape.exposition.families import BodyFamilies, BodyFamily
from trimon.scrape.exposition.labelparts import LabelParts
from trimon.scrape.exposition.numbers import number_alone
from trimon.scrape.exposition.records import (
    ExpositionError,
    LateError,
    MetadataLine,
    Pairs,
    SampleLimitError,
    SampleTail,
    SeriesRoomError,
)
from trimon.scrape.exposition.scanner import BodyScanner, Record


def is_remark(line: bytes) -> bool:
    """Whether a line is blank or a comment."""
    return not line or line[0] == 35 or not line.strip(b" \t")  # 35 is '#'


class LineByLine:
    """One pass over a body; every line is looked up by its head, and parsed when it is not known.

    `known_texts` are series texts that are not new although no slot has them; `sample_limit` 0 is none; samples with
    timestamps outside `bounds_ms` are not expected to be stored. When `is_late` says so the body has failed. New series beyond
    the `grant` are left out and not remembered; where nothing of the target is stored yet, the body has failed.
    """

    def __init__(
        self,
        rules: SampleRules,
        before: KnownLines,
        known_families: dict[str, BodyFamily] | None = None,
        known_texts: set[bytes] | None = None,
        bounds_ms: tuple[int, int] | None = None,
        sample_limit: int = 0,
        is_late: Lateness = never_late,
        grant: SeriesGrant | None = None,
    ) -> None:
        self._grant = grant
        self._parts = LabelParts(rules.series_labels)
        self.families = BodyFamilies(before.families, known_families)
        self.texts: set[bytes] = set()
        """The texts of all series that were read, without white space."""
        self._rules = rules
        self._before = before
        self._known_texts = before.texts().union(known_texts or ())
        self._bounds_ms = bounds_ms
        self._sample_limit = sample_limit
        self._is_late = is_late
        self._heads: list[bytes] = []
        self._slots: list[int] = []
        self._values: list[float] = []
        self._old_slot: list[int] = []
        self._hashes: list[int] = []
        self._new_labels: list[Labels] = []
        self._timed: list[tuple[Labels, int, float]] = []
        self._timed_labels: dict[bytes, Labels | None] = {}
        self._unstored: set[bytes] = set()
        self._exemplars: list[SeriesExemplar] = []
        self._exemplar_labels: dict[bytes, Labels | None] = {}
        # what this body has claimed so far, so that a series given twice is found
        self._claimed: set[int] = set()
        self._old_hashes: list[int] = before.hashes.tolist()
        self._slot_by_hash = dict(zip(self._old_hashes, range(len(self._old_hashes)), strict=True))
        self._known = {
            head: slot
            for head, slot in zip(before.heads(), before.slots.tolist(), strict=True)
            if slot >= 0 or slot == DROPPED
        }
        self._samples = 0
        self._kept = 0
        self._added = 0
        self._repeats = 0
        self._refused = 0
        # slots of the former memory that were read while the limit held
        self._reached: list[int] = []
        self._one_by_one = False

    def read(self, body: bytes, lines: list[bytes]) -> tuple[KnownLines, BodyReading]:
        """The lines as they are now, and their numbers. Raises BrokenBody."""
        try:
            self._read(body, lines)
            if self._sample_limit and self._counting() > self._sample_limit:
                raise SampleLimitError("sample limit exceeded")
        except ExpositionError as error:
            reached = np.array([slot for slot in self._reached if slot >= 0], np.int64)
            raise BrokenBody(error, self._samples, self._kept, self._added, reached) from None
        self.families.done()
        return self._result()

    def _result(self) -> tuple[KnownLines, BodyReading]:
        now = KnownLines.of_heads(
            self.families, self._heads, np.array(self._slots, np.int64), np.array(self._hashes, np.int64)
        )
        now.timed_labels = self._timed_labels
        now.repeats = self._repeats
        now.one_by_one = self._one_by_one
        now.unstored = self._unstored
        now.exemplar_labels = self._exemplar_labels
        reading = BodyReading(
            np.array(self._values, np.float64),
            now.samples + self._refused,
            now.duplicates,
            self._repeats,
            moved=True,
            old_slot=np.array(self._old_slot, np.int64),
            new_labels=tuple(self._new_labels),
            timed=tuple(self._timed),
            added=self._added,
            exemplars=tuple(self._exemplars),
            refused=self._refused,
        )
        return now, reading

    def _read(self, body: bytes, lines: list[bytes]) -> None:
        text_format = self._rules.text_format
        find, end_mark = self._known.get, text_format.end_mark
        # where a body has an end mark, what comes last is never plain
        last = len(lines) - 1 if end_mark else -1
        scanner: BodyScanner | None = None
        # A null byte at the beginning of a line may belong to the comment before it.
        comments_are_plain = b"\0" not in body
        # where the line `counted` begins
        offset = counted = resume = 0
        index = 0
        try:
            for index, line in enumerate(lines):
                if not index % LINES_AT_ONCE and self._is_late():
                    raise LateError(f"reading a body of {len(body)} bytes: context deadline exceeded")
                if index < resume:
                    continue
                if index != last and line != end_mark:
                    head, space, tail = line.rpartition(b" ")
                    head += space
                    old = find(head)
                    if old is not None and self._known_line(head, old, tail):
                        continue
                    if is_remark(line):
                        if comments_are_plain and self._remark(line):
                            continue
                    elif old is None and (self._from_parts(head, tail) or self._plain(line)):
                        continue
                scanner = scanner or text_format.scanner(body)
                offset += sum(map(len, lines[counted:index])) + index - counted
                counted = index
                taken = self._scan(scanner, body, offset)
                if not taken:
                    self._note_end(lines[index:], end_mark)
                    return
                resume = index + taken
        except ExpositionError as error:
            if error.place < 0:
                error.place = sum(map(len, lines[:index])) + index
            raise

    def _note_end(self, lines: list[bytes], end_mark: bytes) -> None:
        """The body ended here: with its mark, or with a null byte, in the mark or one that hides what follows."""
        if end_mark and lines[0] == end_mark:
            for line in lines:
                self._note_remark(line, MetadataLine("", "", ""))
        else:
            self._one_by_one = True

    def _scan(self, scanner: BodyScanner, body: bytes, offset: int) -> int:
        """Reads records to the letter up to a line's end; how many lines they take, 0 at the end of the body."""
        scanner.seek(offset)
        lines, begin = 0, offset
        while True:
            record = _next(scanner)
            if record is None:
                return 0
            end = min(scanner.place, len(body))
            text = body[begin:end].removesuffix(b"\n")
            if isinstance(record, str):
                self._note_remark(text, MetadataLine("", "", ""))
            elif isinstance(record, MetadataLine):
                self._note_remark(text, record)
            else:
                self._parsed(record.head, record.pairs, record.tail)
                if not scanner.at_start:
                    _next(scanner)
            # The last line of a body may have no end: the scanner puts one behind the body.
            lines += body.count(b"\n", begin, end) + (scanner.place > len(body))
            # Null bytes behind a line's end belong to the record before them, and the next one begins within the line.
            if body[end - 1 : end] != b"\0":
                break
            self._one_by_one = True
            begin = end
        self._one_by_one = self._one_by_one or lines > 1
        return max(lines, 1)

    def _note_remark(self, text: bytes, comment: MetadataLine) -> None:
        self.families.learn(text, comment)
        self._heads.append(text or BLANK)
        self._slots.append(REMARK)

    def _remark(self, line: bytes) -> bool:
        comment = self.families.read_before(line) or self._rules.text_format.remark(line)
        if comment is not None:
            self._note_remark(line, comment)
        return comment is not None

    def _known_line(self, head: bytes, old: int, tail: bytes) -> bool:
        """A line with a known head and nothing but a number behind it; False when that is not so."""
        value = number_alone(tail, self._rules.text_format)
        if value is None:
            return False
        self._sample(head, old, value)
        return True

    def _from_parts(self, head: bytes, tail: bytes) -> bool:
        """A sample that was never seen, of a name and labels that were; False when it is not so plain."""
        labels = self._parts.find(head, self.families.declared)
        value = None if labels is None else number_alone(tail, self._rules.text_format)
        if labels is None or value is None:
            return False
        self._samples += 1
        self._new_sample(head, labels, value)
        return True

    def _plain(self, line: bytes) -> bool:
        """A sample that was never seen or has more than a number behind its head; False when it is not plain."""
        plain = self._rules.text_format.head(line)
        if plain is None:
            return False
        size, pairs = plain
        tail = self._rules.text_format.tail(line[size:])
        if tail is None:
            return False
        self._parsed(line[:size], pairs, tail)
        return True

    def _sample(self, head: bytes, old: int, value: float) -> None:
        """A sample of a series that has been seen: in a slot, or dropped."""
        self._samples += 1
        self._heads.append(head)
        if old < 0:
            self._slots.append(old)
            return
        self._claim(head, self._old_hashes[old], value, old)

    def _counting(self) -> int:
        """How many samples count for the limit: one that is given twice in the same words does once."""
        return self._kept - self._repeats

    def _claim(self, head: bytes, key: int, value: float, old: int) -> bool:
        """Gives a series its slot, unless it has one already."""
        self._kept += 1
        text = head.rstrip(b" \t")
        repeated = text in self.texts
        self._repeats += repeated
        within = not self._sample_limit or self._counting() <= self._sample_limit
        if not repeated:
            self.texts.add(text)
            self._added += within and text not in self._known_texts
        if key in self._claimed:
            self._slots.append(DUPLICATE)
            return False
        self._claimed.add(key)
        if within:
            self._reached.append(old)
        self._slots.append(len(self._values))
        self._values.append(value)
        self._old_slot.append(old)
        self._hashes.append(key)
        return True

    def _parsed(self, head: bytes, pairs: Pairs, tail: SampleTail) -> None:
        """A sample that was parsed."""
        if tail.timestamp_ms is not None and self._rules.honor_timestamps:
            self._timed_sample(head, pairs, tail)
            return
        old = self._known.get(head)
        if old is not None:
            self._sample(head, old, tail.value)
            if tail.exemplar is not None and old >= 0:
                self._exemplar(head, self._labels_again(head, pairs), tail, None)
            return
        self._samples += 1
        declared = self.families.declared
        labels = self._rules.series_labels(pairs, declared)
        if labels is None:
            self._heads.append(head)
            self._slots.append(DROPPED)
            return
        self._parts.learn(head, pairs, labels, declared)
        if self._new_sample(head, labels, tail.value) and tail.exemplar is not None:
            self._exemplar(head, labels, tail, None)

    def _new_sample(self, head: bytes, labels: Labels, value: float) -> bool:
        """A sample of a series that may be known in other words; False when there is no memory for it."""
        key = hash(labels)
        old = self._slot_by_hash.get(key, -1)
        if old < 0 and key not in self._claimed and self._is_refused():
            return False
        self._heads.append(head)
        if self._claim(head, key, value, old) and old < 0:
            self._new_labels.append(labels)
        return True

    def _is_refused(self) -> bool:
        """Whether there is no memory for one new series more. Raises SeriesRoomError where the body has to fit as a whole."""
        grant = self._grant
        if grant is None or grant.take():
            return False
        if grant.is_whole:
            raise SeriesRoomError(grant.text())
        # the lines are not those of the body any more
        self._one_by_one = True
        self._kept += 1
        self._refused += 1
        return True

    def _timed_sample(self, head: bytes, pairs: Pairs, tail: SampleTail) -> None:
        """A sample with a timestamp of its own: it has no slot, and its series does not end by vanishing."""
        assert tail.timestamp_ms is not None
        self._samples += 1
        if head in self._before.timed_labels:
            labels = self._before.timed_labels[head]
        else:
            labels = self._rules.series_labels(pairs, self.families.declared)
            if labels is not None and head not in self._timed_labels and self._is_refused():
                return
        self._heads.append(head)
        self._timed_labels[head] = labels
        self._slots.append(TIMED)
        if labels is None:
            return
        self._kept += 1
        within = not self._sample_limit or self._counting() <= self._sample_limit
        bounds_ms = self._bounds_ms
        stored = bounds_ms is None or bounds_ms[0] <= tail.timestamp_ms <= bounds_ms[1]
        text = head.rstrip(b" \t")
        if text not in self.texts and stored:
            self.texts.add(text)
            self._added += within and text not in self._known_texts
        if not stored:
            self._unstored.add(head)
        self._timed.append((labels, tail.timestamp_ms, tail.value))
        # Storage takes no exemplar of a sample that it refuses.
        if tail.exemplar is not None and stored:
            self._exemplar(head, labels, tail, tail.timestamp_ms)

    def _labels_again(self, head: bytes, pairs: Pairs) -> Labels | None:
        """The final labels of a series that is known, of which the memory keeps none."""
        known = self._before.exemplar_labels.get(head)
        return known if known is not None else self._rules.series_labels(pairs, self.families.declared)

    def _exemplar(
        self, head: bytes, labels: Labels | None, tail: SampleTail, timestamp_ms: int | None
    ) -> None:
        if labels is None or tail.exemplar is None:
            return
        self._exemplar_labels[head] = labels
        self._exemplars.append(SeriesExemplar(labels, tail.exemplar, timestamp_ms))


def _next(scanner: BodyScanner) -> Record | None:
    """The next record. Raises ExpositionError with its place."""
    try:
        return scanner.next()
    except ExpositionError as error:
        if error.place < 0:
            error.place = scanner.fault
        raise
