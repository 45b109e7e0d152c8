"""The faults of a data directory, by cause: a fault that comes again and again is one entry with a count."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Final

from trimon.clock import Clock
from trimon.gotext.times import rfc3339
from trimon.records import dataclass

# Of one kind (blocks, groups of the log, ...) so many subjects are listed; all others share one entry.
SUBJECTS_MAX: Final = 20
OTHERS: Final = ""
# Not of the directory, but of the memory of the process: series or queries are refused.
MEMORY: Final = "memory"
# A limit that a flag sets is reached.
LIMIT: Final = "limit"


@dataclass(frozen=True, slots=True)
class Problem:
    """A cause of faults: what it is about, what was said of it last, how often and when."""

    kind: str
    subject: str
    text: str
    count: int
    first_ms: int
    last_ms: int
    over_ms: int = 0
    """Since when it is over; 0: it is not, or nobody can tell."""

    def line(self) -> str:
        """For people: the text, and how often where it was more than once."""
        text = f"{self.text}; it is over since {rfc3339(self.over_ms)}" if self.over_ms else self.text
        if self.count == 1:
            return text
        times = f"{self.count} times, first {rfc3339(self.first_ms)}, last {rfc3339(self.last_ms)}"
        others = "" if self.subject else f", {self.kind} of which more than {SUBJECTS_MAX} are damaged"
        return f"{text} ({times}{others})"


class Problems:
    """Causes in the order of their first fault; bounded by the kinds there are. Any thread may note and read."""

    def __init__(self, clock: Clock) -> None:
        self.entries: tuple[Problem, ...] = ()
        """Another tuple after every fault."""
        self.total = 0
        self._clock = clock
        self._lock = threading.Lock()

    def note(self, kind: str, subject: str, text: str, count: int = 1) -> None:
        """A fault of `subject`, which is one of a `kind`: both are part of the cause, the text is for people."""
        now_ms = self._clock.now_ms()
        with self._lock:
            self.total += count
            entries = list(self.entries)
            place = _place(entries, kind, subject)
            if place is None and sum(entry.kind == kind for entry in entries) >= SUBJECTS_MAX:
                subject = OTHERS
                place = _place(entries, kind, subject)
            if place is None:
                entries.append(Problem(kind, subject, text, count, now_ms, now_ms))
            else:
                known = entries[place]
                entries[place] = replace(
                    known, text=text, count=known.count + count, last_ms=now_ms, over_ms=0
                )
            self.entries = tuple(entries)

    def over(self, kind: str, subject: str) -> None:
        """What was noted does not happen any more; nothing if it was not noted."""
        with self._lock:
            entries = list(self.entries)
            place = _place(entries, kind, subject)
            if place is not None and not entries[place].over_ms:
                entries[place] = replace(entries[place], over_ms=self._clock.now_ms())
                self.entries = tuple(entries)

    def lines(self) -> list[str]:
        """A line for each cause."""
        return [entry.line() for entry in self.entries]


def _place(entries: list[Problem], kind: str, subject: str) -> int | None:
    return next(
        (place for place, entry in enumerate(entries) if (entry.kind, entry.subject) == (kind, subject)), None
    )
