"""Loose samples of a replayed head: what fills a page stays in the log until somebody reads it.

Replaying takes series and times, which say what the newest sample of a series is; a page is sealed, which takes twice as long
as all the rest, when a query asks for it, and else when there is time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import NamedTuple

import numpy as np

from trimon.storage.block.cache import ArrayCache
from trimon.storage.head.arena import Bools, Floats, Int32s, Int64s
from trimon.storage.head.loose import LooseBuffer, LoosePage, SealedSamples
from trimon.storage.read.partialframe import PartialFrame
from trimon.storage.wal.cells import CellsError
from trimon.storage.wal.logrows import LogRows
from trimon.storage.wal.payload import BrokenSectionError, looked_up, loose_of

# Gets (sections, samples, the first and the last time) of what cannot be read again.
Fault = Callable[[int, int, tuple[int, int]], None]
# A series that no head has: of a page none of whose samples can be read again.
_NOBODY = -1


class _Place(NamedTuple):
    """A section of loose samples of a run, and how many of a known series it has."""

    run: LogRows
    entry: int
    samples: int


class LoggedPage:
    """A page that is read from the log and sealed when it is first asked for. Any thread may ask."""

    __slots__ = ("_load", "_loading", "_page", "max_ms", "min_ms", "samples")

    def __init__(
        self, span: tuple[int, int], samples: int, load: Callable[[], LoosePage], loading: threading.RLock
    ) -> None:
        self.min_ms, self.max_ms = span
        self.samples = samples
        self._load: Callable[[], LoosePage] | None = load
        self._loading = loading
        self._page: LoosePage | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has asked yet."""
        return self._page is None

    def page(self) -> LoosePage:
        """What there is."""
        if self._page is None:
            with self._loading:
                if self._load is not None:
                    page = self._load()
                    self.samples = page.samples
                    self._page, self._load = page, None
        assert self._page is not None
        return self._page

    @property
    def series(self) -> Int32s:
        """As of LoosePage."""
        return self.page().series

    @property
    def lengths(self) -> Int32s:
        """As of LoosePage."""
        return self.page().lengths

    @property
    def runs(self) -> int:
        """As of LoosePage; no more than samples while they are in the log."""
        return self.samples if self._page is None else self._page.runs

    @property
    def size_bytes(self) -> int:
        """Memory held."""
        return 200 if self._page is None else self._page.size_bytes

    def living(self, series: Int32s, start_ms: int, end_ms: int) -> Bools:
        """As of LoosePage."""
        return self.page().living(series, start_ms, end_ms)

    def read(self, series: Int32s) -> Iterator[PartialFrame]:
        """As of LoosePage."""
        return self.page().read(series)


class LoggedLoose(LooseBuffer):
    """The loose buffer of a replayed head: pages stay in the log, what fills none is here.

    Before samples are appended `note` says where they are. `fault` gets what cannot be read again.
    """

    def __init__(self, cache: ArrayCache, loading: threading.RLock, fault: Fault) -> None:
        super().__init__(cache)
        self._loading = loading
        self._fault = fault
        self._places: list[_Place] = []

    def note(self, run: LogRows, place: int, samples: int) -> None:
        """So many samples that come next are in the section at this place of the run's record."""
        self._places.append(_Place(run, run.entry(place), samples))

    @property
    def waiting(self) -> list[LoggedPage]:
        """The pages that nobody has asked for."""
        return [page for page in self._pages if isinstance(page, LoggedPage) and page.is_waiting]

    def _sealed(self) -> SealedSamples:
        times = self._times.view()
        span = int(times.min()), int(times.max())
        load = partial(_load, self._places, span, self._cache, self._fault)
        self._places = []
        return LoggedPage(span, len(times), load, self._loading)


def _load(places: list[_Place], span: tuple[int, int], cache: ArrayCache, fault: Fault) -> LoosePage:
    """The page of the samples in some sections; what cannot be read is a fault, and missing."""
    found: list[tuple[Int32s, Int64s, Floats]] = []
    lost: list[int] = []
    for run, listed in groupby(places, key=lambda each: each.run):
        mine = list(listed)
        for (payload, place), (_, _, samples) in zip(
            run.read(entry for _, entry, _ in mine), mine, strict=True
        ):
            try:
                if payload is None:
                    raise CellsError("a record that cannot be read again")
                numbers, times, values = loose_of(payload, place)
            except (BrokenSectionError, CellsError):
                lost.append(samples)
                continue
            series = looked_up(run.series, numbers)
            known = series >= 0
            found.append((series[known], times[known], values[known]))
    if lost:
        fault(len(lost), sum(lost), span)
    if not sum(len(series) for series, _, _ in found):
        found = [(np.array([_NOBODY], np.int32), np.array([span[0]], np.int64), np.zeros(1))]
    series, times, values = map(np.concatenate, zip(*found, strict=True))
    return LoosePage(series, times, values, cache)
