"""The memory of a target's exposition: between two scrapes only numbers change.

The layout keeps the head of every line (the series as text, with the space after it). A line with the same head as last time
costs one number; only heads never seen are parsed. Bodies with lines added, removed or moved are matched by head
(`_realign`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import compress
from typing import Final

import numpy as np
import numpy.typing as npt

from trimon import limits
from trimon.model.labels import Labels
from trimon.model.sample import NORMAL_NAN
from trimon.scrape.exposition import Comment, Format, ParseError

# What a line is, where it is not the number of a slot.
REMARK: Final = -1  # blank, or a comment
DROPPED: Final = -2  # relabeling dropped the series
TIMED: Final = -3  # carries its own timestamp
DUPLICATE: Final = -4  # the series is in the body before

# What a number may be made of: digits, and the letters of NaN and Inf.
_NUMBER_BYTES: Final = b"0123456789+-.eENaInf"
_NOTHING: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Family:
    """What a body says of a metric family."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The numbers of one body.

    `values[slot]` for every slot. When `moved` is set the slots are new ones: slot `i` was slot
    `old_slot[i]`, or -1 for a series that is new, whose labels are in `new_labels` by order. Slots of the
    former layout that are in nobody's `old_slot` are gone. `timed` are samples with timestamps of their own.
    """

    values: npt.NDArray[np.float64]
    samples: int
    duplicates: int
    moved: bool = False
    old_slot: npt.NDArray[np.int64] = field(default_factory=lambda: _NOTHING)
    new_labels: tuple[Labels, ...] = ()
    timed: tuple[tuple[Labels, int, float], ...] = ()


class Layout:
    """Lines, heads and slots of one target. Not thread-safe.

    `series_labels(pairs, family_type)` says what becomes of a series that was never seen: its final labels, None when
    relabeling drops it; it raises ParseError when a limit is broken. An error leaves the layout as it was.
    """

    def __init__(
        self,
        text_format: Format,
        series_labels: Callable[[tuple[tuple[str, str], ...], Callable[[str], Family | None]], Labels | None],
        *,
        honor_timestamps: bool = True,
    ) -> None:
        self.families: dict[str, Family] = {}
        self.text_format = text_format
        self._series_labels = series_labels
        self._honor_timestamps = honor_timestamps
        # by line: the head of a sample line, the whole of a remark
        self._heads: list[bytes] = []
        self._heads_size = 0
        self._is_sample = b""
        self._slots: npt.NDArray[np.int64] = _NOTHING
        self._sample_slots: npt.NDArray[np.int64] = _NOTHING
        self._in_order = True
        self._values: npt.NDArray[np.float64] = np.zeros(0, np.float64)
        self._hashes: npt.NDArray[np.int64] = _NOTHING
        self._timed_labels: dict[bytes, Labels | None] = {}
        self._samples = 0
        self._duplicates = 0

    @property
    def slots(self) -> int:
        """Number of series with the scrape's own timestamp."""
        return len(self._values)

    def read(self, body: bytes) -> Reading:
        """The numbers of the next body. Raises ParseError."""
        lines = body.split(b"\n")
        if len(lines) > limits.SCRAPE_LINES_MAX:
            raise ParseError(f"body has {len(lines)} lines, the limit is {limits.SCRAPE_LINES_MAX}")
        self.text_format.check_end(lines)
        if len(lines) == len(self._heads) and not self._timed_labels:
            values = self._aligned(lines, len(body) - len(lines) + 1)
            if values is not None:
                self._values = values
                return Reading(values, self._samples, self._duplicates)
        return self._realign(lines)

    def _aligned(self, lines: list[bytes], size: int) -> npt.NDArray[np.float64] | None:
        """New values when every line kept its head; None sends the body to `_realign`.

        Lines are not compared with those of last time, only with their heads: less memory is touched, and what
        is touched was laid out in order.
        """
        tails = list(compress(map(bytes.removeprefix, lines, self._heads), self._is_sample))
        joined = b"".join(tails)
        # a head is taken off whole or not at all, so the sizes tell whether every line had its own, and whether
        # every remark is what it was
        if size - len(joined) != self._heads_size:
            return None
        numbers = self._numbers(lines, tails, joined)
        if numbers is None or self._in_order:
            return numbers
        kept = self._sample_slots >= 0
        values = np.empty(self.slots, np.float64)
        values[self._sample_slots[kept]] = numbers[kept]
        return values

    def _numbers(
        self, lines: list[bytes], tails: list[bytes], joined: bytes
    ) -> npt.NDArray[np.float64] | None:
        """The number of every sample line; None when one has a timestamp now."""
        if not joined.translate(None, _NUMBER_BYTES):
            try:
                numbers = np.fromiter(map(float, tails), np.float64, len(tails))
            except ValueError:
                return self._slow_numbers(lines, tails)
            if np.isfinite(numbers).all():
                return numbers
            infinite = np.flatnonzero(np.isinf(numbers)).tolist()
            if all(b"I" in tails[index] for index in infinite):
                numbers[np.isnan(numbers)] = NORMAL_NAN
                return numbers
        return self._slow_numbers(lines, tails)

    def _slow_numbers(self, lines: list[bytes], tails: list[bytes]) -> npt.NDArray[np.float64] | None:
        numbers = np.empty(len(tails), np.float64)
        for index, (text, tail) in enumerate(zip(compress(lines, self._is_sample), tails, strict=True)):
            parsed = self.text_format.tail(text, tail)
            if parsed.timestamp_ms is not None and self._honor_timestamps:
                return None
            numbers[index] = parsed.value
        return numbers

    def _realign(self, lines: list[bytes]) -> Reading:
        realignment = _Realignment(
            self.text_format, self._series_labels, self._honor_timestamps, dict(self.families)
        )
        known = {
            head: slot
            for head, slot in zip(self._heads, self._slots.tolist(), strict=True)
            if slot >= 0 or slot == DROPPED
        }
        realignment.run(lines, known, self._timed_labels, self._hashes)
        self._heads = realignment.heads
        self._heads_size = sum(map(len, self._heads))
        self._slots = np.array(realignment.slots, np.int64)
        self._is_sample = bytes((self._slots != REMARK).tolist())
        self._sample_slots = self._slots[self._slots != REMARK]
        self._in_order = bool((self._sample_slots == np.arange(len(self._sample_slots))).all())
        self._values = np.array(realignment.values, np.float64)
        old_slot = np.array(realignment.old_slot, np.int64)
        self._hashes = np.array(realignment.hashes, np.int64)
        self._timed_labels = realignment.timed_labels
        self._samples = realignment.samples
        self._duplicates = realignment.duplicates
        self.families = realignment.families
        return Reading(
            self._values,
            self._samples,
            self._duplicates,
            moved=True,
            old_slot=old_slot,
            new_labels=tuple(realignment.new_labels),
            timed=tuple(realignment.timed),
        )

    def forget(self) -> None:
        """Starts over: the next body is all new. For a failed scrape, whose series have all ended."""
        self._heads = []
        self._heads_size = 0
        self._is_sample = b""
        self._slots = self._sample_slots = _NOTHING
        self._in_order = True
        self._hashes = _NOTHING
        self._values = np.zeros(0, np.float64)
        self._timed_labels = {}
        self._samples = self._duplicates = 0


