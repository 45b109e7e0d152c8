"""The memory of a target's exposition: between two scrapes only numbers change.

The layout keeps the head of every line (the series as text, with the space after it). A line with the same head as last
time costs one number; only heads never seen are parsed. Lines that were added, removed or moved are found by comparing
runs of heads (`changedlines`); what is left is read line by line (`linebyline`).
"""

from __future__ import annotations

from typing import Final

from trimon import limits
from trimon.scrape.bodymemory import BLANK, Lines, Reading, Rules, SeriesRule
from trimon.scrape.changedlines import read_changed
from trimon.scrape.exposition import Format, ParseError
from trimon.scrape.families import Families, Family
from trimon.scrape.linebyline import LineByLine
from trimon.scrape.numbers import read_numbers

# Lines that are looked at before all are.
_PROBES: Final = 12


class Layout:
    """Lines, heads and slots of one target. Not thread-safe.

    `series_labels(pairs, family_type)` says what becomes of a series that was never seen: its final labels, None when
    relabeling drops it; it raises ParseError when a limit is broken. An error leaves the layout as it was.
    """

    def __init__(
        self, text_format: Format, series_labels: SeriesRule, *, honor_timestamps: bool = True
    ) -> None:
        self.families: dict[str, Family] = {}
        """What the last good body said of its families."""
        self.text_format = text_format
        self._rules = Rules(text_format, series_labels, honor_timestamps)
        self._lines = Lines(Families(text_format))

    @property
    def slots(self) -> int:
        """Number of series with the scrape's own timestamp."""
        return len(self._lines.hashes)

    def read(self, body: bytes) -> Reading:
        """The numbers of the next body. Raises ParseError."""
        lines = body.split(b"\n")
        if len(lines) > limits.SCRAPE_LINES_MAX:
            raise ParseError(f"body has {len(lines)} lines, the limit is {limits.SCRAPE_LINES_MAX}")
        self.text_format.check_end(lines)
        known, rules = self._lines, self._rules
        size = len(body) - len(lines) + 1
        if len(lines) == len(known.heads) and not known.timed_labels and _alike(lines, known.heads):
            # Lines are not compared with those of last time, only with their heads: less memory is touched, and what
            # is touched was laid out in order.
            tails = map(bytes.removeprefix, lines, known.heads)
            numbers = read_numbers(lines, tails, known.is_sample, size - known.heads_bytes, rules)
            if numbers is not None:
                return Reading(known.by_slot(numbers), known.samples, known.duplicates)
        changed = read_changed(lines, size, known, rules)
        self._lines, reading = changed or LineByLine(rules, known).read(lines)
        self.families = self._lines.families.by_name
        return reading

    def forget(self) -> None:
        """Starts over: the next body is all new. For a failed scrape, whose series have all ended."""
        self._lines = Lines(Families(self.text_format))


def _alike(lines: list[bytes], heads: list[bytes]) -> bool:
    """Whether a few lines all over the body begin with their heads, so that it is worth while to look at all."""
    step = len(lines) // _PROBES + 1
    return all(
        map(bytes.startswith, lines[1::step], [head if head != BLANK else b"" for head in heads[1::step]])
    )
