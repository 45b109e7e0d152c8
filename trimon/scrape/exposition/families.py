"""The metric families of a body, as its comments tell of them, and where."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trimon.records import dataclass
from trimon.scrape.exposition.records import MetadataLine

# A family that is no longer exposed is remembered for so many scrapes, as in Prometheus.
_REMEMBERED_SCRAPES: Final = 10
_BOUND_KINDS: Final = {"histogram": 1, "summary": 2}


@dataclass(frozen=True, slots=True)
class BodyFamily:
    """What a body says of a metric family."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


ShownFamilies: TypeAlias = Callable[[Mapping[str, BodyFamily]], Mapping[str, BodyFamily]]
"""From what a body says of its families to what is kept of it."""


@dataclass(frozen=True, slots=True)
class FamilyDeclaration:
    """The type and unit declared last above a line, whatever family they were declared for, and for which the type was."""

    type: str = ""
    unit: str = ""
    family: str = ""


class BodyFamilies:
    """The families of one body, learned remark by remark, in the order of its lines."""

    def __init__(
        self, before: BodyFamilies | None = None, known: Mapping[str, BodyFamily] | None = None
    ) -> None:
        self.by_name: dict[str, BodyFamily] = {}
        self.declared = FamilyDeclaration()
        self._known = known if known is not None else {}
        self._remarks: list[bytes] = []
        # number of remarks up to and with each declaration, and what it declared
        self._declared_after: list[int] = []
        self._declarations: list[FamilyDeclaration] = []
        # what lines of this body and of the one before say, so that a line is parsed when it is first seen
        self._read: dict[bytes, MetadataLine] = {}
        # where a declaration begins to hold, and how bounds are written below it
        self._bound_kinds: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]] | None = None
        self._read_before = before._read if before is not None else {}

    def read_before(self, line: bytes) -> MetadataLine | None:
        """What a line of this body or the one before it says, if it was there; where a blank one may be is not said."""
        return None if not line else self._read.get(line) or self._read_before.get(line)

    def learn(self, line: bytes, comment: MetadataLine) -> None:
        """Takes in a remark and what it says."""
        self._remarks.append(line)
        self._read[line] = comment
        if not comment.kind:
            return
        family = self.by_name.get(comment.family) or self._known.get(comment.family) or BodyFamily()
        if comment.kind == "TYPE":
            family = replace(family, type=comment.text)
            self._declare(replace(self.declared, type=comment.text, family=comment.family))
        elif comment.kind == "HELP":
            family = replace(family, help=comment.text)
        else:
            family = replace(family, unit=comment.text)
            self._declare(replace(self.declared, unit=comment.text))
        self.by_name[comment.family] = family

    def _declare(self, declared: FamilyDeclaration) -> None:
        self.declared = declared
        self._bound_kinds = None
        self._declared_after.append(len(self._remarks))
        self._declarations.append(declared)

    def done(self) -> None:
        """All remarks are learned: lets go of what only the body before said."""
        self._read_before = {}
        self._known = {}

    def same_as(self, remarks: list[bytes]) -> bool:
        """Whether a body with these remarks says the same."""
        return self._remarks == remarks

    def declared_after(self, remarks: int) -> FamilyDeclaration:
        """What is declared when so many remarks have been read."""
        place = bisect_left(self._declared_after, remarks + 1)
        return self._declarations[place - 1] if place else FamilyDeclaration()

    def bound_kinds(self, remarks: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """What is declared after so many remarks each: 1 for histograms, 2 for summaries, 0 for all else."""
        if self._bound_kinds is None:
            kinds = [_BOUND_KINDS.get(declared.type, 0) for declared in self._declarations]
            self._bound_kinds = np.array(self._declared_after, np.int64), np.array([0, *kinds], np.int32)
        begins, of = self._bound_kinds
        return of[np.searchsorted(begins, remarks, side="right")]


class MetadataCache:
    """Families of a target over its scrapes: those exposed now, and for a while those that no longer are."""

    def __init__(self, shown: ShownFamilies = dict) -> None:
        self.by_name: dict[str, BodyFamily] = {}
        self._shown = shown
        self._now: BodyFamilies | None = None
        self._scrape = 0
        # the last scrape at which a family was exposed that is not now
        self._left: dict[str, int] = {}

    def seen(self, families: BodyFamilies) -> None:
        """A body was read; costs nothing when it says what the last one said."""
        self._scrape += 1
        if families is self._now and not self._left:
            return
        if families is not self._now:
            self._take(families)
        for name in [name for name, last in self._left.items() if self._scrape - last > _REMEMBERED_SCRAPES]:
            del self._left[name]
            self.by_name = {known: family for known, family in self.by_name.items() if known != name}

    def failed(self) -> None:
        """A scrape failed: nothing is forgotten by it."""
        self._scrape += 1

    def partly_seen(self, families: BodyFamilies) -> None:
        """A body failed; what it said up to there holds."""
        self._take(families)

    def _take(self, families: BodyFamilies) -> None:
        for name in self._now.by_name if self._now is not None else ():
            self._left[name] = self._scrape - 1
        for name in families.by_name:
            self._left.pop(name, None)
        self.by_name = {**self.by_name, **self._shown(families.by_name)}
        self._now = families
