"""Series whose samples have times of their own: they end by vanishing only where the job asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from trimon.model.components import is_component
from trimon.model.labels import Labels
from trimon.model.sample import STALE_NAN
from trimon.scrape.exposition.bodymemory import Ints

TimedSample = tuple[Labels, int, float]


class TimedSeries:
    """Those of one target that the last body showed with times of their own. Not thread-safe."""

    def __init__(self, *, tracked: bool) -> None:
        self._tracked = tracked
        self._shown: set[Labels] = set()

    def seen(self, timed: Sequence[TimedSample], hashes: Ints, scrape_ms: int) -> list[TimedSample]:
        """A good body: staleness markers for those that it does not show, with a time or without (`hashes`)."""
        if not self._tracked or not (timed or self._shown):
            return []
        now = {labels for labels, _, _ in timed if not is_component(labels)}
        gone = self._shown - now
        self._shown = now
        untimed = set(hashes.tolist()) if gone else set()
        return [(labels, scrape_ms, STALE_NAN) for labels in sorted(gone) if hash(labels) not in untimed]

    def end(self, scrape_ms: int) -> list[TimedSample]:
        """There is no body any more: markers for all."""
        gone, self._shown = sorted(self._shown), set()
        return [(labels, scrape_ms, STALE_NAN) for labels in gone]

    def inherit(self, predecessor: TimedSeries) -> None:
        """Goes on where another session of the same target ended."""
        self._shown = predecessor._shown if self._tracked else set()
