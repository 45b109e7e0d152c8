"""A query at the gate: who asks, what it does now, what it holds, and how it is cancelled."""

from __future__ import annotations

from enum import Enum

import trio

from trimon.actors.querying.places import Asker
from trimon.actors.remoteread.reading import RemoteReading
from trimon.gotext.times import rfc3339
from trimon.query.execution.budget import Budget
from trimon.records import dataclass


class Phase(Enum):
    """What an active query does."""

    BEGINS = "begins"
    WAITS_FOR_TURN = "waits for other heavy queries"
    WAITS_FOR_PLACE = "waits for a place"
    WAITS_FOR_MEMORY = "waits for memory"
    READS_REMOTE = "waits for samples of other servers"
    COMPUTES = "computes"


@dataclass(slots=True, eq=False)
class ActiveQuery:
    """A query at work or waiting."""

    number: int
    text: str
    started_ms: int
    budget: Budget
    asker: Asker
    scope: trio.CancelScope
    phase: Phase = Phase.BEGINS
    expected_bytes: int = 0
    """What it took the last time, or needs as it turned out; 0 when it is not known."""
    canceled: bool = False
    reading: RemoteReading | None = None
    """What it reads of other servers."""

    def cancel(self) -> None:
        """It ends with an error: at once where it waits, else when its thread looks the next time."""
        self.canceled = True
        self.budget.cancel()
        self.scope.cancel()

    def describe(self, now_ms: int) -> dict[str, object]:
        """All of it as plain data."""
        budget = self.budget
        reserved_bytes = budget.reservation.size_bytes if budget.reservation is not None else 0
        return {
            "id": self.number,
            "query": self.text,
            "user": self.asker.user,
            "client": self.asker.client,
            "by_page": self.asker.by_page,
            "start": rfc3339(self.started_ms),
            "age_s": (now_ms - self.started_ms) / 1000,
            "phase": self.phase.value,
            "canceled": self.canceled,
            "samples": budget.read,
            "estimated_bytes": max(self.expected_bytes, reserved_bytes),
            "reserved_bytes": reserved_bytes,
            "used_bytes": budget.bytes_held + budget.bytes_kept,
        }