class _Realignment:
    """One pass over a body whose lines are not where they were."""

    def __init__(
        self,
        text_format: Format,
        series_labels: Callable[[tuple[tuple[str, str], ...], Callable[[str], Family | None]], Labels | None],
        honor_timestamps: bool,  # private, passed through
        families: dict[str, Family],
    ) -> None:
        self._format = text_format
        self._series_labels = series_labels
        self._honor_timestamps = honor_timestamps
        self.families = families
        self.heads: list[bytes] = []
        self.slots: list[int] = []
        self.values: list[float] = []
        self.old_slot: list[int] = []
        self.hashes: list[int] = []
        self.new_labels: list[Labels] = []
        self.timed: list[tuple[Labels, int, float]] = []
        self.timed_labels: dict[bytes, Labels | None] = {}
        self.samples = 0
        self.duplicates = 0

    def run(
        self,
        lines: list[bytes],
        known: dict[bytes, int],
        timed_known: dict[bytes, Labels | None],
        hashes: npt.NDArray[np.int64],
    ) -> None:
        """Fills all fields from the body; `known` maps heads to old slots. Raises ParseError."""
        old_hashes: list[int] = hashes.tolist()
        # what this body has claimed so far, so that a series given twice is found
        claimed: set[int] = set()
        find, hold = known.get, self.heads.append
        slots, values, old_slot, keys = self.slots, self.values, self.old_slot, self.hashes
        for line in lines:
            head, space, tail = line.rpartition(b" ")
            head += space
            old = find(head)
            if old is None:
                self._not_known(line, timed_known, claimed)
                continue
            self.samples += 1
            hold(head)
            value = float(tail) if tail.isdigit() else self._number(line, tail)
            if old < 0:
                slots.append(old)
                continue
            key = old_hashes[old]
            if key in claimed:
                self._duplicate()
                continue
            claimed.add(key)
            slots.append(len(values))
            values.append(value)
            old_slot.append(old)
            keys.append(key)

    def _not_known(self, line: bytes, timed_known: dict[bytes, Labels | None], claimed: set[int]) -> None:
        if not line or line[0] == 35 or not line.strip(b" \t"):  # 35 is '#'
            self._remark(line)
        else:
            self.samples += 1
            self._unknown(line, timed_known, claimed)

    def _number(self, line: bytes, tail: bytes) -> float:
        if not tail.translate(None, _NUMBER_BYTES):
            try:
                value = float(tail)
            except ValueError:
                return self._format.tail(line, tail).value
            if value - value == 0:  # neither NaN nor infinite
                return value
        return self._format.tail(line, tail).value

    def _remark(self, line: bytes) -> None:
        self.heads.append(line)
        self.slots.append(REMARK)
        if line:
            comment = self._format.comment(line.lstrip(b" \t"))
            if comment is not None:
                self._learn(comment)

    def _learn(self, comment: Comment) -> None:
        family = self.families.get(comment.family, Family())
        if comment.kind == "TYPE":
            family = Family(comment.text, family.help, family.unit)
        elif comment.kind == "HELP":
            family = Family(family.type, comment.text, family.unit)
        else:
            family = Family(family.type, family.help, comment.text)
        self.families[comment.family] = family

    def _unknown(self, line: bytes, timed_known: dict[bytes, Labels | None], claimed: set[int]) -> None:
        size, pairs = self._format.head(line)
        head = line[:size]
        parsed = self._format.tail(line, line[size:])
        self.heads.append(head)
        if parsed.timestamp_ms is not None and self._honor_timestamps:
            if head in timed_known:
                labels = timed_known[head]
            else:
                labels = self._series_labels(pairs, self.families.get)
            self.timed_labels[head] = labels
            self.slots.append(TIMED)
            if labels is not None:
                self.timed.append((labels, parsed.timestamp_ms, parsed.value))
            return
        labels = self._series_labels(pairs, self.families.get)
        if labels is None:
            self.slots.append(DROPPED)
            return
        key = hash(labels)
        if key in claimed:
            self._duplicate()
            return
        claimed.add(key)
        self._slot(parsed.value, -1, key)
        self.new_labels.append(labels)

    def _slot(self, value: float, old: int, key: int) -> None:
        self.slots.append(len(self.values))
        self.values.append(value)
        self.old_slot.append(old)
        self.hashes.append(key)

    def _duplicate(self) -> None:
        self.slots.append(DUPLICATE)
        self.duplicates += 1
