"""All data of a store and what was fetched from elsewhere for a query: one answer from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from trimon.model.frame import SampleFrame
from trimon.model.matcher import Matcher
from trimon.records import dataclass
from trimon.storage.read.snapshot import StoreSelection, StoreSnapshot
from trimon.storage.read.source import SeriesSource


@dataclass(frozen=True, slots=True)
class Fetched:
    """What others have for one selection: their series, and what went wrong, a line each."""

    sources: tuple[SeriesSource, ...] = ()
    warnings: tuple[str, ...] = ()


NOTHING = Fetched()


class Elsewhere(Protocol):
    """What was fetched for a query."""

    def found(self, matchers: tuple[Matcher, ...], start_ms: int, end_ms: int) -> Fetched:
        """What others have of a selection. Raises NotFetched while that is not known. From any thread."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """What went wrong so far."""
        ...


class FederatedSnapshot(StoreSnapshot):
    """A store's snapshot, and beneath it what others have: of samples of one series at one time the store's is kept.

    Names and values of labels are those of the store alone.
    """

    def __init__(self, local: StoreSnapshot, elsewhere: Elsewhere) -> None:
        super().__init__(local.sources, local.lost, strict=local.strict)
        self._local = local
        self._elsewhere = elsewhere

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> StoreSelection:
        """The series that satisfy every matcher, of the store and of others. Raises NotFetched."""
        fetched = self._elsewhere.found(tuple(matchers), start_ms, end_ms)
        if not fetched.sources and not fetched.warnings:
            return self._local.select(matchers, start_ms, end_ms)
        both = StoreSnapshot((*self._local.sources, *fetched.sources), self.lost, strict=self.strict)
        chosen = both.select(matchers, start_ms, end_ms)
        return FederatedSelection(chosen, both, fetched.warnings)

    def missing(self, start_ms: int, end_ms: int) -> tuple[str, ...]:
        """Which series of the closed interval are not known; see Snapshot."""
        return (*self._local.missing(start_ms, end_ms), *self._elsewhere.warnings())


class FederatedSelection(StoreSelection):
    """The series that match, wherever they are; their frames tell what could not be fetched."""

    def __init__(self, chosen: StoreSelection, snapshot: StoreSnapshot, warnings: tuple[str, ...]) -> None:
        super().__init__(chosen.labels, chosen.parts, snapshot)
        self._warnings = warnings

    def told(self, frame: SampleFrame, start_ms: int, end_ms: int) -> SampleFrame:
        """The frame with what is missing of the closed interval."""
        frame = super().told(frame, start_ms, end_ms)
        if not self._warnings:
            return frame
        return replace(frame, missing=tuple(dict.fromkeys((*frame.missing, *self._warnings))))
