"""What is remembered of a body, line by line, and what a body is read to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.model.labels import Labels
from trimon.scrape.exposition import Format, Pairs
from trimon.scrape.families import Families, Family

# What a line is, where it is not the number of a slot.
REMARK: Final = -1  # blank, or a comment
DROPPED: Final = -2  # relabeling dropped the series
TIMED: Final = -3  # carries its own timestamp
DUPLICATE: Final = -4  # the series is in the body before
# The head of a blank line: no line begins with it.
BLANK: Final = b"\n"

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
SeriesRule: TypeAlias = Callable[[Pairs, Callable[[str], Family | None]], Labels | None]

_NOTHING: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The numbers of one body.

    `values[slot]` for every slot. When `moved` is set the slots are new ones: slot `i` was slot
    `old_slot[i]`, or -1 for a series that is new, whose labels are in `new_labels` by order. Slots of the
    former layout that are in nobody's `old_slot` are gone. `timed` are samples with timestamps of their own.
    """

    values: Floats
    samples: int
    duplicates: int
    moved: bool = False
    old_slot: Ints = field(default_factory=lambda: _NOTHING)
    new_labels: tuple[Labels, ...] = ()
    timed: tuple[tuple[Labels, int, float], ...] = ()


class Lines:
    """The lines of the last good body; made anew when lines appear, vanish or move.

    `heads` has by line the head of a sample line or the whole of a remark, `slots` what the line is. `hashes` has by
    slot the hash of the series' labels.
    """

    __slots__ = (
        "duplicates", "families", "hashes", "heads", "heads_bytes", "in_order", "is_sample", "sample_slots",
        "samples", "slots", "timed_labels",
    )  # fmt: skip

    def __init__(
        self,
        families: Families,
        heads: list[bytes] | None = None,
        slots: Ints = _NOTHING,
        hashes: Ints = _NOTHING,
        timed_labels: dict[bytes, Labels | None] | None = None,
    ) -> None:
        self.families = families
        self.heads = heads if heads is not None else []
        self.slots = slots
        self.hashes = hashes
        self.timed_labels = timed_labels if timed_labels is not None else {}
        sampled = slots != REMARK
        self.heads_bytes = len(b"".join(self.heads)) - self.heads.count(BLANK)
        self.is_sample = sampled.tobytes()
        self.sample_slots = slots[sampled]
        self.in_order = not len(self.sample_slots) or bool(self.sample_slots.min() >= 0)
        self.samples = len(self.sample_slots)
        self.duplicates = int(np.count_nonzero(self.sample_slots == DUPLICATE))

    def by_slot(self, numbers: Floats) -> Floats:
        """The numbers of the slots, from those of all sample lines."""
        return numbers if self.in_order else numbers[self.sample_slots >= 0]


@dataclass(frozen=True, slots=True)
class Rules:
    """How a target's bodies are read."""

    text_format: Format
    series_labels: SeriesRule
    honor_timestamps: bool
