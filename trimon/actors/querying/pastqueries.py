"""Queries that have ended: how often each was asked, what it took, and what its slowest run was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from trimon.actors.querying.querylog import QueryRecord
from trimon.clock import Clock
from trimon.gotext.times import rfc3339
from trimon.query.execution.budget import Budget
from trimon.records import dataclass

KEPT_MAX: Final = 500
KEPT_OF_PAGES_MAX: Final = 100
TEXT_CHARACTERS_MAX: Final = 4_000
ERROR_CHARACTERS_MAX: Final = 500


@dataclass(slots=True)
class QueryRun:
    """One run of a query: what was asked for, by whom, and where its time went."""

    ended_ms: int
    start_ms: int
    end_ms: int
    step_ms: int
    took_s: float
    """From the question to the answer's text, waiting included."""
    queue_s: float = 0.0
    preparation_s: float = 0.0
    evaluation_s: float = 0.0
    sort_s: float = 0.0
    samples: int = 0
    error: str = ""
    canceled: bool = False
    """Whether somebody stopped it; that is no error of its own."""
    origin: Mapping[str, object] = field(default_factory=dict)

    def as_data(self) -> dict[str, object]:
        """As the API shows it."""
        return {
            "time": rfc3339(self.ended_ms),
            "start": rfc3339(self.start_ms),
            "end": rfc3339(self.end_ms),
            "step_s": self.step_ms / 1000,
            "took_s": self.took_s,
            "queue_s": self.queue_s,
            "preparation_s": self.preparation_s,
            "evaluation_s": self.evaluation_s,
            "sort_s": self.sort_s,
            "samples": self.samples,
            "error": self.error,
            "canceled": self.canceled,
            **self.origin,
        }


@dataclass(slots=True)
class PastQuery:
    """All runs of one text."""

    text: str
    slowest: QueryRun
    last: QueryRun
    by_page: bool = False
    """Whether a page asked it by itself; what a person asked is counted apart."""
    count: int = 0
    errors: int = 0
    canceled: int = 0
    total_s: float = 0.0


class PastQueries:
    """The texts that were asked last, a bounded number. On the loop's thread; a run costs about two microseconds.

    What pages ask by themselves is kept apart, so that it drives nothing out that a person asked.
    """

    def __init__(self, clock: Clock, most: int = KEPT_MAX, most_of_pages: int = KEPT_OF_PAGES_MAX) -> None:
        self._clock = clock
        self._most = (most, most_of_pages)
        self._kept: tuple[OrderedDict[str, PastQuery], ...] = (OrderedDict(), OrderedDict())
        self.since_ms = clock.now_ms()

    def add(self, record: QueryRecord, budget: Budget, error: str = "") -> None:
        """A query ended, well or with an error."""
        took_s = budget.elapsed_s
        text = record.text[:TEXT_CHARACTERS_MAX]
        run = QueryRun(
            self._clock.now_ms(),
            record.start_ms,
            record.end_ms,
            record.step_ms,
            took_s,
            error=error[:ERROR_CHARACTERS_MAX],
            canceled=budget.canceled,
            origin=record.origin,
        )
        if (stats := record.stats) is None:
            # It did not come to an end: what it did until then is what took so long.
            run.queue_s = budget.queue_s or took_s
            run.evaluation_s, run.samples = took_s - run.queue_s, budget.read
        else:
            run.queue_s, run.preparation_s = stats.queue_s, stats.preparation_s
            run.evaluation_s, run.sort_s, run.samples = stats.evaluation_s, stats.sort_s, stats.samples_total
        kept = self._kept[record.by_page]
        known = kept.get(text)
        if known is None:
            known = kept[text] = PastQuery(text, run, run, record.by_page)
            if len(kept) > self._most[record.by_page]:
                kept.popitem(last=False)
        else:
            kept.move_to_end(text)
        known.count += 1
        known.errors += bool(error) and not run.canceled
        known.canceled += run.canceled
        known.total_s += took_s
        known.last = run
        if took_s >= known.slowest.took_s:
            known.slowest = run

    def slowest(self, most: int, *, by_pages: bool = True) -> list[PastQuery]:
        """Those whose slowest run took longest, the slowest first; with what pages asked by themselves, or without."""
        people, pages = self._kept
        all_kept = [*people.values(), *(pages.values() if by_pages else ())]
        return sorted(all_kept, key=lambda past: past.slowest.took_s, reverse=True)[:most]
