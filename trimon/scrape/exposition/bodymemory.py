"""The memory of a body, line by line, and what a body is read to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from itertools import accumulate
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.model.labels import Labels
from trimon.records import dataclass
from trimon.scrape.exposition.families import BodyFamilies, FamilyDeclaration
from trimon.scrape.exposition.records import ExpositionError, LineExemplar, Pairs
from trimon.scrape.exposition.textformat import ExpositionFormat

# What a line is, where it is not the number of a slot.
REMARK: Final = -1  # blank, or a comment
DROPPED: Final = -2  # relabeling dropped the series
TIMED: Final = -3  # carries its own timestamp
DUPLICATE: Final = -4  # the series is in the body before
# The head of a blank line: no line begins with it.
BLANK: Final = b"\n"

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.int32]
Texts: TypeAlias = npt.NDArray[np.uint8]
# Whether the time for reading a body is over; asked now and then.
Lateness: TypeAlias = Callable[[], bool]
SeriesRule: TypeAlias = Callable[[Pairs, FamilyDeclaration], Labels | None]


class ArrangingRule(Protocol):
    """A SeriesRule by which the names of a series' labels may decide alone how its own and the target's are put together."""

    @property
    def is_by_names(self) -> bool:
        """Whether they ever do."""
        ...

    @property
    def target_labels(self) -> Labels:
        """The target's."""
        ...

    def places(self, names: tuple[str, ...]) -> tuple[int, ...] | None:
        """Where each label in the end is among the target's and then those of a series with these names.

        None as long as no such series was judged, and where more decides.
        """
        ...

    def __call__(self, pairs: Pairs, declared: FamilyDeclaration) -> Labels | None:
        """The final labels of a series."""
        ...


NOTHING: Final = np.zeros(0, np.int64)
NO_PLACES: Final = np.zeros(0, np.int32)
NO_TEXT: Final = np.zeros(0, np.uint8)
# Lines that are read before it is asked again: two milliseconds, or ten when each is something new.
LINES_AT_ONCE: Final = 1024


def never_late() -> bool:
    """There is time without end."""
    return False


@dataclass(frozen=True, slots=True)
class SeriesExemplar:
    """An exemplar with its series, and the sample's own timestamp if that has one."""

    series: Labels
    exemplar: LineExemplar
    sample_timestamp_ms: int | None


@dataclass(frozen=True, slots=True, eq=False)
class BodyReading:
    """The numbers of one body.

    `values[slot]` for every slot. When `moved` is set the slots are new ones: slot `i` was slot
    `old_slot[i]`, or -1 for a series that is new, whose labels are in `new_labels` by order. Slots of the
    former memory that are in nobody's `old_slot` are gone. `timed` are samples with timestamps of their own. `added`
    counts the series texts that the memory did not know; `repeats` those duplicates that are spelled alike; `refused` those
    new series for which there was no memory.
    """

    values: Floats
    samples: int
    duplicates: int
    repeats: int = 0
    moved: bool = False
    old_slot: Ints = field(default_factory=lambda: NOTHING)
    new_labels: Sequence[Labels] = ()
    timed: tuple[tuple[Labels, int, float], ...] = ()
    added: int = 0
    exemplars: tuple[SeriesExemplar, ...] = ()
    refused: int = 0
    components: int = 0
    """How many of the values, and of those with timestamps, are components of histograms: those count for nothing."""
    timed_components: int = 0
    starts: tuple[tuple[Labels, int, float], ...] = ()
    """Since when series count that were not known to begin then: a time, and the value that they had."""

    @property
    def kept(self) -> int:
        """Samples that relabeling left, a histogram counting as one."""
        return len(self.values) + len(self.timed) + self.duplicates + self.refused - self.components

    @property
    def series(self) -> int:
        """Series with the time of the scrape."""
        return len(self.values) - self.components + self.timed_components


class BrokenBody(ExpositionError):
    """A body that failed, and how far it had been read: `cause` says why.

    `slots` are those of the former memory that were found above the fault: their series do not end.
    """

    def __init__(self, cause: ExpositionError, samples: int, kept: int, added: int, slots: Ints) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.place = cause.place
        self.samples = samples
        self.kept = kept
        self.added = added
        self.slots = slots


