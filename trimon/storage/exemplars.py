"""Exemplars: the newest of them, in memory, with a log."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from trimon.model.labels import Labels
from trimon.model.matcher import Matcher
from trimon.records import dataclass

LABEL_RUNES_MAX: Final = 128
TOO_LONG: Final = f"label length for exemplar exceeds maximum of {LABEL_RUNES_MAX} UTF-8 characters"
OUT_OF_ORDER: Final = "out of order exemplar"
DISABLED: Final = "exemplar storage is disabled or max exemplars is less than or equal to 0"


@dataclass(frozen=True, slots=True)
class StoredExemplar:
    """A sample of a series with a pointer to where it came from."""

    series: Labels
    labels: Labels
    value: float
    timestamp_ms: int


def _time(exemplar: StoredExemplar) -> int:
    return exemplar.timestamp_ms


class ExemplarStore:
    """A ring of exemplars: when it is full, the exemplar that arrived first is dropped. Any thread may use it."""

    def __init__(self, limit: int, window_ms: int = 0) -> None:
        self._limit = limit
        self._window_ms = window_ms
        self._ring: deque[StoredExemplar] = deque()
        self._by_series: dict[Labels, list[StoredExemplar]] = {}
        self._lock = threading.Lock()
        self.appended = 0
        self.out_of_order = 0

    def __len__(self) -> int:
        return len(self._ring)

    @property
    def series(self) -> int:
        """How many series have exemplars."""
        return len(self._by_series)

    @property
    def limit(self) -> int:
        """How many exemplars are kept at most."""
        return self._limit

    def configure(self, limit: int, window_ms: int) -> None:
        """Keep the newest `limit` exemplars, and accept those up to `window_ms` older than the newest."""
        with self._lock:
            self._limit, self._window_ms = limit, window_ms
            self._shrink()

    def check(self, exemplars: Iterable[StoredExemplar]) -> list[str | None]:
        """For each exemplar the reason to refuse it, empty if it will be stored, None if it is stored already."""
        return [self._verdict(exemplar) for exemplar in exemplars]

    def append(self, exemplars: Sequence[StoredExemplar]) -> list[str]:
        """Store exemplars in order; for each the reason why it was refused, or the empty string."""
        answers: list[str] = []
        with self._lock:
            for exemplar in exemplars:
                verdict = self._verdict(exemplar)
                if verdict == "":
                    self._ring.append(exemplar)
                    insort(self._by_series.setdefault(exemplar.series, []), exemplar, key=_time)
                    self.appended += 1
                    self._shrink()
                elif verdict == OUT_OF_ORDER:
                    self.out_of_order += 1
                answers.append(verdict or "")
        return answers

    def _verdict(self, exemplar: StoredExemplar) -> str | None:
        if self._limit <= 0:
            return DISABLED
        if sum(len(name) + len(value) for name, value in exemplar.labels) > LABEL_RUNES_MAX:
            return TOO_LONG
        known = self._by_series.get(exemplar.series)
        if not known:
            return ""
        newest = known[-1]
        if exemplar == newest:
            return None
        if exemplar.timestamp_ms < newest.timestamp_ms - self._window_ms:
            return OUT_OF_ORDER
        if exemplar.timestamp_ms == newest.timestamp_ms and exemplar.value < newest.value:
            return OUT_OF_ORDER
        if exemplar.timestamp_ms < newest.timestamp_ms:
            place = bisect_left(known, exemplar.timestamp_ms, key=_time)
            if known[place].timestamp_ms == exemplar.timestamp_ms:
                return None
        return ""

    def _shrink(self) -> None:
        while len(self._ring) > max(0, self._limit):
            oldest = self._ring.popleft()
            mine = self._by_series[oldest.series]
            mine.remove(oldest)
            if not mine:
                del self._by_series[oldest.series]

    def query(
        self, matcher_sets: Sequence[Sequence[Matcher]], start_ms: int, end_ms: int
    ) -> list[tuple[Labels, list[StoredExemplar]]]:
        """Exemplars in the closed interval, of series that satisfy all matchers of any of the sets, sorted by series."""
        with self._lock:
            found = [
                (series, [e for e in mine if start_ms <= e.timestamp_ms <= end_ms])
                for series, mine in self._by_series.items()
                if any(_satisfies(series, matchers) for matchers in matcher_sets)
            ]
        return sorted((series, mine) for series, mine in found if mine)


def wholly_late(exemplars: Sequence[StoredExemplar], verdicts: Sequence[str]) -> int:
    """How many are out of order of series of which all are; of a set that is shown again the last one is known, not late."""
    late: dict[Labels, int] = {}
    others = set()
    for exemplar, verdict in zip(exemplars, verdicts, strict=True):
        if verdict == OUT_OF_ORDER:
            late[exemplar.series] = late.get(exemplar.series, 0) + 1
        else:
            others.add(exemplar.series)
    return sum(count for series, count in late.items() if series not in others)


def _satisfies(series: Labels, matchers: Sequence[Matcher]) -> bool:
    labels = dict(series)
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def to_rows(exemplars: Iterable[StoredExemplar]) -> list[list[object]]:
    """Exemplars as plain lists, which the log can hold."""
    return [
        [list(map(list, e.series)), list(map(list, e.labels)), e.value, e.timestamp_ms] for e in exemplars
    ]


def from_rows(rows: Iterable[Sequence[object]]) -> list[StoredExemplar]:
    """The inverse of `to_rows`."""
    return [
        StoredExemplar(_pairs(series), _pairs(labels), float(str(value)), int(str(time_ms)))
        for series, labels, value, time_ms in rows
    ]


def _pairs(listed: object) -> Labels:
    assert isinstance(listed, list)
    return tuple((str(name), str(value)) for name, value in listed)
