"""The sources whose frames can be kept: they know what of them will never change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

from trimon.model.snapshot import NewestSamples
from trimon.storage.head.arena import Int32s
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.read.source import SeriesSource


class SettledSource(SeriesSource, Protocol):
    """A source that knows what of it will never change."""

    @property
    def identity(self) -> Hashable:
        """The same value as long as the settled part only grows."""
        ...

    @property
    def version(self) -> Hashable:
        """Another value whenever anything changes."""
        ...

    @property
    def labels_version(self) -> Hashable:
        """Another value whenever a series is added."""
        ...

    @property
    def newest_ms(self) -> int:
        """The time of the newest sample."""
        ...

    def newest_samples(self, series: Int32s, after_ms: int, until_ms: int) -> NewestSamples | None:
        """The newest sample of each series (ascending) in `(after_ms, until_ms]`; None where only a frame tells."""
        ...

    def mark(self, series: Int32s, before: Any, *, whole: bool) -> Any:
        """How far these series are settled now, with `whole` all of them; the last mark for the same series saves work."""
        ...

    def follows(self, series: Int32s, before: Any, now: Any) -> bool:
        """Whether everything that was settled at the mark `before` still is as it was."""
        ...

    def settled_frames(
        self, series: Int32s, start_ms: int, end_ms: int, before: Any, now: Any
    ) -> list[PartialFrame]:
        """As `partial_frames`, of what has been settled between the two marks; `before` is None if nothing was read yet."""
        ...

    def fresh_frames(self, series: Int32s, start_ms: int, end_ms: int, now: Any) -> list[PartialFrame]:
        """As `partial_frames`, without what is settled."""
        ...
