"""The memory of a target's exposition: between two scrapes only numbers change.

The layout keeps the head of every line (the series as text, with the space after it). A line with the same head as last
time costs one number; only heads never seen are parsed. KnownLines that were added, removed or moved are found by comparing
runs of heads (`changedlines`); what is left is read line by line (`linebyline`), and what is unusual in that to the letter
(`scanner`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from trimon import limits
from trimon.memory.series import SeriesGrant
from trimon.scrape.exposition.alignment import line_count
from trimon.scrape.exposition.bodymemory import (
    NOTHING,
    BodyReading,
    BrokenBody,
    Ints,
    KnownLines,
    Lateness,
    SampleRules,
    SeriesRule,
    never_late,
)
from trimon.scrape.exposition.changedlines import read_changed
from trimon.scrape.exposition.families import BodyFamilies, BodyFamily, MetadataCache
from trimon.scrape.exposition.linebyline import LineByLine
from trimon.scrape.exposition.records import ExpositionError
from trimon.scrape.exposition.samelines import read_odd, same_lines
from trimon.scrape.exposition.textformat import ExpositionFormat

# Texts of failed scrapes are kept up to so many more than twice those of the last good one, as in Prometheus.
_TEXTS_SPARE: Final = 1000


class BodyLayout:
    """Lines, heads and slots of one target. Not thread-safe.

    `series_labels(pairs, declared)` says what becomes of a series that was never seen: its final labels, None when
    relabeling drops it; it raises ExpositionError when a limit is broken. A body that fails leaves the lines as they were:
    `failed` is to follow.
    """

    def __init__(
        self,
        text_format: ExpositionFormat,
        series_labels: SeriesRule,
        *,
        honor_timestamps: bool = True,
        sample_limit: int = 0,
        metadata: MetadataCache | None = None,
    ) -> None:
        self.flushes_forced = 0
        """How often so many texts of failed scrapes had gathered that they were forgotten."""
        self._metadata = metadata if metadata is not None else MetadataCache()
        self._sample_limit = sample_limit
        self._rules = SampleRules(text_format, series_labels, honor_timestamps)
        self._lines = KnownLines(BodyFamilies())
        # texts of series that ended with a failed scrape: when they come back they are no new ones
        self._texts: set[bytes] = set()
        self._failed_texts: set[bytes] = set()
        self._texts_good = 0

    @property
    def text_format(self) -> ExpositionFormat:
        """The format of the bodies."""
        return self._rules.text_format

    def use(self, text_format: ExpositionFormat) -> None:
        """Reads the next bodies in another format: no line of the old one is known any more."""
        self._rules = SampleRules(text_format, self._rules.series_labels, self._rules.honor_timestamps)
        self.keep(NOTHING)

    @property
    def families(self) -> dict[str, BodyFamily]:
        """What the bodies said of their families; those that are gone are kept for ten scrapes."""
        return self._metadata.by_name

    @property
    def slots(self) -> int:
        """Number of series with the scrape's own timestamp."""
        return len(self._lines.hashes)

    @property
    def line_count(self) -> int:
        """Number of lines that are remembered."""
        return self._lines.lines

    @property
    def size_bytes(self) -> int:
        """About how much memory the lines take."""
        return self._lines.size_bytes

    @property
    def hashes(self) -> Ints:
        """By slot the hash of the series' labels."""
        return self._lines.hashes

    def series_in(self, body: bytes) -> int:
        """How many series a body surely has."""
        return body.count(b"\n") - body.count(b"\n#")

    def read(
        self,
        body: bytes,
        bounds_ms: tuple[int, int] | None = None,
        is_late: Lateness = never_late,
        grant: SeriesGrant | None = None,
    ) -> BodyReading:
        """The numbers of the next body. Raises BrokenBody, also when it is late.

        Samples with timestamps outside `bounds_ms` are not expected to be stored. New series beyond the `grant` are refused.
        """
        reading = self._unchanged(body)
        if reading is None:
            count = line_count(body)
            if count > limits.SCRAPE_LINES_MAX:
                error = ExpositionError(f"body has {count} lines, the limit is {limits.SCRAPE_LINES_MAX}")
                raise BrokenBody(error, 0, 0, 0, NOTHING)
            changed = read_changed(body, self._lines, self._rules, self._metadata.by_name, is_late, grant)
            limit = self._sample_limit
            if changed is None or self._texts or (limit and changed[1].kept > limit):
                changed = self._line_by_line(body, bounds_ms, is_late, grant)
            elif grant is not None:
                grant.left -= len(changed[1].new_labels)
            self._lines, reading = changed
            self._texts = set()
            self._texts_good = self._lines.lines
        self._metadata.seen(self._lines.families)
        return reading

    def _unchanged(self, body: bytes) -> BodyReading | None:
        """The numbers when every line has the head that it had."""
        known = self._lines
        if known.timed_labels or known.one_by_one:
            return None
        same = same_lines(known, body)
        if same is None:
            return None
        values, odd = same
        exemplars = read_odd(odd, values, known, known.exemplar_labels, body, self._rules) if odd else ()
        if exemplars is None:
            return None
        return BodyReading(values, known.samples, known.duplicates, known.repeats, exemplars=exemplars)

    def _line_by_line(
        self,
        body: bytes,
        bounds_ms: tuple[int, int] | None,
        is_late: Lateness,
        grant: SeriesGrant | None,
    ) -> tuple[KnownLines, BodyReading]:
        reader = LineByLine(
            self._rules,
            self._lines,
            self._metadata.by_name,
            self._texts,
            bounds_ms,
            self._sample_limit,
            is_late,
            grant,
        )
        try:
            return reader.read(body, body.split(b"\n"))
        except BrokenBody:
            self._metadata.partly_seen(reader.families)
            self._texts |= reader.texts
            self._failed_texts = reader.texts
            raise

    def failed(self, slots: Ints) -> None:
        """After a failed scrape: the series of these slots go on, the others have ended."""
        self._metadata.failed()
        self.keep(slots)

    def keep(self, slots: Ints) -> None:
        """Forgets all lines but those of some slots, which are numbered anew, in this order."""
        self._texts |= self._lines.texts()
        self._lines = self._lines.only(np.asarray(slots, np.int64))
        if len(self._texts) > 2 * self._texts_good + _TEXTS_SPARE:
            # What the body that failed has is not forgotten with the rest: it is not new next time.
            self._texts = self._lines.texts() | self._failed_texts
            self.flushes_forced += 1
        self._failed_texts = set()