class KnownLines:
    """The lines of the last good body; made anew when lines appear, vanish or move.

    Of each line there is a text: the head of a sample line, or the whole of a remark. They lie in `text`, and
    `ends` has by line where each ends. `slots` has by line what it is, `hashes` by slot the hash of the labels; slots ascend
    with lines. With `one_by_one` the lines are not those of a body but of its records: some go over several lines, so the
    next body is read record by record too.
    """

    __slots__ = (
        "addresses", "duplicates", "ends", "exemplar_labels", "families", "hashes", "one_by_one", "repeats", "samples", "slots",
        "text", "timed_labels", "unstored",
    )  # fmt: skip

    def __init__(
        self,
        families: BodyFamilies,
        text: Texts = NO_TEXT,
        ends: Places = NO_PLACES,
        slots: Places = NO_PLACES,
        hashes: Ints = NOTHING,
    ) -> None:
        self.families = families
        self.text = text
        self.ends = ends
        self.slots = slots
        self.hashes = hashes
        self.timed_labels: dict[bytes, Labels | None] = {}
        self.unstored: set[bytes] = set()
        """Heads of samples with timestamps that storage does not take: their series are unknown next time."""
        self.exemplar_labels: dict[bytes, Labels | None] = {}
        """Final labels of the series that showed exemplars, by head; filled as they come."""
        self.samples = int(np.count_nonzero(slots != REMARK))
        self.duplicates = int(np.count_nonzero(slots == DUPLICATE))
        self.repeats = 0
        self.one_by_one = False
        self.addresses = text.ctypes.data, ends.ctypes.data, slots.ctypes.data
        """Where text, ends and slots are."""

    @classmethod
    def of_heads(cls, families: BodyFamilies, heads: list[bytes], slots: Ints, hashes: Ints) -> KnownLines:
        """The memory of lines of which the heads are given; BLANK for a blank line."""
        texts = [head if head != BLANK else b"" for head in heads]
        ends = np.fromiter(accumulate(map(len, texts)), np.int32, len(texts))
        return cls(families, np.frombuffer(b"".join(texts), np.uint8), ends, slots.astype(np.int32), hashes)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return len(self.ends)

    @property
    def size_bytes(self) -> int:
        """Memory of the arrays."""
        return self.text.nbytes + self.ends.nbytes + self.slots.nbytes + self.hashes.nbytes

    def head(self, line: int) -> bytes:
        """The text of a line; empty for a blank one."""
        return self.text[self.ends[line - 1] if line else 0 : self.ends[line]].tobytes()

    def heads(self) -> list[bytes]:
        """The texts of all lines; BLANK for a blank line. Made anew each time."""
        text, ends = self.text.tobytes(), self.ends.tolist()
        return [text[begin:end] or BLANK for begin, end in zip([0, *ends], ends, strict=False)]

    def texts(self) -> set[bytes]:
        """The texts of the series that are known."""
        known = zip(self.heads(), self.slots.tolist(), strict=True)
        return {
            head.rstrip(b" \t")
            for head, slot in known
            if slot not in (REMARK, DROPPED) and head not in self.unstored
        }

    def only(self, slots: Ints) -> KnownLines:
        """The memory of some of the slots, which are numbered anew in the order given."""
        first: dict[int, bytes] = {}
        for head, slot in zip(self.heads(), self.slots.tolist(), strict=True) if len(slots) else ():
            if slot >= 0:
                first.setdefault(slot, head)
        heads = [first[slot] for slot in slots.tolist()]
        kept = KnownLines.of_heads(BodyFamilies(), heads, np.arange(len(heads)), self.hashes[slots])
        kept.one_by_one = True
        return kept


@dataclass(frozen=True, slots=True)
class SampleRules:
    """How a target's bodies are read."""

    text_format: ExpositionFormat
    series_labels: SeriesRule
    honor_timestamps: bool
